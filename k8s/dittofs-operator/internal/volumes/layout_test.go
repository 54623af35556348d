package volumes

import (
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
)

func volume(size string) *v1alpha1.VolumeSpec {
	return &v1alpha1.VolumeSpec{Size: resource.MustParse(size)}
}

func TestLayoutPutsEveryDirectoryOnAVolume(t *testing.T) {
	memory := func(s *v1alpha1.DittoServerSpec) {
		s.Metadata.Type, s.Content.Type = v1alpha1.MetadataMemory, v1alpha1.ContentMemory
	}
	elsewhere := func(s *v1alpha1.DittoServerSpec) {
		s.Metadata.Type, s.Content.Type = v1alpha1.MetadataPostgres, v1alpha1.ContentS3
	}
	for name, test := range map[string]struct {
		change                   func(*v1alpha1.DittoServerSpec)
		claims                   []string
		metadata, content, cache string
		scratch                  string
		size                     int64
	}{
		"one volume": {func(*v1alpha1.DittoServerSpec) {}, []string{"nas-data"},
			"/data/metadata", "/data/content", "/data/cache", "", 10 << 30 / 4},
		"all memory": {memory, nil, "", "", "/volumes/cache/cache", "cache", 1 << 30},
		"memory with a cache volume": {func(s *v1alpha1.DittoServerSpec) { memory(s); s.Cache.Volume = volume("4Gi") },
			[]string{"nas-cache"}, "", "", "/volumes/cache/cache", "", 1 << 30},
		"memory metadata": {func(s *v1alpha1.DittoServerSpec) { s.Metadata.Type = v1alpha1.MetadataMemory }, []string{"nas-data"},
			"", "/data/content", "/data/cache", "", 10 << 30 / 4},
		"content apart": {func(s *v1alpha1.DittoServerSpec) { s.Content.Volume = volume("1Ti") }, []string{"nas-data", "nas-content"},
			"/data/metadata", "/volumes/content/content", "/data/cache", "", 10 << 30 / 4},
		"all apart": {func(s *v1alpha1.DittoServerSpec) {
			s.Metadata.Volume, s.Content.Volume, s.Cache.Volume = volume("1Gi"), volume("2Gi"), volume("128Mi")
		}, []string{"nas-metadata", "nas-content", "nas-cache"},
			"/volumes/metadata/metadata", "/volumes/content/content", "/volumes/cache/cache", "", 64 << 20},
		"elsewhere": {elsewhere, []string{"nas-data"}, "", "", "/data/cache", "", 10 << 30 / 4},
		"elsewhere with a cache volume": {func(s *v1alpha1.DittoServerSpec) { elsewhere(s); s.Cache.Volume = volume("4Gi") }, []string{"nas-cache"},
			"", "", "/volumes/cache/cache", "", 1 << 30},
		"elsewhere and ephemeral": {func(s *v1alpha1.DittoServerSpec) { elsewhere(s); s.Cache.Ephemeral = true }, nil,
			"", "", "/volumes/cache/cache", "cache", 1 << 30},
		"s3": {func(s *v1alpha1.DittoServerSpec) { s.Content.Type = v1alpha1.ContentS3 }, []string{"nas-data"},
			"/data/metadata", "", "/data/cache", "", 10 << 30 / 4},
		"postgres": {func(s *v1alpha1.DittoServerSpec) { s.Metadata.Type = v1alpha1.MetadataPostgres }, []string{"nas-data"},
			"", "/data/content", "/data/cache", "", 10 << 30 / 4},
		"postgres with memory": {func(s *v1alpha1.DittoServerSpec) {
			s.Metadata.Type, s.Content.Type = v1alpha1.MetadataPostgres, v1alpha1.ContentMemory
		}, []string{"nas-data"}, "", "", "/data/cache", "", 10 << 30 / 4},
		"large volume": {func(s *v1alpha1.DittoServerSpec) { s.Storage.Size = resource.MustParse("1Ti") }, []string{"nas-data"},
			"/data/metadata", "/data/content", "/data/cache", "", 10 << 30},
		"given size": {func(s *v1alpha1.DittoServerSpec) { s.Cache.Size = ptr.To(resource.MustParse("100Mi")) }, []string{"nas-data"},
			"/data/metadata", "/data/content", "/data/cache", "", 100 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			ds := &v1alpha1.DittoServer{ObjectMeta: metav1.ObjectMeta{Name: "nas"}}
			ds.Spec.Storage = *volume("10Gi")
			ds.Spec.Metadata.Type, ds.Spec.Content.Type = v1alpha1.MetadataPebble, v1alpha1.ContentFilesystem
			test.change(&ds.Spec)
			l := For(ds)
			var claims []string
			for _, claim := range l.Claims {
				claims = append(claims, claim.Name)
			}
			if !reflect.DeepEqual(claims, test.claims) {
				t.Errorf("claims are %v, not %v", claims, test.claims)
			}
			if l.MetadataDir != test.metadata || l.ContentDir != test.content || l.CacheDir != test.cache ||
				l.Scratch != test.scratch {
				t.Errorf("layout is %+v", l)
			}
			if l.CacheSize != test.size {
				t.Errorf("the cache has %d bytes, not %d", l.CacheSize, test.size)
			}
			// What a directory is on must be mounted there, and is a claim's or the scratch volume.
			mounted := map[string]string{}
			for _, m := range l.Mounts {
				mounted[m.Volume] = m.Path
			}
			used := map[string]bool{}
			for _, dir := range []string{l.MetadataDir, l.ContentDir, l.CacheDir} {
				if dir == "" {
					continue
				}
				on := ""
				for volume, at := range mounted {
					if strings.HasPrefix(dir, at+"/") {
						on = volume
					}
				}
				if on == "" {
					t.Errorf("%s is on no volume: mounts are %+v", dir, l.Mounts)
				}
				used[on] = true
			}
			kept := map[string]bool{}
			for _, claim := range l.Claims {
				kept[claim.Volume] = true
			}
			if l.Scratch != "" {
				kept[l.Scratch] = true
			}
			if len(l.Mounts) != len(kept) || !reflect.DeepEqual(used, kept) {
				t.Errorf("mounts are %+v of claims %+v, and %v are used", l.Mounts, l.Claims, used)
			}
		})
	}
}
