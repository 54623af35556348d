package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// tree is what a checksum covers.
type tree struct {
	entries int
	bytes   int64
	sum     string // hexadecimal SHA-256 of every entry's path, type, permissions, and content or target
}

func (t tree) String() string {
	return fmt.Sprintf("%d entries, %d bytes, sha256 %s", t.entries, t.bytes, t.sum)
}

func writeTreeCommand(args []string) error {
	flags := flag.NewFlagSet("write-tree", flag.ExitOnError)
	files := flags.Int("files", 200, "number of files")
	seed := flags.Uint64("seed", 1, "another seed is another tree")
	dir, err := parseWithPath(flags, args)
	if err != nil {
		return err
	}
	if err := writeTree(dir, *files, *seed); err != nil {
		return err
	}
	return checksumCommand([]string{dir})
}

func checksumCommand(args []string) error {
	dir, err := parseWithPath(flag.NewFlagSet("checksum", flag.ExitOnError), args)
	if err != nil {
		return err
	}
	t, err := checksum(dir)
	if err != nil {
		return err
	}
	fmt.Println(t)
	return nil
}

// parseWithPath parses flags that may stand before or after one path.
func parseWithPath(flags *flag.FlagSet, args []string) (string, error) {
	flags.Parse(args)
	if flags.NArg() == 0 {
		return "", errors.New(flags.Name() + ": which path?")
	}
	path := flags.Arg(0)
	flags.Parse(flags.Args()[1:])
	if flags.NArg() > 0 {
		return "", fmt.Errorf("%s: unexpected %q", flags.Name(), flags.Arg(0))
	}
	return path, nil
}

// writeTree makes dir, which must not exist yet, and fills it: files from empty to a megabyte, some with holes,
// symbolic and hard links, names that are not ASCII, and permissions that differ. It reads each file back through its
// open descriptor.
func writeTree(dir string, files int, seed uint64) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(seed, 0))
	var last string
	for i := range files {
		folder := filepath.Join(dir, fmt.Sprintf("folder-%02d", i%16), "größe")
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		name := filepath.Join(folder, fmt.Sprintf("file-%05d", i))
		if err := writeFile(name, content(random), os.FileMode(0o644|random.IntN(0o1000)&0o111)); err != nil {
			return err
		}
		if err := link(last, name, i); err != nil {
			return err
		}
		last = name
	}
	return nil
}

// content is up to a megabyte, mostly small, as files are.
func content(random *rand.Rand) []byte {
	size := random.IntN(16 << 10)
	switch random.IntN(20) {
	case 0:
		size = 0
	case 1:
		size = random.IntN(1 << 20)
	}
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

// writeFile writes all but the first tenth of a file, then the first tenth, syncs, and compares.
func writeFile(name string, b []byte, mode os.FileMode) error {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer f.Close()
	head := len(b) / 10
	if _, err := f.WriteAt(b[head:], int64(head)); err != nil {
		return err
	}
	if _, err := f.WriteAt(b[:head], 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	back := make([]byte, len(b))
	if _, err := f.ReadAt(back, 0); err != nil {
		return err
	}
	if string(back) != string(b) {
		return fmt.Errorf("%s: read back something else than was written", name)
	}
	return f.Close()
}

func link(old, name string, i int) error {
	switch {
	case old == "":
		return nil
	case i%10 == 3:
		return os.Symlink(filepath.Base(old), name+"-symlink")
	case i%10 == 7:
		return os.Link(old, name+"-hardlink")
	case i%10 == 9:
		return os.Rename(name, name+"-renamed")
	}
	return nil
}

// checksum reads a whole tree. Links are not followed.
func checksum(dir string) (tree, error) {
	var t tree
	sum := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		t.entries++
		fmt.Fprintf(sum, "%q %v", relative, info.Mode())
		switch {
		case info.Mode().IsRegular():
			n, digest, err := fileSum(path)
			if err != nil {
				return err
			}
			if n != info.Size() {
				return fmt.Errorf("%s: %d bytes read, but its size is %d", path, n, info.Size())
			}
			t.bytes += n
			fmt.Fprintf(sum, " %d %x", n, digest)
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(sum, " %q", target)
		}
		fmt.Fprintln(sum)
		return nil
	})
	t.sum = hex.EncodeToString(sum.Sum(nil))
	return t, err
}

func fileSum(path string) (int64, []byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, nil, err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	return n, sum.Sum(nil), err
}
