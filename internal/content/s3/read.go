package s3

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/dittofs/dittofs/internal/content"
)

var (
	errNoRange  = errors.New("the answer has no usable Content-Range")
	errDamaged  = errors.New("the body does not match its checksum")
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
	errNegative = errors.New("is negative")
)

// ReadAt implements content.Store.
func (s *Store) ReadAt(ctx context.Context, id string, p []byte, off int64) (int, error) {
	n, err := s.readAt(ctx, id, p, off)
	if err != nil {
		return n, fmt.Errorf("read %s at %d: %w", id, off, err)
	}
	return n, nil
}

func (s *Store) readAt(ctx context.Context, id string, p []byte, off int64) (int, error) {
	if err := s.usable(id); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, fmt.Errorf("offset %w", errNegative)
	}
	if len(p) == 0 {
		_, err := s.size(ctx, id)
		return 0, err
	}
	m := memory{p: p}
	err := s.fetch(ctx, id, off, int64(len(p)), &m)
	return m.n, err
}

// sink takes the bytes of a fetch in their order. An error of its own is final.
type sink interface {
	// take reads all of r, of which want bytes are expected, and returns how
	// many came.
	take(r io.Reader, want int64) (int64, error)
	// verify compares all that was taken with the service's CRC32C of it. If it
	// differs, the sink is empty again.
	verify(crc32c uint32) bool
}

// memory is a sink that fills p.
type memory struct {
	p []byte
	n int
}

func (m *memory) take(r io.Reader, want int64) (int64, error) {
	n, err := io.ReadFull(r, m.p[m.n:m.n+int(want)])
	m.n += n
	return int64(n), err
}

func (m *memory) verify(sum uint32) bool {
	if crc32.Checksum(m.p[:m.n], castagnoli) == sum {
		return true
	}
	m.n = 0
	return false
}

// fetch reads n bytes of id at off into to, with as many requests as it takes:
// after a body that was cut short, the next one asks for the rest.
func (s *Store) fetch(ctx context.Context, id string, off, n int64, to sink) error {
	var done int64
	return s.do(ctx, request{op: opGet, bytes: n, slots: s.downloads}, func(ctx context.Context) error {
		got, err := s.get(ctx, id, off+done, n-done, done == 0, to)
		done += got
		if err != nil && got > 0 && !errors.As(err, new(final)) {
			err = fmt.Errorf("%w: %w", errProgress, err)
		}
		return err
	})
}

// get makes one request for n bytes of id at off, n > 0. whole says that
// nothing was taken before, so that a checksum of the object could be checked.
func (s *Store) get(ctx context.Context, id string, off, n int64, whole bool, to sink) (int64, error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{
		Bucket: s.bucket(), Key: s.key(id), ChecksumMode: types.ChecksumModeEnabled,
		Range: aws.String(fmt.Sprintf("bytes=%d-%d", off, off+n-1)),
	})
	if isInvalidRange(err) {
		return 0, final{io.ErrUnexpectedEOF}
	}
	if err != nil {
		return 0, err
	}
	defer out.Body.Close()
	total, err := totalOf(out)
	if err != nil {
		return 0, err
	}
	if off+n > total {
		return 0, final{io.ErrUnexpectedEOF}
	}
	if out.ContentRange == nil && n != total || out.ContentLength != nil && *out.ContentLength != n {
		return 0, errNoRange // the service ignores ranges
	}
	got, err := to.take(out.Body, n)
	if err != nil {
		return got, err
	}
	if sum, ok := checksumOf(out); ok && whole && n == total && !to.verify(sum) {
		return 0, errDamaged
	}
	return got, nil
}

// checksumOf is the service's checksum of the whole object, if it has one; of
// an upload in parts it often has only a checksum of checksums.
func checksumOf(out *s3.GetObjectOutput) (crc32c uint32, ok bool) {
	sum, err := base64.StdEncoding.DecodeString(aws.ToString(out.ChecksumCRC32C))
	if err != nil || len(sum) != 4 || out.ChecksumType == types.ChecksumTypeComposite {
		return 0, false
	}
	return binary.BigEndian.Uint32(sum), true
}

// totalOf is the size of the object that an answer is a part of.
func totalOf(out *s3.GetObjectOutput) (int64, error) {
	if out.ContentRange == nil {
		if out.ContentLength == nil || *out.ContentLength < 0 {
			return 0, errNoRange
		}
		return *out.ContentLength, nil
	}
	_, text, ok := strings.Cut(*out.ContentRange, "/")
	total, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil || total < 0 {
		return 0, errNoRange
	}
	return total, nil
}

// List implements content.Store.
func (s *Store) List(ctx context.Context, prefix string, f func(id string, size int64) error) error {
	if err := s.open(); err != nil {
		return fmt.Errorf("list: %w", err)
	}
	var from *string
	for {
		var page *s3.ListObjectsV2Output
		err := s.do(ctx, request{op: opList, bytes: maxListPage}, func(ctx context.Context) (err error) {
			page, err = s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
				Bucket: s.bucket(), Prefix: s.key(prefix), ContinuationToken: from,
			})
			return err
		})
		if err != nil {
			return fmt.Errorf("list: %w", err)
		}
		for _, o := range page.Contents {
			id, ours := strings.CutPrefix(aws.ToString(o.Key), s.opts.Prefix)
			if !ours || content.CheckID(id) != nil {
				continue // INSTANCE, or somebody else's
			}
			if err := f(id, aws.ToInt64(o.Size)); err != nil {
				return err
			}
		}
		if from = page.NextContinuationToken; from == nil || !aws.ToBool(page.IsTruncated) {
			return nil
		}
	}
}

// maxListPage is about the size of a page of 1000 names.
const maxListPage = 1 << 20
