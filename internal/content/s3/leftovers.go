package s3

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const (
	// segments begins the names of what a server puts in parts. An upload of
	// another name may be somebody else's, who uses the same bucket.
	segments = "segments/"
	// leftPage bounds the uploads of one answer.
	leftPage = 100
)

// dropLeftovers aborts the uploads in parts that a server before this one did
// not end, because it died: their parts would take space for ever, and no list
// of objects shows them. It is called when the store is known to be ours, and
// before the first upload. One that a server without its lease still works on
// is begun anew there, by put or by its caller, and costs it nothing but time.
// A failure is no reason not to start.
func (s *Store) dropLeftovers(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, abortTimeout)
	defer cancel()
	n, err := s.abortLeftovers(ctx)
	if n > 0 {
		s.log.Info("uploads that were left unfinished are aborted", "uploads", n)
	}
	if err != nil {
		s.log.Warn("S3 uploads that were left unfinished may stay, with their parts: allow s3:ListBucketMultipartUploads "+
			"and s3:AbortMultipartUpload, or let a lifecycle rule remove them",
			"prefix", s.opts.Prefix+segments, "error", err)
	}
}

// abortLeftovers begins the list anew after each page, of which nothing is left
// by then, and ends when it has not come forward. The error is the last one.
func (s *Store) abortLeftovers(ctx context.Context) (n int, failed error) {
	for {
		page, err := s.unfinished(ctx)
		if err != nil {
			return n, err
		}
		before := n
		for _, u := range page.Uploads {
			id, ours := strings.CutPrefix(aws.ToString(u.Key), s.opts.Prefix)
			if !ours || !strings.HasPrefix(id, segments) {
				continue // the service does not know prefixes here
			}
			switch err := (&upload{s: s, id: id, token: u.UploadId}).end(ctx); {
			case err == nil:
				n++
			case !errors.Is(err, errNoUpload):
				failed = err
			}
		}
		if n == before || !aws.ToBool(page.IsTruncated) {
			return n, failed
		}
	}
}

func (s *Store) unfinished(ctx context.Context) (page *s3.ListMultipartUploadsOutput, err error) {
	err = s.do(ctx, request{op: opListUploads}, func(ctx context.Context) (err error) {
		page, err = s.client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{
			Bucket: s.bucket(), Prefix: s.key(segments), MaxUploads: aws.Int32(leftPage),
		})
		return err
	})
	return page, err
}
