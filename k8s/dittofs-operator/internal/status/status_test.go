package status

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/render"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/volumes"
)

var (
	noon    = time.Date(2030, 1, 1, 12, 0, 0, 5, time.UTC)
	isReady = corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue}
)

// healthy is the observation of a server that runs as it should.
func healthy() Observation {
	ds := &v1alpha1.DittoServer{ObjectMeta: metav1.ObjectMeta{Name: "nas", Generation: 3}}
	ds.Status.AppliedConfigHash = "0123456789abcdef" // as it has said
	ds.Spec.NFS.Port = 2049
	ds.Spec.Shares = []v1alpha1.ShareSpec{{Name: "export"}}
	ds.Spec.Storage.Size = resource.MustParse("10Gi")
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")}
	return Observation{
		Server:  ds,
		Config:  render.Rendered{Hash: "0123456789abcdef"},
		Service: &corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.17"}},
		Set: &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Generation: 4},
			Status: appsv1.StatefulSetStatus{ObservedGeneration: 4, UpdateRevision: "r1"}},
		Pods: []corev1.Pod{{
			ObjectMeta: metav1.ObjectMeta{Name: "nas-0", Labels: map[string]string{appsv1.ControllerRevisionHashLabelKey: "r1"}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Image: "host:5000/dittofs:v1"}}},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{isReady}},
		}},
		Claims: []volumes.State{{
			Claim: volumes.Claim{Name: "nas-data", Spec: ds.Spec.Storage},
			Live: &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{
				Resources: corev1.VolumeResourceRequirements{Requests: size},
			},
				Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, Capacity: size}},
		}},
		ClaimsKnown: true,
		Now:         noon,
	}
}

func waiting(reason string) func(*Observation) {
	return containerState(corev1.ContainerStatus{
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "said the kubelet"}},
	})
}

func containerState(c corev1.ContainerStatus) func(*Observation) {
	return func(o *Observation) {
		c.Image = "host:5000/dittofs:v1"
		o.Pods[0].Status.Conditions = nil
		o.Pods[0].Status.ContainerStatuses = []corev1.ContainerStatus{c}
	}
}

func was(phase v1alpha1.Phase) func(*Observation) {
	return func(o *Observation) {
		o.Server.Status.Phase, o.Server.Status.ObservedGeneration = phase, o.Server.Generation
	}
}

func notReady(o *Observation) { o.Pods[0].Status.Conditions = nil }
func noPod(o *Observation)    { o.Pods = nil }
func unboundClaim(o *Observation) {
	o.Claims[0].Live.Status.Phase = corev1.ClaimPending
}

func TestPhaseAndReasonFollowTheCluster(t *testing.T) {
	all := func(changes ...func(*Observation)) func(*Observation) {
		return func(o *Observation) {
			for _, change := range changes {
				change(o)
			}
		}
	}
	refused := func(o *Observation) { o.ConfigError = errors.New("cache.path is required") }
	crashed := corev1.ContainerStateTerminated{ExitCode: 2, Message: "nfs.listen: the port is in use\n"}
	for name, test := range map[string]struct {
		change          func(*Observation)
		phase           v1alpha1.Phase
		reason, message string
	}{
		"healthy":                 {func(*Observation) {}, v1alpha1.PhaseRunning, "Running", "serving /export at 10.96.0.17:2049"},
		"deleted":                 {func(o *Observation) { o.Server.DeletionTimestamp = &metav1.Time{Time: noon} }, v1alpha1.PhaseDeleting, "Deleting", "its volumes are kept"},
		"configuration refused":   {all(refused, noPod), v1alpha1.PhaseFailed, "ConfigRefused", "cache.path is required"},
		"... of a running server": {refused, v1alpha1.PhaseDegraded, "ConfigRefused", "cache.path is required"},
		"object refused":          {func(o *Observation) { o.Problem = errors.New("quota"); o.Pods = nil }, v1alpha1.PhaseFailed, "ApplyFailed", "quota"},
		"hibernated":              {func(o *Observation) { o.Server.Spec.Replicas = ptr.To[int32](0); o.Pods = nil }, v1alpha1.PhaseHibernated, "Hibernated", "replicas is 0"},
		"image missing":           {waiting("ImagePullBackOff"), v1alpha1.PhaseFailed, "ImagePullFailed", `"host:5000/dittofs:v1"`},
		"image missing, trying":   {waiting("ErrImagePull"), v1alpha1.PhaseFailed, "ImagePullFailed", `"host:5000/dittofs:v1"`},
		"container impossible":    {waiting("CreateContainerConfigError"), v1alpha1.PhaseFailed, "CreateContainerConfigError", "said the kubelet"},
		"container being made":    {waiting("ContainerCreating"), v1alpha1.PhaseStarting, "PodNotReady", "nas-0"},
		"crashing": {containerState(corev1.ContainerStatus{
			State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
			LastTerminationState: corev1.ContainerState{Terminated: &crashed}}),
			v1alpha1.PhaseFailed, "CrashLoop", "the server ended with exit code 2: nfs.listen: the port is in use"},
		"crashing, between": {containerState(corev1.ContainerStatus{RestartCount: 3, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
			LastTerminationState: corev1.ContainerState{Terminated: &crashed}}), v1alpha1.PhaseFailed, "CrashLoop",
			"port is in use"},
		"killed once": {all(was(v1alpha1.PhaseRunning), containerState(corev1.ContainerStatus{RestartCount: 1, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137}}})),
			v1alpha1.PhaseDegraded, "PodNotReady", "nas-0"},
		"out of memory": {containerState(corev1.ContainerStatus{
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}},
		}),
			v1alpha1.PhaseFailed, "OutOfMemory", "spec.resources.limits.memory"},
		"evicted": {func(o *Observation) {
			o.Pods[0].Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "low on disk"}
		}, v1alpha1.PhaseFailed, "PodFailed", "Evicted low on disk"},
		"growth refused":          {func(o *Observation) { o.Claims[0].Refusal = errors.New("nas-data cannot grow") }, v1alpha1.PhaseDegraded, "ExpansionRefused", "nas-data cannot grow"},
		"rolling out":             {func(o *Observation) { o.Set.Status.UpdateRevision = "r2" }, v1alpha1.PhaseStarting, "RollingOut", "about to be replaced"},
		"change not yet observed": {func(o *Observation) { o.Set.Generation++ }, v1alpha1.PhaseStarting, "RollingOut", "about to be replaced"},
		"no node": {func(o *Observation) {
			o.Pods[0].Status = corev1.PodStatus{
				Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/1 nodes"}},
			}
		}, v1alpha1.PhasePending, "Unscheduled", "0/1 nodes"},
		"no volume":         {all(notReady, unboundClaim), v1alpha1.PhasePending, "WaitingForVolume", "nas-data"},
		"no pod":            {noPod, v1alpha1.PhasePending, "WaitingForPod", "does not exist yet"},
		"pod lost":          {all(was(v1alpha1.PhaseRunning), noPod), v1alpha1.PhaseDegraded, "WaitingForPod", "does not exist yet"},
		"still down":        {all(was(v1alpha1.PhaseDegraded), notReady), v1alpha1.PhaseDegraded, "PodNotReady", "nas-0"},
		"first start":       {notReady, v1alpha1.PhaseStarting, "PodNotReady", "nas-0"},
		"start of a change": {all(was(v1alpha1.PhaseRunning), notReady, func(o *Observation) { o.Server.Generation++ }), v1alpha1.PhaseStarting, "PodNotReady", "nas-0"},
		"old pod going": {func(o *Observation) {
			old := o.Pods[0].DeepCopy()
			old.DeletionTimestamp = &metav1.Time{Time: noon}
			o.Pods = append([]corev1.Pod{*old}, o.Pods...)
		}, v1alpha1.PhaseRunning, "Running", "serving"},
	} {
		t.Run(name, func(t *testing.T) {
			o := healthy()
			test.change(&o)
			got := Compute(o)
			if got.Phase != test.phase {
				t.Errorf("phase is %s, not %s", got.Phase, test.phase)
			}
			is := apimeta.FindStatusCondition(got.Conditions, v1alpha1.ConditionReady)
			if is.Reason != test.reason || !strings.Contains(is.Message, test.message) {
				t.Errorf("Ready says %s: %s; want %s: %s", is.Reason, is.Message, test.reason, test.message)
			}
			if (is.Status == metav1.ConditionTrue) != (got.Phase == v1alpha1.PhaseRunning) {
				t.Errorf("Ready is %s in phase %s", is.Status, got.Phase)
			}
			for _, c := range got.Conditions {
				if c.Reason == "" || c.ObservedGeneration != o.Server.Generation {
					t.Errorf("the API server would refuse %+v", c)
				}
			}
			// What is written does not change when it is looked at again.
			o.Server.Status, o.Now = got, noon.Add(time.Hour)
			if again := Compute(o); !reflect.DeepEqual(again, got) {
				t.Errorf("the same cluster gave\n%+v\nand then\n%+v", got, again)
			}
		})
	}
}

func TestStorageReadyTellsAboutEveryClaim(t *testing.T) {
	claim := func(change func(*volumes.State)) func(*Observation) {
		return func(o *Observation) { change(&o.Claims[0]) }
	}
	for name, test := range map[string]struct {
		change func(*Observation)
		status metav1.ConditionStatus
		reason string
	}{
		"bound":     {func(*Observation) {}, metav1.ConditionTrue, "Bound"},
		"in memory": {func(o *Observation) { o.Claims = nil }, metav1.ConditionTrue, "NotNeeded"},
		"unknown":   {func(o *Observation) { o.Claims, o.ClaimsKnown = nil, false }, metav1.ConditionFalse, "NotReached"},
		"waiting":   {unboundClaim, metav1.ConditionFalse, "Waiting"},
		"lost":      {claim(func(s *volumes.State) { s.Live.Status.Phase = corev1.ClaimLost }), metav1.ConditionFalse, "Lost"},
		"deleted":   {claim(func(s *volumes.State) { s.Live.DeletionTimestamp = &metav1.Time{Time: noon} }), metav1.ConditionFalse, "Deleting"},
		"refused":   {claim(func(s *volumes.State) { s.Refusal = errors.New("no") }), metav1.ConditionFalse, "ExpansionRefused"},
		"expanding": {claim(func(s *volumes.State) { s.Claim.Spec.Size = resource.MustParse("20Gi") }), metav1.ConditionTrue, "Expanding"},
	} {
		// The claim is the only one, or another that is bound comes before or after it.
		for _, beside := range []string{"alone", "first", "last"} {
			o := healthy()
			other := healthy().Claims[0]
			other.Claim.Name = "nas-other"
			test.change(&o)
			switch {
			case len(o.Claims) == 0:
			case beside == "first":
				o.Claims = append(o.Claims, other)
			case beside == "last":
				o.Claims = append([]volumes.State{other}, o.Claims...)
			}
			got := apimeta.FindStatusCondition(Compute(o).Conditions, v1alpha1.ConditionStorageReady)
			if got.Status != test.status || got.Reason != test.reason {
				t.Errorf("%s, %s: the condition is %+v", name, beside, got)
			}
		}
	}
}

func TestStatusDescribesEndpointSharesAndVersion(t *testing.T) {
	o := healthy()
	o.Server.Spec.Shares = []v1alpha1.ShareSpec{
		{Name: "a"}, {Name: "b", Path: "/x/b"}, {Name: "c"}, {Name: "d"}, {Name: "e"},
	}
	o.Service.Spec.ClusterIP = "fd00::17"
	o.Service.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}, {Hostname: "nas.example"}}
	got := Compute(o)
	if got.NFSEndpoint != "[fd00::17]:2049" || got.SharePaths != "/a,/x/b,/c,+2" || got.Version != "v1" ||
		got.ConfigHash != "0123456789abcdef" {
		t.Errorf("status is %+v", got)
	}
	if got.Shares[1] != (v1alpha1.ShareStatus{Name: "b", Path: "/x/b", MountSource: "[fd00::17]:/x/b"}) {
		t.Errorf("share is %+v", got.Shares[1])
	}
	if !reflect.DeepEqual(got.ExternalAddresses, []string{"192.0.2.1", "nas.example"}) {
		t.Errorf("addresses are %v", got.ExternalAddresses)
	}
}

func TestVersionIsTagOrDigest(t *testing.T) {
	for image, want := range map[string]string{
		"host:5000/a/dittofs:v1.2": "v1.2",
		"host:5000/a/dittofs":      "latest",
		"dittofs@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef": "sha256:0123456789ab",
		"dittofs:v1@sha256:0123456789abcdef":                                              "sha256:0123456789ab",
	} {
		if got := version(image); got != want {
			t.Errorf("the version of %s is %s, not %s", image, got, want)
		}
	}
}

func TestMessagesAreBounded(t *testing.T) {
	o := healthy()
	o.ConfigError = errors.New(strings.Repeat("é", 100_000) + "\xff")
	const most = 2048 + len(" …")
	long := 0
	for _, c := range Compute(o).Conditions {
		if len(c.Message) > most || !utf8.ValidString(c.Message) {
			t.Errorf("the message of %s has %d bytes: %.20q … %q",
				c.Type, len(c.Message), c.Message, c.Message[max(0, len(c.Message)-20):])
		}
		if len(c.Message) > most/2 {
			long++
		}
	}
	if long == 0 {
		t.Error("no condition tells the fault")
	}
	// The cut is between two bytes of a letter.
	o.ConfigError = errors.New("x" + strings.Repeat("é", 100_000))
	for _, c := range Compute(o).Conditions {
		if !utf8.ValidString(c.Message) {
			t.Errorf("the message of %s ends in %q", c.Type, c.Message[max(0, len(c.Message)-20):])
		}
	}
}
