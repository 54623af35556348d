// Package controller connects the operator's decisions with the cluster. What
// it decides is in the packages render, volumes, service, workload, rollout and
// status; here they are only called in their order.
package controller

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/apply"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/probe"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/refresh"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/render"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/status"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/volumes"
)

// retryRefused is the time after which a refused object is tried again: what
// helps (a quota, a storage class, an object in the way) may be nothing that
// the operator watches.
const retryRefused = 30 * time.Second

// lookSoon is how often a server is asked that has a change yet to take over.
const lookSoon = 500 * time.Millisecond

// retryTaken is the time after which something is tried again that is about to
// be free: an object of a deleted DittoServer, an address.
const retryTaken = time.Second

// retryStale is the time in which a cache that is behind catches up.
const retryStale = 100 * time.Millisecond

// Reconciler makes the cluster be what DittoServers say.
type Reconciler struct {
	// Client reads through the cache and writes.
	Client client.Client
	// Applier applies the objects.
	Applier *apply.Applier
	// Prober asks servers for the state of their stores and backups.
	Prober *probe.Prober
	// Kubelets are told of changed configurations.
	Kubelets *refresh.Kubelets
	// Events records transitions.
	Events events.EventRecorder
	// DefaultImage is the server's image where the spec has none.
	DefaultImage string
	// Clock gives the times of conditions.
	Clock clock.PassiveClock
}

// Reconcile handles one DittoServer.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (ctrl.Result, error) {
	ds := &v1alpha1.DittoServer{}
	if err := r.Client.Get(ctx, req.NamespacedName, ds); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	seen := status.Observation{Server: ds, Now: r.Clock.Now()}

	layout := volumes.For(ds)
	claims, err := r.recall(ctx, &seen, layout)
	if err != nil {
		return ctrl.Result{}, err
	}
	seen.Config, seen.ConfigError = render.Config(ds, layout, seen.Known.Filesystem)
	if seen.ConfigError == nil && ds.DeletionTimestamp == nil {
		seen.Problem = r.apply(ctx, &seen, layout, claims)
	}
	if err := r.observe(ctx, &seen); err != nil {
		return ctrl.Result{}, err
	}
	if err := r.replaceStuckPod(ctx, &seen); err != nil {
		return ctrl.Result{}, err
	}
	if err := r.refresh(ctx, &seen); err != nil {
		return ctrl.Result{}, err
	}
	err = r.writeStatus(ctx, ds, status.Compute(seen))
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return ctrl.Result{RequeueAfter: retryStale}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	return outcome(&seen)
}

// outcome says when to look again: at once and with back-off after a trouble
// that passes, soon if nothing would tell of a change, later after a refusal,
// else when something changes.
func outcome(seen *status.Observation) (ctrl.Result, error) {
	switch {
	case seen.Problem != nil && !apply.Refused(seen.Problem):
		return ctrl.Result{}, seen.Problem
	case status.Unrecorded(*seen) || status.Behind(*seen) != nil && seen.Report != nil:
		return ctrl.Result{RequeueAfter: lookSoon}, nil
	case status.Behind(*seen) != nil: // it does not answer
		return ctrl.Result{RequeueAfter: lookAgain}, nil
	case apply.WaitsForLeftover(seen.Problem) || seen.Address != nil && seen.Service == nil:
		return ctrl.Result{RequeueAfter: retryTaken}, nil
	case looked(seen.Server) > 0:
		return ctrl.Result{RequeueAfter: looked(seen.Server)}, nil
	case seen.Problem != nil || growthRefused(seen.Claims):
		return ctrl.Result{RequeueAfter: retryRefused}, nil
	}
	return ctrl.Result{}, nil
}

func growthRefused(claims []volumes.State) bool {
	for _, claim := range claims {
		if claim.Refusal != nil {
			return true
		}
	}
	return false
}
