package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/test/faultproxy"
	"github.com/dittofs/dittofs/test/s3server"
)

// everyCall checks that each method and Check give the same fault.
func everyCall(t *testing.T, s *Store, reason, message string) {
	t.Helper()
	for name, call := range map[string]func() error{
		"check":  func() error { return s.Check(t.Context()) },
		"claim":  func() error { return s.Claim(t.Context(), instanceOne) },
		"put":    func() error { return put(t.Context(), s, "a", []byte("x")) },
		"read":   func() error { _, err := s.ReadAt(t.Context(), "a", make([]byte, 1), 0); return err },
		"size":   func() error { _, err := s.Size(t.Context(), "a"); return err },
		"delete": func() error { return s.Delete(t.Context(), "a") },
		"list":   func() error { return s.List(t.Context(), "", func(string, int64) error { return nil }) },
	} {
		if name == "delete" && reason == fault.NotS3 {
			continue // an answer without a body says nothing
		}
		t.Run(name, func(t *testing.T) { expectFault(t, call(), reason, message) })
	}
}

func TestABucketThatDoesNotExist(t *testing.T) {
	w := newWorld(t)
	w.opts.Bucket = "nowhere"
	everyCall(t, w.store(t), fault.BucketNotFound, fmt.Sprintf(
		`content.bucket: there is no bucket "nowhere" at %s (NoSuchBucket): create it, or correct content.bucket`, w.opts.Endpoint))
}

func TestAnAccessKeyThatTheServiceDoesNotKnow(t *testing.T) {
	w := newWorld(t)
	writeCredentials(t, w.opts.CredentialsFile, "NOBODY", "secret")
	everyCall(t, w.store(t), fault.InvalidCredentials, fmt.Sprintf(
		"content.credentials_file: %s does not accept the credentials (XAdminUserNotFound): correct the access key id in %s", w.opts.Endpoint, w.opts.CredentialsFile))
}

func TestAWrongSecretKey(t *testing.T) {
	w := newWorld(t)
	writeCredentials(t, w.opts.CredentialsFile, w.server.AccessKey, "wrong-secret")
	everyCall(t, w.store(t), fault.InvalidCredentials, fmt.Sprintf(
		"content.credentials_file: %s does not accept the credentials (SignatureDoesNotMatch): correct the secret access key in %s", w.opts.Endpoint, w.opts.CredentialsFile))
}

func writeCredentials(t *testing.T, path, id, secret string) {
	t.Helper()
	text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", id, secret)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAWrongRegion(t *testing.T) {
	w := newWorld(t)
	w.opts.Region = "eu-west-1"
	everyCall(t, w.store(t), fault.WrongRegion, fmt.Sprintf(
		`content.region: bucket %q at %s is in region "us-east-1", not "eu-west-1": set content.region to "us-east-1"`, w.opts.Bucket, w.opts.Endpoint))
}

// scripted are answers of services as AWS documents them, that the server of
// the tests does not give.
func TestAnswersThatNameTheFault(t *testing.T) {
	w := newWorld(t)
	p := w.proxied(t)
	at := p.URL()
	file := w.opts.CredentialsFile
	for name, c := range map[string]struct {
		answer          faultproxy.Answer
		change          func(http.Header)
		reason, message string
	}{
		"denied": {
			faultproxy.S3Error(403, "AccessDenied", "Access Denied"), nil, fault.AccessDenied,
			fmt.Sprintf(`content.credentials_file: the credentials in %s may not do GetObject in bucket %q (AccessDenied): allow reading, writing, deleting and listing there, or use others`, file, w.opts.Bucket)},
		"expired": {
			faultproxy.S3Error(400, "ExpiredToken", "The provided token has expired."), nil, fault.InvalidCredentials,
			fmt.Sprintf(`content.credentials_file: %s does not accept the credentials (ExpiredToken): renew the session token in %s`, at, file)},
		"other key": {
			faultproxy.S3Error(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."),
			nil, fault.InvalidCredentials,
			fmt.Sprintf(`content.credentials_file: %s does not accept the credentials (InvalidAccessKeyId): correct the access key id in %s`, at, file)},
		"redirected": {
			faultproxy.S3Error(301, "PermanentRedirect",
				"The bucket you are attempting to access must be addressed using the specified endpoint."), nil, fault.WrongRegion,
			fmt.Sprintf(`content.region: bucket %q at %s is not in region "us-east-1": correct content.region`,
				w.opts.Bucket, at)},
		"invalid name": {
			faultproxy.S3Error(400, "InvalidBucketName", "The specified bucket is not valid."), nil, fault.BucketNotFound,
			fmt.Sprintf(`content.bucket: there is no bucket %q at %s (InvalidBucketName): create it, or correct content.bucket`, w.opts.Bucket, at)},
		"throttled": {
			faultproxy.S3Error(503, "SlowDown", "Please reduce your request rate."), nil, fault.Throttled,
			fmt.Sprintf(`content.endpoint: %s asks to slow down (SlowDown): lower content.parallel_transfers, or raise the service's limits`, at)},
		"429": {
			faultproxy.Answer{Status: 429}, nil, fault.Throttled,
			fmt.Sprintf(`content.endpoint: %s asks to slow down (TooManyRequests): lower content.parallel_transfers, or raise the service's limits`, at)},
		"failing": {
			faultproxy.S3Error(500, "InternalError", "We encountered an internal error."), nil, fault.StoreFailing,
			fmt.Sprintf(`content.endpoint: %s fails at GetObject (500 Internal Server Error, InternalError): look at the service's log`, at)},
		"gateway": {
			faultproxy.Answer{Status: 502, ContentType: "text/html", Body: "<html><body>Bad Gateway<br></body></html>"}, nil,
			fault.StoreFailing,
			fmt.Sprintf(`content.endpoint: %s fails at GetObject (502 Bad Gateway): look at the service's log`, at)},
		"full": {
			faultproxy.S3Error(507, "InsufficientStorage", "?"), nil, fault.StoreFailing,
			fmt.Sprintf(`content.endpoint: %s fails at GetObject (507 Insufficient Storage, InsufficientStorage): it has no space left: give it more`, at)},
		"unknown": {
			faultproxy.S3Error(400, "SomethingNew", "?"), nil, fault.StoreFailing,
			fmt.Sprintf(`content.endpoint: %s fails at GetObject (400 Bad Request, SomethingNew): look at the service's log`, at)},
		"endless error": {
			faultproxy.Answer{
				Status: 400, ContentType: "application/xml", Body: "<Error><Code>" + strings.Repeat("x", maxErrorBody),
			}, nil, fault.StoreFailing,
			fmt.Sprintf(`content.endpoint: %s sends answers that are damaged: look at the service, and at proxies before it`, at)},
	} {
		t.Run(name, func(t *testing.T) {
			p.Set(faultproxy.Rule{Kind: faultproxy.Replace, Answer: c.answer})
			s := w.store(t)
			_, err := s.ReadAt(t.Context(), "a", make([]byte, 1), 0)
			expectFault(t, err, c.reason, c.message)
			if retried := s.Stats().Retries > 0; retried == (lasting[c.reason] || name == "unknown") {
				t.Errorf("retried: %v", retried)
			}
			expectFault(t, s.Check(t.Context()), c.reason, c.message)
		})
	}
}

func TestAnEndpointThatIsNotS3(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		why     string
	}{
		"404": {http.NotFound, "it answers 404 Not Found"},
		"403": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<html>forbidden</html>", http.StatusForbidden)
		}, "it answers 403 Forbidden"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://example.org/", http.StatusMovedPermanently)
		}, "it answers 301 Moved Permanently"},
	} {
		t.Run(name, func(t *testing.T) {
			web := httptest.NewServer(c.handler)
			defer web.Close()
			w := newWorld(t)
			w.opts.Endpoint = web.URL
			everyCall(t, w.store(t), fault.NotS3,
				fmt.Sprintf("content.endpoint: %s is no S3 service: %s: correct content.endpoint", web.URL, c.why))
		})
	}
}

func TestAWebServerThatSaysYesToEverything(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "<!DOCTYPE html><html><body>Welcome<br></body></html>")
	}))
	defer web.Close()
	w := newWorld(t)
	w.opts.Endpoint = web.URL
	s := w.store(t)
	message := func(why string) string {
		return fmt.Sprintf("content.endpoint: %s is no S3 service: %s: correct content.endpoint", web.URL, why)
	}
	expectFault(t, s.Check(t.Context()), fault.NotS3, message("the object nas/INSTANCE is not one that DittoFS wrote"))
	expectFault(t, s.Claim(t.Context(), instanceOne), fault.NotS3,
		message("the object nas/INSTANCE is not one that DittoFS wrote"))
	expectFault(t, put(t.Context(), s, "a", []byte("x")), fault.NotS3,
		message("it takes an object without giving it a tag"))
	_, err := s.ReadAt(t.Context(), "a", make([]byte, 1), 0)
	expectFault(t, err, fault.NotS3, message("it ignores the Range of a request"))
	err = s.List(t.Context(), "", func(string, int64) error { return nil })
	expectFault(t, err, fault.NotS3, message("it answers 200 OK"))
}

func TestAnEndpointThatDoesNotSpeakHTTP(t *testing.T) {
	w := newWorld(t)
	w.opts.Endpoint = "http://" + rawServer(t, "SSH-2.0-OpenSSH_9.2\r\n")
	everyCall(t, w.store(t), fault.NotS3, fmt.Sprintf(
		"content.endpoint: %s is no S3 service: it does not speak HTTP: correct content.endpoint", w.opts.Endpoint))
}

// rawServer answers everything with a greeting.
func rawServer(t *testing.T, greeting string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
				if _, err := conn.Read(make([]byte, 1)); err == nil {
					_, _ = io.WriteString(conn, greeting)
					_, _ = io.Copy(io.Discard, conn)
				}
			}()
		}
	}()
	return l.Addr().String()
}

func TestAnEndpointWhereNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	w := newWorld(t)
	w.opts.Endpoint = "http://" + l.Addr().String()
	everyCall(t, w.store(t), fault.Unreachable, fmt.Sprintf(
		"content.endpoint: %s cannot be reached: connection refused: start the service, or correct content.endpoint", w.opts.Endpoint))
}

func TestAnEndpointWithoutAnAddress(t *testing.T) {
	w := newWorld(t)
	w.opts.Endpoint = "http://s3.invalid" // RFC 6761: never exists
	s := w.store(t)
	s.pace.tries = 2
	_, err := s.Size(t.Context(), "a")
	expectFault(t, err, fault.Unreachable,
		`content.endpoint: http://s3.invalid cannot be reached: there is no host "s3.invalid": start the service, or correct content.endpoint`)
}

func TestAServerThatHangs(t *testing.T) {
	w := newWorld(t)
	p := w.proxied(t)
	p.Set(faultproxy.Rule{Kind: faultproxy.Hang})
	s := openStore(t, w.opts, hasty)
	s.pace.tries, s.pace.idle = 2, 50*time.Millisecond
	everyCall(t, s, fault.Unreachable, fmt.Sprintf(
		"content.endpoint: %s cannot be reached: no answer within 50ms: start the service, or correct content.endpoint", p.URL()))
}

func TestAServerWhoseConnectionsBreak(t *testing.T) {
	w := newWorld(t)
	p := w.proxied(t)
	p.Set(faultproxy.Rule{Kind: faultproxy.ResetBefore})
	everyCall(t, w.store(t), fault.Unreachable, fmt.Sprintf(
		"content.endpoint: %s cannot be reached: it breaks connections off: start the service, or correct content.endpoint", p.URL()))
}

func TestAClockThatIsWrong(t *testing.T) {
	w := newWorld(t)
	p := w.proxied(t)
	// The SDK takes the service's clock for its signatures: so a service that
	// says a wrong time refuses what it is then sent.
	p.Set(faultproxy.Rule{
		Change: func(h http.Header) { h.Set("Date", time.Now().Add(2*time.Hour).UTC().Format(http.TimeFormat)) },
	})
	s := w.store(t)
	var err error
	for range 3 {
		_, err = s.ReadAt(t.Context(), "a", make([]byte, 1), 0)
		if fault.Of(err) != nil {
			break
		}
	}
	expectFault(t, err, fault.ClockSkew, fmt.Sprintf(
		"content.endpoint: this machine's clock and that of %s differ too much, by 2h0m0s: set the clocks by NTP", p.URL()))
}

func TestAServiceWithoutConditionalWrites(t *testing.T) {
	for _, op := range []string{opPut, opComplete} {
		t.Run(op, func(t *testing.T) {
			w := newWorld(t)
			p := w.proxied(t)
			s := w.store(t)
			// A service that ignores the condition does as if there was no object.
			marker := filepath.Join(w.server.BucketDir(w.opts.Bucket), "nas", "INSTANCE")
			p.Set(faultproxy.Rule{Match: faultproxy.Op(op), Before: func() { _ = os.Remove(marker) }})
			expectFault(t, s.Claim(t.Context(), instanceOne), fault.NoConditionalWrites, fmt.Sprintf(
				"content.endpoint: %s does not honour If-None-Match at %s, so that objects could be overwritten: use a service with conditional writes", p.URL(), op))
			p.Set(faultproxy.Rule{
				Kind: faultproxy.Replace, Match: faultproxy.Op(op), Answer: faultproxy.S3Error(501, "NotImplemented",
					"A header you provided implies functionality that is not implemented"),
			})
			expectFault(t, s.Claim(t.Context(), instanceOne), fault.NoConditionalWrites, fmt.Sprintf(
				"content.endpoint: %s does not honour If-None-Match at %s, so that objects could be overwritten: use a service with conditional writes", p.URL(), op))
			p.Set()
			if err := s.Claim(t.Context(), instanceOne); err != nil { // the marker is still ours
				t.Error(err)
			}
		})
	}
}

func TestCheckNoticesAnotherOwner(t *testing.T) {
	w := newWorld(t)
	s := w.store(t)
	if err := s.Check(t.Context()); err != nil {
		t.Fatalf("before the claim: %v", err)
	}
	if err := s.Claim(t.Context(), instanceOne); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(w.server.BucketDir(w.opts.Bucket), "nas", "INSTANCE")
	if err := os.WriteFile(path, []byte(instanceTwo), 0o600); err != nil {
		t.Fatal(err)
	}
	expectFault(t, s.Check(t.Context()), fault.OwnedByAnother, fmt.Sprintf(
		`content.prefix: "nas/" in bucket %q now belongs to another server: give each server its own prefix`, w.opts.Bucket))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expectFault(t, s.Check(t.Context()), fault.StoreFailing, fmt.Sprintf(
		`content.bucket: nas/INSTANCE is gone from bucket %q, which somebody emptied: restore the bucket`, w.opts.Bucket))
}

// A server that was restored from the bucket uses the objects of the one before.
func TestNothingIsDeletedThatBelongsToAnotherServerNow(t *testing.T) {
	w := newWorld(t)
	s := w.store(t)
	if err := s.Claim(t.Context(), instanceOne); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "segment", strings.NewReader("bytes"), 5); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(w.server.BucketDir(w.opts.Bucket), "nas", "INSTANCE")
	if err := os.WriteFile(path, []byte(instanceTwo), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "segment"); !errors.Is(err, content.ErrForeign) {
		t.Errorf("delete: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "segment"); err == nil {
		t.Error("deleted in a bucket without a marker")
	}
	if err := os.WriteFile(path, []byte(instanceOne), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(w.server.BucketDir(w.opts.Bucket), "nas", "segment")); err != nil {
		t.Error(err)
	}
	if err := s.Delete(t.Context(), "segment"); err != nil {
		t.Error(err)
	}
}

func TestADeleteSurvivesAServiceThatFailsOnceWhenItIsAskedWhoseTheBucketIs(t *testing.T) {
	w := newWorld(t)
	p := w.proxied(t)
	s := w.store(t)
	if err := s.Claim(t.Context(), instanceOne); err != nil {
		t.Fatal(err)
	}
	for _, rule := range []faultproxy.Rule{
		{Kind: faultproxy.ResetBefore, Times: 1},
		{Kind: faultproxy.Replace, Times: 1, Answer: faultproxy.S3Error(503, "SlowDown", "Please reduce your request rate.")},
	} {
		mustPut(t, s, "segment", []byte("bytes"))
		rule.Match = faultproxy.Op(opGet)
		p.Set(rule)
		if err := s.Delete(t.Context(), "segment"); err != nil {
			t.Error(err)
		}
		p.Set()
	}
}

func TestCheckEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	p := w.proxied(t)
	p.Set(faultproxy.Rule{Kind: faultproxy.Hang})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	expectFault(t, w.store(t).Check(ctx), fault.Unreachable, fmt.Sprintf(
		"content.endpoint: %s cannot be reached: no answer in time: start the service, or correct content.endpoint", p.URL()))
}

func TestTLS(t *testing.T) {
	cert, key := s3server.Certificate(t, "127.0.0.1")
	srv := s3server.Start(t, s3server.Options{CertFile: cert, KeyFile: key})
	opts := Options{
		Bucket: srv.Bucket(t), Endpoint: srv.Endpoint, CredentialsFile: srv.Credentials(t), CAFile: cert,
		Logger: slog.New(slog.DiscardHandler),
	}
	t.Run("trusted by content.ca_file", func(t *testing.T) {
		everyOperation(t, openStore(t, opts, quick))
	})
	t.Run("not trusted", func(t *testing.T) {
		o := opts
		o.CAFile = ""
		everyCall(t, openStore(t, o, quick), fault.TLSFailed, fmt.Sprintf(
			"content.ca_file: no secure connection to %s: its certificate is not trusted (x509: certificate signed by unknown authority): set content.ca_file to the certificate of its authority", srv.Endpoint))
	})
	t.Run("for another name", func(t *testing.T) {
		o := opts
		o.Endpoint = strings.Replace(srv.Endpoint, "127.0.0.1", "localhost", 1)
		_, err := openStore(t, o, quick).Size(t.Context(), "a")
		expectFault(t, err, fault.TLSFailed, fmt.Sprintf(
			`content.endpoint: no secure connection to %s: its certificate is not for "localhost": write a name of the certificate in content.endpoint`, o.Endpoint))
	})
	t.Run("https to a port without TLS", func(t *testing.T) {
		w := newWorld(t)
		w.opts.Endpoint = strings.Replace(w.opts.Endpoint, "http:", "https:", 1)
		everyCall(t, w.store(t), fault.TLSFailed, fmt.Sprintf(
			"content.endpoint: no secure connection to %s: it does not speak TLS: write http:// in content.endpoint, or correct the port", w.opts.Endpoint))
	})
}
