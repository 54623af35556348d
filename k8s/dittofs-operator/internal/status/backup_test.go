package status

import (
	"reflect"
	"strings"
	"testing"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/pkg/health"
)

func TestBackupsAreJudgedByWhatTheServerSays(t *testing.T) {
	const yes, no, dunno = metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown
	point := noon.Add(-time.Hour).Truncate(time.Second)
	unscheduled := func(o *Observation) { o.Server.Spec.Backup.Every = nil }
	says := func(b *health.Backup) func(*Observation) {
		return func(o *Observation) { o.Report.Backup = b }
	}
	knew := func(o *Observation) {
		o.Server.Status.Backup = &v1alpha1.BackupStatus{RecoveryPoint: metav1.NewTime(point)}
	}
	local := func(o *Observation) {
		every, report := o.Server.Spec.Backup.Every, o.Report
		*o = healthy()
		o.Server.Spec.Backup.Every, o.Report = every, report
	}
	later := point.Add(700 * time.Millisecond)
	fine := &health.Backup{RecoveryPoint: &later, OK: true}
	failed := &health.Backup{RecoveryPoint: &later, Reason: health.BackupFailed, Message: "said of its backups"}
	for name, test := range map[string]struct {
		changes []func(*Observation)
		status  metav1.ConditionStatus
		reason  string
		known   bool // the recovery point
	}{
		"on schedule":                  {[]func(*Observation){says(fine)}, yes, "OnSchedule", true},
		"stores in the pod":            {[]func(*Observation){says(fine), local}, yes, "OnSchedule", true},
		"failed":                       {[]func(*Observation){says(failed)}, no, health.BackupFailed, true},
		"no word":                      {[]func(*Observation){says(&health.Backup{Reason: "no way"})}, no, "Fault", false},
		"none yet":                     {[]func(*Observation){says(&health.Backup{Reason: health.BackupNone})}, no, health.BackupNone, false},
		"starting":                     {[]func(*Observation){knew, notReady, starting}, dunno, "Starting", true},
		"silent":                       {[]func(*Observation){knew, silent}, dunno, "NoReport", true},
		"an old server":                {nil, dunno, "NoReport", false},
		"hibernated":                   {[]func(*Observation){knew, func(o *Observation) { o.Server.Spec.Replicas = ptr.To[int32](0) }, noPod, silent}, dunno, "Hibernated", true},
		"by hand":                      {[]func(*Observation){unscheduled, says(fine)}, yes, "NotScheduled", true},
		"by hand, and nobody asks":     {[]func(*Observation){unscheduled, local, knew, silent}, yes, "NotScheduled", false},
		"the bucket is away, and said": {[]func(*Observation){at(1, "Unreachable"), says(&health.Backup{RecoveryPoint: &later, Reason: "Unreachable", Message: "said of its backups"})}, no, "Unreachable", true},
	} {
		t.Run(name, func(t *testing.T) {
			o := remote()
			o.Server.Spec.Backup.Every = &metav1.Duration{Duration: time.Hour}
			for _, change := range test.changes {
				change(&o)
			}
			got := Compute(o)
			c := apimeta.FindStatusCondition(got.Conditions, v1alpha1.ConditionBackupCurrent)
			if c.Status != test.status || c.Reason != test.reason {
				t.Errorf("%+v", c)
			}
			if b := o.Report; b != nil && b.Backup != nil && !b.Backup.OK && c.Message != b.Backup.Message {
				t.Errorf("the message is %q", c.Message)
			}
			if test.known != (got.Backup != nil) || test.known && !got.Backup.RecoveryPoint.Time.Equal(point) {
				t.Errorf("the recovery point is %v, not %v", got.Backup, point)
			}
			if o.Report != nil && len(test.changes) < 2 && got.Phase != v1alpha1.PhaseRunning {
				t.Errorf("a server that serves is %s for its backups", got.Phase)
			}
			// Ready says nothing of backups, neither in our words nor in the server's.
			if message := apimeta.FindStatusCondition(got.Conditions, v1alpha1.ConditionReady).Message; strings.Contains(message,
				"backup") {
				t.Errorf("Ready says %q", message)
			}
			o.Server.Status, o.Now = got, noon.Add(time.Hour)
			if again := Compute(o); !reflect.DeepEqual(again, got) {
				t.Errorf("the same cluster gave\n%+v\nand then\n%+v", got, again)
			}
		})
	}
}
