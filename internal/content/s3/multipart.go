package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

// upload is an upload in parts, which becomes an object when it is completed.
type upload struct {
	s     *Store
	id    string // key without the prefix
	token *string
}

// putParts uploads in parts. The condition is checked when they are completed,
// so no byte of an existing object changes. An upload that fails is aborted, one
// whose server dies by the next server (see dropLeftovers).
func (s *Store) putParts(ctx context.Context, id string, r io.ReaderAt, size int64) error {
	u, err := s.begin(ctx, id)
	if err != nil {
		return err
	}
	parts, err := u.send(ctx, r, size)
	if err == nil {
		err = u.complete(ctx, parts)
	}
	if err != nil && !errors.Is(err, errUnsure) {
		u.abort(ctx)
	}
	return err
}

func (s *Store) begin(ctx context.Context, id string) (*upload, error) {
	u := &upload{s: s, id: id}
	err := s.do(ctx, request{op: opCreate}, func(ctx context.Context) error {
		out, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
			Bucket: s.bucket(), Key: s.key(id), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c,
		})
		if err == nil {
			u.token = out.UploadId
		}
		return err
	})
	return u, err
}

// send uploads the parts, as many at once as the store allows.
func (u *upload) send(ctx context.Context, r io.ReaderAt, size int64) ([]types.CompletedPart, error) {
	partSize := max(u.s.opts.PartSize, (size+maxParts-1)/maxParts)
	parts := make([]types.CompletedPart, (size+partSize-1)/partSize)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(cap(u.s.uploads))
	for i := range parts {
		g.Go(func() (err error) {
			off := int64(i) * partSize
			parts[i], err = u.part(ctx, int32(i+1), r, off, min(partSize, size-off))
			return err
		})
	}
	return parts, g.Wait()
}

func (u *upload) part(ctx context.Context, number int32, r io.ReaderAt, off, size int64) (types.CompletedPart, error) {
	done := types.CompletedPart{PartNumber: aws.Int32(number)}
	sum, err := checksum(r, off, size)
	if err != nil {
		return done, err
	}
	err = u.s.do(ctx, request{op: opPart, bytes: size, slots: u.s.uploads}, func(ctx context.Context) error {
		from := newSection(r, off, size)
		out, err := u.s.client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: u.s.bucket(), Key: u.s.key(u.id), UploadId: u.token, PartNumber: aws.Int32(number),
			Body: from, ContentLength: aws.Int64(size), ChecksumCRC32C: aws.String(sum),
		})
		if err == nil {
			// A service that does not know the checksum must not be told of it.
			done.ETag, done.ChecksumCRC32C = out.ETag, out.ChecksumCRC32C
		}
		return from.failure(err)
	})
	return done, err
}

// complete makes the object, unless there is one: errPrecondition. errNoUpload
// may mean that it was completed already and the answer was lost. The success
// of a repeated request is none yet (errUnsure): a service may say it of the
// first one, which it is still working on, and which can still be refused.
func (u *upload) complete(ctx context.Context, parts []types.CompletedPart) error {
	tries := 0
	err := u.s.do(ctx, request{op: opComplete}, func(ctx context.Context) error {
		tries++
		out, err := u.s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: u.s.bucket(), Key: u.s.key(u.id), UploadId: u.token, IfNoneMatch: aws.String("*"),
			MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		})
		if err != nil {
			return err
		}
		return u.s.stored(out.ETag)
	})
	if err == nil && tries > 1 {
		return errUnsure
	}
	return err
}

// abortTimeout bounds the clean-up after a failure, also of a call that was
// cancelled.
const abortTimeout = 15 * time.Second

func (u *upload) abort(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	if err := u.end(ctx); err != nil && !errors.Is(err, errNoUpload) {
		u.s.log.Warn("S3 upload was not aborted: its parts stay in the bucket until the next start",
			"object", fmt.Sprint(u.s.opts.Prefix, u.id), "error", err)
	}
}

// end gives an upload up, errNoUpload if there is none.
func (u *upload) end(ctx context.Context) error {
	return u.s.do(ctx, request{op: opAbort}, func(ctx context.Context) error {
		_, err := u.s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
			Bucket: u.s.bucket(), Key: u.s.key(u.id), UploadId: u.token,
		})
		return err
	})
}
