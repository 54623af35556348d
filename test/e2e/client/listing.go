package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// changes are what loops such as "for f in *" do to each file that they meet.
var changes = map[string]func(path string) error{
	"rename": func(path string) error { return os.Rename(path, path+".x") },
	"copy":   func(path string) error { return os.WriteFile(path+".bak", nil, 0o644) },
	"replace": func(path string) error { // as sed -i does
		temporary := filepath.Join(filepath.Dir(path), "sed-temporary")
		if err := os.WriteFile(temporary, nil, 0o644); err != nil {
			return err
		}
		return os.Rename(temporary, path)
	},
}

// changeListedCommand makes a directory of files, and changes each while one
// stream reads the directory. Each must be met once, and the stream must end.
func changeListedCommand(args []string) error {
	flags := flag.NewFlagSet("change-listed", flag.ContinueOnError)
	files := flags.Int("files", 4000, "files in the directory")
	if len(args) < 2 || changes[args[0]] == nil {
		return errors.New("usage: client change-listed rename|copy|replace DIR [-files N]")
	}
	change, dir := changes[args[0]], args[1]
	if err := flags.Parse(args[2:]); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for i := range *files {
		if err := os.WriteFile(filepath.Join(dir, fileName(i)), nil, 0o644); err != nil {
			return err
		}
	}
	met, err := changeListed(dir, 3**files, change)
	if err != nil {
		return err
	}
	for i := range *files {
		if n := met[fileName(i)]; n != 1 {
			return fmt.Errorf("%s is met %d times", fileName(i), n)
		}
	}
	fmt.Printf("%d files, %d names met\n", *files, len(met))
	return nil
}

func fileName(i int) string { return fmt.Sprintf("f%05d", i) }

// changeListed reads the directory in one stream. It gives up after most names.
func changeListed(dir string, most int, change func(path string) error) (met map[string]int, err error) {
	stream, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	met = map[string]int{}
	for total := 0; ; {
		names, err := stream.Readdirnames(100)
		if err == io.EOF {
			return met, nil
		}
		if err != nil {
			return nil, err
		}
		if total += len(names); total > most {
			return nil, fmt.Errorf("the listing does not end: %d names are met", total)
		}
		for _, name := range names {
			met[name]++
			if err := change(filepath.Join(dir, name)); err != nil {
				return nil, err
			}
		}
	}
}
