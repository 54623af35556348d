package memory_test

import (
	"testing"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/content/contenttest"
	"github.com/dittofs/dittofs/internal/content/memory"
)

func TestKeepsTheContractOfContentStores(t *testing.T) {
	contenttest.Run(t, func(*testing.T) (content.Store, func() content.Store) {
		return memory.Open(), nil
	})
}
