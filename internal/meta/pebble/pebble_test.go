package pebble

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/metatest"
)

func TestKeepsTheContractOfMetadataStores(t *testing.T) {
	metatest.Run(t, func(t *testing.T) (meta.Store, func() meta.Store) {
		dir := t.TempDir()
		openAgain := func() meta.Store {
			s, err := Open(dir, quiet)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := s.Close(); err != nil && !errors.Is(err, meta.ErrClosed) {
					t.Errorf("close: %v", err)
				}
			})
			return s
		}
		return openAgain(), openAgain
	})
}

var quiet = Options{Logger: slog.New(slog.DiscardHandler)}
