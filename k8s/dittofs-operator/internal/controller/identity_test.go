package controller_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/apply"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/names"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/volumes"
	"github.com/dittofs/dittofs/pkg/config"
)

// expected is the filesystem that the rendered configuration expects.
func expected(t *testing.T, namespace string) string {
	t.Helper()
	text := get(t, namespace, "nas-config", &corev1.ConfigMap{}).Data["config.yaml"]
	cfg, _, err := config.Parse([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Metadata.ExpectedInstance
}

func replicas(t *testing.T, ds *v1alpha1.DittoServer) int32 {
	t.Helper()
	return *get(t, ds.Namespace, ds.Name, &appsv1.StatefulSet{}).Spec.Replicas
}

func waitReplicas(t *testing.T, ds *v1alpha1.DittoServer, want int32) {
	t.Helper()
	eventually(t, func() error {
		if n := replicas(t, ds); n != want {
			return fmt.Errorf("replicas is %d, not %d", n, want)
		}
		return nil
	})
}

// deleteClaim deletes a claim that a pod uses, as far as that goes.
func deleteClaim(t *testing.T, namespace string) *corev1.PersistentVolumeClaim {
	t.Helper()
	pvc := get(t, namespace, "nas-data", &corev1.PersistentVolumeClaim{})
	if len(pvc.Finalizers) == 0 {
		t.Fatal("the claim is not protected: the API server lacks StorageObjectInUseProtection")
	}
	if err := api.Delete(t.Context(), pvc); err != nil {
		t.Fatal(err)
	}
	return pvc
}

// endClaim is what the cluster does when no pod uses a deleted claim any more.
func endClaim(t *testing.T, pvc *corev1.PersistentVolumeClaim) {
	t.Helper()
	update(t, pvc, func(pvc *corev1.PersistentVolumeClaim) { pvc.Finalizers = nil })
}

// loseClaim ends in a server whose pod and claim are gone.
func loseClaim(t *testing.T, ds *v1alpha1.DittoServer, pod *corev1.Pod) {
	t.Helper()
	pvc := deleteClaim(t, ds.Namespace)
	waitPhase(t, ds, v1alpha1.PhaseDegraded)
	removePod(t, pod)
	endClaim(t, pvc)
	waitReady(t, ds, "VolumeGone", "nas-data")
	waitReplicas(t, ds, 0)
}

func wantWarning(t *testing.T, ds *v1alpha1.DittoServer, contains string) {
	t.Helper()
	eventually(t, func() error {
		var list eventsv1.EventList
		if err := api.List(t.Context(), &list, client.InNamespace(ds.Namespace)); err != nil {
			return err
		}
		for _, event := range list.Items {
			if event.Type == corev1.EventTypeWarning && event.Regarding.UID == ds.UID && strings.Contains(event.Note, contains) {
				return nil
			}
		}
		return fmt.Errorf("no Warning with %q among %d events", contains, len(list.Items))
	})
}

func TestTheIdentityIsInTheStatusFromTheFirstStart(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	bringUp(t, ds, "nas-data")
	pvc := get(t, ds.Namespace, "nas-data", &corev1.PersistentVolumeClaim{})
	want := v1alpha1.VolumeStatus{Claim: "nas-data", ClaimUID: pvc.UID, VolumeName: "pv-nas-data"}
	f := ds.Status.Filesystem
	if f == nil || f.ID != filesystemOf(ds.Namespace) || len(f.Volumes) != 1 || f.Volumes[0] != want {
		t.Fatalf("status.filesystem is %+v", f)
	}
	wantCondition(t, ds, v1alpha1.ConditionFilesystemIntact, metav1.ConditionTrue, "Intact", f.ID)
	wantCondition(t, ds, v1alpha1.ConditionAddressKept, metav1.ConditionTrue, "Kept", ds.Status.ClusterIP)
	if got := expected(t, ds.Namespace); got != f.ID {
		t.Errorf("the configuration expects filesystem %q", got)
	}
	for _, object := range []client.Object{pvc, get(t, ds.Namespace, "nas-config", &corev1.ConfigMap{})} {
		notes := object.GetAnnotations()
		if notes[names.AnnotationFilesystem] != f.ID || notes[names.AnnotationClusterIP] != ds.Status.ClusterIP ||
			ds.Status.ClusterIP == "" {
			t.Errorf("%T has the annotations %v", object, notes)
		}
	}
}

func TestNoServerStartsInThePlaceOfOneThatHadData(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	pod := bringUp(t, ds, "nas-data")
	id := ds.Status.Filesystem.ID

	began := time.Now()
	pvc := deleteClaim(t, ds.Namespace)
	waitPhase(t, ds, v1alpha1.PhaseDegraded)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the deletion of the claim was told after %s", took)
	}
	wantCondition(t, ds, v1alpha1.ConditionReady, metav1.ConditionFalse, "VolumeDeleting", "pv-nas-data")
	wantCondition(t, ds, v1alpha1.ConditionFilesystemIntact, metav1.ConditionFalse, "VolumeDeleting", id)
	wantCondition(t, ds, v1alpha1.ConditionAvailable, metav1.ConditionTrue, "Serving", "")
	wantWarning(t, ds, "nas-data is being deleted")
	if n := replicas(t, ds); n != 1 {
		t.Errorf("the pod that has the data is ended: replicas is %d", n)
	}

	removePod(t, pod)
	endClaim(t, pvc)
	waitReady(t, ds, "VolumeGone", "spec.acceptDataLoss: "+id)
	if ds.Status.Phase != v1alpha1.PhaseFailed {
		t.Errorf("phase is %s", ds.Status.Phase)
	}
	waitReplicas(t, ds, 0) // no pod is started
	settle(t, ds)
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(pvc),
		&corev1.PersistentVolumeClaim{}); !apierrors.IsNotFound(err) {
		t.Fatalf("a claim was made in the place of the one that had data (%v)", err)
	}

	// Somebody makes one, perhaps from a snapshot.
	other := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "nas-data", Namespace: ds.Namespace, Labels: names.Labels(ds)},
		Spec:       *pvc.Spec.DeepCopy(),
	}
	other.Spec.VolumeName = ""
	if err := api.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	waitReady(t, ds, "VolumeReplaced", string(other.UID))
	if n := replicas(t, ds); n != 0 {
		t.Errorf("a pod would be started over another volume: replicas is %d", n)
	}
	update(t, ds, func(ds *v1alpha1.DittoServer) {
		ds.Spec.AcceptVolumes = []v1alpha1.AcceptedUID{v1alpha1.AcceptedUID(other.UID)}
	})
	bindClaimTo(t, ds.Namespace, "nas-data", "pv-restored")
	waitReplicas(t, ds, 1)
	bringUp(t, ds, "nas-data")
	if f := ds.Status.Filesystem; f.ID != id || f.Volumes[0].ClaimUID != other.UID ||
		f.Volumes[0].VolumeName != "pv-restored" || expected(t, ds.Namespace) != id {
		t.Errorf("status.filesystem is %+v", f)
	}
}

func TestAClaimOverTheSameVolumeIsTheSameVolume(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	loseClaim(t, ds, bringUp(t, ds, "nas-data"))
	again := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
		Name: "nas-data", Namespace: ds.Namespace, Labels: names.Labels(ds),
	},
		Spec: corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			VolumeName: "pv-nas-data",
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: ds.Spec.Storage.Size},
			}}}
	if err := api.Create(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	waitReplicas(t, ds, 1)
	bringUp(t, ds, "nas-data")
	if f := ds.Status.Filesystem; f.Volumes[0].ClaimUID != again.UID {
		t.Errorf("status.filesystem is %+v", f)
	}
}

func TestALossThatTheSpecNamesIsAcceptedOnce(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	loseClaim(t, ds, bringUp(t, ds, "nas-data"))
	id := ds.Status.Filesystem.ID

	update(t, ds, func(ds *v1alpha1.DittoServer) { ds.Spec.AcceptDataLoss = strings.Repeat("0", 32) })
	waitPhase(t, ds, v1alpha1.PhaseFailed)
	wantCondition(t, ds, v1alpha1.ConditionReady, metav1.ConditionFalse, "VolumeGone", id)

	update(t, ds, func(ds *v1alpha1.DittoServer) { ds.Spec.AcceptDataLoss = id })
	get(t, ds.Namespace, "nas-data", &corev1.PersistentVolumeClaim{})
	waitReplicas(t, ds, 1)
	if e := expected(t, ds.Namespace); e != "" {
		t.Errorf("filesystem %q is expected", e)
	}
	// The same filesystem comes back, from a backup for example.
	pod := bringUp(t, ds, "nas-data")
	if f := ds.Status.Filesystem; f.ID != id || f.AcceptedLoss != id || expected(t, ds.Namespace) != id {
		t.Errorf("status.filesystem is %+v", f)
	}
	loseClaim(t, ds, pod)
}

func TestALostStatusIsMadeAgainFromTheClaims(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	pod := bringUp(t, ds, "nas-data")
	before := ds.Status.DeepCopy()
	fakePods.silence(pod.Status.PodIP + ":8080")
	ds.Status = v1alpha1.DittoServerStatus{}
	if err := api.Status().Update(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	update(t, pod, func(pod *corev1.Pod) { pod.Annotations = map[string]string{"touched": "1"} })
	eventually(t, func() error {
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(ds), ds); err != nil {
			return err
		}
		if f := ds.Status.Filesystem; f == nil || f.ID != before.Filesystem.ID || len(f.Volumes) != 1 ||
			ds.Status.ClusterIP != before.ClusterIP {
			return fmt.Errorf("the status is %+v", ds.Status)
		}
		return nil
	})
}

func TestTheNextDittoServerOverTheVolumesHasFilesystemAndAddressOfThisOne(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	removePod(t, bringUp(t, ds, "nas-data"))
	if err := api.Delete(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	collectGarbage(t, ds)
	again := &v1alpha1.DittoServer{ObjectMeta: metav1.ObjectMeta{Name: "nas", Namespace: ds.Namespace}}
	if err := api.Create(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if got := expected(t, ds.Namespace); got != ds.Status.Filesystem.ID { // before any pod
		t.Errorf("the first configuration expects filesystem %q", got)
	}
	if service := get(t, ds.Namespace, "nas", &corev1.Service{}); service.Spec.ClusterIP != ds.Status.ClusterIP {
		t.Errorf("the address was %s and is %s", ds.Status.ClusterIP, service.Spec.ClusterIP)
	}
	bringUp(t, again, "nas-data")
}

func TestAServerOfAnotherFilesystemIsNotHealthy(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	pod := bringUp(t, ds, "nas-data")
	id := ds.Status.Filesystem.ID
	fakePods.instance(pod.Status.PodIP+":8080", strings.Repeat("d", 32))
	update(t, pod, func(pod *corev1.Pod) { pod.Annotations = map[string]string{"touched": "1"} })
	waitPhase(t, ds, v1alpha1.PhaseDegraded)
	wantCondition(t, ds, v1alpha1.ConditionReady, metav1.ConditionFalse, "OtherFilesystem", id)
	if ds.Status.Filesystem.ID != id {
		t.Errorf("the identity became %s", ds.Status.Filesystem.ID)
	}
}

func TestAClaimThatHasGoneMeanwhileIsNotMadeAgain(t *testing.T) {
	ds := &v1alpha1.DittoServer{ObjectMeta: metav1.ObjectMeta{Name: "other", Namespace: namespace(t)}}
	applier := &apply.Applier{Client: api, Live: api}
	claims, err := volumes.Find(t.Context(), applier, ds, volumes.For(ds))
	for i := range claims {
		claims[i].Claim.Spec.Size = resource.MustParse("1Gi")
	}
	if err == nil {
		claims, err = volumes.Ensure(t.Context(), applier, ds, claims, nil)
	}
	if err != nil || len(claims) == 0 {
		t.Fatalf("%+v, %v", claims, err)
	}
	seen := claims[0].Live.DeepCopy() // what a cache shows for a moment longer
	key := client.ObjectKeyFromObject(seen)
	endClaim(t, claims[0].Live)
	if err := api.Delete(t.Context(), seen); err != nil {
		t.Fatal(err)
	}
	_, err = volumes.Ensure(t.Context(), applier, ds, []volumes.State{{Claim: claims[0].Claim, Live: seen}},
		map[string]string{"a": "b"})
	if !apierrors.IsConflict(err) {
		t.Errorf("a claim that has gone is applied: %v", err)
	}
	if err := api.Get(t.Context(), key, &corev1.PersistentVolumeClaim{}); !apierrors.IsNotFound(err) {
		t.Errorf("another claim is there in its place: %v", err)
	}
}
