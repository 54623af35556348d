package linear

import (
	"slices"

	"github.com/anishathalye/porcupine"
)

// call is the input of an operation on an object.
type call struct {
	kind kind
	// value is what WRITE writes; name and to are places in the directory.
	value    uint32
	name, to int
	// unanswered: the server was killed before it replied.
	unanswered bool
}

type kind int

const (
	crash kind = iota // the server was killed and started again
	write
	read
	create // guarded
	remove
	lookup
	rename
)

// answer is the output.
type answer struct {
	value uint32 // of READ
	file  uint64 // of CREATE and LOOKUP: the file's number
	no    bool   // NFS3ERR_EXIST of CREATE, NFS3ERR_NOENT of the others
}

// state is what an object shows, and what a crash may leave of it.
type state[S comparable] struct {
	now      S
	possible []S
}

// durable is the model of an object that loses in a crash at most what was not acknowledged. apply is its behaviour
// without crashes: the state after a call with an answer, and whether the answer is right.
func durable[S comparable](initial S, apply func(now S, in call, out answer) (S, bool)) porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{state[S]{initial, []S{initial}}} },
		Step: func(before, input, output any) []any {
			s, in := before.(state[S]), input.(call)
			if in.kind == crash {
				var after []any
				for _, p := range s.possible {
					after = append(after, state[S]{p, []S{p}})
				}
				return after
			}
			if in.unanswered {
				return append(s.unanswered(in, apply), s)
			}
			next, ok := apply(s.now, in, output.(answer))
			switch {
			case !ok:
				return nil
			case changes(in.kind) && !output.(answer).no:
				// Everything before it is durable with it: what is durable is a prefix of what was seen.
				return []any{state[S]{next, []S{next}}}
			}
			return []any{state[S]{next, s.possible}}
		},
		Equal: func(a, b any) bool {
			x, y := a.(state[S]), b.(state[S])
			return x.now == y.now && slices.Equal(x.possible, y.possible)
		},
	}
	return m.ToModel()
}

func changes(k kind) bool { return k == write || k == create || k == remove || k == rename }

// unanswered is the state if the call happened.
func (s state[S]) unanswered(in call, apply func(S, call, answer) (S, bool)) []any {
	next, ok := apply(s.now, in, answer{file: unknownFile})
	if !ok {
		return nil
	}
	after := state[S]{next, s.possible}
	if !slices.Contains(s.possible, next) {
		after.possible = append(slices.Clone(s.possible), next)
	}
	return []any{after}
}

// block is a block of a file: a register.
var block = durable(uint32(0), func(now uint32, in call, out answer) (uint32, bool) {
	switch in.kind {
	case write:
		return in.value, true
	case read:
		return now, in.unanswered || out.value == now
	}
	return now, false
})

const (
	namesOfDirectory = 4
	// unknownFile is the number of a file that was made without an answer, until a LOOKUP tells it.
	unknownFile = ^uint64(0)
)

// entries is a directory: the file under each name; 0: none.
type entries [namesOfDirectory]uint64

var directory = durable(entries{}, func(now entries, in call, out answer) (entries, bool) {
	file := now[in.name]
	if in.unanswered {
		out.no = file == 0
	}
	switch in.kind {
	case create:
		if in.unanswered && file != 0 || out.no && !in.unanswered {
			return now, file != 0
		}
		now[in.name] = out.file
		return now, file == 0
	case remove:
		now[in.name] = 0
		return now, out.no == (file == 0)
	case lookup:
		if file == unknownFile && !out.no && !in.unanswered {
			now[in.name] = out.file
			return now, true
		}
		return now, in.unanswered || out.no == (file == 0) && (out.no || out.file == file)
	case rename:
		if file != 0 {
			now[in.name], now[in.to] = 0, file
		}
		return now, out.no == (file == 0)
	}
	return now, false
})
