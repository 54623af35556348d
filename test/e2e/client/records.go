package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// recordSize is that of a record: its number, bytes derived from it, and a checksum. It does not divide a page, so that
// records straddle pages.
const recordSize = 4000

// pause between records: a steady trickle, so that something is always in flight when a server dies.
const pause = 20 * time.Millisecond

// patience of a reader with a record that is wrong. While another client appends, Linux shows for a moment zeros after
// the old end of the file: its page of the end is filled from a READ of before, its size from attributes of after the
// WRITE. It asks again when its attributes are old (acregmax, 60 s, but 3 s for a file that changes); what stays wrong
// is a fault.
const patience = 15 * time.Second

var errNotWhatWasWritten = errors.New("is not what was written")

// record builds the record of a number.
func record(number uint64) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, recordSize), number)
	for len(b) < recordSize-4 {
		b = append(b, byte(number)+byte(len(b)))
	}
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

func writeCommand(args []string) error {
	path, err := parseWithPath(flag.NewFlagSet("write", flag.ExitOnError), args)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	written, err := writeRecords(ctx, f)
	if err != nil {
		return fmt.Errorf("after %d records: %w", written, err)
	}
	verified, err := verifyRecords(f, 0)
	if err != nil {
		return err
	}
	if verified != written {
		return fmt.Errorf("%d records were written and synced, %d are there", written, verified)
	}
	fmt.Printf("%d records written and read back through one open file\n", written)
	return nil
}

// writeRecords appends and syncs records until it is told to stop, and reports each in the status file.
func writeRecords(ctx context.Context, f *os.File) (uint64, error) {
	slowest := time.Duration(0)
	for number := uint64(0); ; number++ {
		start := time.Now()
		if _, err := f.Write(record(number)); err != nil {
			return number, err
		}
		if err := f.Sync(); err != nil {
			return number, err
		}
		if took := time.Since(start); took > slowest && took > time.Second {
			slowest = took
			fmt.Printf("record %d took %.1f s\n", number, took.Seconds())
		}
		if err := report(number + 1); err != nil {
			return number, err
		}
		if sleep(ctx) != nil {
			return number + 1, nil
		}
	}
}

func followCommand(args []string) error {
	path, err := parseWithPath(flag.NewFlagSet("follow", flag.ExitOnError), args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	f, err := openWhenThere(ctx, path)
	if err != nil {
		return err
	}
	defer f.Close()
	number, wrongSince := uint64(0), time.Time{}
	for {
		number, err = verifyRecords(f, number)
		switch {
		case err == nil:
			wrongSince = time.Time{}
		case !errors.Is(err, errNotWhatWasWritten) || (!wrongSince.IsZero() && time.Since(wrongSince) > patience):
			return err
		case wrongSince.IsZero():
			wrongSince = time.Now()
		}
		if err := report(number); err != nil {
			return err
		}
		if sleep(ctx) != nil {
			break
		}
	}
	if !wrongSince.IsZero() {
		return err
	}
	fmt.Printf("%d records read and verified through one open file\n", number)
	return nil
}

func openWhenThere(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := os.Open(path)
		if !errors.Is(err, os.ErrNotExist) {
			return f, err
		}
		if err := sleep(ctx); err != nil {
			return nil, err
		}
	}
}

// verifyRecords reads from record number on to the end of the file, and returns the number of the first that is not
// whole yet.
func verifyRecords(f *os.File, number uint64) (uint64, error) {
	b := make([]byte, recordSize)
	for {
		_, err := f.ReadAt(b, int64(number)*recordSize)
		if errors.Is(err, io.EOF) {
			return number, nil
		}
		if err != nil {
			return number, fmt.Errorf("record %d: %w", number, err)
		}
		if !bytes.Equal(b, record(number)) {
			return number, fmt.Errorf("record %d: %w: it begins with %x", number, errNotWhatWasWritten, b[:16])
		}
		number++
	}
}

func sleep(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}

// statusFile has the number of records that were done, for `client wait`.
var statusFile = filepath.Join(os.TempDir(), "status")

func report(number uint64) error {
	if err := os.WriteFile(statusFile+".new", []byte(strconv.FormatUint(number, 10)), 0o644); err != nil {
		return err
	}
	return os.Rename(statusFile+".new", statusFile)
}

func waitCommand(args []string) error {
	flags := flag.NewFlagSet("wait", flag.ExitOnError)
	more := flags.Uint64("more", 0, "records more than now")
	total := flags.Uint64("total", 0, "records in all")
	timeout := flags.Duration("timeout", time.Minute, "give up after")
	flags.Parse(args)
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	start := done()
	want := max(start+*more, *total)
	for done() < want {
		if sleep(ctx) != nil {
			return fmt.Errorf("at %d records, %d were wanted within %v; now there are %d", start, want, *timeout, done())
		}
	}
	fmt.Printf("%d records, was at %d\n", done(), start)
	return nil
}

// done returns the number in the status file; none is as good as 0.
func done() uint64 {
	b, err := os.ReadFile(statusFile)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
