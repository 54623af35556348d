package pagecache

import (
	"sync"
	"time"
)

const (
	// leastAhead is how far ahead of a reader in order is fetched at least, and
	// firstAhead how far when it begins.
	leastAhead = 1 << 20
	firstAhead = 4 * maxRun
	// worthIt is how much faster a reader must become for a window of twice the
	// size to stay.
	worthIt = 1.1
	// settleFor is how many measurements a window that was too large for nothing
	// is not tried again.
	settleFor = 16
)

// window is how far ahead of one reader is fetched. What it takes for the
// reader never to wait is the bandwidth of the store times its delay, and both
// are unknown. So while the reader waits for what it reads, the window is
// doubled, as long as each time makes the reader faster. What brings nothing is
// taken back, for it takes memory from others.
//
// A measurement lasts for as many bytes as the window has: what was asked for
// at its end is what was asked for with that window.
type window struct {
	size   int64     // bytes
	first  int64     // size for the next reader
	began  time.Time // of the measurement
	from   uint64    // where the reader was then
	waited bool      // it had to, since
	grown  bool      // the size was doubled after the last measurement
	rate   float64   // bytes a second in the last measurement
	rest   int       // measurements before the window is doubled again
}

// begin is for a reader at a place. Of what was asked for ahead of the one
// before it, asked bytes, unread were not read: one who stops so early gets less
// the next time.
func (w *window) begin(now time.Time, at, asked, unread uint64) {
	switch {
	case w.first == 0:
		w.first = firstAhead
	case asked > 0 && unread > asked/2:
		w.first = max(w.first/2, leastAhead)
	case asked > 0:
		w.first = min(w.first*2, firstAhead)
	}
	*w = window{size: w.first, first: w.first, began: now, from: at}
}

// note takes in that the reader has come to a place, and whether it had to wait
// for what it read last.
func (w *window) note(now time.Time, at uint64, waited bool) {
	w.waited = w.waited || waited
	if at < w.from+uint64(w.size) {
		return
	}
	took := max(now.Sub(w.began), time.Microsecond)
	rate := float64(at-w.from) / took.Seconds()
	grown := w.grown
	w.grown = false
	switch {
	case grown && rate < worthIt*w.rate:
		w.size /= 2
		w.rest = settleFor
	case w.rest > 0:
		w.rest--
	case w.waited:
		w.size *= 2
		w.grown = true
	}
	w.rate, w.began, w.from, w.waited = rate, now, at, false
}

// lost takes in that something was fetched for the reader, and is gone before it
// came there: there is no room for so much.
func (w *window) lost() {
	w.size = max(w.size/2, leastAhead)
	w.grown, w.rest = false, settleFor
}

// limit bounds the size.
func (w *window) limit(most int64) {
	if w.size > most {
		w.size = max(most, leastAhead)
		w.grown = false
	}
}

// shareTurn is how long a reader counts as active, once or twice.
const shareTurn = 500 * time.Millisecond

// shares divides the memory for what is fetched ahead equally among those
// who read in order at the same time.
type shares struct {
	total int64     // bytes
	began time.Time // any time before the first read

	mu          sync.Mutex
	turn        int64 // number of the current one, from 1; it only grows
	now, before int   // readers of this turn, and of the one before it
}

// of returns the share of a reader, which keeps the turn of its last read. now
// may be a little before that of another reader who came here first.
func (s *shares) of(now time.Time, last *int64) int64 {
	turn := 1 + int64(now.Sub(s.began)/shareTurn)
	s.mu.Lock()
	defer s.mu.Unlock()
	if turn > s.turn {
		if s.before = 0; turn == s.turn+1 {
			s.before = s.now
		}
		s.turn, s.now = turn, 0
	}
	if *last != s.turn {
		*last = s.turn
		s.now++
	}
	return s.total / int64(max(s.now, s.before))
}
