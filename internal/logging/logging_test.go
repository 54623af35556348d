package logging

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dittofs/dittofs/pkg/config"
)

// limit bounds every wait; reaching it is a failure.
const limit = 20 * time.Second

// buffer is a log that can be read at any time.
type buffer struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.Write(p)
}

func (b *buffer) lines() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Split(strings.TrimSpace(b.out.String()), "\n")
}

func textLog(w io.Writer) *Log { return New(w, config.Logging{Level: "info", Format: "text"}) }

// with are the lines that have all the words.
func with(lines []string, words ...string) (found []string) {
	for _, line := range lines {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			found = append(found, line)
		}
	}
	return found
}

func TestLogChangesLevelAndFormatWhileInUse(t *testing.T) {
	var out buffer
	log := New(&out, config.Logging{Level: "warn", Format: "text"})
	share := log.With("share", "a").WithGroup("client")

	share.Info("not shown")
	share.Warn("first", "uid", 7)
	log.Apply(config.Logging{Level: "debug", Format: "json"})
	share.Debug("second", "uid", 8)
	log.Close(limit)

	lines := out.lines()
	if len(lines) != 2 {
		t.Fatalf("got %q", lines)
	}
	for i, want := range []string{
		`level=WARN msg=first share=a client.uid=7`, `"level":"DEBUG","msg":"second","share":"a","client":{"uid":8}}`,
	} {
		if !strings.HasSuffix(lines[i], want) {
			t.Errorf("got %s, want %s", lines[i], want)
		}
	}
}

func TestRepeatedLinesOfAClientAreCountedInsteadOfWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out buffer
		log := textLog(&out)
		for range 20_000 {
			log.Info("mount refused", "client", netip.MustParseAddr("192.0.2.1"), "path", "/x")
		}
		log.Info("mount refused", "client", netip.MustParseAddr("192.0.2.2"))
		log.Info("mounted", "client", netip.MustParseAddr("192.0.2.1"))
		time.Sleep(reportEvery)
		synctest.Wait()
		lines := out.lines()
		if n := len(with(lines, "mount refused", "path=/x")); n != int(ofClient.burst) {
			t.Errorf("%d lines of 20,000", n)
		}
		if len(with(lines, "mount refused", "client=192.0.2.2")) != 1 || len(with(lines, "msg=mounted")) != 1 {
			t.Errorf("another client and another kind are not told:\n%s", strings.Join(lines, "\n"))
		}
		if len(with(lines, "repeated lines were left out",
			`kind="mount refused" lines=19980 clients=1 most_of=192.0.2.1`)) != 1 {
			t.Errorf("no count of what was left out:\n%s", strings.Join(lines, "\n"))
		}
		if got := log.Counts(); got != (Counts{LeftOut: 19_980}) {
			t.Errorf("%+v", got)
		}
		time.Sleep(10 * time.Second)
		log.Info("mount refused", "client", netip.MustParseAddr("192.0.2.1"), "path", "/later")
		log.Close(limit)
		if len(with(out.lines(), "path=/later")) != 1 {
			t.Error("a client that has calmed down is not heard again")
		}
	})
}

func TestLinesOfAllClientsTogetherAreBoundedAndHideNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out buffer
		log := textLog(&out)
		addr := netip.MustParseAddr("10.0.0.0")
		for range 100_000 {
			addr = addr.Next()
			log.Warn("mount refused", "client", netip.AddrPortFrom(addr, 700))
		}
		for range int(ofKind.burst) {
			log.Error("a store cannot be used")
		}
		log.Close(limit)
		lines := out.lines()
		if n := len(with(lines, "mount refused", "client=")); n != int(ofAllClients.burst) {
			t.Errorf("%d lines of 100,000 clients at once", n)
		}
		if n := len(with(lines, "a store cannot be used")); n != int(ofKind.burst) {
			t.Errorf("%d of the server's own lines came through", n)
		}
		if n := len(log.limiter.clients.keys); n > maxKeys {
			t.Errorf("%d clients are remembered", n)
		}
		time.Sleep(time.Hour)
		log.Info("mount refused", "client", addr)
		if n := len(log.limiter.clients.keys); n > 1 {
			t.Errorf("%d clients are remembered for ever", n)
		}
		log.Close(limit)
	})
}

// Lines take their time before they wait for their turn: late ones must not make
// the time of those after them count twice.
func TestLinesThatAreLateBringNoTokens(t *testing.T) {
	l := newLimiter()
	client := netip.MustParsePrefix("192.0.2.1/32")
	began := time.Unix(1000, 0)
	written := 0
	for range 10_000 {
		for _, late := range []time.Duration{time.Second, 0} {
			if l.admit(began.Add(late), slog.LevelInfo, "refused", client) {
				written++
			}
		}
	}
	if most := int(ofClient.burst+ofClient.rate) + 1; written > most || written == 0 {
		t.Errorf("%d lines of a second are written, at most %d are", written, most)
	}
}

func TestErrorsOfTheServerAreNotHiddenByItsOtherLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out buffer
		log := textLog(&out)
		for i := range 10_000 {
			log.Info("pebble says " + time.Duration(i).String())
		}
		log.Error("server failed")
		log.Close(limit)
		if lines := out.lines(); len(with(lines, "server failed")) != 1 || len(lines) > int(ofAllKinds.burst)+2+maxSummaries {
			t.Errorf("%d lines", len(lines))
		}
	})
}

func TestAClientIsNamedInAnyForm(t *testing.T) {
	for _, test := range []struct {
		value any
		want  string
	}{
		{netip.MustParseAddr("192.0.2.1"), "192.0.2.1/32"},
		{netip.MustParseAddrPort("[::ffff:192.0.2.1]:5"), "192.0.2.1/32"},
		{&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 700}, "192.0.2.1/32"},
		{"192.0.2.1:5", "192.0.2.1/32"},
		{"192.0.2.1", "192.0.2.1/32"},
		{netip.MustParseAddr("2001:db8::1:2:3:4"), "2001:db8::/64"},
		{"[fe80::1%eth0]:5", "fe80::/64"},
		{"@", "0.0.0.0/32"},
		{&net.UnixAddr{Name: "@"}, "0.0.0.0/32"},
		{netip.Addr{}, "0.0.0.0/32"},
		{7, "0.0.0.0/32"},
	} {
		if got := clientOf(slog.Any("client", test.value)); got.String() != test.want {
			t.Errorf("%v is %v, want %s", test.value, got, test.want)
		}
	}
}

func TestALineInAGroupOrWithABoundClientCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out buffer
		log := textLog(&out)
		one := log.With("client", "192.0.2.1:7")
		for range 100 {
			one.Info("bound")
		}
		log.Close(limit)
		if n := len(with(out.lines(), "msg=bound")); n != int(ofClient.burst) {
			t.Errorf("%d lines", n)
		}
	})
}

// TestALogThatIsNotReadStopsNobody: the reader of a pipe stops, and goes on.
func TestALogThatIsNotReadStopsNobody(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	out := NewWriter(w, nil)
	line := []byte(strings.Repeat("x", 999) + "\n")
	const lines = 4 * maxQueued / 1000
	for range lines {
		if n, err := out.Write(line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	start := time.Now()
	out.Flush(10 * time.Millisecond)
	if d := time.Since(start); d > limit {
		t.Errorf("the end waits for %v", d)
	}
	dropped := out.Dropped()
	if most := uint64(lines - maxQueued/1000); dropped < most/2 || dropped > most {
		t.Errorf("%d of %d lines were dropped", dropped, lines)
	}
	read := make(chan int)
	go func() {
		text, _ := io.ReadAll(r)
		read <- len(text) / len(line)
	}()
	out.Flush(limit)
	w.Close()
	if n := <-read; uint64(n) != lines-dropped {
		t.Errorf("%d lines arrived, %d were dropped, of %d", n, dropped, lines)
	}
}

// failing is a log on a disk that is full for a while.
type failing struct {
	buffer
	err error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return f.buffer.Write(p)
}

func TestDroppedLinesAreCountedAndToldWhenTheLogCanBeWrittenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &failing{err: syscall.ENOSPC}
		log := textLog(out)
		for range 7 {
			log.Info("lost")
			synctest.Wait()
		}
		if got := log.Counts(); got.Dropped != 7 {
			t.Errorf("%+v", got)
		}
		out.err = nil
		log.Info("back")
		log.Close(limit)
		synctest.Wait()
		lines := out.lines()
		if len(lines) != 2 || len(with(lines, "lines of this log were dropped", "lines=7")) != 1 {
			t.Errorf("%q", lines)
		}
	})
}

func TestALongLineIsDroppedAndALibrarysTextIsCut(t *testing.T) {
	var out buffer
	log := textLog(&out)
	log.Print(strings.Repeat("x", maxLine))
	Std(log.Logger, slog.LevelWarn, "admin listener").Printf("http: %s", strings.Repeat("y", 2*maxText))
	log.Close(limit)
	lines := with(out.lines(), `msg="admin listener"`, "http: yyy")
	if len(lines) != 1 || len(lines[0]) > maxText+200 || len(with(out.lines(), "xxx")) > 0 || log.Counts().Dropped != 1 {
		t.Errorf("%d bytes, %+v", len(lines), log.Counts())
	}
}

func TestErrorsAreShownByTheirText(t *testing.T) {
	var out buffer
	log := textLog(&out)
	log.Info("failed", "error", errors.Join(errors.New("a"), errors.New("b")))
	log.Close(limit)
	if len(with(out.lines(), `error="a\nb"`)) != 1 {
		t.Errorf("%q", out.lines())
	}
}
