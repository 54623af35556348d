// Package rollout decides about pods that stand in the way of a rollout.
package rollout

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// Stuck is the pod to delete so that the StatefulSet can go on, or nil.
//
// A StatefulSet may wait for a pod of an old revision to become ready before it
// replaces it. A pod that cannot (an image that does not exist, a configuration
// that it refuses) is then kept for ever, although the cure is in the new
// revision. Such a pod serves nobody, so nothing is lost with it.
func Stuck(set *appsv1.StatefulSet, pods []corev1.Pod) *corev1.Pod {
	current := set.Status.ObservedGeneration == set.Generation && set.Status.UpdateRevision != ""
	if !current || set.Spec.Replicas == nil || *set.Spec.Replicas == 0 {
		return nil
	}
	for i := range pods {
		pod := &pods[i]
		if Revision(pod) != set.Status.UpdateRevision && pod.DeletionTimestamp == nil && !Ready(pod) {
			return pod
		}
	}
	return nil
}

// Revision of the StatefulSet that a pod was made from.
func Revision(pod *corev1.Pod) string {
	return pod.Labels[appsv1.ControllerRevisionHashLabelKey]
}

// Ready reports whether a pod is.
func Ready(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
