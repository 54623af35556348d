package budget

import (
	"container/heap"
	"time"
)

// waiter is a connection that waits for n bytes.
type waiter struct {
	account *Account
	n       int64
	turn    int64
	done    chan error // receives once
	index   int        // in its queue
}

// age is how many bytes a second of waiting weighs: so many more may one hold
// and want, and be served first.
const age = 512 << 10

// turn orders waiters: who holds and wants less comes first, and time makes up
// for it, so that nobody waits for ever.
func turn(bytes int64, now time.Time) int64 { return bytes + now.Sub(start).Milliseconds()*age/1000 }

// queue is the waiters of a host, a heap by turn.
type queue []*waiter

func (q *queue) push(w *waiter)   { heap.Push(q, w) }
func (q *queue) remove(w *waiter) { heap.Remove(q, w.index) }

// The rest is heap.Interface.

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].turn < q[j].turn }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *queue) Push(x any) {
	w := x.(*waiter)
	w.index = len(*q)
	*q = append(*q, w)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	w := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return w
}
