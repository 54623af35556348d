package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// program is a main package that becomes an image.
type program struct {
	name    string // of the image, and of the binary in it
	pkg     string // import path, or a path relative to the working directory
	shipped bool
}

// built is an image with what one wants to know of it.
type built struct {
	image  v1.Image
	digest v1.Hash
	size   int64 // unpacked, bytes
}

// image compiles the program for linux/arch and packs it.
func (p program) image(arch, version string) (built, error) {
	dir, err := os.MkdirTemp("", "images")
	if err != nil {
		return built{}, err
	}
	defer os.RemoveAll(dir)

	binary := filepath.Join(dir, p.name)
	if err := p.compile(binary, arch, version); err != nil {
		return built{}, err
	}
	info, err := os.Stat(binary)
	if err != nil {
		return built{}, err
	}
	if info.Size() > maxSize {
		return built{}, fmt.Errorf("%s for %s: %s is more than the %s that an image may have",
			p.name, arch, megabytes(info.Size()), megabytes(maxSize))
	}
	image, err := fromBinary(binary, arch, version)
	if err != nil {
		return built{}, err
	}
	digest, err := image.Digest()
	return built{image: image, digest: digest, size: info.Size()}, err
}

// compile writes a static binary that does not depend on the machine, the folder or the time of its build.
func (p program) compile(out, arch, version string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", ldflags(version), "-o", out, p.pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=",
		"GOEXPERIMENT=")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s for %s: %w\n%s", p.pkg, arch, err, output)
	}
	return nil
}

// ldflags leaves out what debuggers need, and what names this build, and puts the version in.
func ldflags(version string) string {
	const variable = "github.com/dittofs/dittofs/pkg/version.Version"
	return "-s -w -buildid= -X main.version=" + version + " -X " + variable + "=" + version
}

var notInTag = regexp.MustCompile(`[^A-Za-z0-9_.-]`)

// versionOr returns the version if one is given, else that of the checkout: its tag or commit, with -dirty for changed
// files.
func versionOr(given string) (string, error) {
	if given == "" {
		out, err := exec.Command("git", "describe", "--tags", "--always", "--dirty", "--abbrev=12").Output()
		if err != nil {
			return "", fmt.Errorf("git describe: %w: give -version", err)
		}
		given = strings.TrimSpace(string(out))
	}
	if given == "latest" {
		return "", fmt.Errorf("version %q: a kubelet pulls the tag latest even when the image is there: choose another",
			given)
	}
	return notInTag.ReplaceAllString(given, "-"), nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
