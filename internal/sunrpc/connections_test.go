package sunrpc_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/test/nfsclient"
)

func TestConnectionsTellWhoIsThereAndWhatCameAndWent(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	began := time.Now()
	a, b := f.dial(t, nfsclient.Options{AuthNone: true}), f.dial(t, nfsclient.Options{AuthNone: true})
	mustEcho(t, a, []byte("four"))
	mustEcho(t, a, []byte("four"))
	find := func(c *nfsclient.Client) (sunrpc.Connection, bool) {
		for _, open := range f.srv.Connections() {
			if open.Remote == netip.MustParseAddrPort(c.LocalAddr().String()) {
				return open, true
			}
		}
		return sunrpc.Connection{}, false
	}
	const mark, call, reply = 4, 10*4 + 8, 6*4 + 8
	var got sunrpc.Connection
	eventually(t, "two connections, and the bytes of two replies", func() bool {
		got, _ = find(a)
		return len(f.srv.Connections()) == 2 && got.OutBytes == 2*(mark+reply)
	})
	if got.Calls != 2 || got.InBytes != 2*(mark+call) || got.Since.Before(began) || got.Last.Before(got.Since) {
		t.Errorf("%+v", got)
	}
	if got, _ := find(b); got.Calls != 0 || got.InBytes != 0 || got.OutBytes != 0 || !got.Last.Equal(got.Since.Round(0)) {
		t.Errorf("a client that said nothing: %+v", got)
	}
	a.Close()
	eventually(t, "the closed connection is gone", func() bool { _, there := find(a); return !there })
}
