package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/backup"
	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/pkg/health"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// metric reads one that has no labels; -1 if it is not there.
func (r *running) metric(t *testing.T, name string) float64 {
	t.Helper()
	_, text := r.get(t, "/metrics")
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(text)
	if found == nil {
		return -1
	}
	v, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// backupHealth reads what the report says of backups.
func (r *running) backupHealth(t *testing.T) health.Backup {
	t.Helper()
	var report health.Report
	if _, body := r.get(t, "/readyz?format=json"); json.Unmarshal([]byte(body), &report) != nil || report.Backup == nil {
		t.Fatal(body)
	}
	return *report.Backup
}

func TestBackupsThatDoNotKeepToTheirScheduleAreReported(t *testing.T) {
	now := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) backup.Status { return backup.Status{RecoveryPoint: now.Add(-d)} }
	failed := func(s backup.Status, err error) backup.Status {
		s.LastErr = err
		return s
	}
	away := &fault.Error{Store: "content", Reason: fault.Unreachable, Message: "content.endpoint: no way"}
	for name, test := range map[string]struct {
		status          backup.Status
		every           time.Duration
		reason, message string
	}{
		"no schedule":               {backup.Status{}, 0, "", ""},
		"no schedule, old":          {failed(ago(1000*time.Hour), away), 0, "", ""},
		"new":                       {ago(0), time.Hour, "", ""},
		"twice as old":              {ago(2 * time.Hour), time.Hour, "", ""},
		"older":                     {ago(2*time.Hour + 1), time.Hour, health.BackupOverdue, "what came after 2030-01-02T09:59:59Z is in no backup; backup.every is 1h0m0s"},
		"none":                      {backup.Status{}, time.Hour, health.BackupNone, "no backup is known yet"},
		"none, because it failed":   {failed(backup.Status{}, errors.New("no\nroom")), time.Hour, health.BackupFailed, "the last backup failed, and is tried again: no room"},
		"the content store is away": {failed(ago(0), fmt.Errorf("attempt 17: %w", away)), time.Hour, fault.Unreachable, "the last backup failed, and is tried again: content.endpoint: no way"},
	} {
		t.Run(name, func(t *testing.T) {
			b := judgeBackup(test.status, test.every, now)
			if b.OK != (test.reason == "") || b.Reason != test.reason || b.Message != test.message {
				t.Errorf("%+v", b)
			}
			if point := test.status.RecoveryPoint; (b.RecoveryPoint == nil) != point.IsZero() || b.RecoveryPoint != nil &&
				!b.RecoveryPoint.Equal(point) {
				t.Errorf("the recovery point is %v", b.RecoveryPoint)
			}
		})
	}
}

func scheduled(t *testing.T, dir string, every time.Duration) *config.Config {
	t.Helper()
	cfg := configuration(t, dir)
	cfg.Backup = config.Backup{Every: config.Duration(every), Keep: 2}
	return cfg
}

// TestBackupsAreMadeBySchedule is about the loop alone, with times that a
// configuration file does not allow.
func TestBackupsAreMadeBySchedule(t *testing.T) {
	dir := t.TempDir()
	r := start(t, scheduled(t, dir, 100*time.Millisecond))
	made := func() float64 { return r.metric(t, "dittofs_backups_total") }
	point := func() float64 { return r.metric(t, "dittofs_backup_recovery_point_seconds") }
	eventually(t, "the first backup is made at once", func() bool { return made() == 1 })

	// Nothing has changed: nothing is made, and the recovery point goes on.
	before := point()
	eventually(t, "the recovery point goes on", func() bool { return point() > before+0.3 })
	if n := made(); n != 1 {
		t.Errorf("%v backups of what did not change", n)
	}

	c := r.dial(t)
	top := mount(t, c, "/export")
	for _, name := range []string{"a", "b"} {
		n := made()
		put(t, c, top, name, []byte("hello"), nfsclient.FileSync)
		eventually(t, "a change is in a backup", func() bool { return made() > n })
	}
	if kept := r.metric(t, "dittofs_backups_kept"); kept != 2 {
		t.Errorf("%v are kept", kept)
	}

	// One that fails is tried again, and the recovery point says how old the last is.
	backups := filepath.Join(dir, "content", "backups")
	away := filepath.Join(t.TempDir(), "backups")
	eventually(t, "no backup is under way", func() bool {
		return os.Rename(backups, away) == nil && os.WriteFile(backups, nil, 0o600) == nil
	})
	put(t, c, top, "c", []byte("hello"), nfsclient.FileSync)
	eventually(t, "failures are counted", func() bool { return r.metric(t, "dittofs_backup_failures_total") >= 2 })
	eventually(t, "the report says that it failed", func() bool {
		b := r.backupHealth(t)
		return !b.OK && b.Reason == health.BackupFailed && strings.Contains(b.Message, "backups") && b.RecoveryPoint != nil
	})
	stuck, n := point(), made()
	if again := point(); again != stuck {
		t.Errorf("the recovery point went from %v to %v without a backup", stuck, again)
	}
	if err := os.Remove(backups); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(away, backups); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a backup is made again", func() bool { return made() > n && point() > stuck })
	eventually(t, "the report says that it went well", func() bool {
		b := r.backupHealth(t)
		return b.OK && b.Message == "" && b.RecoveryPoint != nil && float64(b.RecoveryPoint.UnixNano())/1e9 > stuck
	})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}

	// The next server counts from the last backup of the one before.
	r = start(t, scheduled(t, dir, time.Hour))
	eventually(t, "the backups are known", func() bool { return point() > 0 })
	c = r.dial(t)
	for top, i := mount(t, c, "/export"), 0; i < 20; i++ { // time enough for one that would be made at once
		put(t, c, top, strconv.Itoa(i), []byte("hello"), nfsclient.FileSync)
	}
	if n := made(); n != 0 {
		t.Errorf("%v backups after a restart, and the last one is new", n)
	}
}
