package status

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/identity"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/pkg/health"
)

func serves(report *health.Report) bool {
	return report != nil && report.Phase == health.Serving
}

// served is the filesystem that a server says to serve, or empty.
func served(o Observation) string {
	if serves(o.Report) {
		return o.Report.Instance
	}
	return ""
}

// starts is the loss for which no server may start, or nil.
func starts(o Observation) *identity.Loss {
	for i := range o.Losses {
		if !o.Losses[i].Starts() {
			return &o.Losses[i]
		}
	}
	return nil
}

// Holds reports whether the pod must not be made: what it would run on is not
// what it should. A pod that runs is left alone, whatever became of its claim:
// it is all that is left.
func Holds(o Observation) bool {
	pod := Current(o.Pods)
	runs := pod != nil && pod.DeletionTimestamp == nil && pod.Status.Phase == corev1.PodRunning
	return starts(o) != nil && !runs
}

// filesystemFault is what is wrong with the filesystem: its volumes, or what a
// server has said of it.
func filesystemFault(o Observation) *fault {
	if loss := starts(o); loss != nil {
		return &fault{loss.Reason, loss.Message}
	}
	if is := served(o); is != "" && o.Known.Filesystem != "" && is != o.Known.Filesystem {
		return &fault{
			identity.OtherFilesystem, fmt.Sprintf("the server serves filesystem %s in the place of %s: "+
				"stop it (spec.replicas: 0) and bring back the volume, bucket or database of that", is, o.Known.Filesystem),
		}
	}
	if len(o.Losses) > 0 {
		return &fault{o.Losses[0].Reason, o.Losses[0].Message}
	}
	for _, claim := range o.Claims {
		if claim.Live.DeletionTimestamp != nil {
			return &fault{identity.VolumeDeleting, deleting(claim.Claim.Name)}
		}
	}
	if f := faultOf(Current(o.Pods)); f != nil && f.reason == filesystemLost {
		return f
	}
	return nil
}

func deleting(claim string) string {
	return fmt.Sprintf("PersistentVolumeClaim %s is being deleted as soon as no pod uses it", claim)
}

// filesystemLost is the reason of a server that found other stores than it
// expects: it says so by the name of the key.
const filesystemLost = "FilesystemLost"

func refusesFilesystem(message string) bool {
	return strings.Contains(message, config.ExpectedInstanceKey)
}

func filesystemIntact(o Observation) metav1.Condition {
	const kind = v1alpha1.ConditionFilesystemIntact
	if f := filesystemFault(o); f != nil {
		return condition(kind, false, f.reason, f.message)
	}
	id := o.Known.Filesystem
	switch {
	case o.Server.Spec.Metadata.Type == v1alpha1.MetadataMemory:
		return condition(kind, true, "NotKept", "the metadata is in memory: the filesystem is new at every start")
	case id == "":
		id = served(o)
	}
	switch {
	case id != "":
		return condition(kind, true, "Intact", "the server has, or waits for, filesystem "+id)
	case serves(o.Report):
		return unknown(kind, "NoReport",
			"the server does not say which filesystem it serves: is its image of the operator's version?")
	}
	return unknown(kind, "NotServedYet", "no server has said yet which filesystem it serves")
}

func addressKept(o Observation) metav1.Condition {
	const kind = v1alpha1.ConditionAddressKept
	switch {
	case o.Address != nil:
		return condition(kind, false, o.Address.Reason, o.Address.Message)
	case o.Service == nil:
		return unknown(kind, "NoService", "there is no Service yet")
	}
	return condition(kind, true, "Kept", "the Service has the address "+o.Service.Spec.ClusterIP)
}

// applied reports whether the server has said that the configuration is in
// effect. One of an older version does not say so.
func applied(o Observation) bool {
	if serves(o.Report) {
		return o.Report.ConfigHash == o.Config.Hash || o.Report.ConfigHash == ""
	}
	return o.Server.Status.AppliedConfigHash == o.Config.Hash
}

// Behind is the pod that serves with an older configuration than it should, or
// nil. A pod that is about to be replaced does not count.
func Behind(o Observation) *corev1.Pod {
	pod := Current(o.Pods)
	v := judge(o)
	if o.ConfigError == nil && o.Problem == nil && v.serving && v.rolledOut && !applied(o) {
		return pod
	}
	return nil
}

// Unrecorded reports whether a server has said which filesystem it serves, and
// nothing was known of it: what is made from that has yet to be made.
func Unrecorded(o Observation) bool {
	is, old := served(o), o.Server.Status.Filesystem
	return o.Known.Filesystem == "" && is != "" && o.Server.Spec.Metadata.Type != v1alpha1.MetadataMemory &&
		(old == nil || old.ID != is)
}

// notApplied says what is known of a server that is behind.
func notApplied(o Observation, pod *corev1.Pod) string {
	switch {
	case !serves(o.Report):
		return "whether the configuration is in effect is not known: " + o.Silence
	case o.Report.ConfigFault != "":
		return "the pod " + pod.Name + " serves with an earlier configuration: " + o.Report.ConfigFault
	}
	return "the pod " + pod.Name + " serves, and has yet to take over the configuration"
}
