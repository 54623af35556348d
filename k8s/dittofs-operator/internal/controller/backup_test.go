package controller_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/pkg/health"
)

// A server whose stores are in its pod is asked for the sake of its backups alone.
func TestTheRecoveryPointIsInTheStatus(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{Backup: v1alpha1.BackupSpec{Every: &metav1.Duration{Duration: time.Hour}}})
	pod := bringUp(t, ds, "nas-data")
	address := fakePods.join(t, pod)
	fakePods.report(address, health.Serving, "", "")
	recoveryPoint := func(want time.Time) {
		t.Helper()
		eventually(t, func() error {
			if err := api.Get(t.Context(), client.ObjectKeyFromObject(ds), ds); err != nil {
				return err
			}
			if b := ds.Status.Backup; b == nil || !b.RecoveryPoint.Time.Equal(want.Truncate(time.Second)) {
				return fmt.Errorf("status.backup is %v; want %v", b, want)
			}
			return nil
		})
	}
	wake := func() { // the operator, which would ask in four seconds
		update(t, pod, func(pod *corev1.Pod) {
			metav1.SetMetaDataAnnotation(&pod.ObjectMeta, "test/wake", time.Now().String())
		})
	}
	says := func(b health.Backup) {
		t.Helper()
		fakePods.backup(address, b)
		wake()
	}

	says(health.Backup{Reason: health.BackupNone, Message: "no backup is known yet"})
	waitCondition(t, ds, v1alpha1.ConditionBackupCurrent, metav1.ConditionFalse, health.BackupNone,
		"no backup is known yet")
	first := time.Now()
	says(health.Backup{RecoveryPoint: &first, OK: true})
	waitCondition(t, ds, v1alpha1.ConditionBackupCurrent, metav1.ConditionTrue, "OnSchedule", "")
	recoveryPoint(first)

	says(health.Backup{RecoveryPoint: &first, Reason: health.BackupFailed, Message: "the last backup failed: no room"})
	waitCondition(t, ds, v1alpha1.ConditionBackupCurrent, metav1.ConditionFalse, health.BackupFailed, "no room")
	recoveryPoint(first)
	wantCondition(t, ds, v1alpha1.ConditionReady, metav1.ConditionTrue, "Running", "")

	// By itself the operator asks again.
	second := first.Add(time.Hour)
	fakePods.backup(address, health.Backup{RecoveryPoint: &second, OK: true})
	recoveryPoint(second)

	// What was backed up stays so when the server does not answer.
	fakePods.silence(address)
	waitCondition(t, ds, v1alpha1.ConditionBackupCurrent, metav1.ConditionUnknown, "NoReport", "does not answer")
	recoveryPoint(second)
}
