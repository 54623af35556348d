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
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/pkg/config"
)

func waitPhase(t *testing.T, ds *v1alpha1.DittoServer, phase v1alpha1.Phase) {
	t.Helper()
	eventually(t, func() error {
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(ds), ds); err != nil {
			return err
		}
		if ds.Status.Phase != phase || ds.Status.ObservedGeneration != ds.Generation {
			return fmt.Errorf("phase is %s of generation %d, not %s of %d: %+v",
				ds.Status.Phase, ds.Status.ObservedGeneration, phase, ds.Generation, ds.Status.Conditions)
		}
		return nil
	})
}

func wantCondition(
	t *testing.T, ds *v1alpha1.DittoServer, kind string, status metav1.ConditionStatus, reason, contains string,
) {
	t.Helper()
	c := apimeta.FindStatusCondition(ds.Status.Conditions, kind)
	if c == nil || c.Status != status || c.Reason != reason || !strings.Contains(c.Message, contains) ||
		c.ObservedGeneration != ds.Generation {
		t.Errorf("condition %s is %+v; want %s, %s, a message with %q, generation %d",
			kind, c, status, reason, contains, ds.Generation)
	}
}

func TestEmptySpecBecomesARunningServer(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	set := get(t, ds.Namespace, "nas", &appsv1.StatefulSet{})
	waitPhase(t, ds, v1alpha1.PhasePending)
	wantCondition(t, ds, v1alpha1.ConditionStorageReady, metav1.ConditionFalse, "Waiting", "nas-data")

	pvc := get(t, ds.Namespace, "nas-data", &corev1.PersistentVolumeClaim{})
	if len(pvc.OwnerReferences) != 0 {
		t.Errorf("the claim of a server with deletionPolicy Retain has owners: %v", pvc.OwnerReferences)
	}
	if got := pvc.Spec.Resources.Requests.Storage().String(); got != "10Gi" {
		t.Errorf("the claim asks for %s, not 10Gi", got)
	}
	text := get(t, ds.Namespace, "nas-config", &corev1.ConfigMap{}).Data["config.yaml"]
	cfg, _, err := config.Parse([]byte(text), nil)
	if err != nil {
		t.Fatalf("the server would refuse the configuration: %v\n%s", err, text)
	}
	if cfg.Cache.Path != "/data/cache" || cfg.Content.Path != "/data/content" || cfg.Metadata.Path != "/data/metadata" {
		t.Errorf("directories are not on one volume:\n%s", text)
	}
	if len(cfg.Shares) != 1 || cfg.Shares[0].Path != "/export" || cfg.Shares[0].Root.Mode != "1777" {
		t.Errorf("shares are %+v", cfg.Shares)
	}
	pod := set.Spec.Template.Spec
	if pod.Containers[0].Image != testImage || *pod.EnableServiceLinks || *pod.AutomountServiceAccountToken {
		t.Errorf("pod is %+v", pod)
	}

	bringUp(t, ds, "nas-data")
	service := get(t, ds.Namespace, "nas", &corev1.Service{})
	if want := service.Spec.ClusterIP + ":2049"; ds.Status.NFSEndpoint != want {
		t.Errorf("nfsEndpoint is %q, not %q", ds.Status.NFSEndpoint, want)
	}
	want := v1alpha1.ShareStatus{Name: "export", Path: "/export", MountSource: service.Spec.ClusterIP + ":/export"}
	if len(ds.Status.Shares) != 1 || ds.Status.Shares[0] != want {
		t.Errorf("shares are %+v, not %+v", ds.Status.Shares, want)
	}
	if ds.Status.Version != "test" || ds.Status.SharePaths != "/export" || len(ds.Status.ConfigHash) != 16 ||
		ds.Status.Replicas != 1 {
		t.Errorf("status is %+v", ds.Status)
	}
	for kind, status := range map[string]metav1.ConditionStatus{
		v1alpha1.ConditionReady: metav1.ConditionTrue, v1alpha1.ConditionAvailable: metav1.ConditionTrue,
		v1alpha1.ConditionProgressing: metav1.ConditionFalse, v1alpha1.ConditionConfigReady: metav1.ConditionTrue,
		v1alpha1.ConditionStorageReady: metav1.ConditionTrue,
	} {
		if c := apimeta.FindStatusCondition(ds.Status.Conditions, kind); c == nil || c.Status != status ||
			c.ObservedGeneration != ds.Generation {
			t.Errorf("condition %s is %+v, not %s", kind, c, status)
		}
	}
	wantEvent(t, ds, "Running")
}

func wantEvent(t *testing.T, ds *v1alpha1.DittoServer, reason string) {
	t.Helper()
	eventually(t, func() error {
		var list eventsv1.EventList
		if err := api.List(t.Context(), &list, client.InNamespace(ds.Namespace)); err != nil {
			return err
		}
		for _, event := range list.Items {
			if event.Reason == reason && event.Regarding.UID == ds.UID {
				return nil
			}
		}
		return fmt.Errorf("no event %s among %d", reason, len(list.Items))
	})
}

func TestMemoryServerHasNoVolume(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{
		Metadata: v1alpha1.MetadataSpec{Type: v1alpha1.MetadataMemory},
		Content:  v1alpha1.ContentSpec{Type: v1alpha1.ContentMemory},
	})
	bringUp(t, ds)
	wantCondition(t, ds, v1alpha1.ConditionStorageReady, metav1.ConditionTrue, "NotNeeded", "memory")
	var claims corev1.PersistentVolumeClaimList
	if err := api.List(t.Context(), &claims, client.InNamespace(ds.Namespace)); err != nil || len(claims.Items) != 0 {
		t.Errorf("there are %d claims (%v)", len(claims.Items), err)
	}
	set := get(t, ds.Namespace, "nas", &appsv1.StatefulSet{})
	for _, volume := range set.Spec.Template.Spec.Volumes {
		if volume.Name == "cache" && volume.EmptyDir == nil {
			t.Errorf("the cache is on %+v, not an emptyDir", volume.VolumeSource)
		}
	}
}

func TestSeparateVolumesGetTheirOwnClaims(t *testing.T) {
	volume := func(size string) *v1alpha1.VolumeSpec {
		return &v1alpha1.VolumeSpec{Size: resource.MustParse(size)}
	}
	ds := server(t, v1alpha1.DittoServerSpec{
		Metadata: v1alpha1.MetadataSpec{Volume: volume("1Gi")},
		Content:  v1alpha1.ContentSpec{Volume: volume("20Gi")},
		Cache:    v1alpha1.CacheSpec{Volume: volume("2Gi")},
	})
	bringUp(t, ds, "nas-metadata", "nas-content", "nas-cache")
	var claims corev1.PersistentVolumeClaimList
	if err := api.List(t.Context(), &claims, client.InNamespace(ds.Namespace)); err != nil || len(claims.Items) != 3 {
		t.Errorf("there are %d claims (%v)", len(claims.Items), err)
	}
}

func TestConvergedReconcileWritesNothing(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{
		Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{
				Weight: 1,
				PodAffinityTerm: corev1.PodAffinityTerm{TopologyKey: "zone",
					LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}},
			}}}},
		Tolerations: []corev1.Toleration{{Key: "dedicated", Operator: corev1.TolerationOpExists}},
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: "zone", WhenUnsatisfiable: corev1.ScheduleAnyway}},
		ImagePullSecrets: []corev1.LocalObjectReference{{Name: "registry"}},
		Resources: &corev1.ResourceRequirements{Limits: corev1.ResourceList{
			corev1.ResourceMemory: resource.MustParse("2048Mi"), corev1.ResourceCPU: resource.MustParse("1000m")}},
		Service: v1alpha1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Annotations: map[string]string{"a": "b"}},
	})
	pod := bringUp(t, ds, "nas-data")
	wantNoWrites(t, ds, func() {
		// Each of these makes the operator reconcile: it cannot see that nothing of
		// it matters before it has looked.
		for i := range 5 {
			update(t, pod, func(p *corev1.Pod) { p.Annotations = map[string]string{"touched": fmt.Sprint(i)} })
			set := get(t, ds.Namespace, "nas", &appsv1.StatefulSet{})
			update(t, set, func(s *appsv1.StatefulSet) {
				metav1.SetMetaDataAnnotation(&s.ObjectMeta, "someone.else/touched", fmt.Sprint(i))
			})
		}
	})
}

// wantNoWrites checks that the operator, when it is silent, stays so in what
// happens, and writes to nothing of the server.
func wantNoWrites(t *testing.T, ds *v1alpha1.DittoServer, happens func()) {
	t.Helper()
	settle(t, ds)
	before := writes.count(ds.Namespace)
	if before == 0 {
		t.Fatal("no write is counted, not even one of those that made the server")
	}
	versions := resourceVersions(t, ds.Namespace)
	happens()
	settle(t, ds)
	if got := writes.since(ds.Namespace, before); len(got) != 0 {
		t.Errorf("a converged server was written to: %v", got)
	}
	for name, version := range resourceVersions(t, ds.Namespace) {
		if versions[name] != version {
			t.Errorf("%s was changed", name)
		}
	}
}

// settle waits until the operator has not written to a server for a while.
func settle(t *testing.T, ds *v1alpha1.DittoServer) {
	t.Helper()
	last, since := writes.count(ds.Namespace), time.Now()
	for time.Since(since) < 2*time.Second {
		time.Sleep(20 * time.Millisecond)
		if n := writes.count(ds.Namespace); n != last {
			last, since = n, time.Now()
		}
	}
}

// resourceVersions of everything that only the operator writes.
func resourceVersions(t *testing.T, namespace string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, list := range []client.ObjectList{&corev1.ServiceList{}, &corev1.ConfigMapList{}, &corev1.ServiceAccountList{},
		&corev1.PersistentVolumeClaimList{}, &v1alpha1.DittoServerList{}} {
		if err := api.List(t.Context(), list, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
		items, err := apimeta.ExtractList(list)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range items {
			object := item.(client.Object)
			out[fmt.Sprintf("%T %s", object, object.GetName())] = object.GetResourceVersion()
		}
	}
	return out
}

func TestDriftIsRepaired(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	bringUp(t, ds, "nas-data")
	key := client.ObjectKey{Namespace: ds.Namespace, Name: "nas"}

	service := get(t, ds.Namespace, "nas", &corev1.Service{})
	address := service.Spec.ClusterIP
	update(t, service, func(s *corev1.Service) {
		s.Spec.Selector = map[string]string{"nobody": "here"}
		s.Labels["mine"] = "kept"
	})
	eventually(t, func() error {
		if err := api.Get(t.Context(), key, service); err != nil {
			return err
		}
		if service.Spec.Selector["app.kubernetes.io/instance"] != "nas" || service.Spec.Selector["nobody"] != "" {
			return fmt.Errorf("selector is %v", service.Spec.Selector)
		}
		return nil
	})
	if service.Spec.ClusterIP != address || service.Labels["mine"] != "kept" {
		t.Errorf("the repair changed more than the drift: %+v", service)
	}

	set := get(t, ds.Namespace, "nas", &appsv1.StatefulSet{})
	update(t, set, func(s *appsv1.StatefulSet) { s.Spec.Template.Spec.Containers[0].Image = "evil:1" })
	eventually(t, func() error {
		if err := api.Get(t.Context(), key, set); err != nil {
			return err
		}
		if image := set.Spec.Template.Spec.Containers[0].Image; image != testImage {
			return fmt.Errorf("image is %s", image)
		}
		return nil
	})

	cm := get(t, ds.Namespace, "nas-config", &corev1.ConfigMap{})
	if err := api.Delete(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		return api.Get(t.Context(), client.ObjectKey{Namespace: ds.Namespace, Name: "nas-config"}, &corev1.ConfigMap{})
	})

	// Without its label the object is out of the operator's cache.
	update(t, service, func(s *corev1.Service) { s.Labels = nil })
	eventually(t, func() error {
		if err := api.Get(t.Context(), key, service); err != nil {
			return err
		}
		if service.Labels["app.kubernetes.io/managed-by"] != "dittofs-operator" {
			return fmt.Errorf("labels are %v", service.Labels)
		}
		return nil
	})
}

func TestOnlyWhatThePodUsesRollsItOut(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	bringUp(t, ds, "nas-data")
	set := get(t, ds.Namespace, "nas", &appsv1.StatefulSet{})
	generation := set.Generation

	update(t, ds, func(ds *v1alpha1.DittoServer) {
		ds.Spec.Shares = append(ds.Spec.Shares, v1alpha1.ShareSpec{Name: "more"})
		ds.Spec.Service.Annotations = map[string]string{"a": "b"}
		ds.Spec.Logging.Level = "debug"
	})
	waitPhase(t, ds, v1alpha1.PhaseRunning)
	if ds.Status.SharePaths != "/export,/more" {
		t.Errorf("share paths are %s", ds.Status.SharePaths)
	}
	if set = get(t, ds.Namespace, "nas", set); set.Generation != generation {
		t.Errorf("shares, logging and a Service annotation rolled the pod out")
	}
	if text := get(t, ds.Namespace, "nas-config", &corev1.ConfigMap{}).Data["config.yaml"]; !strings.Contains(text,
		"/more") {
		t.Errorf("the new share is not in the configuration:\n%s", text)
	}

	update(t, ds, func(ds *v1alpha1.DittoServer) { ds.Spec.NFS.Port = 12049 })
	waitPhase(t, ds, v1alpha1.PhaseStarting)
	wantCondition(t, ds, v1alpha1.ConditionAvailable, metav1.ConditionTrue, "Serving", "")
	if set = get(t, ds.Namespace, "nas", set); set.Generation == generation {
		t.Errorf("another port did not roll the pod out")
	}
}

func TestServiceKeepsItsAddressThroughChangesOfType(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	bringUp(t, ds, "nas-data")
	before := get(t, ds.Namespace, "nas", &corev1.Service{})
	for _, kind := range []corev1.ServiceType{
		corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeClusterIP,
	} {
		update(t, ds, func(ds *v1alpha1.DittoServer) { ds.Spec.Service = v1alpha1.ServiceSpec{Type: kind} })
		waitPhase(t, ds, v1alpha1.PhaseRunning)
		after := get(t, ds.Namespace, "nas", &corev1.Service{})
		if after.Spec.Type != kind || after.Spec.ClusterIP != before.Spec.ClusterIP || after.UID != before.UID {
			t.Errorf("with type %s the Service is %+v", kind, after.Spec)
		}
	}
}

func TestHibernationKeepsTheAddress(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	pod := bringUp(t, ds, "nas-data")
	endpoint := ds.Status.NFSEndpoint
	update(t, ds, func(ds *v1alpha1.DittoServer) { ds.Spec.Replicas = ptr.To[int32](0) })
	removePod(t, pod)
	waitPhase(t, ds, v1alpha1.PhaseHibernated)
	if ds.Status.NFSEndpoint != endpoint {
		t.Errorf("the endpoint went from %s to %s", endpoint, ds.Status.NFSEndpoint)
	}
	wantCondition(t, ds, v1alpha1.ConditionReady, metav1.ConditionFalse, "Hibernated", "replicas is 0")
}

func TestDeletionKeepsTheVolumes(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	bringUp(t, ds, "nas-data")
	if err := api.Delete(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(ds), ds); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the DittoServer is still there: %v", err)
		}
		return nil
	})
	// The garbage collector deletes what has an owner; there is none here, so the
	// references themselves are looked at.
	pvc := get(t, ds.Namespace, "nas-data", &corev1.PersistentVolumeClaim{})
	if len(pvc.OwnerReferences) != 0 || pvc.DeletionTimestamp != nil {
		t.Errorf("the claim does not outlive its DittoServer: %+v", pvc.ObjectMeta)
	}
	for _, object := range []client.Object{&appsv1.StatefulSet{}, &corev1.Service{}} {
		if refs := get(t, ds.Namespace, "nas", object).GetOwnerReferences(); len(refs) != 1 || refs[0].UID != ds.UID {
			t.Errorf("%T would stay: owners are %v", object, refs)
		}
	}
}

func TestDeletionPolicyDeleteGivesTheVolumesAnOwner(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{DeletionPolicy: v1alpha1.DeletionDelete})
	bringUp(t, ds, "nas-data")
	pvc := get(t, ds.Namespace, "nas-data", &corev1.PersistentVolumeClaim{})
	if len(pvc.OwnerReferences) != 1 || pvc.OwnerReferences[0].UID != ds.UID {
		t.Fatalf("owners are %v", pvc.OwnerReferences)
	}
	update(t, ds, func(ds *v1alpha1.DittoServer) { ds.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
	eventually(t, func() error {
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(pvc), pvc); err != nil || len(pvc.OwnerReferences) != 0 {
			return fmt.Errorf("after a change to Retain owners are %v (%v)", pvc.OwnerReferences, err)
		}
		return nil
	})
}

func TestRetainedVolumeIsTakenOver(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{})
	get(t, ds.Namespace, "nas-data", &corev1.PersistentVolumeClaim{})
	get(t, ds.Namespace, "nas", &appsv1.StatefulSet{})
	if err := api.Delete(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	collectGarbage(t, ds)
	again := &v1alpha1.DittoServer{ObjectMeta: metav1.ObjectMeta{Name: "nas", Namespace: ds.Namespace}}
	if err := api.Create(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	bringUp(t, again, "nas-data")
}

// collectGarbage deletes what is owned by a DittoServer that is gone: there is
// no garbage collector here. A reconcile that was under way when the
// DittoServer went can make something once more, so it ends when nothing has
// come back for two seconds.
func collectGarbage(t *testing.T, owner *v1alpha1.DittoServer) {
	t.Helper()
	owned := map[string][]client.Object{
		"nas":          {&appsv1.StatefulSet{}, &corev1.Service{}, &corev1.ServiceAccount{}},
		"nas-headless": {&corev1.Service{}},
		"nas-config":   {&corev1.ConfigMap{}},
	}
	for quiet := time.Now(); time.Since(quiet) < 2*time.Second; time.Sleep(50 * time.Millisecond) {
		for name, objects := range owned {
			for _, object := range objects {
				err := api.Get(t.Context(), client.ObjectKey{Namespace: owner.Namespace, Name: name}, object)
				if apierrors.IsNotFound(err) {
					continue
				}
				if err == nil {
					err = client.IgnoreNotFound(api.Delete(t.Context(), object))
				}
				if err != nil {
					t.Fatal(err)
				}
				quiet = time.Now()
			}
		}
	}
}
