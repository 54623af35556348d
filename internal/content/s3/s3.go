// Package s3 is a content store in a bucket of an S3 service: AWS, or any
// other that honours If-None-Match. It exists because segments then outlive
// the machine and its volumes. The object id is kept under the key prefix+id.
//
// The SDK signs, encodes and decodes one request; when to try again, how long
// to wait for what, and what a failure means to a user is decided here, in one
// place for all requests (retry.go, judge.go). A put never overwrites
// (put.go, claim.go). Nothing is buffered: bodies are sections of the caller's reader,
// and reads go to the caller's memory.
//
// It imports the contract (content), fault, printable and the SDK.
//
//	store, err := s3.Open(s3.Options{
//		Bucket: "nas", Endpoint: "http://127.0.0.1:9000", CredentialsFile: "/run/secrets/s3",
//	})
package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/fault"
)

// Options say which bucket, and how to reach it.
type Options struct {
	// Bucket must exist. Required.
	Bucket string
	// Endpoint is the URL of the service; default: that of AWS for the region.
	Endpoint string
	// Region of the bucket; default us-east-1.
	Region string
	// Prefix is put before the name of every object.
	Prefix string
	// CredentialsFile is a file in the format of ~/.aws/credentials or a
	// directory with one file for each key; default: the environment. It is
	// read again when it has changed.
	CredentialsFile string
	// CAFile holds PEM certificates that are trusted besides the system's.
	CAFile string
	// Addressing is "path", "virtual" or "auto" (default): path when there is
	// an endpoint.
	Addressing string
	// PartSize is the size in bytes above which an object is uploaded in
	// parts, and of a part; default 16 MiB, at least 5 MiB.
	PartSize int64
	// Parallel bounds the uploads (of objects or parts), and the downloads, in
	// flight; default 8.
	Parallel int
	// Logger defaults to slog.Default.
	Logger *slog.Logger
}

const (
	defaultRegion   = "us-east-1"
	defaultPartSize = 16 << 20
	defaultParallel = 8
	minPartSize     = 5 << 20 // of S3, for all parts but the last
	maxParts        = 10_000  // of S3
)

// Store is a bucket, or the part of it under a prefix.
type Store struct {
	opts      Options
	client    *s3.Client
	http      *http.Client
	pace      pace
	uploads   chan struct{} // one entry for each upload in flight
	downloads chan struct{}
	counters  counters
	instance  atomic.Pointer[string] // that Claim has bound the store to
	closed    atomic.Bool
	log       *slog.Logger
}

var (
	_ content.Store = (*Store)(nil)
	_ fault.Checker = (*Store)(nil)
)

// Open makes no request: what can be wrong with files and with the endpoint's
// form is found here (an *fault.Error), the rest by Check, Claim or the first
// request.
func Open(opts Options) (*Store, error) {
	if err := complete(&opts); err != nil {
		return nil, err
	}
	s := &Store{
		opts:      opts,
		pace:      defaultPace,
		uploads:   make(chan struct{}, opts.Parallel),
		downloads: make(chan struct{}, opts.Parallel),
		log:       opts.Logger,
	}
	s.counters.requests = newRequestCounters()
	transport, err := newTransport(opts, &s.counters)
	if err != nil {
		return nil, err
	}
	s.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a signature is for one host: a redirection is an answer
	}}
	credentials, err := newCredentials(opts, s.http)
	if err != nil {
		return nil, err
	}
	s.client = newClient(opts, s.http, credentials)
	return s, nil
}

// complete sets defaults and refuses what cannot be used.
func complete(opts *Options) error {
	if opts.Bucket == "" {
		return misconfigured("content.bucket: is required: name a bucket that exists", nil)
	}
	if opts.Endpoint != "" {
		u, err := url.Parse(opts.Endpoint)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return misconfigured(fmt.Sprintf("content.endpoint: %q is no URL of a service: write it like https://s3.example.org",
				opts.Endpoint), err)
		}
	}
	if opts.Region == "" {
		opts.Region = defaultRegion
	}
	if opts.PartSize == 0 {
		opts.PartSize = defaultPartSize
	}
	opts.PartSize = max(opts.PartSize, minPartSize)
	if opts.Parallel <= 0 {
		opts.Parallel = defaultParallel
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	switch opts.Addressing {
	case "", "auto", "path", "virtual":
		return nil
	}
	return misconfigured(fmt.Sprintf("content.addressing: %q is not auto, path or virtual", opts.Addressing), nil)
}

// newClient returns a client that tries once and computes no checksums of its
// own: both are done here.
func newClient(opts Options, client *http.Client, credentials aws.CredentialsProvider) *s3.Client {
	o := s3.Options{
		Region:                     opts.Region,
		Credentials:                credentials,
		HTTPClient:                 client,
		Retryer:                    aws.NopRetryer{},
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		UsePathStyle:               opts.Addressing == "path" || opts.Addressing != "virtual" && opts.Endpoint != "",
		AppID:                      "dittofs",
		// A service that refuses a large body should do so before it is sent.
		ContinueHeaderThresholdBytes: 64 << 10,
		Logger:                       logging.Nop{},
	}
	if opts.Endpoint != "" {
		o.BaseEndpoint = aws.String(opts.Endpoint)
	}
	if u, err := url.Parse(opts.Endpoint); err == nil && u.Scheme != "http" {
		// TLS keeps a body from being changed on the way: no need to read it
		// once more for its SHA-256.
		o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
	}
	return s3.New(o)
}

func (s *Store) bucket() *string        { return aws.String(s.opts.Bucket) }
func (s *Store) key(id string) *string  { return aws.String(s.opts.Prefix + id) }
func (s *Store) usable(id string) error { return errors.Join(s.open(), content.CheckID(id)) }
func (s *Store) open() error {
	if s.closed.Load() {
		return os.ErrClosed
	}
	return nil
}

// Size implements content.Store. It asks for the first byte, because the
// answer to a HEAD does not say which error it is.
func (s *Store) Size(ctx context.Context, id string) (int64, error) {
	if err := s.usable(id); err != nil {
		return 0, fmt.Errorf("size of %s: %w", id, err)
	}
	size, err := s.size(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("size of %s: %w", id, err)
	}
	return size, nil
}

func (s *Store) size(ctx context.Context, id string) (size int64, err error) {
	err = s.do(ctx, request{op: opGet}, func(ctx context.Context) error {
		out, err := s.client.GetObject(ctx, &s3.GetObjectInput{
			Bucket: s.bucket(), Key: s.key(id), Range: aws.String("bytes=0-0"),
		})
		if isInvalidRange(err) {
			size = 0 // nothing to ask a byte of
			return nil
		}
		if err != nil {
			return err
		}
		defer out.Body.Close()
		if _, err := io.Copy(io.Discard, io.LimitReader(out.Body, 1)); err != nil {
			return err
		}
		size, err = totalOf(out)
		return err
	})
	return size, err
}

// Delete implements content.Store.
func (s *Store) Delete(ctx context.Context, id string) error {
	err := s.usable(id)
	if err == nil && s.instance.Load() != nil {
		// What a server that was restored from the bucket uses is not ours to delete.
		var owner string
		if owner, err = s.Owner(ctx); err == nil {
			err = s.whose(owner)
		}
	}
	if err == nil {
		err = s.do(ctx, request{op: opDelete}, func(ctx context.Context) error {
			_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: s.bucket(), Key: s.key(id)})
			return err
		})
	}
	if err != nil && !errors.Is(err, content.ErrNotFound) {
		return fmt.Errorf("delete %s: %w", id, err)
	}
	return nil
}

// Close implements content.Store. Calls in flight end by their context.
func (s *Store) Close() error {
	s.closed.Store(true)
	s.http.CloseIdleConnections()
	return nil
}
