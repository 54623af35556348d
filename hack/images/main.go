// Command images makes the project's OCI images without a container engine.
//
//	images build [-out dist] [-version V] [-arch amd64,arm64]   compiles, and writes an archive for each program and platform
//	images push -registry HOST/REPOSITORY [-version V]          compiles, and pushes an index of both platforms for each program
//	images pack -name HOST/NAME:TAG -out FILE BINARY            packs any static binary
//	images pack -name HOST/NAME:TAG -out FILE -tree DIR ENTRY   packs a folder, of which ENTRY (/path in it) is run
//
// An image is one layer: the static binary, /etc/passwd, /tmp. It runs as 65532:65532 and contains no shell. Nothing in
// it depends on the time or the place of the build, so two builds of one commit give one digest.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// host is the registry part of the names in the archives. Nothing is pulled from it: the name needs a host, or a
// container runtime would look for it at Docker Hub.
const host = "dittofs.local"

// maxSize bounds the unpacked size of an image of the project, in bytes.
const maxSize = 40 << 20

// programs by image name. What is not shipped is made only when it is named.
var programs = []program{
	{name: "dittofs", pkg: "./cmd/dittofs", shipped: true},
	{name: "dittofs-operator", pkg: "./k8s/dittofs-operator/cmd", shipped: true},
	{name: "dittofs-e2e-client", pkg: "./test/e2e/client"},
}

// choose returns the programs of these names, separated by commas, or those that are shipped.
func choose(names string) ([]program, error) {
	var chosen []program
	for _, p := range programs {
		if (names == "" && p.shipped) || slices.Contains(strings.Split(names, ","), p.name) {
			chosen = append(chosen, p)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no program is called %q", names)
	}
	return chosen, nil
}

func main() {
	if len(os.Args) < 2 {
		fail(errors.New("usage: images build|push|pack [flags]"))
	}
	verbs := map[string]func([]string) error{"build": runBuild, "push": runPush, "pack": runPack}
	verb, ok := verbs[os.Args[1]]
	if !ok {
		fail(fmt.Errorf("unknown command %q: build, push or pack", os.Args[1]))
	}
	if err := verb(os.Args[2:]); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "images:", err)
	os.Exit(1)
}

func runBuild(args []string) error {
	flags := flag.NewFlagSet("build", flag.ExitOnError)
	out := flags.String("out", "dist", "folder for the archives")
	version := flags.String("version", "", "version and tag (default: git describe)")
	archs := flags.String("arch", "amd64,arm64", "platforms, separated by commas")
	only := flags.String("only", "", "names of programs, separated by commas (default: all that are shipped)")
	flags.Parse(args)

	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	v, err := versionOr(*version)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	for _, p := range chosen {
		for _, arch := range strings.Split(*archs, ",") {
			built, err := p.image(arch, v)
			if err != nil {
				return err
			}
			name := host + "/" + p.name + ":" + v
			file := filepath.Join(*out, p.name+"-"+arch+".tar")
			if err := writeArchive(file, name, built.image); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			fmt.Printf("%-32s %s linux/%s %s %s\n", file, name, arch, megabytes(built.size), built.digest)
		}
	}
	return nil
}

func runPush(args []string) error {
	flags := flag.NewFlagSet("push", flag.ExitOnError)
	registry := flags.String("registry", "", "HOST/REPOSITORY under which the images are put")
	version := flags.String("version", "", "version and tag (default: git describe)")
	only := flags.String("only", "", "names of programs, separated by commas (default: all that are shipped)")
	flags.Parse(args)
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	if *registry == "" {
		return errors.New("push: -registry is empty: give HOST/REPOSITORY (make push REGISTRY=host/repository)")
	}
	v, err := versionOr(*version)
	if err != nil {
		return err
	}
	for _, p := range chosen {
		ref, digest, err := p.push(*registry, v, []string{"amd64", "arm64"})
		if err != nil {
			return err
		}
		fmt.Printf("%s %s\n", ref, digest)
	}
	return nil
}

func runPack(args []string) error {
	flags := flag.NewFlagSet("pack", flag.ExitOnError)
	name := flags.String("name", "", "HOST/NAME:TAG")
	out := flags.String("out", "", "archive to write")
	arch := flags.String("arch", "amd64", "platform of the binary")
	tree := flags.String("tree", "", "folder to pack instead of a binary")
	flags.Parse(args)
	if *name == "" || *out == "" || flags.NArg() != 1 {
		return errors.New("usage: images pack -name HOST/NAME:TAG -out FILE BINARY, or -tree DIR ENTRY")
	}
	pack := func() (v1.Image, error) { return fromBinary(flags.Arg(0), *arch, "") }
	if *tree != "" {
		pack = func() (v1.Image, error) { return fromTree(*tree, *arch, flags.Arg(0)) }
	}
	image, err := pack()
	if err != nil {
		return err
	}
	return writeArchive(*out, *name, image)
}
