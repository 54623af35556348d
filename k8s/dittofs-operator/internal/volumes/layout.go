// Package volumes decides which volumes a server has and what lies where on
// them, and makes the PersistentVolumeClaims.
//
// The operator makes the claims itself instead of leaving them to the
// StatefulSet's volumeClaimTemplates: those can be neither changed nor
// expanded, and their claims follow the StatefulSet's life, not the data's.
//
// By default metadata, cache and content are directories of one volume, so
// that the server moves a finished segment from the cache to the content store
// by a rename:
//
//	/data/metadata  /data/cache  /data/content    claim NAME-data
//
// A store in memory or elsewhere needs no directory, so that with PostgreSQL and
// S3 only the cache is on the volume; an ephemeral one needs none at all.
//
// What has a volume of its own is in a directory of that volume, because the
// root of a fresh ext4 holds lost+found:
//
//	/volumes/content/content                      claim NAME-content
package volumes

import (
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
)

// Claim is a PersistentVolumeClaim of a server.
type Claim struct {
	// Name of the claim, such as nas-data.
	Name string
	// Volume is the name of the volume in the pod: data, metadata, content or
	// cache.
	Volume string
	// Spec is its size and class.
	Spec v1alpha1.VolumeSpec
}

// Mount is where a volume is in the pod's filesystem.
type Mount struct {
	Volume string
	Path   string
}

// Layout is everything about the volumes of a server.
type Layout struct {
	// Claims to make.
	Claims []Claim
	// Mounts of the claims, and of Scratch.
	Mounts []Mount
	// Scratch is the volume that is an emptyDir, lost with the pod; empty if
	// there is none.
	Scratch string
	// MetadataDir, ContentDir and CacheDir are directories of the server; the
	// first two are empty for a store in memory or elsewhere.
	MetadataDir, ContentDir, CacheDir string
	// CacheSize is the limit of CacheDir in bytes.
	CacheSize int64
}

// Volume names.
const (
	Data     = "data"
	Metadata = "metadata"
	Content  = "content"
	Cache    = "cache"
)

// Bounds of the cache's default size.
const (
	minCache     = 64 << 20
	maxCache     = 10 << 30
	scratchCache = 1 << 30
	cacheShare   = 4 // a quarter of its volume
)

// For is the layout of a server.
func For(ds *v1alpha1.DittoServer) Layout {
	spec := &ds.Spec
	l := Layout{}
	if spec.Metadata.Type == v1alpha1.MetadataPebble {
		l.MetadataDir = l.place(ds, Metadata, spec.Metadata.Volume)
	}
	if spec.Content.Type == v1alpha1.ContentFilesystem {
		l.ContentDir = l.place(ds, Content, spec.Content.Volume)
	}
	// A journal is worth a volume if anything that it completes is kept.
	inMemory := spec.Metadata.Type == v1alpha1.MetadataMemory && spec.Content.Type == v1alpha1.ContentMemory
	if spec.Cache.Ephemeral || inMemory && spec.Cache.Volume == nil {
		l.Scratch = Cache
		l.Mounts = append(l.Mounts, Mount{Volume: Cache, Path: mountPath(Cache)})
		l.CacheDir = path.Join(mountPath(Cache), Cache)
	} else {
		l.CacheDir = l.place(ds, Cache, spec.Cache.Volume)
	}
	l.CacheSize = cacheSize(spec, l.Scratch != "")
	return l
}

// place puts one of metadata, content and cache on its own volume or on the
// common one, and returns its directory.
func (l *Layout) place(ds *v1alpha1.DittoServer, what string, own *v1alpha1.VolumeSpec) string {
	volume, spec := Data, ds.Spec.Storage
	if own != nil {
		volume, spec = what, *own
	}
	if !l.has(volume) {
		l.Claims = append(l.Claims, Claim{Name: ds.Name + "-" + volume, Volume: volume, Spec: spec})
		l.Mounts = append(l.Mounts, Mount{Volume: volume, Path: mountPath(volume)})
	}
	return path.Join(mountPath(volume), what)
}

func (l *Layout) has(volume string) bool {
	for _, m := range l.Mounts {
		if m.Volume == volume {
			return true
		}
	}
	return false
}

func mountPath(volume string) string {
	if volume == Data {
		return "/data"
	}
	return "/volumes/" + volume
}

// cacheSize is the limit of the cache: what the spec says, or a share of its
// volume.
func cacheSize(spec *v1alpha1.DittoServerSpec, scratch bool) int64 {
	if spec.Cache.Size != nil {
		return spec.Cache.Size.Value()
	}
	if scratch {
		return scratchCache
	}
	volume := spec.Storage.Size
	if spec.Cache.Volume != nil {
		volume = spec.Cache.Volume.Size
	}
	return min(max(volume.Value()/cacheShare, minCache), maxCache)
}

// Granted is the spec with the sizes that the cluster has granted, where it
// refused to let a claim grow: a cache that is a share of its volume must not
// be a share of room that is not there, nor the pod restart for it. It reports
// whether there is a difference.
func Granted(ds *v1alpha1.DittoServer, states []State) (*v1alpha1.DittoServer, bool) {
	out, differs := ds.DeepCopy(), false
	for _, state := range states {
		if state.Refusal == nil {
			continue
		}
		differs = true
		size := state.Live.Spec.Resources.Requests[corev1.ResourceStorage]
		switch state.Claim.Volume {
		case Data:
			out.Spec.Storage.Size = size
		case Cache:
			out.Spec.Cache.Volume.Size = size
		case Metadata:
			out.Spec.Metadata.Volume.Size = size
		case Content:
			out.Spec.Content.Volume.Size = size
		}
	}
	return out, differs
}

// ScratchLimit is the size of the emptyDir under a cache: the kubelet evicts a
// pod that is above it, so there is room for what a filesystem adds.
func (l *Layout) ScratchLimit() *resource.Quantity {
	return resource.NewQuantity(l.CacheSize+l.CacheSize/4, resource.BinarySI)
}
