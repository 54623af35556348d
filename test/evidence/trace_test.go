package evidence

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/xdr"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// straced is what a server's command line begins with: one file for each thread, so that no line is broken in two. With
// -D the process is the server, and strace its child.
func straced(prefix string) []string {
	return []string{"strace", "-D", "-ff", "-o", prefix, "-ttt", "-T", "-yy", "-xx", "-s", "1000000", "-e", "signal=none",
		"-e", "trace=read,write,writev,fdatasync,fsync,sync_file_range"}
}

// event is a system call that ended well.
type event struct {
	name       string
	file       string // path, or TCP:[server->client]
	begin, end time.Duration
	bytes      []byte // that were read or written, of sockets
}

// line is like: 1795535855.123456 read(9<TCP:[127.0.0.1:1->127.0.0.1:2]>, "\x80\x00"..., 4096) = 2 <0.000012>
var (
	line    = regexp.MustCompile(`^(\d+)\.(\d{6}) (\w+)\(\d+<(.*?)>(?:, (.*))?\) += (\d+) <(\d+)\.(\d{6})>$`)
	escaped = regexp.MustCompile(`"((?:\\x[0-9a-f]{2})*)"`)
)

func parseLine(text string) (e event, ok bool, err error) {
	m := line.FindStringSubmatch(text)
	if m == nil {
		return e, false, nil
	}
	at := func(seconds, micros string) time.Duration {
		s, _ := strconv.ParseInt(seconds, 10, 64) // digits by the pattern
		us, _ := strconv.ParseInt(micros, 10, 64)
		return time.Duration(s)*time.Second + time.Duration(us)*time.Microsecond
	}
	e = event{name: m[3], file: unescape(m[4]), begin: at(m[1], m[2])}
	e.end = e.begin + at(m[7], m[8])
	if !strings.HasPrefix(e.file, "TCP:") {
		return e, true, nil
	}
	for _, s := range escaped.FindAllStringSubmatch(m[5], -1) {
		part, err := hex.DecodeString(strings.ReplaceAll(s[1], `\x`, ""))
		if err != nil {
			return e, false, err
		}
		e.bytes = append(e.bytes, part...)
	}
	n, err := strconv.Atoi(m[6])
	if err != nil || len(e.bytes) < n {
		return e, false, fmt.Errorf("%s of %s bytes shows %d of them: %v", e.name, m[6], len(e.bytes), err)
	}
	e.bytes = e.bytes[:n]
	return e, true, nil
}

// unescape decodes a path, if strace has written it in hexadecimal.
func unescape(s string) string {
	if !strings.HasPrefix(s, `\x`) {
		return s
	}
	b, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
	if err != nil {
		return s
	}
	return string(b)
}

// trace is all that was seen of a server, in the order of the beginnings.
type trace []event

func readTrace(t *testing.T, prefix string, pid int) trace {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) { // until strace has written the end
		text, err := os.ReadFile(fmt.Sprintf("%s.%d", prefix, pid))
		if err == nil && strings.Contains(string(text), "+++ exited with") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("strace does not end (%v)", err)
		}
	}
	files, err := filepath.Glob(prefix + ".*")
	if err != nil || len(files) == 0 {
		t.Fatalf("strace has written nothing (%v)", err)
	}
	var all trace
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 64<<20)
		for lines.Scan() {
			e, ok, err := parseLine(lines.Text())
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if ok {
				all = append(all, e)
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	slices.SortStableFunc(all, func(a, b event) int { return cmp.Compare(a.begin, b.begin) })
	return all
}

// span is the time in which a call's syncs must lie: from the moment that it had arrived, for a COMMIT the WRITE before
// it, to that when its reply began to leave.
type span struct {
	arrived, leave time.Duration
}

// spans finds the calls of an NFS procedure that were answered in [from, to].
func (tr trace) spans(t *testing.T, proc uint32, from, to time.Duration) (spans []span) {
	t.Helper()
	in, out := map[string]*stream{}, map[string]*stream{}
	arrived := map[string]map[uint32]time.Duration{}
	written := map[string]time.Duration{} // by file handle
	for _, e := range tr {
		if !strings.HasPrefix(e.file, "TCP:") || len(e.bytes) == 0 {
			continue
		}
		if arrived[e.file] == nil {
			in[e.file], out[e.file], arrived[e.file] = &stream{}, &stream{}, map[uint32]time.Duration{}
		}
		if e.name == "read" {
			for _, record := range in[e.file].add(e.bytes) {
				came, of, handle := e.end, binary.BigEndian.Uint32(record[20:]), handleOf(record)
				switch of {
				case nfsclient.ProcWrite:
					written[handle] = e.end
				case nfsclient.ProcCommit:
					came = written[handle]
				}
				if of == proc {
					arrived[e.file][binary.BigEndian.Uint32(record)] = came
				}
			}
			continue
		}
		for _, record := range out[e.file].add(e.bytes) {
			xid := binary.BigEndian.Uint32(record)
			if came, ok := arrived[e.file][xid]; ok && e.begin >= from && e.begin <= to {
				spans = append(spans, span{came, e.begin})
			}
		}
	}
	return spans
}

// handleOf is the first argument of a call, behind its credential and verifier.
func handleOf(record []byte) string {
	d := xdr.NewDecoder(record[24:])
	for range 2 {
		d.Uint32()
		d.Opaque(400)
	}
	return string(d.Opaque(64))
}

// stream cuts a connection's bytes into records; each is one fragment. It gives up on what is no RPC, such as HTTP.
type stream struct {
	rest  []byte
	other bool
}

func (s *stream) add(p []byte) (records [][]byte) {
	s.rest = append(s.rest, p...)
	for len(s.rest) >= 4 && !s.other {
		n := int(binary.BigEndian.Uint32(s.rest))
		if n>>31 == 0 || n&^(1<<31) > 4<<20 || n&^(1<<31) < 24 {
			s.other = true
			break
		}
		n &^= 1 << 31
		if len(s.rest) < 4+n {
			break
		}
		records = append(records, s.rest[4:4+n])
		s.rest = s.rest[4+n:]
	}
	return records
}

// syncs are those of files that end in suffix, by their beginning.
func (tr trace) syncs(suffix string, from, to time.Duration) (syncs trace) {
	for _, e := range tr {
		if (e.name == "fdatasync" || e.name == "fsync") && strings.HasSuffix(e.file, suffix) &&
			e.begin >= from && e.end <= to {
			syncs = append(syncs, e)
		}
	}
	return syncs
}

// within is the first of syncs that begins at or behind from and ends before to.
func (tr trace) within(from, to time.Duration) (event, bool) {
	i, _ := slices.BinarySearchFunc(tr, from, func(e event, at time.Duration) int { return cmp.Compare(e.begin, at) })
	for ; i < len(tr) && tr[i].begin < to; i++ {
		if tr[i].end <= to {
			return tr[i], true
		}
	}
	return event{}, false
}
