package s3

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/aws/smithy-go"

	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/printable"
)

// lasting are the faults that somebody has to mend in the configuration, the
// credentials or the bucket: another try would not.
var lasting = map[string]bool{
	fault.TLSFailed: true, fault.NotS3: true, fault.BucketNotFound: true, fault.AccessDenied: true,
	fault.InvalidCredentials: true, fault.WrongRegion: true, fault.NoConditionalWrites: true,
	fault.OwnedByAnother: true, fault.InvalidConfiguration: true,
}

func newFault(reason, message string, err error) *fault.Error {
	return &fault.Error{
		Store: "content", Reason: reason, Message: printable.Line(message), Lasting: lasting[reason], Err: err,
	}
}

func misconfigured(message string, err error) *fault.Error {
	return newFault(fault.InvalidConfiguration, message, err)
}

// unreadable is for a file of the configuration, which may only just now not be
// readable.
func unreadable(message string, err error) *fault.Error {
	f := misconfigured(message, err)
	f.Lasting = !disk.Passing(err)
	return f
}

// where names the service.
func (o Options) where() string {
	if o.Endpoint != "" {
		return o.Endpoint
	}
	return "AWS in " + o.Region
}

// credentialsFrom names where the credentials come from.
func (o Options) credentialsFrom() string {
	if o.CredentialsFile != "" {
		return o.CredentialsFile
	}
	return "the environment"
}

// refused is a fault that the service named by its code.
func (s *Store) refused(r request, reason, code string, resp *http.Response, err error) *fault.Error {
	o := s.opts
	var m string
	switch reason {
	case fault.BucketNotFound:
		m = fmt.Sprintf("content.bucket: there is no bucket %q at %s (%s): create it, or correct content.bucket",
			o.Bucket, o.where(), code)
	case fault.InvalidCredentials:
		m = fmt.Sprintf("content.credentials_file: %s does not accept the credentials (%s): %s in %s",
			o.where(), code, whatIsWrong(code), o.credentialsFrom())
	case fault.AccessDenied:
		m = fmt.Sprintf("content.credentials_file: the credentials in %s may not do %s in bucket %q (%s): allow reading, "+
			"writing, deleting and listing there, or use others",
			o.credentialsFrom(), r.op, o.Bucket, code)
	case fault.WrongRegion:
		m = wrongRegion(o, resp, err)
	case fault.ClockSkew:
		m = fmt.Sprintf("content.endpoint: this machine's clock and that of %s differ too much%s: set the clocks by NTP",
			o.where(), differ(resp))
	case fault.Throttled:
		m = fmt.Sprintf("content.endpoint: %s asks to slow down (%s): lower content.parallel_transfers, "+
			"or raise the service's limits", o.where(), code)
	}
	return newFault(reason, m, err)
}

func whatIsWrong(code string) string {
	switch code {
	case "InvalidAccessKeyId", "XAdminUserNotFound", "NotSignedUp":
		return "correct the access key id"
	case "SignatureDoesNotMatch":
		return "correct the secret access key"
	case "ExpiredToken", "InvalidToken", "TokenRefreshRequired":
		return "renew the session token"
	}
	return "correct the keys"
}

// region of a bucket as services tell it in their message, such as
// "the region 'a' is wrong; expecting 'b'".
var region = regexp.MustCompile(`expecting ['"]([a-z0-9-]{1,64})['"]`)

func wrongRegion(o Options, resp *http.Response, err error) string {
	right := resp.Header.Get("X-Amz-Bucket-Region")
	var api smithy.APIError
	if m := []string(nil); right == "" && errors.As(err, &api) {
		if m = region.FindStringSubmatch(api.ErrorMessage()); m != nil {
			right = m[1]
		}
	}
	if right == "" || len(right) > 64 {
		return fmt.Sprintf("content.region: bucket %q at %s is not in region %q: correct content.region",
			o.Bucket, o.where(), o.Region)
	}
	return fmt.Sprintf("content.region: bucket %q at %s is in region %q, not %q: set content.region to %q",
		o.Bucket, o.where(), right, o.Region, right)
}

func differ(resp *http.Response) string {
	if d, ok := skewOf(resp); ok {
		return fmt.Sprintf(", by %v", d.Abs())
	}
	return ""
}

// failing is an error of the service itself.
func (s *Store) failing(r request, status int, code string, err error) *fault.Error {
	said := statusText(status)
	if code != "" && code != "UnknownError" {
		said += ", " + code
	}
	fix := "look at the service's log"
	if status == http.StatusInsufficientStorage {
		fix = "it has no space left: give it more"
	}
	return newFault(fault.StoreFailing, fmt.Sprintf("content.endpoint: %s fails at %s (%s): %s",
		s.opts.where(), r.op, said, fix), err)
}

func (s *Store) broken(err error) *fault.Error {
	return newFault(fault.StoreFailing, fmt.Sprintf("content.endpoint: %s sends answers that are damaged: "+
		"look at the service, and at proxies before it", s.opts.where()), err)
}

// inconsistent: an object is said to exist, and is not there to be read.
func (s *Store) inconsistent(err error) *fault.Error {
	return newFault(fault.StoreFailing, fmt.Sprintf("content.endpoint: %s says again and again that an object exists "+
		"which it then does not find: look at the service", s.opts.where()), err)
}

func (s *Store) notS3(why string, err error) *fault.Error {
	return newFault(fault.NotS3, fmt.Sprintf("content.endpoint: %s is no S3 service: %s: correct content.endpoint",
		s.opts.where(), why), err)
}

func (s *Store) unreachable(why string, err error) *fault.Error {
	return newFault(fault.Unreachable, fmt.Sprintf("content.endpoint: %s cannot be reached: %s: start the service, "+
		"or correct content.endpoint", s.opts.where(), why), err)
}

func (s *Store) tlsFailed(key, why, fix string, err error) *fault.Error {
	return newFault(fault.TLSFailed, fmt.Sprintf("%s: no secure connection to %s: %s: %s", key,
		s.opts.where(), why, fix), err)
}

func (s *Store) unconditional(op string, err error) *fault.Error {
	return newFault(fault.NoConditionalWrites, fmt.Sprintf(
		"content.endpoint: %s does not honour If-None-Match at %s, so that objects could be overwritten: "+
			"use a service with conditional writes", s.opts.where(), op), err)
}
