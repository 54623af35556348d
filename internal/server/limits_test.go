package server

import "testing"

func TestStoresKeepDescriptorsBesideConnections(t *testing.T) {
	for descriptors, want := range map[uint64]int{
		0: 1, 64: 32, 200: 100, 1024: 512, 2048: 1024, 4096: 3072, 1 << 20: maxConnections,
	} {
		if got := connectionsOf(descriptors); got != want {
			t.Errorf("%d descriptors: %d connections, want %d", descriptors, got, want)
		}
	}
}
