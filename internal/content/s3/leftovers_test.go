package s3

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/test/faultproxy"
)

// leave begins an upload of id and sends a part of it, as a server does that
// then dies.
func leave(t *testing.T, s *Store, id string) {
	t.Helper()
	u, err := s.begin(t.Context(), id)
	if err == nil {
		_, err = u.part(t.Context(), 1, strings.NewReader(id), 0, int64(len(id)))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// direct is a store at the server itself.
func (w *world) direct(t *testing.T) *Store {
	opts := w.opts
	opts.Endpoint = w.server.Endpoint
	return openStore(t, opts, quick)
}

// unfinished are all uploads in the bucket.
func (w *world) unfinished(t *testing.T) []types.MultipartUpload {
	t.Helper()
	s := w.direct(t)
	out, err := s.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: s.bucket()})
	if err != nil {
		t.Fatal(err)
	}
	if aws.ToBool(out.IsTruncated) {
		t.Fatal("there are more than a page has")
	}
	return out.Uploads
}

func (w *world) unfinishedKeys(t *testing.T) (keys []string) {
	t.Helper()
	for _, u := range w.unfinished(t) {
		keys = append(keys, *u.Key)
	}
	return keys
}

func TestTheNextServerAbortsTheUploadsOfOneThatDied(t *testing.T) {
	w := newWorld(t)
	dead := w.store(t)
	if err := dead.Claim(t.Context(), instanceOne); err != nil {
		t.Fatal(err)
	}
	const n = leftPage + 5
	id := func(i int) string { return fmt.Sprintf("segments/0000000000000001/%08x", i) }
	for i := range n {
		leave(t, dead, id(i))
	}
	leave(t, dead, id(0)) // twice
	others := w.opts
	others.Prefix = ""
	kept := []string{"backup/nas", "nas/backup", "nas/segments-old/1", "nas2/segments/1", "segments/1"}
	for _, key := range kept {
		leave(t, openStore(t, others, quick), key)
	}

	if err := w.store(t).Claim(t.Context(), instanceTwo); !errors.Is(err, content.ErrForeign) {
		t.Fatalf("claim by another: %v", err)
	}
	if left := w.unfinishedKeys(t); len(left) != n+1+len(kept) {
		t.Fatalf("a server whose store it is not left %d uploads", len(left))
	}
	next := w.store(t)
	if err := next.Claim(t.Context(), instanceOne); err != nil {
		t.Fatal(err)
	}
	if left := w.unfinishedKeys(t); !slices.Equal(left, kept) {
		t.Errorf("left are %q, want those of others: %q", left, kept)
	}
	if got := next.Stats().Requests[opListUploads]; got > 3 {
		t.Errorf("%d requests for two pages", got)
	}
}

// TestAnUploadThatIsAbortedBeginsAnew is about a server that was replaced and
// does not know it yet: what it uploads may be what its successor waits for.
func TestAnUploadThatIsAbortedBeginsAnew(t *testing.T) {
	w := newWorld(t)
	successor := w.store(t)
	p := w.proxied(t)
	s := w.store(t)
	p.Set(faultproxy.Rule{Match: faultproxy.Op(opComplete), Times: 1, Before: func() {
		if err := successor.Claim(t.Context(), instanceOne); err != nil {
			t.Error(err)
		}
	}})
	data := pattern(1, 2*minPartSize+7)
	mustPut(t, s, "segments/1", data)
	expect(t, successor, "segments/1", data)
	if n := s.Stats().Requests[opCreate]; n != 2 {
		t.Errorf("the upload was begun %d times", n)
	}
	if left := w.unfinishedKeys(t); len(left) > 0 {
		t.Errorf("left are %q", left)
	}
}

func TestUploadsThatCannotBeAbortedAreAWarning(t *testing.T) {
	denied := faultproxy.S3Error(403, "AccessDenied", "Access Denied")
	for name, c := range map[string]struct {
		rule faultproxy.Rule
		left int
	}{
		"not listed":      {faultproxy.Rule{Match: faultproxy.Op(opListUploads), Kind: faultproxy.Replace, Answer: denied}, 3},
		"one not aborted": {faultproxy.Rule{Match: faultproxy.Op(opAbort), Kind: faultproxy.Replace, Answer: denied, Skip: 2, Times: 1}, 1},
		"not known": {faultproxy.Rule{Match: faultproxy.Op(opListUploads), Kind: faultproxy.Replace,
			Answer: faultproxy.S3Error(501, "NotImplemented", "?")}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for i := range 3 {
				leave(t, w.store(t), fmt.Sprint("segments/", i))
			}
			p := w.proxied(t)
			p.Set(c.rule)
			var said bytes.Buffer
			w.opts.Logger = slog.New(slog.NewTextHandler(&said, nil))
			if err := w.store(t).Claim(t.Context(), instanceOne); err != nil {
				t.Errorf("claim: %v", err)
			}
			if left := w.unfinishedKeys(t); len(left) != c.left {
				t.Errorf("left are %q", left)
			}
			if !strings.Contains(said.String(), "level=WARN") || !strings.Contains(said.String(), "nas/segments/") {
				t.Errorf("said %s", &said)
			}
		})
	}
}
