package status

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/apply"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/identity"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/service"
	"github.com/dittofs/dittofs/pkg/health"
)

var filesystem = strings.Repeat("a", 32)

// says is what a serving server reports of itself.
func reports(instance, hash string) func(*Observation) {
	return func(o *Observation) {
		o.Report = &health.Report{Phase: health.Serving, Ready: true, Instance: instance, ConfigHash: hash}
	}
}

func TestLossIsNeverHiddenByWhatRuns(t *testing.T) {
	gone := identity.Loss{Reason: identity.VolumeGone, Message: "gone"}
	going := identity.Loss{Reason: identity.VolumeDeleting, Message: "going"}
	lose := func(l identity.Loss) func(*Observation) {
		return func(o *Observation) { o.Losses = append(o.Losses, l) }
	}
	none := int32(0)
	tests := []struct {
		name    string
		changes []func(*Observation)
		phase   v1alpha1.Phase
		reason  string
		holds   bool
	}{
		{"a claim that goes under a server", []func(*Observation){lose(going)}, v1alpha1.PhaseDegraded, identity.VolumeDeleting, false},
		{"a claim that goes, and nothing is known", []func(*Observation){func(o *Observation) {
			o.Claims[0].Live.DeletionTimestamp = &metav1.Time{Time: noon}
		}}, v1alpha1.PhaseDegraded, identity.VolumeDeleting, false},
		{"a claim that is gone while the server runs", []func(*Observation){lose(gone)}, v1alpha1.PhaseDegraded, identity.VolumeGone, false},
		{"a claim that is gone, and its pod", []func(*Observation){lose(gone), noPod}, v1alpha1.PhaseFailed, identity.VolumeGone, true},
		{"a pod that waits for it", []func(*Observation){lose(gone), notReady, func(o *Observation) { o.Pods[0].Status.Phase = corev1.PodPending }}, v1alpha1.PhaseFailed, identity.VolumeGone, true},
		{"a pod that is going away", []func(*Observation){lose(gone), notReady, func(o *Observation) { o.Pods[0].DeletionTimestamp = &metav1.Time{Time: noon} }}, v1alpha1.PhaseFailed, identity.VolumeGone, true},
		{"while it hibernates", []func(*Observation){lose(gone), noPod, func(o *Observation) { o.Server.Spec.Replicas = &none }}, v1alpha1.PhaseFailed, identity.VolumeGone, true},
		{"the worse of two", []func(*Observation){lose(going), lose(gone)}, v1alpha1.PhaseDegraded, identity.VolumeGone, false},
		{"a server of another filesystem", []func(*Observation){reports(strings.Repeat("b", 32), "0123456789abcdef"), func(o *Observation) { o.Known.Filesystem = filesystem }}, v1alpha1.PhaseDegraded, identity.OtherFilesystem, false},
		{"a server that refuses its stores", []func(*Observation){containerState(
			corev1.ContainerStatus{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				ExitCode: 2, Message: "content.bucket: it holds no filesystem, and metadata.expected_instance says …"}}})},
			v1alpha1.PhaseFailed, filesystemLost, false},
		{"an address that cannot be had", []func(*Observation){func(o *Observation) {
			o.Service, o.Address = nil, &service.Fault{Reason: service.Unavailable, Message: "taken"}
		}}, v1alpha1.PhaseDegraded, service.Unavailable, false},
		{"while it hibernates, too", []func(*Observation){noPod, func(o *Observation) {
			o.Server.Spec.Replicas, o.Address = &none, &service.Fault{Reason: service.Differs, Message: "another"}
		}}, v1alpha1.PhaseFailed, service.Differs, false},
		{"an object of a deleted DittoServer", []func(*Observation){noPod, func(o *Observation) { o.Problem = &apply.TakenError{Kind: "Service", Leftover: true} }},
			v1alpha1.PhasePending, "WaitingForLeftover", false},
		{"somebody else's object", []func(*Observation){noPod, func(o *Observation) { o.Problem = errors.Join(&apply.TakenError{Kind: "Service"}) }},
			v1alpha1.PhaseFailed, "ApplyFailed", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := healthy()
			for _, change := range test.changes {
				change(&o)
			}
			got := Compute(o)
			ready := apimeta.FindStatusCondition(got.Conditions, v1alpha1.ConditionReady)
			if got.Phase != test.phase || ready.Status != metav1.ConditionFalse || ready.Reason != test.reason ||
				ready.Message == "" {
				t.Errorf("phase %s, Ready %+v; want %s, %s", got.Phase, ready, test.phase, test.reason)
			}
			if Holds(o) != test.holds {
				t.Errorf("holds: %v", Holds(o))
			}
		})
	}
}

func TestRunningIsSaidWhenTheServerHasSaidSo(t *testing.T) {
	starting := func(o *Observation) { o.Report = nil }
	told := func(hash string) func(*Observation) {
		return func(o *Observation) { o.Server.Status.AppliedConfigHash = hash }
	}
	const now, before = "0123456789abcdef", "fedcba9876543210"
	tests := []struct {
		name    string
		changes []func(*Observation)
		phase   v1alpha1.Phase
		applied string
		contain string
	}{
		{"it serves with the configuration", []func(*Observation){reports(filesystem, now)}, v1alpha1.PhaseRunning, now, ""},
		{"it serves what nobody knew of", []func(*Observation){reports(filesystem, now), func(o *Observation) { o.Known.Filesystem = "" }}, v1alpha1.PhaseStarting, now, "no other is expected"},
		{"it serves with an earlier one", []func(*Observation){reports(filesystem, before)}, v1alpha1.PhaseStarting, before, "has yet to take over"},
		{"it refuses the configuration", []func(*Observation){reports(filesystem, before), func(o *Observation) { o.Report.ConfigFault = "no share x" }}, v1alpha1.PhaseStarting, before, "no share x"},
		{"it had said so, and is silent now", []func(*Observation){starting, told(now)}, v1alpha1.PhaseRunning, now, ""},
		{"it has said nothing yet", []func(*Observation){starting, told("")}, v1alpha1.PhaseStarting, "", "is not known"},
		{"it has said nothing of a change", []func(*Observation){starting, told(before)}, v1alpha1.PhaseStarting, before, "is not known"},
		{"it is of a version that does not say", []func(*Observation){reports("", "")}, v1alpha1.PhaseRunning, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := healthy()
			o.Known.Filesystem = filesystem
			for _, change := range test.changes {
				change(&o)
			}
			got := Compute(o)
			ready := apimeta.FindStatusCondition(got.Conditions, v1alpha1.ConditionReady)
			if got.Phase != test.phase || got.AppliedConfigHash != test.applied ||
				!strings.Contains(ready.Message, test.contain) {
				t.Errorf("phase %s, applied %q, Ready %+v", got.Phase, got.AppliedConfigHash, ready)
			}
			if progressing := apimeta.FindStatusCondition(got.Conditions,
				v1alpha1.ConditionProgressing); (progressing.Reason == "Complete") != (test.phase == v1alpha1.PhaseRunning &&
				test.applied == now) {
				t.Errorf("Progressing is %+v", progressing)
			}
			if (Behind(o) != nil || Unrecorded(o)) != (test.phase == v1alpha1.PhaseStarting) {
				t.Errorf("behind: %v", Behind(o) != nil)
			}
		})
	}
}
