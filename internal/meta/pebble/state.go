package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dittofs/dittofs/internal/meta"
)

// Pebble takes the first damaged record of its manifest, and one near the end
// of its log, for the end of what was written before a crash, and goes on
// without the rest. The file STATE beside the database remembers what must be
// there: the epoch, and whether the store was closed in good order. The
// records of both are the last that were written.

const (
	stateFile     = "STATE"
	stateTempFile = "temporary.STATE"
	maxStateBytes = 256
)

type state struct {
	epoch uint64
	clean bool
}

func (st state) String() string {
	body := fmt.Sprintf("dittofs metadata store\nformat %d\nepoch %d\nclean %t\n", format, st.epoch, st.clean)
	return fmt.Sprintf("%schecksum %08x\n", body, crc32.ChecksumIEEE([]byte(body)))
}

// parseState reads what String has written.
func parseState(text string) (state, error) {
	at := strings.LastIndex(text, "checksum ")
	if at < 0 || text[at:] != fmt.Sprintf("checksum %08x\n", crc32.ChecksumIEEE([]byte(text[:at]))) {
		return state{}, fmt.Errorf("file %s has a wrong checksum: %w", stateFile, meta.ErrCorrupt)
	}
	var found uint32
	if _, err := fmt.Sscanf(text, "dittofs metadata store\nformat %d\n", &found); err != nil || found != format {
		return state{}, fmt.Errorf("file %s has format %d, this version knows %d: %w",
			stateFile, found, format, meta.ErrFormat)
	}
	var st state
	if _, err := fmt.Sscanf(text[:at], "dittofs metadata store\nformat 1\nepoch %d\nclean %t\n",
		&st.epoch, &st.clean); err != nil || st.String() != text {
		return state{}, fmt.Errorf("file %s cannot be read: %w", stateFile, meta.ErrCorrupt)
	}
	return st, nil
}

// readState returns nil if there is no file, as in a new store.
func readState(fs vfs.FS, dir string) (_ *state, err error) {
	f, err := fs.Open(fs.PathJoin(dir, stateFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxStateBytes))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	st, err := parseState(string(text))
	return &st, err
}

func writeState(fs vfs.FS, dir string, st state) error {
	temp := fs.PathJoin(dir, stateTempFile)
	f, err := fs.Create(temp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, st.String())
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(temp, fs.PathJoin(dir, stateFile)); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

// start checks that the database is whole, and begins a new epoch.
func (s *Store) start(before *state, minEpoch uint64) error {
	epoch, err := s.checkWhole(before)
	if err != nil {
		return err
	}
	s.epoch = max(epoch+1, minEpoch)
	b := &meta.Batch{}
	b.Put(formatKey, binary.BigEndian.AppendUint32(nil, format))
	b.Put(epochKey, binary.BigEndian.AppendUint64(nil, s.epoch))
	if err := s.apply(context.Background(), b); err != nil {
		return err
	}
	return writeState(s.fs, s.path, state{epoch: s.epoch})
}

// checkWhole returns the last epoch, if the database has all that STATE says.
func (s *Store) checkWhole(before *state) (epoch uint64, err error) {
	epoch, closed, err := s.ownRecords()
	if err == nil && before != nil && (epoch < before.epoch || before.clean && closed != before.epoch) {
		err = fmt.Errorf("the database ends in epoch %d (closed: %d), but was in %d (closed: %t): "+
			"its last changes are lost: %w",
			epoch, closed, before.epoch, before.clean, meta.ErrCorrupt)
	}
	return epoch, err
}

// finish is the last change of an epoch.
func (s *Store) finish() error {
	b := &meta.Batch{}
	b.Put(closedKey, binary.BigEndian.AppendUint64(nil, s.epoch))
	if err := s.apply(context.Background(), b); err != nil {
		return err
	}
	return writeState(s.fs, s.path, state{epoch: s.epoch, clean: true})
}

// ownRecords returns the last epoch and the last one that was closed in good
// order, 0 for a new database.
func (s *Store) ownRecords() (epoch, closed uint64, err error) {
	var records [3][]byte
	for i, key := range [][]byte{formatKey, epochKey, closedKey} {
		if records[i], err = get(s.db, key); err != nil {
			return 0, 0, err
		}
	}
	switch found := records[0]; {
	case found == nil:
		return 0, 0, s.checkEmpty()
	case len(found) != 4 || len(records[1]) != 8 || len(records[2])%8 != 0 || len(records[2]) > 8:
		return 0, 0, fmt.Errorf("records of format and epoch have wrong sizes: %w", meta.ErrCorrupt)
	case binary.BigEndian.Uint32(found) != format:
		return 0, 0, fmt.Errorf("format %d, this version knows %d: %w", binary.BigEndian.Uint32(found),
			format, meta.ErrFormat)
	}
	if records[2] != nil {
		closed = binary.BigEndian.Uint64(records[2])
	}
	return binary.BigEndian.Uint64(records[1]), closed, nil
}
