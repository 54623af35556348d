package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/dittofs/dittofs/internal/backup"
	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/pkg/health"
)

// overdue is how many times backup.every the recovery point may be old: one
// backup takes its time, and one that failed is tried again.
const overdue = 2

// newMaker returns nil if a backup would end with the server.
func newMaker(cfg *config.Config, s *stores, instance string, logger *slog.Logger) *backup.Maker {
	if cfg.Content.Type == config.ContentMemory || backendOf(cfg).Volatile {
		return nil
	}
	store := s.content
	if cfg.Content.Type == config.ContentFilesystem && sameDisk(cfg.Metadata.Path, cfg.Content.Path) {
		store = reserving{store, s.reserve}
	}
	return backup.New(backup.Options{
		Log: s.log, Content: store, Instance: instance, Generation: s.generation, Keep: int(cfg.Backup.Keep), Logger: logger,
	})
}

// startBackups begins what backups need in the background, until ctx ends:
// which segments they refer to, the schedule, and the answer to those who would
// restore over this server.
func (s *server) startBackups(ctx context.Context) *sync.WaitGroup {
	var work sync.WaitGroup
	if s.stores.backup == nil {
		return &work
	}
	work.Go(func() {
		s.stores.backup.Start(ctx, s.stores.data)
		if every := s.cfg.Backup.Every.Duration(); every > 0 {
			s.runSchedule(ctx, every)
		}
	})
	host, _ := os.Hostname()
	owner := &backup.Owner{
		Content: s.stores.content, Generation: s.stores.generation, Logger: s.log, Superseded: s.fail,
		Name: fmt.Sprintf("%s, pid %d, NFS at %s", host, os.Getpid(), s.cfg.NFS.Listen),
	}
	work.Go(func() { owner.Run(ctx) })
	return &work
}

// runSchedule makes a backup whenever the last one is as old as that. One that
// failed is tried again after a tenth of the time.
func (s *server) runSchedule(ctx context.Context, every time.Duration) {
	for wait := time.Until(s.stores.backup.Status().RecoveryPoint.Add(every)); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait): // at once if it is past
		}
		wait = every
		if _, err := s.stores.backup.RunIfChanged(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, backup.ErrBusy) {
			wait = every / 10
			s.log.Error("a backup of the metadata failed", "error", err,
				"recovery_point", s.stores.backup.Status().RecoveryPoint, "again_in", wait)
		}
	}
}

// backupHealth is what reports say of backups; nil if there can be none.
func (s *server) backupHealth() *health.Backup {
	if s.stores.backup == nil {
		return nil
	}
	return judgeBackup(s.stores.backup.Status(), s.cfg.Backup.Every.Duration(), time.Now())
}

// judgeBackup says whether backups keep to their schedule; every is 0 without.
// What it says stays the same until something happens: the operator writes it
// into a status.
func judgeBackup(st backup.Status, every time.Duration, now time.Time) *health.Backup {
	b := &health.Backup{OK: true}
	if !st.RecoveryPoint.IsZero() {
		point := st.RecoveryPoint.UTC()
		b.RecoveryPoint = &point
	}
	not := func(reason, message string) *health.Backup {
		b.OK, b.Reason, b.Message = false, reason, message
		return b
	}
	switch {
	case every == 0:
	case st.LastErr != nil:
		reason, why := health.BackupFailed, st.LastErr.Error()
		if f := fault.Of(st.LastErr); f != nil { // in one line, and without what differs each time
			reason, why = f.Reason, f.Message
		}
		return not(reason, "the last backup failed, and is tried again: "+strings.Join(strings.Fields(why), " "))
	case b.RecoveryPoint == nil:
		return not(health.BackupNone, "no backup is known yet")
	case now.Sub(st.RecoveryPoint) > overdue*every:
		return not(health.BackupOverdue, fmt.Sprintf("what came after %s is in no backup; backup.every is %s",
			b.RecoveryPoint.Format(time.RFC3339), every))
	}
	return b
}

// registerBackup shows how old the last backup is.
func (s *stores) registerBackup(m *metrics) {
	if s.backup == nil {
		return
	}
	read := func(f func(backup.Status) float64) func() float64 {
		return func() float64 { return f(s.backup.Status()) }
	}
	m.gauge("dittofs_backup_recovery_point_seconds", "Time (Unix) up to which every acknowledged change is in a backup; "+
		"0 if there is none.", read(func(s backup.Status) float64 {
		if s.RecoveryPoint.IsZero() {
			return 0
		}
		return float64(s.RecoveryPoint.UnixNano()) / 1e9
	}))
	m.gauge("dittofs_backup_duration_seconds", "How long the last backup took.",
		read(func(s backup.Status) float64 { return s.LastTook.Seconds() }))
	m.gauge("dittofs_backup_last_written_bytes", "Bytes that the last backup added to the content store.",
		read(func(s backup.Status) float64 { return float64(s.LastWritten) }))
	m.gauge("dittofs_backups_kept", "Backups in the content store.",
		read(func(s backup.Status) float64 { return float64(s.Kept) }))
	m.counter("dittofs_backup_written_bytes_total", "Bytes that backups added to the content store.",
		read(func(s backup.Status) float64 { return float64(s.Written) }))
	m.counter("dittofs_backups_total", "Backups made.", read(func(s backup.Status) float64 { return float64(s.Made) }))
	m.counter("dittofs_backup_failures_total", "Backups that failed.",
		read(func(s backup.Status) float64 { return float64(s.Failed) }))
}
