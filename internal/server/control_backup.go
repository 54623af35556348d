package server

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/dittofs/dittofs/internal/backup"
	"github.com/dittofs/dittofs/internal/printable"
	"github.com/dittofs/dittofs/internal/report"
)

// progressEvery is the least time between two lines of progress.
const progressEvery = 200 * time.Millisecond

// controlBackup makes a backup now.
func (s *server) controlBackup(ctx context.Context, args json.RawMessage, emit func(any) error) error {
	if err := decodeArgs(args, &struct{}{}); err != nil {
		return err
	}
	if s.stores.backup == nil {
		return errors.New("a store of this server is memory, which ends with it: there is nothing to make a backup of, " +
			"or nowhere to put it")
	}
	var last time.Time
	made, err := s.stores.backup.Run(ctx, func(p backup.Progress) {
		if time.Since(last) >= progressEvery {
			last = time.Now()
			_ = emit(report.BackupLine{Keys: p.Pairs, Written: p.Written}) // a client that is gone ends ctx
		}
	})
	if err != nil {
		return err
	}
	info := describeBackup(backup.Entry{Manifest: made})
	s.log.Info("made a backup of the metadata", "backup", made.Name, "keys", info.Keys, "bytes", info.Bytes,
		"written", info.Written)
	return emit(report.BackupLine{Backup: &info})
}

func describeBackup(e backup.Entry) report.Backup {
	if e.Err != nil {
		return report.Backup{Name: e.Name, Error: printable.Line(e.Err.Error())}
	}
	return report.Backup{
		Name: e.Name, RecoveryPoint: e.Moment, Keys: e.Pairs(), Segments: len(e.Segments), Bytes: e.Bytes(),
		Written: e.Written,
	}
}
