package logging

import (
	"cmp"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// reportEvery is how long lines that were left out are only counted.
	reportEvery = 10 * time.Second
	// maxKeys bounds what a limiter remembers: pairs of a kind and a client.
	// Those beyond share what is left for one.
	maxKeys = 1024
	// maxKind bounds what it remembers of a message, in bytes.
	maxKind = 128
	// cleanEvery is how often it looks for keys to forget when it has too many.
	cleanEvery = time.Second
)

// bounds of lines: as many as burst at once, and each second as many as rate.
type bounds struct{ burst, rate float64 }

// Lines of one kind and client, all lines that clients cause, lines of one kind
// that no client causes, and all of those.
var (
	ofClient     = bounds{burst: 20, rate: 0.2}
	ofAllClients = bounds{burst: 100, rate: 20}
	ofKind       = bounds{burst: 50, rate: 1}
	ofAllKinds   = bounds{burst: 500, rate: 50}
)

// bucket is a token bucket.
type bucket struct {
	tokens float64
	at     time.Time // when tokens was right; zero for a bucket that is full
}

// fill adds the tokens that have come since. now may be before b.at, since lines
// take their time before they wait for their turn here: then none have.
func (b *bucket) fill(now time.Time, of bounds) {
	if b.at.IsZero() {
		b.tokens, b.at = of.burst, now
		return
	}
	if since := now.Sub(b.at); since > 0 {
		b.tokens, b.at = min(of.burst, b.tokens+since.Seconds()*of.rate), now
	}
}

// key is what has a bound of its own. A client is an IPv4 address, or the /64
// of an IPv6 address: whoever has one of those has all. It is the zero value for
// lines that no client causes.
type key struct {
	kind   string
	client netip.Prefix
}

// entry is the state of a key.
type entry struct {
	bucket
	leftOut uint64 // not told yet
	level   slog.Level
}

// class is a set of keys with a bound for all of them together.
type class struct {
	each, all bounds
	total     bucket
	keys      map[key]*entry
	others    entry // of all keys beyond maxKeys
	cleaned   time.Time
}

// limiter decides which lines are left out because they are repeated. Lines
// that clients cause have no influence on the others.
type limiter struct {
	tell    func(now time.Time, s summary)
	leftOut atomic.Uint64

	mu      sync.Mutex
	clients class
	own     class
	armed   bool // a report is due
}

func newLimiter() *limiter {
	return &limiter{
		clients: class{each: ofClient, all: ofAllClients, keys: map[key]*entry{}},
		own:     class{each: ofKind, all: ofAllKinds, keys: map[key]*entry{}},
	}
}

// admit tells whether a line may be written. client is the zero value for a
// line that no client caused; of those, errors are bounded by their kind alone.
func (l *limiter) admit(now time.Time, level slog.Level, kind string, client netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &l.own
	if client.IsValid() {
		c = &l.clients
	}
	e := c.entry(now, kind, client)
	e.fill(now, c.each)
	c.total.fill(now, c.all)
	free := c == &l.own && level >= slog.LevelError
	if e.tokens >= 1 && (free || c.total.tokens >= 1) {
		e.tokens--
		c.total.tokens = max(0, c.total.tokens-1)
		return true
	}
	e.leftOut++
	e.level = max(e.level, level)
	l.leftOut.Add(1)
	if !l.armed {
		l.armed = true
		time.AfterFunc(reportEvery, func() { l.report(time.Now()) })
	}
	return false
}

// entry is the state of a key, a shared one if there are too many.
func (c *class) entry(now time.Time, kind string, client netip.Prefix) *entry {
	kind = kind[:min(len(kind), maxKind)]
	if e := c.keys[key{kind, client}]; e != nil {
		return e
	}
	if len(c.keys) >= maxKeys && now.Sub(c.cleaned) >= cleanEvery {
		c.cleaned = now
		c.forget(now)
	}
	if len(c.keys) >= maxKeys {
		return &c.others
	}
	e := &entry{level: slog.LevelDebug}
	c.keys[key{strings.Clone(kind), client}] = e
	return e
}

// forget drops the keys that have all of their tokens again.
func (c *class) forget(now time.Time) {
	maps.DeleteFunc(c.keys, func(_ key, e *entry) bool {
		e.fill(now, c.each)
		return e.leftOut == 0 && e.tokens >= c.each.burst
	})
}

// summary is what was left out of one kind.
type summary struct {
	kind      string
	level     slog.Level // the highest
	lines     uint64
	clients   int    // that caused them; 0 if none did
	greediest string // of the clients
	most      uint64 // lines of the greediest
}

// report tells what was left out since the last report, one line for each kind.
func (l *limiter) report(now time.Time) {
	l.mu.Lock()
	l.armed = false
	list := append(l.own.takeLeftOut(), l.clients.takeLeftOut()...)
	l.mu.Unlock()
	for _, s := range list {
		l.tell(now, s)
	}
}

// otherKinds is the kind of what is beyond maxKeys.
const otherKinds = "(more than can be told apart)"

// maxSummaries bounds the lines of a report, for each class.
const maxSummaries = 20

// takeLeftOut returns the sums by kind, the largest first, and forgets them.
func (c *class) takeLeftOut() []summary {
	sums := map[string]*summary{}
	add := func(k key, e *entry) {
		if e.leftOut == 0 {
			return
		}
		s := sums[k.kind]
		if s == nil {
			s = &summary{kind: k.kind, level: e.level}
			sums[k.kind] = s
		}
		s.add(k.client, e)
		e.leftOut, e.level = 0, slog.LevelDebug
	}
	for k, e := range c.keys {
		add(k, e)
	}
	add(key{kind: otherKinds}, &c.others)
	list := make([]summary, 0, len(sums))
	for _, s := range sums {
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b summary) int {
		return cmp.Or(cmp.Compare(b.lines, a.lines), cmp.Compare(a.kind, b.kind))
	})
	return list[:min(len(list), maxSummaries)]
}

func (s *summary) add(client netip.Prefix, e *entry) {
	s.lines += e.leftOut
	s.level = max(s.level, e.level)
	if !client.IsValid() {
		return
	}
	s.clients++
	if e.leftOut > s.most {
		s.most, s.greediest = e.leftOut, client.String()
		if client.IsSingleIP() {
			s.greediest = client.Addr().String()
		}
	}
}
