package status

import (
	"fmt"
	"regexp"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/stores"
	"github.com/dittofs/dittofs/pkg/health"
)

// storageReady tells about the volumes, and then about the bucket; first of all
// what is lacking, since without it there is no pod that volumes could wait for.
func storageReady(o Observation) metav1.Condition {
	if fault := lacking(o, health.Content); fault != nil {
		return condition(v1alpha1.ConditionStorageReady, false, fault.Reason, fault.Message)
	}
	claims := claimsReady(o)
	if claims.Status != metav1.ConditionTrue || !stores.UsesBucket(o.Server) {
		return claims
	}
	bucket := storeReady(o, v1alpha1.ConditionStorageReady, health.Content, "bucket "+o.Server.Spec.Content.S3.Bucket)
	if bucket.Status == metav1.ConditionTrue && claims.Reason == reasonExpanding {
		return claims
	}
	return bucket
}

func databaseReady(o Observation) metav1.Condition {
	if !stores.UsesDatabase(o.Server) {
		return condition(v1alpha1.ConditionDatabaseReady, true, "NotUsed", "the metadata is not in a database")
	}
	return storeReady(o, v1alpha1.ConditionDatabaseReady, health.Metadata,
		"database of Secret "+o.Server.Spec.Metadata.Postgres.SecretRef.Name)
}

// storeReady tells about a store outside of the pod: what it lacks, then what
// the server says, else that nobody knows.
func storeReady(o Observation, kind, check, what string) metav1.Condition {
	if fault := lacking(o, check); fault != nil {
		return condition(kind, false, fault.Reason, fault.Message)
	}
	if hibernates(o.Server) {
		return unknown(kind, "Hibernated", "there is no server that could tell whether it can use the "+what)
	}
	if fault := reported(o, check); fault != nil {
		return condition(kind, false, fault.Reason, fault.Message)
	}
	if o.Report == nil {
		return unknown(kind, "NoReport", "the server has not said whether it can use the "+what+": "+o.Silence)
	}
	if o.Report.Phase == health.Starting { // it has not come so far
		return unknown(kind, "Starting", "the server starts, and has not used the "+what+" yet")
	}
	if o.Report.Find(check) == nil {
		return unknown(kind, "NoReport", "the server does not say whether it can use the "+what+
			": is its image of the operator's version?")
	}
	return condition(kind, true, "Reachable", "the server can use the "+what)
}

// lacking is the Secret or ConfigMap that is missing for a store; check "" is
// any.
func lacking(o Observation, check string) *stores.Fault {
	for i := range o.Lacking {
		if check == "" || o.Lacking[i].Check == check {
			return &o.Lacking[i]
		}
	}
	return nil
}

// conditionReason is what the API server takes as a reason.
var conditionReason = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_]{0,99}[A-Za-z0-9])?$`)

// reported is a fault of a store that the server reports.
func reported(o Observation, check string) *stores.Fault {
	if o.Report == nil {
		return nil
	}
	found := o.Report.Find(check)
	if found == nil || found.OK {
		return nil
	}
	return &stores.Fault{Check: check, Reason: reasonOf(found.Reason), Message: found.Message}
}

// reasonOf makes what a server says a reason.
func reasonOf(text string) string {
	if !conditionReason.MatchString(text) {
		return "Fault"
	}
	return text
}

// storeFault is the first fault of a store outside of the pod, with a reason
// that tells which store: DatabaseUnreachable, StorageBucketNotFound.
func storeFault(o Observation) *fault {
	if f := lacking(o, ""); f != nil {
		return &fault{f.Reason, f.Message}
	}
	if f := reported(o, health.Metadata); f != nil && stores.UsesDatabase(o.Server) {
		return &fault{"Database" + f.Reason, "database: " + f.Message}
	}
	if f := reported(o, health.Content); f != nil && stores.UsesBucket(o.Server) {
		return &fault{"Storage" + f.Reason, "storage: " + f.Message}
	}
	return nil
}

const reasonExpanding = "Expanding"

func claimsReady(o Observation) metav1.Condition {
	not := func(reason, format string, args ...any) metav1.Condition {
		return condition(v1alpha1.ConditionStorageReady, false, reason, fmt.Sprintf(format, args...))
	}
	if !o.ClaimsKnown {
		return not("NotReached", "the volumes were not looked at, because something else was refused first")
	}
	if loss := starts(o); loss != nil {
		return not(loss.Reason, "%s", loss.Message)
	}
	if len(o.Claims) == 0 {
		return condition(v1alpha1.ConditionStorageReady, true, "NotNeeded",
			"everything is in memory and lost when the pod stops")
	}
	for _, claim := range o.Claims {
		switch {
		case claim.Live.DeletionTimestamp != nil:
			return not("Deleting", "%s", deleting(claim.Claim.Name))
		case claim.Live.Status.Phase == corev1.ClaimLost:
			return not("Lost", "PersistentVolumeClaim %s has lost its volume", claim.Claim.Name)
		case claim.Live.Status.Phase != corev1.ClaimBound:
			return not("Waiting", "PersistentVolumeClaim %s is not bound yet", claim.Claim.Name)
		case claim.Refusal != nil:
			return not("ExpansionRefused", "%v", claim.Refusal)
		}
	}
	for _, claim := range o.Claims {
		capacity := claim.Live.Status.Capacity[corev1.ResourceStorage]
		if capacity.Cmp(claim.Claim.Spec.Size) < 0 {
			return condition(v1alpha1.ConditionStorageReady, true, reasonExpanding,
				fmt.Sprintf("PersistentVolumeClaim %s grows from %s to %s",
					claim.Claim.Name, capacity.String(), claim.Claim.Spec.Size.String()))
		}
	}
	return condition(v1alpha1.ConditionStorageReady, true,
		"Bound", fmt.Sprintf("%d of %d volumes are bound", len(o.Claims), len(o.Claims)))
}
