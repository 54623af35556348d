package status

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/stores"
	"github.com/dittofs/dittofs/pkg/health"
)

// Asked reports whether the operator asks the server of a DittoServer for its
// report again and again, and not only when something has changed: about stores outside of its pod, or about scheduled
// backups.
func Asked(ds *v1alpha1.DittoServer) bool { return stores.Elsewhere(ds) || scheduled(ds) }

func scheduled(ds *v1alpha1.DittoServer) bool { return ds.Spec.Backup.Every != nil }

// backup is what the server says of its last backup, or said: that stays true
// while it does not run. In whole seconds, as the API has them, and not later
// than it was.
func backup(o Observation) *v1alpha1.BackupStatus {
	if !Asked(o.Server) {
		return nil // it would grow old here
	}
	if o.Report != nil && o.Report.Backup != nil && o.Report.Backup.RecoveryPoint != nil {
		return &v1alpha1.BackupStatus{RecoveryPoint: metav1.NewTime(o.Report.Backup.RecoveryPoint.Truncate(time.Second))}
	}
	return o.Server.Status.Backup.DeepCopy()
}

// backupCurrent tells whether backups keep to their schedule.
func backupCurrent(o Observation) metav1.Condition {
	const kind = v1alpha1.ConditionBackupCurrent
	switch {
	case !scheduled(o.Server):
		return condition(kind, true, "NotScheduled", "spec.backup.every is not given")
	case hibernates(o.Server):
		return unknown(kind, "Hibernated", "there is no server that could make a backup")
	case o.Report == nil:
		return unknown(kind, "NoReport", "the server has not said when the last backup was: "+o.Silence)
	case o.Report.Phase == health.Starting:
		return unknown(kind, "Starting", "the server starts, and has not looked for backups yet")
	case o.Report.Backup == nil:
		return unknown(kind, "NoReport",
			"the server does not say when the last backup was: is its image of the operator's version?")
	case !o.Report.Backup.OK:
		return condition(kind, false, reasonOf(o.Report.Backup.Reason), o.Report.Backup.Message)
	}
	return condition(kind, true, "OnSchedule",
		"backups are made as spec.backup.every says; status.backup has the recovery point")
}
