package apply

import (
	"crypto/sha256"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// refusals remembers for a while what the API server has refused: a server whose
// stores are elsewhere is looked at every two seconds, and what is refused is so
// for long. It is safe for concurrent use.
type refusals struct {
	mu    sync.Mutex
	known map[[sha256.Size]byte]refusal // by question
}

type refusal struct {
	err   error
	until time.Time
}

// question identifies an intent and the object that it is for, as people and
// controllers mean it: once one of them is another, the answer may be.
func question(want map[string]any, live client.Object, exists bool) ([sha256.Size]byte, error) {
	asked := digest(want)
	if !exists {
		return asked, nil
	}
	have, err := toMap(live)
	if err != nil {
		return asked, err
	}
	seen := fingerprint(have)
	return sha256.Sum256(append(asked[:], seen[:]...)), nil
}

// recall returns a refusal that is still taken as the answer, or nil.
func (r *refusals) recall(asked [sha256.Size]byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.known[asked]; ok && time.Now().Before(known.until) {
		return known.err
	}
	return nil
}

// note remembers a refusal, and forgets those whose time is over.
func (r *refusals) note(asked [sha256.Size]byte, err error, pause time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for asked, known := range r.known {
		if !now.Before(known.until) {
			delete(r.known, asked)
		}
	}
	if pause <= 0 {
		return
	}
	if r.known == nil {
		r.known = map[[sha256.Size]byte]refusal{}
	}
	r.known[asked] = refusal{err, now.Add(pause)}
}
