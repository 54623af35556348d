package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// nonroot is the user and group that images run as: a number, so that a kubelet can see that it is not root.
const nonroot = "65532:65532"

// fromBinary packs a static binary into an image whose entry point it is.
func fromBinary(binary, arch, version string) (v1.Image, error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	entry := filepath.Base(binary)
	files, err := layerTar(entry, content)
	if err != nil {
		return nil, err
	}
	return fromLayer(files, arch, "/"+entry, labels(entry, version))
}

// fromTree packs a folder into an image whose entry point is a file in it, such as /entry.sh.
func fromTree(dir, arch, entry string) (v1.Image, error) {
	files, err := treeTar(dir)
	if err != nil {
		return nil, err
	}
	return fromLayer(files, arch, entry, map[string]string{"org.opencontainers.image.title": filepath.Base(dir)})
}

// fromLayer is an image of one layer, files in a tar archive.
func fromLayer(files []byte, arch, entry string, labels map[string]string) (v1.Image, error) {
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil }
	layer, err := tarball.LayerFromOpener(open, tarball.WithCompressedCaching, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{
		OS:           "linux",
		Architecture: arch,
		Created:      v1.Time{Time: time.Unix(0, 0).UTC()},
		RootFS:       v1.RootFS{Type: "layers"},
		Config: v1.Config{
			Entrypoint: []string{entry},
			Env:        []string{"PATH=/"},
			User:       nonroot,
			WorkingDir: "/",
			Labels:     labels,
		},
	})
	if err != nil {
		return nil, err
	}
	return mutate.Append(image, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: time.Unix(0, 0).UTC()}, CreatedBy: "hack/images"},
	})
}

// labels are those of the OCI image specification's annotations.
func labels(title, version string) map[string]string {
	l := map[string]string{"org.opencontainers.image.title": title, "org.opencontainers.image.licenses": "Apache-2.0"}
	if version != "" {
		l["org.opencontainers.image.version"] = version
		l["org.opencontainers.image.source"] = "https://github.com/dittofs/dittofs"
	}
	return l
}

// layerTar is the file system of an image: the binary, an account for it, and a place for temporary files.
func layerTar(entry string, binary []byte) ([]byte, error) {
	files := []struct {
		header  tar.Header
		content []byte
	}{
		{tar.Header{Typeflag: tar.TypeDir, Name: "etc/", Mode: 0o755}, nil},
		{tar.Header{Typeflag: tar.TypeReg, Name: "etc/group", Mode: 0o644}, []byte("nonroot:x:65532:\n")},
		{tar.Header{Typeflag: tar.TypeReg, Name: "etc/passwd", Mode: 0o644}, []byte("nonroot:x:65532:65532::/tmp:/none\n")},
		{tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}, nil},
		{tar.Header{Typeflag: tar.TypeReg, Name: entry, Mode: 0o755}, binary},
	}
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	for _, f := range files {
		f.header.Size = int64(len(f.content))
		f.header.ModTime = time.Unix(0, 0)
		f.header.Format = tar.FormatUSTAR
		if err := w.WriteHeader(&f.header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return buffer.Bytes(), err
}

// writeArchive writes a docker-archive, which containerd, Docker, Podman and kind load. The file appears whole or not
// at all.
func writeArchive(file, tag string, image v1.Image) error {
	ref, err := name.NewTag(tag, name.StrictValidation)
	if err != nil {
		return fmt.Errorf("image name %q: %w: HOST/NAME:TAG is needed", tag, err)
	}
	if err := tarball.WriteToFile(file+".new", ref, image); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
