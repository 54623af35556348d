package main

import (
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// push compiles the program for all architectures and puts an index of them at registry/name:version. Credentials are
// those of `docker login`. A registry on this machine is spoken to without TLS.
func (p program) push(registry, version string, archs []string) (name.Tag, v1.Hash, error) {
	ref, err := name.NewTag(registry + "/" + p.name + ":" + version)
	if err != nil {
		return name.Tag{}, v1.Hash{}, fmt.Errorf("registry %q: %w", registry, err)
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range archs {
		built, err := p.image(arch, version)
		if err != nil {
			return ref, v1.Hash{}, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        built.image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	if err := remote.WriteIndex(ref, index, remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return ref, v1.Hash{}, fmt.Errorf("push %s: %w", ref, err)
	}
	digest, err := index.Digest()
	return ref, digest, err
}
