package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/dittofs/dittofs/internal/content"
)

// rounds is how often a put begins anew, when what it met is not there (any
// more, or yet).
const rounds = 8

// Put implements content.Store: with If-None-Match, so that the service itself
// refuses to overwrite. When it does refuse, the object may be ours, put by a
// request whose answer was lost: then it has the same bytes. They are compared
// by reading them, because a checksum is not kept by every service for every
// object, and the case is rare. A service may also refuse before it has read the
// bytes, and break the connection off: then nobody reads its answer.
func (s *Store) Put(ctx context.Context, id string, r io.ReaderAt, size int64) error {
	if err := s.put(ctx, id, r, size); err != nil {
		return fmt.Errorf("put %s: %w", id, err)
	}
	return nil
}

func (s *Store) put(ctx context.Context, id string, r io.ReaderAt, size int64) error {
	if err := s.usable(id); err != nil {
		return err
	}
	if size < 0 {
		return fmt.Errorf("size %w", errNegative)
	}
	var err error
	for round := range rounds {
		if size > s.opts.PartSize {
			err = s.putParts(ctx, id, r, size)
		} else {
			err = s.putWhole(ctx, id, r, size)
		}
		unread := brokenOff(err)
		if !unread && !errors.Is(err, errPrecondition) && !errors.Is(err, errNoUpload) && !errors.Is(err, errUnsure) {
			return err
		}
		found := s.compare(ctx, id, r, size)
		if unread && found != nil && !errors.Is(found, content.ErrExists) {
			return err
		}
		if !errors.Is(found, content.ErrNotFound) {
			return found
		}
		if err := sleep(ctx, s.pace.wait(round+1)); err != nil {
			return err
		}
	}
	return s.inconsistent(err)
}

func (s *Store) putWhole(ctx context.Context, id string, r io.ReaderAt, size int64) error {
	sum, err := checksum(r, 0, size)
	if err != nil {
		return err
	}
	return s.do(ctx, request{op: opPut, bytes: size, slots: s.uploads}, func(ctx context.Context) error {
		from := newSection(r, 0, size)
		out, err := s.client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: s.bucket(), Key: s.key(id), Body: from, ContentLength: aws.Int64(size),
			IfNoneMatch: aws.String("*"), ChecksumCRC32C: aws.String(sum),
		})
		if err != nil {
			return from.failure(err)
		}
		return s.stored(out.ETag)
	})
}

// stored refuses the success of a web server that says yes to everything: S3
// tells the tag of what it stored.
func (s *Store) stored(tag *string) error {
	if aws.ToString(tag) == "" {
		return s.notS3("it takes an object without giving it a tag", nil)
	}
	return nil
}

// checksum reads a section of r for its CRC32C, as S3 writes it, and so finds
// a source that is too short or fails.
func checksum(r io.ReaderAt, off, size int64) (string, error) {
	h := crc32.New(castagnoli)
	n, err := io.Copy(h, io.NewSectionReader(r, off, size))
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, h.Sum32())), err
}

// section is a part of a source that remembers how the source failed. The
// transport may still read it after the request is over.
type section struct {
	*io.SectionReader
	err atomic.Pointer[error]
}

func newSection(r io.ReaderAt, off, size int64) *section {
	return &section{SectionReader: io.NewSectionReader(r, off, size)}
}

func (f *section) Read(p []byte) (int, error) {
	n, err := f.SectionReader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err.Store(&err)
	}
	return n, err
}

// failure is the source's error, if there is one, else err.
func (f *section) failure(err error) error {
	if own := f.err.Load(); err != nil && own != nil {
		return final{*own}
	}
	return err
}

// compare returns nil if id has the size bytes of r, ErrExists if it has
// others.
func (s *Store) compare(ctx context.Context, id string, r io.ReaderAt, size int64) error {
	have, err := s.size(ctx, id)
	if err != nil || have == 0 && size == 0 {
		return err
	}
	if have != size {
		return content.ErrExists
	}
	return s.fetch(ctx, id, 0, size, &comparison{with: r})
}

// comparison is a sink that only compares.
type comparison struct {
	with       io.ReaderAt
	off        int64
	buf, other [32 << 10]byte
}

func (c *comparison) take(r io.Reader, want int64) (got int64, err error) {
	for got < want && err == nil {
		var n int
		n, err = io.ReadFull(r, c.buf[:min(want-got, int64(len(c.buf)))])
		if m, err := c.with.ReadAt(c.other[:n], c.off); m < n {
			return got, final{err}
		}
		if !bytes.Equal(c.buf[:n], c.other[:n]) {
			return got, final{content.ErrExists}
		}
		c.off += int64(n)
		got += int64(n)
	}
	return got, err
}

// verify: every byte was compared already.
func (c *comparison) verify(uint32) bool { return true }
