package controller_test

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
)

// controlPath passes the rules of the CRD, which do not know of control
// characters, and is refused by the server's loader.
const controlPath = "/a\tb"

func TestConfigurationThatTheServerRefusesIsNotApplied(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{Shares: []v1alpha1.ShareSpec{{Name: "odd", Path: controlPath}}})
	waitPhase(t, ds, v1alpha1.PhaseFailed)
	wantCondition(t, ds, v1alpha1.ConditionConfigReady, metav1.ConditionFalse, "Refused",
		`shares[0].path: "/a\tb" is not UTF-8 without control characters`)
	var sets appsv1.StatefulSetList
	if err := api.List(t.Context(), &sets, client.InNamespace(ds.Namespace)); err != nil || len(sets.Items) != 0 {
		t.Errorf("%d StatefulSets were made (%v)", len(sets.Items), err)
	}
	wantEvent(t, ds, "Failed")

	update(t, ds, func(ds *v1alpha1.DittoServer) { ds.Spec.Shares[0].Path = "/ok" })
	bringUp(t, ds, "nas-data")
}

func TestRefusedChangeLeavesTheServerRunning(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	bringUp(t, ds, "nas-data")
	update(t, ds, func(ds *v1alpha1.DittoServer) { ds.Spec.Shares[0].Path = controlPath })
	waitPhase(t, ds, v1alpha1.PhaseDegraded)
	wantCondition(t, ds, v1alpha1.ConditionAvailable, metav1.ConditionTrue, "Serving", "")
	wantCondition(t, ds, v1alpha1.ConditionReady, metav1.ConditionFalse, "ConfigRefused", "control characters")
	if text := get(t, ds.Namespace, "nas-config", &corev1.ConfigMap{}).Data["config.yaml"]; strings.Contains(text, "/a") {
		t.Errorf("the refused configuration was applied:\n%s", text)
	}
}

func TestPodFaultsAreShown(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{
		ImagePullSecrets: []corev1.LocalObjectReference{{Name: "there"}, {Name: "forgotten"}},
	})
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "there", Namespace: ds.Namespace}}
	if err := api.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	bindClaim(t, ds.Namespace, "nas-data")
	observeSet(t, ds, "one")
	pod := makePod(t, ds, "one")
	setPod(t, pod, false, running)
	waitPhase(t, ds, v1alpha1.PhaseStarting)

	setPod(t, pod, false, corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "Back-off"},
	})
	waitPhase(t, ds, v1alpha1.PhaseFailed)
	wantCondition(t, ds, v1alpha1.ConditionReady, metav1.ConditionFalse, "ImagePullFailed", testImage)
	wantCondition(t, ds, v1alpha1.ConditionReady, metav1.ConditionFalse, "ImagePullFailed",
		"these do not exist: forgotten")

	setPod(t, pod, false, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 2, Reason: "Error",
		Message: "content.path: /data/content belongs to another instance\n"}})
	eventually(t, func() error {
		waitPhase(t, ds, v1alpha1.PhaseFailed)
		for _, c := range ds.Status.Conditions {
			if c.Type == v1alpha1.ConditionReady && c.Reason == "CrashLoop" {
				return nil
			}
		}
		return fmt.Errorf("conditions are %+v", ds.Status.Conditions)
	})
	wantCondition(t, ds, v1alpha1.ConditionReady, metav1.ConditionFalse, "CrashLoop",
		"exit code 2: content.path: /data/content belongs to another instance")

	fakePods.serve(t, pod)
	setPod(t, pod, true, running)
	waitPhase(t, ds, v1alpha1.PhaseRunning)
	setPod(t, pod, false, running)
	waitPhase(t, ds, v1alpha1.PhaseDegraded)
	removePod(t, pod)
	waitPhase(t, ds, v1alpha1.PhaseDegraded)
	pod = makePod(t, ds, "one")
	fakePods.serve(t, pod)
	setPod(t, pod, true, running)
	waitPhase(t, ds, v1alpha1.PhaseRunning)
}

func TestPodOfAnOldRevisionThatIsNotReadyIsReplaced(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{Image: "dittofs.local/dittofs:missing"})
	bindClaim(t, ds.Namespace, "nas-data")
	observeSet(t, ds, "one")
	pod := makePod(t, ds, "one")
	setPod(t, pod, false, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}})
	waitPhase(t, ds, v1alpha1.PhaseFailed)

	update(t, ds, func(ds *v1alpha1.DittoServer) { ds.Spec.Image = "dittofs.local/dittofs:there" })
	eventually(t, func() error {
		set := get(t, ds.Namespace, "nas", &appsv1.StatefulSet{})
		if image := set.Spec.Template.Spec.Containers[0].Image; image != "dittofs.local/dittofs:there" {
			return fmt.Errorf("image is %s", image)
		}
		return nil
	})
	observeSet(t, ds, "two")
	eventually(t, func() error {
		err := api.Get(t.Context(), client.ObjectKeyFromObject(pod), pod)
		if apierrors.IsNotFound(err) || err == nil && pod.DeletionTimestamp != nil {
			return nil
		}
		return fmt.Errorf("the old pod is still there: %v", err)
	})
	wantEvent(t, ds, "ReplacedPod")
}

func TestObjectsOfOthersAreNotTakenOver(t *testing.T) {
	ns := namespace(t)
	foreign := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "nas", Namespace: ns},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
	if err := api.Create(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	ds := &v1alpha1.DittoServer{ObjectMeta: metav1.ObjectMeta{Name: "nas", Namespace: ns}}
	if err := api.Create(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	waitPhase(t, ds, v1alpha1.PhaseFailed)
	wantCondition(t, ds, v1alpha1.ConditionReady, metav1.ConditionFalse, "ApplyFailed",
		"Service nas exists and does not belong to this DittoServer")
	if after := get(t, ns, "nas", &corev1.Service{}); after.ResourceVersion != foreign.ResourceVersion {
		t.Error("somebody else's Service was written")
	}
}

func TestClaimOfAnotherApplicationIsNotTakenOver(t *testing.T) {
	ns := namespace(t)
	foreign := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "nas-data", Namespace: ns},
		Spec: corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			}}}
	if err := api.Create(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	ds := &v1alpha1.DittoServer{ObjectMeta: metav1.ObjectMeta{Name: "nas", Namespace: ns}}
	if err := api.Create(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	waitPhase(t, ds, v1alpha1.PhaseFailed)
	wantCondition(t, ds, v1alpha1.ConditionReady, metav1.ConditionFalse, "ApplyFailed",
		"PersistentVolumeClaim nas-data exists")
}

func TestExpansionThatTheClassForbidsIsShownAndTheServerRunsOn(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	bringUp(t, ds, "nas-data")
	update(t, ds, func(ds *v1alpha1.DittoServer) { ds.Spec.Storage.Size = resource.MustParse("20Gi") })
	waitPhase(t, ds, v1alpha1.PhaseDegraded)
	wantCondition(t, ds, v1alpha1.ConditionStorageReady, metav1.ConditionFalse, "ExpansionRefused",
		"nas-data cannot grow from 10Gi to 20Gi")
	wantCondition(t, ds, v1alpha1.ConditionAvailable, metav1.ConditionTrue, "Serving", "")
}
