package main

import (
	"archive/tar"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

var hello = program{name: "hello", pkg: "./testdata/hello"}

func TestTwoBuildsOfOneVersionGiveOneDigest(t *testing.T) {
	first, err := hello.image("amd64", "v1")
	if err != nil {
		t.Fatal(err)
	}
	second, err := hello.image("amd64", "v1")
	if err != nil {
		t.Fatal(err)
	}
	if first.digest != second.digest {
		t.Errorf("digests differ: %s and %s", first.digest, second.digest)
	}
	other, err := hello.image("amd64", "v2")
	if err != nil {
		t.Fatal(err)
	}
	if other.digest == first.digest {
		t.Error("the version is not part of the image")
	}
}

func TestArchiveHoldsANonRootImageWithoutAShell(t *testing.T) {
	built, err := hello.image("arm64", "v1")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "hello.tar")
	if err := writeArchive(file, "dittofs.local/hello:v1", built.image); err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag("dittofs.local/hello:v1")
	if err != nil {
		t.Fatal(err)
	}
	image, err := tarball.ImageFromPath(file, &tag)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" || config.Architecture != "arm64" || config.OS != "linux" {
		t.Errorf("user %q, platform %s/%s", config.Config.User, config.OS, config.Architecture)
	}
	if !slices.Equal(config.Config.Entrypoint, []string{"/hello"}) {
		t.Errorf("entry point %q", config.Config.Entrypoint)
	}
	if names := fileNames(t, image); !slices.Equal(names, []string{"etc/", "etc/group", "etc/passwd", "tmp/", "hello"}) {
		t.Errorf("files %q", names)
	}
}

func TestPushedIndexIsPulledForEachArchitecture(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	ref, digest, err := hello.push(strings.TrimPrefix(server.URL, "http://")+"/some/where",
		"v1", []string{"amd64", "arm64"})
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(ref)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := index.Digest(); err != nil || got != digest {
		t.Errorf("the registry has %s (%v), pushed was %s", got, err, digest)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		image, err := remote.Image(ref, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: arch}))
		if err != nil {
			t.Fatalf("%s: %v", arch, err)
		}
		local, err := hello.image(arch, "v1")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := image.Digest(); err != nil || got != local.digest {
			t.Errorf("%s: pulled %s (%v), built %s", arch, got, err, local.digest)
		}
	}
}

func TestFolderIsPackedAsItIs(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "usr/bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "usr/bin/sh"), []byte("#!"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("usr/bin", filepath.Join(dir, "bin")); err != nil {
		t.Fatal(err)
	}
	image, err := fromTree(dir, "amd64", "/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil || !slices.Equal(config.Config.Entrypoint, []string{"/bin/sh"}) || config.Config.User != nonroot {
		t.Errorf("the configuration is %+v (%v)", config.Config, err)
	}
	if names := fileNames(t, image); !slices.Equal(names, []string{"bin", "usr/", "usr/bin/", "usr/bin/sh"}) {
		t.Errorf("files %q", names)
	}
}

func TestNamesThatAKubeletWouldPullAreRefused(t *testing.T) {
	if _, err := versionOr("latest"); err == nil {
		t.Error("the tag latest was accepted")
	}
	built, err := hello.image("amd64", "v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := writeArchive(filepath.Join(t.TempDir(), "x.tar"), "hello", built.image); err == nil {
		t.Error("a name without host and tag was accepted")
	}
}

func fileNames(t *testing.T, image v1.Image) []string {
	t.Helper()
	contents := mutate.Extract(image)
	defer contents.Close()
	var names []string
	for r := tar.NewReader(contents); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeDir && !strings.HasSuffix(header.Name, "/") {
			header.Name += "/"
		}
		names = append(names, header.Name)
	}
}
