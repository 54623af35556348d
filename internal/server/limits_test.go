package server

import (
	"testing"

	"github.com/dittofs/dittofs/pkg/config"
)

func TestClientsHaveSomeConnectionsHoweverFewDescriptorsThereAre(t *testing.T) {
	cfg := config.Default()
	for files, want := range map[int]int{8: 1, 200: 25, 1 << 20: maxConnections} {
		if l := limitsOf(cfg, files); l.clients != want {
			t.Errorf("of %d descriptors clients have %d, want %d", files, l.clients, want)
		}
	}
}
