package controller_test

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
)

// waitReady waits for a reason of the condition Ready.
func waitReady(t *testing.T, ds *v1alpha1.DittoServer, reason, contains string) {
	t.Helper()
	eventually(t, func() error {
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(ds), ds); err != nil {
			return err
		}
		c := apimeta.FindStatusCondition(ds.Status.Conditions, v1alpha1.ConditionReady)
		if c == nil || c.Reason != reason {
			return fmt.Errorf("Ready is %+v", c)
		}
		return nil
	})
	wantCondition(t, ds, v1alpha1.ConditionReady, apimeta.FindStatusCondition(ds.Status.Conditions,
		v1alpha1.ConditionReady).Status, reason, contains)
}

// take makes a Service of somebody else with an address.
func take(t *testing.T, namespace, address string) *corev1.Service {
	t.Helper()
	other := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "other", Namespace: namespace},
		Spec: corev1.ServiceSpec{ClusterIP: address, Ports: []corev1.ServicePort{{Port: 80}}}}
	eventually(t, func() error { return api.Create(t.Context(), other) })
	return other
}

// leave deletes a DittoServer with its pod, and what the cluster deletes then.
func leave(t *testing.T, ds *v1alpha1.DittoServer, pod *corev1.Pod) {
	t.Helper()
	removePod(t, pod)
	if err := api.Delete(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	collectGarbage(t, ds)
}

func TestADeletedServiceComesBackWithItsAddress(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	bringUp(t, ds, "nas-data")
	before := get(t, ds.Namespace, "nas", &corev1.Service{})
	if err := api.Delete(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		after := &corev1.Service{}
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(before), after); err != nil {
			return err
		}
		if after.Spec.ClusterIP != before.Spec.ClusterIP || after.UID == before.UID {
			return fmt.Errorf("the address was %s and is %s", before.Spec.ClusterIP, after.Spec.ClusterIP)
		}
		return nil
	})
	waitPhase(t, ds, v1alpha1.PhaseRunning)
}

func TestAnAddressThatIsTakenIsTold(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	leave(t, ds, bringUp(t, ds, "nas-data"))
	address := ds.Status.ClusterIP
	other := take(t, ds.Namespace, address)

	again := &v1alpha1.DittoServer{ObjectMeta: metav1.ObjectMeta{Name: "nas", Namespace: ds.Namespace}}
	if err := api.Create(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	waitReady(t, again, "AddressUnavailable", "every mount of "+address+" hangs")
	wantCondition(t, again, v1alpha1.ConditionAddressKept, metav1.ConditionFalse, "AddressUnavailable",
		"spec.service.abandonClusterIP: "+address)
	wantWarning(t, again, address)
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(again), &corev1.Service{}); !apierrors.IsNotFound(err) {
		t.Errorf("a Service was made with another address (%v)", err)
	}
	// Files are served all the same, to those who come by another way.
	get(t, ds.Namespace, "nas", &appsv1.StatefulSet{})

	if err := api.Delete(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if service := get(t, ds.Namespace, "nas", &corev1.Service{}); service.Spec.ClusterIP != address {
		t.Errorf("the address was %s and is %s", address, service.Spec.ClusterIP)
	}
	bringUp(t, again, "nas-data")
}

func TestAnAbandonedAddressIsReplaced(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	leave(t, ds, bringUp(t, ds, "nas-data"))
	take(t, ds.Namespace, ds.Status.ClusterIP)
	again := &v1alpha1.DittoServer{ObjectMeta: metav1.ObjectMeta{Name: "nas", Namespace: ds.Namespace},
		Spec: v1alpha1.DittoServerSpec{Service: v1alpha1.ServiceSpec{AbandonClusterIP: ds.Status.ClusterIP}}}
	if err := api.Create(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	bringUp(t, again, "nas-data")
	if again.Status.ClusterIP == ds.Status.ClusterIP || again.Status.ClusterIP == "" {
		t.Errorf("the address is %s", again.Status.ClusterIP)
	}
}

func TestThePinnedAddressIsHadOrTold(t *testing.T) {
	first := server(t, v1alpha1.DittoServerSpec{})
	leave(t, first, bringUp(t, first, "nas-data"))
	address := first.Status.ClusterIP

	ds := server(t, v1alpha1.DittoServerSpec{Service: v1alpha1.ServiceSpec{ClusterIP: address}})
	bringUp(t, ds, "nas-data")
	if ds.Status.ClusterIP != address {
		t.Errorf("the address is %s, not %s", ds.Status.ClusterIP, address)
	}

	outside := server(t, v1alpha1.DittoServerSpec{Service: v1alpha1.ServiceSpec{ClusterIP: "192.0.2.1"}})
	waitReady(t, outside, "AddressUnavailable", "name another in spec.service.clusterIP")
	update(t, outside, func(ds *v1alpha1.DittoServer) { ds.Spec.Service.ClusterIP = "" })
	bringUp(t, outside, "nas-data")
	update(t, outside, func(ds *v1alpha1.DittoServer) { ds.Spec.Service.ClusterIP = address })
	waitReady(t, outside, "AddressDiffers", "kubectl delete service nas")
	if phase := outside.Status.Phase; phase != v1alpha1.PhaseDegraded {
		t.Errorf("phase is %s", phase)
	}
}

func TestLeftoversWithoutAnOwnerAreAdopted(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	pod := bringUp(t, ds, "nas-data")
	service, set := get(t, ds.Namespace, "nas", &corev1.Service{}), get(t, ds.Namespace, "nas", &appsv1.StatefulSet{})
	// kubectl delete --cascade=orphan: the garbage collector takes the references
	// away, and then the DittoServer goes.
	update(t, ds, func(ds *v1alpha1.DittoServer) { ds.Finalizers = []string{"test.dittofs.io/orphan"} })
	if err := api.Delete(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	objects := []client.Object{service, set, get(t, ds.Namespace, "nas-headless", &corev1.Service{}),
		get(t, ds.Namespace, "nas-config", &corev1.ConfigMap{}), get(t, ds.Namespace, "nas", &corev1.ServiceAccount{})}
	waitPhase(t, ds, v1alpha1.PhaseDeleting)
	for _, object := range objects {
		update(t, object, func(o client.Object) { o.SetOwnerReferences(nil) })
	}
	update(t, ds, func(ds *v1alpha1.DittoServer) { ds.Finalizers = nil })

	again := &v1alpha1.DittoServer{ObjectMeta: metav1.ObjectMeta{Name: "nas", Namespace: ds.Namespace}}
	if err := api.Create(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	waitPhase(t, again, v1alpha1.PhaseRunning)
	for _, object := range objects {
		uid := object.GetUID()
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			t.Fatal(err)
		}
		if !metav1.IsControlledBy(object, again) || object.GetUID() != uid {
			t.Errorf("%T %s is owned by %v", object, object.GetName(), object.GetOwnerReferences())
		}
	}
	if again.Status.ClusterIP != service.Spec.ClusterIP {
		t.Errorf("the address was %s and is %s", service.Spec.ClusterIP, again.Status.ClusterIP)
	}
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(pod), pod); err != nil {
		t.Errorf("the pod that served is gone: %v", err)
	}
}

func TestObjectsOfADittoServerThatWasDeletedAreWaitedFor(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	removePod(t, bringUp(t, ds, "nas-data"))
	if err := api.Delete(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	again := &v1alpha1.DittoServer{ObjectMeta: metav1.ObjectMeta{Name: "nas", Namespace: ds.Namespace}}
	eventually(t, func() error { return api.Create(t.Context(), again) })
	waitPhase(t, again, v1alpha1.PhasePending)
	wantCondition(t, again, v1alpha1.ConditionReady, metav1.ConditionFalse, "WaitingForLeftover",
		"of a DittoServer of this name that was deleted")
	// The garbage collector comes.
	for name, objects := range map[string][]client.Object{"nas": {
		&appsv1.StatefulSet{}, &corev1.Service{}, &corev1.ServiceAccount{},
	},
		"nas-headless": {&corev1.Service{}}, "nas-config": {&corev1.ConfigMap{}}} {
		for _, object := range objects {
			get(t, ds.Namespace, name, object)
			if metav1.IsControlledBy(object, ds) {
				if err := api.Delete(t.Context(), object); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	eventually(t, func() error {
		service := get(t, ds.Namespace, "nas", &corev1.Service{})
		if !metav1.IsControlledBy(service, again) || service.Spec.ClusterIP != ds.Status.ClusterIP {
			return fmt.Errorf("the Service is of %v, with %s", service.OwnerReferences, service.Spec.ClusterIP)
		}
		return nil
	})
}

func TestPodsWithTheLabelsOfOursAreLeftAlone(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	ours := bringUp(t, ds, "nas-data")
	foreign := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "job", Namespace: ds.Namespace, Labels: map[string]string{}},
		Spec:       *ours.Spec.DeepCopy(),
	}
	for name, value := range ours.Labels {
		foreign.Labels[name] = value
	}
	foreign.Labels[appsv1.ControllerRevisionHashLabelKey] = "old"
	if err := api.Create(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	setPod(t, foreign, false, running)
	settle(t, ds)
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(foreign), foreign); err != nil ||
		foreign.DeletionTimestamp != nil {
		t.Fatalf("somebody else's pod was deleted (%v)", err)
	}
	waitPhase(t, ds, v1alpha1.PhaseRunning)
	if ds.Status.Replicas != 1 {
		t.Errorf("%d pods are counted", ds.Status.Replicas)
	}
	// Nor is it counted when ours is gone.
	setPod(t, foreign, true, running)
	removePod(t, ours)
	waitCondition(t, ds, v1alpha1.ConditionAvailable, metav1.ConditionFalse, "WaitingForPod", "")
}

func TestTheStatusFollowsWhatTheServerHasApplied(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	pod := bringUp(t, ds, "nas-data")
	before := ds.Status.AppliedConfigHash
	if before != ds.Status.ConfigHash || before == "" {
		t.Fatalf("configHash %s, appliedConfigHash %s", ds.Status.ConfigHash, before)
	}
	address := pod.Status.PodIP + ":8080"
	fakePods.configuration(address, before) // the kubelet has not looked
	update(t, ds, func(ds *v1alpha1.DittoServer) { ds.Spec.Shares[0].ReadOnly = true })
	waitPhase(t, ds, v1alpha1.PhaseStarting)
	wantCondition(t, ds, v1alpha1.ConditionReady, metav1.ConditionFalse, "ConfigNotApplied", "has yet to take over")
	wantCondition(t, ds, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "ConfigNotApplied", "")
	wantCondition(t, ds, v1alpha1.ConditionAvailable, metav1.ConditionTrue, "Serving", "")
	if ds.Status.AppliedConfigHash != before || ds.Status.ConfigHash == before {
		t.Errorf("configHash %s, appliedConfigHash %s", ds.Status.ConfigHash, ds.Status.AppliedConfigHash)
	}
	eventually(t, func() error { // the kubelet is made to look
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(pod), pod); err != nil {
			return err
		}
		if got := pod.Annotations["dittofs.io/refresh"]; got == "" {
			return fmt.Errorf("the pod has the annotations %v", pod.Annotations)
		}
		return nil
	})
	fakePods.configuration(address, "")
	waitPhase(t, ds, v1alpha1.PhaseRunning)
	if ds.Status.AppliedConfigHash != ds.Status.ConfigHash {
		t.Errorf("configHash %s, appliedConfigHash %s", ds.Status.ConfigHash, ds.Status.AppliedConfigHash)
	}
}
