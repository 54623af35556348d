package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/fault"
)

// marker is the object that says whose store it is. Its name has upper case,
// so that no id is the same.
const marker = "INSTANCE"

// instanceSize is the length of an instance in bytes, as CheckInstance has it.
const instanceSize = 32

// Claim implements content.Store. It also proves that the service honours
// If-None-Match, by putting the marker, which exists, once more, as a whole and
// in parts. The bytes are the same: nothing changes if it does not. Then it
// clears away what uploads of a server that died have left.
func (s *Store) Claim(ctx context.Context, instance string) error {
	if err := s.claim(ctx, instance); err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	s.instance.Store(&instance)
	s.dropLeftovers(ctx)
	return nil
}

func (s *Store) claim(ctx context.Context, instance string) error {
	if err := errors.Join(s.open(), content.CheckInstance(instance)); err != nil {
		return err
	}
	owner, err := s.Owner(ctx)
	if err == nil && owner == "" {
		if err := s.putMarker(ctx, instance); err != nil && !errors.Is(err, errPrecondition) {
			return err
		}
		owner, err = s.Owner(ctx)
	}
	if err != nil {
		return err
	}
	if owner != instance {
		return content.ErrForeign
	}
	return errors.Join(s.proveWhole(ctx, instance), s.proveParts(ctx, instance))
}

// Owner implements content.Store.
func (s *Store) Owner(ctx context.Context) (instance string, err error) {
	if err := s.open(); err != nil {
		return "", err
	}
	err = s.do(ctx, request{op: opGet}, func(ctx context.Context) (err error) {
		instance, err = s.readMarker(ctx)
		return err
	})
	if errors.Is(err, content.ErrNotFound) {
		return "", nil
	}
	return instance, err
}

func (s *Store) readMarker(ctx context.Context) (string, error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: s.bucket(), Key: s.key(marker)})
	if err != nil {
		return "", err
	}
	defer out.Body.Close()
	b, err := io.ReadAll(io.LimitReader(out.Body, instanceSize+1))
	if err != nil {
		return "", err
	}
	if content.CheckInstance(string(b)) != nil {
		// A web server answers anything with a page.
		return "", s.notS3(fmt.Sprintf("the object %s%s is not one that DittoFS wrote", s.opts.Prefix, marker), nil)
	}
	return string(b), nil
}

func (s *Store) putMarker(ctx context.Context, instance string) error {
	err := s.putWhole(ctx, marker, strings.NewReader(instance), instanceSize)
	if errors.Is(err, errUnsupported) {
		return s.unconditional(opPut, err)
	}
	return err
}

func (s *Store) proveWhole(ctx context.Context, instance string) error {
	return s.proven(opPut, s.putMarker(ctx, instance))
}

func (s *Store) proveParts(ctx context.Context, instance string) error {
	var err error
	for range rounds {
		err = s.putParts(ctx, marker, strings.NewReader(instance), instanceSize)
		if !errors.Is(err, errNoUpload) && !errors.Is(err, errUnsure) {
			break
		}
	}
	return s.proven(opComplete, err)
}

// proven: a conditional write over the marker has to be refused.
func (s *Store) proven(op string, err error) error {
	switch {
	case err == nil, errors.Is(err, errUnsupported), errors.Is(err, errNoUpload), errors.Is(err, errUnsure):
		// An upload that is gone each time was completed, and the answer lost.
		return s.unconditional(op, err)
	case errors.Is(err, errPrecondition):
		return nil
	}
	return err
}

// Check implements fault.Checker: it reads the marker.
func (s *Store) Check(ctx context.Context) error {
	r := request{op: opGet}
	var found string
	err := s.once(ctx, r, func(ctx context.Context) (err error) {
		found, err = s.readMarker(ctx)
		return err
	})
	if err != nil {
		if ctx.Err() != nil {
			return s.unreachable("no answer in time", ctx.Err())
		}
		_, err = s.judge(r, err)
		if f := fault.Of(err); f != nil {
			return f
		}
		if !errors.Is(err, content.ErrNotFound) {
			return s.failing(r, http.StatusOK, "", err)
		}
	}
	return s.whose(found)
}

// whose is nil if the store is ours by its marker, which is empty if there is
// none, or if it was not claimed.
func (s *Store) whose(found string) error {
	mine := s.instance.Load()
	switch {
	case mine == nil || *mine == found:
		return nil
	case found == "":
		return newFault(fault.StoreFailing, fmt.Sprintf(
			"content.bucket: %s%s is gone from bucket %q, which somebody emptied: restore the bucket",
			s.opts.Prefix, marker, s.opts.Bucket), nil)
	}
	return newFault(fault.OwnedByAnother, fmt.Sprintf(
		"content.prefix: %q in bucket %q now belongs to another server: give each server its own prefix",
		s.opts.Prefix, s.opts.Bucket), content.ErrForeign)
}
