package status

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/apply"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/rollout"
)

// verdict is what an observation means.
type verdict struct {
	phase v1alpha1.Phase
	// serving: a pod is ready, so clients are served by some generation.
	serving bool
	// rolledOut: the pod is of the newest revision.
	rolledOut bool
	// reason and message say what keeps the server from Running; empty if it is.
	reason, message string
}

// judge decides in the order of what a person would want to know first:
//
//  1. it is being deleted;
//  2. its filesystem is lost or about to be;
//  3. the spec cannot be carried out: the configuration, an object, or the
//     address that mounts have, is refused;
//  4. it is meant to be off;
//  5. the pod cannot run (image, crash);
//  6. it serves, but a store outside of its pod is at fault;
//  7. it serves: the newest revision and configuration, or still an older one;
//  8. it waits for something outside: a Secret, a volume, a node, a store;
//  9. it is on its way up, for the first time or again.
func judge(o Observation) verdict {
	pod := Current(o.Pods)
	v := verdict{serving: pod != nil && rollout.Ready(pod), rolledOut: rolledOut(o, pod)}
	unlessServing := func(phase v1alpha1.Phase) v1alpha1.Phase {
		if v.serving {
			return v1alpha1.PhaseDegraded
		}
		return phase
	}
	result := func(phase v1alpha1.Phase, reason, message string) verdict {
		v.phase, v.reason, v.message = phase, reason, message
		return v
	}

	if o.Server.DeletionTimestamp != nil {
		return result(v1alpha1.PhaseDeleting, "Deleting", "the DittoServer is being deleted; "+claimsFate(o.Server))
	}
	if fault := filesystemFault(o); fault != nil {
		return result(unlessServing(v1alpha1.PhaseFailed), fault.reason, fault.message)
	}
	if o.ConfigError != nil {
		return result(unlessServing(v1alpha1.PhaseFailed), "ConfigRefused", o.ConfigError.Error())
	}
	if apply.WaitsForLeftover(o.Problem) {
		return result(unlessServing(v1alpha1.PhasePending), "WaitingForLeftover", o.Problem.Error())
	}
	if o.Problem != nil {
		return result(unlessServing(v1alpha1.PhaseFailed), "ApplyFailed", o.Problem.Error())
	}
	if o.Address != nil {
		return result(unlessServing(v1alpha1.PhaseFailed), o.Address.Reason, o.Address.Message)
	}
	if hibernates(o.Server) {
		return result(v1alpha1.PhaseHibernated, "Hibernated", "replicas is 0; address and data are kept")
	}
	if fault := faultOf(pod); fault != nil && !v.serving {
		return result(v1alpha1.PhaseFailed, fault.reason, fault.message+missing(o.MissingSecrets))
	}
	if refusal := refusedGrowth(o); refusal != nil && v.serving {
		return result(v1alpha1.PhaseDegraded, "ExpansionRefused", refusal.Error())
	}
	if fault := storeFault(o); fault != nil && v.serving {
		return result(v1alpha1.PhaseDegraded, fault.reason, fault.message)
	}
	switch {
	case v.serving && v.rolledOut && Unrecorded(o):
		return result(v1alpha1.PhaseStarting, "ConfigNotApplied",
			"the pod "+pod.Name+" serves filesystem "+served(o)+", and has yet to be told that no other is expected")
	case v.serving && v.rolledOut && applied(o):
		return result(v1alpha1.PhaseRunning, "", "")
	case v.serving && v.rolledOut:
		return result(v1alpha1.PhaseStarting, "ConfigNotApplied", notApplied(o, pod))
	case v.serving:
		return result(v1alpha1.PhaseStarting, "RollingOut", "a pod serves, and is about to be replaced")
	}
	return result(comingUp(o, pod))
}

// comingUp distinguishes the ways of not serving yet.
func comingUp(o Observation, pod *corev1.Pod) (phase v1alpha1.Phase, reason, message string) {
	old := o.Server.Status
	wasUp := old.ObservedGeneration == o.Server.Generation &&
		(old.Phase == v1alpha1.PhaseRunning || old.Phase == v1alpha1.PhaseDegraded)
	fault := storeFault(o)
	waiting, claim := unscheduled(pod), unbound(o)
	switch {
	case len(o.Lacking) > 0: // there is no pod for the lack of it, or it cannot start
		phase, reason, message = v1alpha1.PhasePending, fault.reason, fault.message
	case waiting != "":
		phase, reason, message = v1alpha1.PhasePending, "Unscheduled", waiting
	case claim != "":
		phase, reason, message = v1alpha1.PhasePending, "WaitingForVolume", claim
	case pod == nil:
		phase, reason, message = v1alpha1.PhasePending, "WaitingForPod", "the pod does not exist yet"
	case fault != nil:
		phase, reason, message = v1alpha1.PhaseStarting, fault.reason, "the pod "+pod.Name+" waits: "+fault.message
	default:
		phase, reason, message = v1alpha1.PhaseStarting, "PodNotReady", "the pod "+pod.Name+" is not ready yet"
	}
	if wasUp {
		phase = v1alpha1.PhaseDegraded
	}
	return phase, reason, message
}

func hibernates(ds *v1alpha1.DittoServer) bool {
	return ds.Spec.Replicas != nil && *ds.Spec.Replicas == 0
}

func claimsFate(ds *v1alpha1.DittoServer) string {
	if ds.Spec.DeletionPolicy == v1alpha1.DeletionDelete {
		return "its volumes are deleted with it"
	}
	return "its volumes are kept"
}

// Current is the pod that counts: one that is not going away, if there is one.
func Current(pods []corev1.Pod) *corev1.Pod {
	var found *corev1.Pod
	for i := range pods {
		if found == nil || found.DeletionTimestamp != nil {
			found = &pods[i]
		}
	}
	return found
}

func rolledOut(o Observation, pod *corev1.Pod) bool {
	return o.Set != nil && pod != nil && pod.DeletionTimestamp == nil &&
		o.Set.Status.ObservedGeneration >= o.Set.Generation &&
		rollout.Revision(pod) == o.Set.Status.UpdateRevision
}

func missing(secrets []string) string {
	if len(secrets) == 0 {
		return ""
	}
	return "; of spec.imagePullSecrets these do not exist: " + strings.Join(secrets, ", ")
}

func refusedGrowth(o Observation) error {
	for _, claim := range o.Claims {
		if claim.Refusal != nil {
			return claim.Refusal
		}
	}
	return nil
}

func unbound(o Observation) string {
	for _, claim := range o.Claims {
		if claim.Live.Status.Phase != corev1.ClaimBound {
			return "PersistentVolumeClaim " + claim.Claim.Name + " is not bound yet"
		}
	}
	return ""
}
