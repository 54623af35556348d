package s3

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/fault"
)

// Answers that a caller of do acts upon.
var (
	errPrecondition = errors.New("the object exists")
	errNoUpload     = errors.New("there is no such upload in parts")
	errUnsure       = errors.New("it is not known whether the object was made")
	errUnsupported  = errors.New("the service does not know the request")
)

// codes of errors, by what they mean. Those of other services than AWS are in
// the list as they were met.
var codes = map[string]string{
	"NoSuchBucket": fault.BucketNotFound, "InvalidBucketName": fault.BucketNotFound,

	"InvalidAccessKeyId": fault.InvalidCredentials, "SignatureDoesNotMatch": fault.InvalidCredentials,
	"InvalidToken": fault.InvalidCredentials, "ExpiredToken": fault.InvalidCredentials,
	"TokenRefreshRequired": fault.InvalidCredentials, "InvalidSecurity": fault.InvalidCredentials,
	"NotSignedUp": fault.InvalidCredentials, "XAdminUserNotFound": fault.InvalidCredentials,

	"AccessDenied": fault.AccessDenied, "AllAccessDisabled": fault.AccessDenied, "AccountProblem": fault.AccessDenied,

	"AuthorizationHeaderMalformed": fault.WrongRegion, "PermanentRedirect": fault.WrongRegion,
	"IllegalLocationConstraintException": fault.WrongRegion,

	"RequestTimeTooSkewed": fault.ClockSkew, "RequestExpired": fault.ClockSkew,

	"SlowDown": fault.Throttled, "Throttling": fault.Throttled, "ThrottlingException": fault.Throttled,
	"RequestLimitExceeded": fault.Throttled, "TooManyRequests": fault.Throttled,
	"TooManyRequestsException": fault.Throttled, "BandwidthLimitExceeded": fault.Throttled,
}

// transient are codes of answers below 500 that another try can mend, besides
// all with the status 409: something else is going on with the object.
var transient = map[string]bool{
	"RequestTimeout": true, "IncompleteBody": true, "BadDigest": true, "InvalidDigest": true,
	"XAmzContentSHA256Mismatch": true, "InternalError": true, "ServiceUnavailable": true,
}

// judge says what an error of a try means, and whether to try again.
func (s *Store) judge(r request, err error) (again bool, _ error) {
	var own final
	var known *fault.Error
	var answer *smithyhttp.ResponseError
	switch {
	case errors.As(err, &own):
		return false, own.error
	case errors.Is(err, content.ErrNotFound):
		return false, err
	case errors.As(err, &known):
		return !known.Lasting, err
	case errors.As(err, &answer) && answer.HTTPStatusCode() != 0: // 0: nothing was answered
		return s.judgeAnswer(r, err, answer.Response.Response)
	}
	return s.judgeConnection(err)
}

// judgeAnswer is for what the service answered.
func (s *Store) judgeAnswer(r request, err error, resp *http.Response) (again bool, _ error) {
	status, code := resp.StatusCode, codeOf(err)
	known := codes[code]
	switch {
	case code == "NoSuchKey" || status == http.StatusNotFound && code == "NotFound" && speaksS3(resp):
		return false, fmt.Errorf("%w", content.ErrNotFound)
	case code == "NoSuchUpload":
		return false, errNoUpload
	case status == http.StatusPreconditionFailed || code == "PreconditionFailed":
		return false, errPrecondition
	case status == http.StatusNotImplemented:
		return false, fmt.Errorf("%w: %w", errUnsupported, s.failing(r, status, code, err))
	case known != "":
		f := s.refused(r, known, code, resp, err)
		return !f.Lasting, f
	case status == http.StatusTooManyRequests:
		return true, s.refused(r, fault.Throttled, statusText(status), resp, err)
	case status >= 500 || status == http.StatusConflict || transient[code]:
		return true, s.failing(r, status, code, err)
	case !speaksS3(resp):
		return false, s.notS3(fmt.Sprintf("it answers %s", statusText(status)), err)
	case status/100 == 2 || code == "":
		return true, s.broken(err) // the body cannot be read: it was cut short
	case status == http.StatusUnauthorized:
		return false, s.refused(r, fault.InvalidCredentials, statusText(status), resp, err)
	case status == http.StatusForbidden:
		return false, s.refused(r, fault.AccessDenied, statusText(status), resp, err)
	case status/100 == 3:
		return false, s.refused(r, fault.WrongRegion, statusText(status), resp, err)
	}
	return false, s.failing(r, status, code, err)
}

// judgeConnection is for failures without an answer, or within one.
func (s *Store) judgeConnection(err error) (again bool, _ error) {
	var record tls.RecordHeaderError
	var verification *tls.CertificateVerificationError
	var hostname x509.HostnameError
	var timeout net.Error
	var dns *net.DNSError
	switch text := err.Error(); {
	case errors.Is(err, errNoRange):
		return false, s.notS3("it ignores the Range of a request", err)
	case errors.Is(err, errDamaged):
		return true, s.broken(err)
	case errors.As(err, &record), strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return false, s.tlsFailed("content.endpoint", "it does not speak TLS",
			"write http:// in content.endpoint, or correct the port", err)
	case errors.As(err, &hostname):
		return false, s.tlsFailed("content.endpoint", fmt.Sprintf("its certificate is not for %q", hostname.Host),
			"write a name of the certificate in content.endpoint", err)
	case errors.As(err, &verification):
		return false, s.tlsFailed("content.ca_file", fmt.Sprintf("its certificate is not trusted (%v)", verification.Err),
			"set content.ca_file to the certificate of its authority", err)
	case errors.As(err, new(*net.OpError)) && strings.Contains(text, "remote error: tls"):
		return false, s.tlsFailed("content.endpoint", "it breaks off the TLS handshake", "look at the service's log", err)
	case strings.Contains(text, "malformed HTTP"):
		return false, s.notS3("it does not speak HTTP", err)
	case errors.As(err, &dns) && dns.IsNotFound:
		return true, s.unreachable(fmt.Sprintf("there is no host %q", dns.Name), err)
	case errors.Is(err, errIdle):
		return true, s.unreachable(fmt.Sprintf("no answer within %v", s.pace.idle), err)
	case errors.Is(err, errSlow):
		return true, s.unreachable("bytes arrive too slowly", err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return true, s.unreachable("connecting takes too long", err)
	}
	return true, s.unreachable(lastOf(err), err)
}

// brokenOff says whether the other side ended the connection.
func brokenOff(err error) bool {
	return slices.ContainsFunc([]error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE},
		func(cut error) bool { return errors.Is(err, cut) })
}

// lastOf is the innermost message of a chain: "connection refused".
func lastOf(err error) string {
	if brokenOff(err) {
		return "it breaks connections off"
	}
	for {
		next := errors.Unwrap(err)
		if many, ok := err.(interface{ Unwrap() []error }); ok && len(many.Unwrap()) > 0 {
			next = many.Unwrap()[len(many.Unwrap())-1]
		}
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

// speaksS3 says whether an answer looks like one of an S3 service, whatever it
// says: they number their answers, and explain errors in XML.
func speaksS3(resp *http.Response) bool {
	for name := range resp.Header {
		if strings.HasPrefix(name, "X-Amz-") {
			return true
		}
	}
	return strings.HasSuffix(strings.TrimSpace(strings.Split(resp.Header.Get("Content-Type"), ";")[0]), "/xml")
}

func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// isPlainNo says whether an answer is no failure of anything: there is no such
// object, or there is one already.
func isPlainNo(err error) bool {
	code := codeOf(err)
	return code == "NoSuchKey" || code == "PreconditionFailed"
}

// isInvalidRange: the range begins behind the object's end.
func isInvalidRange(err error) bool {
	var answer *smithyhttp.ResponseError
	return errors.As(err, &answer) && answer.HTTPStatusCode() == http.StatusRequestedRangeNotSatisfiable
}

func statusText(status int) string { return fmt.Sprintf("%d %s", status, http.StatusText(status)) }

// skewOf is how far our clock is behind that of an answer.
func skewOf(resp *http.Response) (time.Duration, bool) {
	at, err := http.ParseTime(resp.Header.Get("Date"))
	return time.Until(at).Round(time.Minute), err == nil
}
