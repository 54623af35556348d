package memory_test

import (
	"testing"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/memory"
	"github.com/dittofs/dittofs/internal/meta/metatest"
)

func TestKeepsTheContractOfMetadataStores(t *testing.T) {
	metatest.Run(t, func(*testing.T) (meta.Store, func() meta.Store) {
		return memory.Open(), nil
	})
}
