package linear

import (
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// history is what happened to one object.
type history struct {
	model porcupine.Model

	mu  sync.Mutex
	all []porcupine.Operation
}

// add notes an operation; end is the moment of the answer, or of the end of the connection.
func (h *history) add(client int, in call, out answer, began, end time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, porcupine.Operation{
		ClientId: client, Input: in, Output: out, Call: int64(began), Return: int64(end),
	})
}

// check says how many operations there were, and whether some order explains them.
func (h *history) check(limit time.Duration) (int, porcupine.CheckResult) {
	return len(h.all), porcupine.CheckOperationsTimeout(h.model, h.all, limit)
}

// steps makes a history of calls one after the other, for the tests of the models.
func steps(model porcupine.Model, ops ...porcupine.Operation) *history {
	h := &history{model: model}
	for i, op := range ops {
		op.Call, op.Return = int64(10*i), int64(10*i+5)
		if op.Output == nil {
			op.Output = answer{}
		}
		if op.Input.(call).unanswered {
			// until the next crash
			for j := i; j < len(ops); j++ {
				op.Return = int64(10*j + 5)
				if ops[j].Input.(call).kind == crash {
					op.Return = int64(10*j) - 1
					break
				}
			}
		}
		h.all = append(h.all, op)
	}
	return h
}

func did(in call, out answer) porcupine.Operation {
	return porcupine.Operation{Input: in, Output: out}
}

func TestTheModelsRefuseWhatNoServerMayAnswer(t *testing.T) {
	w := func(v uint32) porcupine.Operation { return did(call{kind: write, value: v}, answer{}) }
	lostWrite := func(v uint32) porcupine.Operation {
		return did(call{kind: write, value: v, unanswered: true}, answer{})
	}
	r := func(v uint32) porcupine.Operation { return did(call{kind: read}, answer{value: v}) }
	killed := did(call{kind: crash}, answer{})
	made := func(name int, file uint64) porcupine.Operation {
		return did(call{kind: create, name: name}, answer{file: file})
	}
	exists := func(name int) porcupine.Operation { return did(call{kind: create, name: name}, answer{no: true}) }
	removed := func(name int) porcupine.Operation { return did(call{kind: remove, name: name}, answer{}) }
	found := func(name int, file uint64) porcupine.Operation {
		return did(call{kind: lookup, name: name}, answer{file: file})
	}
	absent := func(name int) porcupine.Operation { return did(call{kind: lookup, name: name}, answer{no: true}) }
	moved := func(name, to int) porcupine.Operation { return did(call{kind: rename, name: name, to: to}, answer{}) }
	lost := func(in call) porcupine.Operation { in.unanswered = true; return did(in, answer{}) }
	histories := []struct {
		what  string
		model porcupine.Model
		ops   []porcupine.Operation
		legal bool
	}{
		{"a block is read as it was written", block, []porcupine.Operation{r(0), w(1), r(1), w(2), r(2), killed, r(2)}, true},
		{"a stale read", block, []porcupine.Operation{w(1), w(2), r(1)}, false},
		{"a write that a kill took away", block, []porcupine.Operation{w(1), w(2), killed, r(1)}, false},
		{"zeros after a kill", block, []porcupine.Operation{w(1), killed, r(0)}, false},
		{"an unanswered write that happened", block, []porcupine.Operation{w(1), lostWrite(2), killed, r(2), r(2)}, true},
		{"an unanswered write that did not happen", block, []porcupine.Operation{w(1), lostWrite(2), killed, r(1), r(1)}, true},
		{"an unanswered write that was seen and lost", block, []porcupine.Operation{w(1), lostWrite(2), r(2), killed, r(1)}, true},
		{"an unanswered write that comes and goes", block, []porcupine.Operation{w(1), lostWrite(2), killed, r(2), r(1)}, false},
		{"an unanswered write that happens after the next start", block, []porcupine.Operation{w(1), lostWrite(2), killed, r(1), r(2)}, false},
		{"a write of before an acknowledged one comes back", block, []porcupine.Operation{w(1), w(2), killed, killed, r(1)}, false},
		{"names come and go", directory, []porcupine.Operation{absent(0), made(0, 7), exists(0), found(0, 7), moved(0, 1), absent(0), found(1, 7), removed(1), killed, absent(1)}, true},
		{"two make the same name", directory, []porcupine.Operation{made(0, 7), made(0, 8)}, false},
		{"a removed name is found", directory, []porcupine.Operation{made(0, 7), removed(0), found(0, 7)}, false},
		{"a removed name comes back", directory, []porcupine.Operation{made(0, 7), removed(0), killed, found(0, 7)}, false},
		{"a name is lost", directory, []porcupine.Operation{made(0, 7), killed, absent(0)}, false},
		{"half a rename", directory, []porcupine.Operation{made(0, 7), moved(0, 1), killed, found(1, 7), found(0, 7)}, false},
		{"half of an unanswered rename", directory, []porcupine.Operation{made(0, 7), lost(call{kind: rename, name: 0, to: 1}), killed, absent(0), absent(1)}, false},
		{"an unanswered rename", directory, []porcupine.Operation{made(0, 7), lost(call{kind: rename, name: 0, to: 1}), killed, absent(0), found(1, 7)}, true},
		{"an unanswered create", directory, []porcupine.Operation{lost(call{kind: create, name: 0}), killed, found(0, 9), found(0, 9), exists(0)}, true},
		{"an unanswered create of two files", directory, []porcupine.Operation{lost(call{kind: create, name: 0}), killed, found(0, 9), found(0, 8)}, false},
	}
	for _, h := range histories {
		_, result := steps(h.model, h.ops...).check(time.Minute)
		if (result == porcupine.Ok) != h.legal {
			t.Errorf("%s: %v, legal: %v", h.what, result, h.legal)
		}
	}
}
