package memory

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/dittofs/dittofs/pkg/config"
)

func TestCacheAndHeapFitIntoTheLimit(t *testing.T) {
	limit := func(s string) *corev1.ResourceRequirements {
		return &corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(s)}}
	}
	for name, test := range map[string]struct {
		resources   *corev1.ResourceRequirements
		cache, heap int64
	}{
		"default": {nil, 256 << 20, 697932182},
		"small":   {limit("100Mi"), 25 << 20, 68157440},
		"tiny":    {limit("1Mi"), 1 << 20, 104857},
		"huge":    {limit("8Ti"), 1 << 40, (8<<40)/10*9 - 1<<40},
	} {
		cache := MetadataCache(test.resources)
		heap, ok := HeapLimit(test.resources)
		if !ok || int64(cache) != test.cache || heap != test.heap {
			t.Errorf("%s: %d bytes of cache and %d of heap, %v; not %d and %d", name, cache, heap, ok, test.cache, test.heap)
		}
	}
	if _, ok := HeapLimit(&corev1.ResourceRequirements{}); ok || MetadataCache(&corev1.ResourceRequirements{}) != 0 {
		t.Error("a limit out of nothing")
	}
	if d := config.Default().Metadata.Cache; d != MetadataCache(nil) {
		t.Errorf("the server's default is %v", d)
	}
}
