package backup

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/dittofs/dittofs/internal/content"
)

// A content store has one server. It holds no lease there, since an idle server
// writes nothing; but a server looks for a question there now and then, and
// answers it. So whoever is about to restore asks first. A server that was cut
// off at that time finds the mark of the restore when it comes back.
const (
	questionID   = "restores/question"
	answerPrefix = "restores/answer-"
	// askEvery is how often a server looks, and restoredEvery how often for the
	// mark of a restore.
	askEvery      = 2 * time.Second
	restoredEvery = 15 // times askEvery
	// AskFor is how long an answer is waited for.
	AskFor = 10 * time.Second
	// maxAnswer bounds questions and answers, in bytes.
	maxAnswer = 1024
)

// ErrSuperseded means that the metadata was restored from a backup elsewhere.
var ErrSuperseded = errors.New("the metadata of this server was restored from a backup into another metadata store, " +
	"which owns the content store now")

// AskOwner asks whether a server uses the content store, and returns ErrAlive
// with its name if it answers within the time.
func AskOwner(ctx context.Context, store content.Store, wait time.Duration) (err error) {
	nonce := strings.ToLower(rand.Text())
	if err := store.Delete(ctx, questionID); err != nil { // of one that was cut off
		return fmt.Errorf("content store: %w", err)
	}
	if err := store.Put(ctx, questionID, strings.NewReader(nonce), int64(len(nonce))); err != nil {
		return fmt.Errorf("content store: %w", err)
	}
	answer := answerPrefix + nonce
	defer func() {
		ctx := context.WithoutCancel(ctx)
		err = errors.Join(err, store.Delete(ctx, questionID), store.Delete(ctx, answer))
	}()
	for end := time.Now().Add(wait); ; {
		who, err := readObject(ctx, store, answer, maxAnswer)
		switch {
		case err == nil:
			return fmt.Errorf("%w (%q): stop it first", ErrAlive, who)
		case !errors.Is(err, content.ErrNotFound):
			return fmt.Errorf("content store: %w", err)
		case time.Now().After(end):
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Owner is the part of a server that answers questions.
type Owner struct {
	Content content.Store
	// Generation is what Inspect says of the metadata.
	Generation uint64
	Name       string // of the server, such as host/pid
	Logger     *slog.Logger
	// Superseded is called once the metadata was restored elsewhere.
	Superseded func(error)
}

// Run answers until ctx ends.
func (o *Owner) Run(ctx context.Context) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	answered := ""
	for n := 0; ; n++ {
		if n%restoredEvery == 0 {
			if err := o.checkRestores(ctx); errors.Is(err, ErrSuperseded) {
				o.Superseded(err)
				return
			}
		}
		nonce, err := o.answer(ctx, answered)
		if err != nil && ctx.Err() == nil {
			o.Logger.Debug("a question in the content store was not answered", "error", err)
		}
		answered = nonce
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// answer answers the question, if there is one that was not answered yet.
func (o *Owner) answer(ctx context.Context, answered string) (nonce string, err error) {
	if _, err := o.Content.Size(ctx, questionID); errors.Is(err, content.ErrNotFound) {
		return "", nil
	}
	question, err := readObject(ctx, o.Content, questionID, maxAnswer)
	nonce = string(question)
	if err != nil || nonce == answered {
		return answered, err
	}
	if content.CheckID(answerPrefix+nonce) != nil {
		return nonce, fmt.Errorf("%s holds %s", questionID, hex.EncodeToString(question))
	}
	o.Logger.Warn("somebody is about to restore the metadata of this server; it is told that the server runs")
	err = o.Content.Put(ctx, answerPrefix+nonce, strings.NewReader(o.Name), int64(len(o.Name)))
	return nonce, err
}

// checkRestores returns ErrSuperseded if the metadata was restored elsewhere.
func (o *Owner) checkRestores(ctx context.Context) error {
	last, err := lastRestore(ctx, o.Content)
	if err == nil && last > o.Generation {
		err = fmt.Errorf("%w (generation %d, this is %d): stop this server and give it the other metadata store, "+
			"or another content store", ErrSuperseded, last, o.Generation)
	}
	return err
}
