package rollout

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestOnlyAnUnreadyPodOfAnOldRevisionIsStuck(t *testing.T) {
	for name, test := range map[string]struct {
		revision string
		ready    corev1.ConditionStatus
		change   func(*appsv1.StatefulSet, *corev1.Pod)
		stuck    bool
	}{
		"old and not ready": {"old", corev1.ConditionFalse, nil, true},
		"old and ready":     {"old", corev1.ConditionTrue, nil, false},
		"new and not ready": {"new", corev1.ConditionFalse, nil, false},
		"going away": {"old", corev1.ConditionFalse, func(_ *appsv1.StatefulSet, p *corev1.Pod) {
			p.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
		}, false},
		"the controller has not seen the change": {"old", corev1.ConditionFalse, func(s *appsv1.StatefulSet, _ *corev1.Pod) { s.Generation++ }, false},
		"hibernated":                             {"old", corev1.ConditionFalse, func(s *appsv1.StatefulSet, _ *corev1.Pod) { s.Spec.Replicas = ptr.To[int32](0) }, false},
		"no revision yet":                        {"old", corev1.ConditionFalse, func(s *appsv1.StatefulSet, _ *corev1.Pod) { s.Status.UpdateRevision = "" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			set := &appsv1.StatefulSet{
				ObjectMeta: metav1.ObjectMeta{Generation: 2},
				Spec:       appsv1.StatefulSetSpec{Replicas: ptr.To[int32](1)},
				Status:     appsv1.StatefulSetStatus{ObservedGeneration: 2, UpdateRevision: "new"},
			}
			pod := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{appsv1.ControllerRevisionHashLabelKey: test.revision}},
				Status:     corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: test.ready}}},
			}
			if test.change != nil {
				test.change(set, pod)
			}
			if got := Stuck(set, []corev1.Pod{*pod}) != nil; got != test.stuck {
				t.Errorf("stuck is %v", got)
			}
		})
	}
}
