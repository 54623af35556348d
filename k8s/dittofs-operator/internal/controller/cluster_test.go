package controller_test

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
)

// What the controllers and the kubelet of a cluster would do.

// bindClaim binds a claim with the capacity that it asks for.
func bindClaim(t *testing.T, namespace, name string) {
	t.Helper()
	pvc := get(t, namespace, name, &corev1.PersistentVolumeClaim{})
	if pvc.Spec.VolumeName == "" {
		bindClaimTo(t, namespace, name, "pv-"+name)
	}
	eventually(t, func() error { // the operator writes to it as well
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(pvc), pvc); err != nil {
			return err
		}
		pvc.Status.Phase = corev1.ClaimBound
		pvc.Status.Capacity = pvc.Spec.Resources.Requests
		return api.Status().Update(t.Context(), pvc)
	})
}

// bindClaimTo names the volume of a claim.
func bindClaimTo(t *testing.T, namespace, name, volume string) {
	t.Helper()
	update(t, get(t, namespace, name, &corev1.PersistentVolumeClaim{}),
		func(pvc *corev1.PersistentVolumeClaim) { pvc.Spec.VolumeName = volume })
}

// observeSet says that the StatefulSet controller has seen the newest
// generation, whose pods are of a revision.
func observeSet(t *testing.T, ds *v1alpha1.DittoServer, revision string) {
	t.Helper()
	eventually(t, func() error { // the operator writes to it as well
		set := &appsv1.StatefulSet{}
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(ds), set); err != nil {
			return err
		}
		set.Status.ObservedGeneration = set.Generation
		set.Status.UpdateRevision = revision
		set.Status.Replicas = 1
		return api.Status().Update(t.Context(), set)
	})
}

// makePod makes the pod of the StatefulSet's present template.
func makePod(t *testing.T, ds *v1alpha1.DittoServer, revision string) *corev1.Pod {
	t.Helper()
	set := get(t, ds.Namespace, ds.Name, &appsv1.StatefulSet{})
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: ds.Name + "-0", Namespace: ds.Namespace, Labels: map[string]string{}},
	}
	for k, v := range set.Spec.Template.Labels {
		pod.Labels[k] = v
	}
	pod.Labels[appsv1.ControllerRevisionHashLabelKey] = revision
	pod.OwnerReferences = []metav1.OwnerReference{
		*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("StatefulSet")),
	}
	pod.Spec = *set.Spec.Template.Spec.DeepCopy()
	if err := api.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	return pod
}

// setPod writes the status of a pod.
func setPod(t *testing.T, pod *corev1.Pod, ready bool, container corev1.ContainerState) {
	t.Helper()
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(pod), pod); err != nil {
		t.Fatal(err)
	}
	is := corev1.ConditionFalse
	if ready {
		is = corev1.ConditionTrue
	}
	pod.Status.Phase = corev1.PodRunning
	pod.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
		{Type: corev1.PodReady, Status: is},
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{
		{Name: "dittofs", Image: testImage, Ready: ready, State: container},
	}
	if err := api.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
}

var running = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}

// removePod is the end of a pod, without grace: there is no kubelet.
func removePod(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	if err := api.Delete(t.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
}

// bringUp plays a cluster until the server is ready.
func bringUp(t *testing.T, ds *v1alpha1.DittoServer, claims ...string) *corev1.Pod {
	t.Helper()
	for _, claim := range claims {
		bindClaim(t, ds.Namespace, claim)
	}
	observeSet(t, ds, "one")
	pod := makePod(t, ds, "one")
	fakePods.serve(t, pod)
	setPod(t, pod, true, running)
	waitPhase(t, ds, v1alpha1.PhaseRunning)
	return pod
}
