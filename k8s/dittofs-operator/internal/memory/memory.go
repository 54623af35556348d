// Package memory divides the memory limit of the server's container.
package memory

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/dittofs/dittofs/pkg/config"
)

const leastCache = 1 << 20 // that the server takes

// Resources is what the spec says, or a modest default.
func Resources(spec *corev1.ResourceRequirements) corev1.ResourceRequirements {
	if spec != nil {
		return *spec
	}
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse("100m"),
			corev1.ResourceMemory: resource.MustParse("256Mi"),
		},
		Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")},
	}
}

func limitOf(spec *corev1.ResourceRequirements) (int64, bool) {
	limit, ok := Resources(spec).Limits[corev1.ResourceMemory]
	return limit.Value(), ok
}

// MetadataCache is the server's metadata.cache in bytes: a quarter of the
// container's limit, so that more memory holds more files. Without a limit it is
// 0, which leaves it to the server.
func MetadataCache(spec *corev1.ResourceRequirements) config.Size {
	limit, ok := limitOf(spec)
	if !ok {
		return 0
	}
	return config.Size(min(max(limit/4, leastCache), 1<<40))
}

// HeapLimit is nine tenths of the container's limit without the cache, which is
// outside of the heap: the collector works harder before the kernel kills.
func HeapLimit(spec *corev1.ResourceRequirements) (bytes int64, ok bool) {
	limit, ok := limitOf(spec)
	return max(limit/10*9-int64(MetadataCache(spec)), limit/10), ok
}
