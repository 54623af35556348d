package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// attempts keeps a batch from coming back. When a connection breaks, the batch
// that was sent on it may still be on its way (in the network, in a pooler, in
// a server that hangs) and take effect much later: after it was sent again and
// acknowledged, and after later batches changed the same keys. So whenever the
// outcome of a batch is unknown, the number that every Apply carries beside
// the epoch is raised before anything else is sent: a batch with the old number
// has then either taken effect, or never will.
//
// The zero value is what a takeover leaves.
type attempts struct {
	turn   chan struct{} // holds one token; guards the rest
	number int64         // the current one
	lost   int64         // numbers below it are not safe to use
}

func newAttempts() attempts {
	a := attempts{turn: make(chan struct{}, 1)}
	a.turn <- struct{}{}
	return a
}

const raiseSQL = `UPDATE dittofs.owner SET attempt = attempt + 1
	WHERE epoch = $1 AND set_config('synchronous_commit', 'on', true) IS NOT NULL RETURNING attempt`

// current returns the number to send a batch under, after raising it if need
// be. Raising waits for batches that the server is working on.
func (a *attempts) current(ctx context.Context, s *Store) (int64, error) {
	select {
	case <-a.turn:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { a.turn <- struct{}{} }()
	if a.number >= a.lost {
		return a.number, nil
	}
	err := s.with(ctx, func(conn *pgx.Conn) error {
		var number int64
		err := conn.QueryRow(ctx, raiseSQL, s.epoch).Scan(&number)
		if errors.Is(err, pgx.ErrNoRows) {
			return s.fenced(ctx, conn)
		}
		a.number = max(a.number, number)
		return err
	})
	return a.number, err
}

// unknown notes that a batch sent under number may or may not take effect.
func (a *attempts) unknown(number int64) {
	<-a.turn
	a.lost = max(a.lost, number+1)
	a.turn <- struct{}{}
}

// learn notes the number in the database: raising it may have taken effect
// without our knowledge.
func (a *attempts) learn(number int64) {
	<-a.turn
	a.number = max(a.number, number)
	a.turn <- struct{}{}
}
