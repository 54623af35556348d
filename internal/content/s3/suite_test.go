package s3

import (
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/content/contenttest"
	"github.com/dittofs/dittofs/test/s3server"
)

func TestMain(m *testing.M) { s3server.Main(m) }

func TestStoreKeepsTheContract(t *testing.T) {
	contenttest.Run(t, func(t *testing.T) (content.Store, func() content.Store) {
		w := newWorld(t)
		return w.store(t), func() content.Store { return w.store(t) }
	}, contenttest.FlatNames)
}

func TestStoreKeepsTheContractBehindFaults(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	contenttest.Run(t, func(t *testing.T) (content.Store, func() content.Store) {
		w := newWorld(t)
		p := w.proxied(t)
		p.Random(seed, 0.15)
		t.Cleanup(func() { t.Logf("faults: %v", p.Faults()) })
		patient := quick
		patient.tries = 20
		return openStore(t, w.opts, patient), func() content.Store { return openStore(t, w.opts, patient) }
	}, contenttest.FlatNames)
}
