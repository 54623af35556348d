package volumes

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/apply"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/names"
)

// State is a claim as it is in the cluster.
type State struct {
	Claim Claim
	// Live is nil if there is none.
	Live *corev1.PersistentVolumeClaim
	// Refusal is why the API server refused to let the claim grow; nil if it
	// did not. The claim serves on in its old size.
	Refusal error
}

// growAgain is the time after which a claim is asked to grow again that was not
// allowed to: a storage class that is changed tells nobody.
const growAgain = 30 * time.Second

// Find looks for the claims of a layout.
func Find(ctx context.Context, a *apply.Applier, ds *v1alpha1.DittoServer, layout Layout) ([]State, error) {
	states := make([]State, 0, len(layout.Claims))
	for _, claim := range layout.Claims {
		live := &corev1.PersistentVolumeClaim{}
		exists, err := a.Find(ctx, client.ObjectKey{Namespace: ds.Namespace, Name: claim.Name}, live)
		if err != nil {
			return nil, err
		}
		state := State{Claim: claim}
		if exists {
			state.Live = live
		}
		states = append(states, state)
	}
	return states, nil
}

// Notes are the annotations of the claims that an operator made.
func Notes(ds *v1alpha1.DittoServer, states []State) (notes []map[string]string) {
	for _, state := range states {
		if state.Live != nil && belongs(ds)(state.Live) {
			notes = append(notes, state.Live.Annotations)
		}
	}
	return notes
}

// Ensure makes claims, or changes them, and annotates them. One that cannot grow
// is reported in its State; any other fault is an error.
func Ensure(
	ctx context.Context, a *apply.Applier, ds *v1alpha1.DittoServer, found []State, notes map[string]string,
) ([]State, error) {
	states := make([]State, 0, len(found))
	for _, claim := range found {
		state, err := ensure(ctx, a, ds, claim, notes)
		if err != nil {
			return nil, err
		}
		states = append(states, state)
	}
	return states, nil
}

func ensure(
	ctx context.Context, a *apply.Applier, ds *v1alpha1.DittoServer, found State, notes map[string]string,
) (State, error) {
	claim, live := found.Claim, found.Live
	if live == nil {
		live = &corev1.PersistentVolumeClaim{}
	}
	bound := live.Spec.VolumeName != ""
	have := live.Spec.Resources.Requests[corev1.ResourceStorage]

	grown := intent(ds, found, larger(have, claim.Spec.Size), notes)
	if bound && have.Cmp(claim.Spec.Size) < 0 {
		grown.Pause = growAgain
	}
	_, err := a.Ensure(ctx, grown, live)
	if bound && have.Cmp(claim.Spec.Size) < 0 && (apierrors.IsForbidden(err) || apierrors.IsInvalid(err)) {
		// The old size is applied so that everything else about it is right.
		refusal := fmt.Errorf("%s cannot grow from %s to %s; set allowVolumeExpansion in its storage class, "+
			"if the driver can expand: %w", claim.Name, have.String(), claim.Spec.Size.String(), err)
		_, err = a.Ensure(ctx, intent(ds, found, have, notes), live)
		return State{Claim: claim, Live: live, Refusal: refusal}, err
	}
	return State{Claim: claim, Live: live}, err
}

// larger keeps a claim that has been expanded by hand: a claim cannot shrink.
func larger(a, b resource.Quantity) resource.Quantity {
	if a.Cmp(b) > 0 {
		return a
	}
	return b
}

// intent is the claim. Only with deletionPolicy Delete does it belong to the
// DittoServer: an owner reference is what deletes data. A claim that was found
// has its UID, with which the API server refuses to make another one should it
// have gone meanwhile.
func intent(ds *v1alpha1.DittoServer, found State, size resource.Quantity, notes map[string]string) apply.Intent {
	claim := found.Claim
	pvc := corev1ac.PersistentVolumeClaim(claim.Name, ds.Namespace).
		WithLabels(names.Labels(ds)).
		WithAnnotations(notes).
		WithSpec(corev1ac.PersistentVolumeClaimSpec().
			WithAccessModes(corev1.ReadWriteOnce).
			WithResources(corev1ac.VolumeResourceRequirements().
				WithRequests(corev1.ResourceList{corev1.ResourceStorage: size})))
	if found.Live != nil && found.Live.UID != "" {
		pvc.WithUID(found.Live.UID)
	}
	if claim.Spec.StorageClassName != nil {
		pvc.Spec.WithStorageClassName(*claim.Spec.StorageClassName)
	}
	if ds.Spec.DeletionPolicy == v1alpha1.DeletionDelete {
		pvc.WithOwnerReferences(names.Owner(ds))
	}
	return apply.Intent{Object: pvc, Ours: belongs(ds), Leftover: names.Leftover(ds)}
}

// belongs tells a claim that an operator made for a DittoServer of this name:
// this one, or one before it whose data was retained. It must not be owned by
// another.
func belongs(ds *v1alpha1.DittoServer) func(client.Object) bool {
	return func(object client.Object) bool {
		labels := object.GetLabels()
		for name, value := range names.Labels(ds) {
			if labels[name] != value {
				return false
			}
		}
		for _, ref := range object.GetOwnerReferences() {
			if ref.UID != ds.UID {
				return false
			}
		}
		return true
	}
}
