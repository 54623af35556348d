package vfs

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/keys"
	"github.com/dittofs/dittofs/internal/vfs/layout"
)

const (
	reapInline = 16   // extents that REMOVE takes with it
	reapStep   = 1024 // extents in one batch of the reaper
)

// An orphan key names an inode that no name leads to, or only the extents that are
// left of one. The reaper takes it apart, unless somebody holds it.

// startReaper begins to reclaim orphans, those of an earlier run first. It sleeps
// while there are none.
func (fs *FS) startReaper() {
	ctx, cancel := context.WithCancel(context.Background())
	fs.stop = cancel
	fs.stopped.Go(func() {
		for {
			if err := fs.sweep(ctx); err != nil && ctx.Err() == nil {
				fs.logger.Error("cannot list removed files; trying again with the next one", "error", err)
			}
			select {
			case <-ctx.Done():
				return
			case <-fs.wakeReaper:
			}
		}
	})
}

// wake has the reaper look for orphans.
func (fs *FS) wake() {
	select {
	case fs.wakeReaper <- struct{}{}:
	default: // it will
	}
}

// sweep reclaims the orphans that the store lists. One that cannot be reclaimed does
// not stop the others.
func (fs *FS) sweep(ctx context.Context) error {
	return meta.Each(ctx, fs.log, meta.PrefixRange([]byte{keys.Orphan}), 256, func(p meta.Pair) error {
		if err := fs.reapKey(ctx, p.Key); err != nil && ctx.Err() == nil {
			fs.logger.Error("cannot reclaim a removed file; trying again with the next one", "error", err)
		}
		return ctx.Err()
	})
}

func (fs *FS) reapKey(ctx context.Context, key []byte) error {
	if len(key) != 9 {
		return fmt.Errorf("%w: orphan key of %d bytes", meta.ErrCorrupt, len(key))
	}
	ino := binary.BigEndian.Uint64(key[1:])
	if err := fs.reap(ctx, ino); err != nil {
		return fmt.Errorf("inode %d: %w", ino, err)
	}
	return nil
}

// reap takes an orphan apart, in bounded batches: the inode, if it is still there, and
// then its extents.
func (fs *FS) reap(ctx context.Context, ino uint64) error {
	switch gone, err := fs.reapInode(ctx, ino); {
	case err != nil:
		return err
	case !gone:
		return nil // it is held, and comes again when it is not
	}
	for done := false; !done; {
		b, last, err := fs.data.Reap(ctx, ino, reapStep)
		if err != nil {
			return err
		}
		if last {
			b.Delete(layout.OrphanKey(ino))
		}
		if err := fs.log.Submit(b).Wait(); err != nil {
			return err
		}
		done = last
	}
	return ctx.Err()
}

// reapInode removes the inode of an orphan; false if somebody holds it.
func (fs *FS) reapInode(ctx context.Context, ino uint64) (gone bool, err error) {
	n, err := fs.nodes.get(ctx, ino)
	if err == ESTALE {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer fs.nodes.put(n)
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.removed:
		return true, nil
	case n.holds > 0:
		return false, nil
	case n.rec.Nlink > 0:
		return false, fmt.Errorf("%w: it has a name, and is listed as an orphan", meta.ErrCorrupt)
	}
	fs.loading.Lock() // so that no share reads its usage between here and the batch
	defer fs.loading.Unlock()
	var share *shareState
	if s, ok := fs.shares.Load(n.rec.Share); ok {
		share = s.(*shareState)
	}
	b := &meta.Batch{}
	if err := fs.dropInode(ctx, b, n, share); err != nil {
		return false, err
	}
	b.Put(layout.OrphanKey(ino), []byte{1}) // until its extents are gone
	n.ticket = fs.log.Submit(b)
	fs.afterDrop(n)
	return true, nil
}
