// Package apply makes objects in the cluster be what the operator intends, by
// server-side apply, and writes only when something would change.
//
// Server-side apply alone is idempotent but not quiet: each call is a request,
// an admission and an entry in the audit log. So an intent is first compared
// with the cached object and its managed fields (Difference). Drift is repaired
// because a field that someone else changed no longer matches; a field that
// left the intent is removed because it is still owned.
//
// An object that exists and does not belong to the resource is never taken
// over: the field owner would win every conflict, and with that somebody
// else's Service.
package apply

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Owner is the field owner of everything that the operator writes.
const Owner = "dittofs-operator"

// Applier applies intents. It is safe for concurrent use.
type Applier struct {
	// Client writes, and reads through the cache.
	Client client.Client
	// Live reads from the API server. The cache holds only objects that carry
	// the operator's label, so what is missing there may still exist.
	Live client.Reader

	settled sync.Map // client.ObjectKey and kind → settlement
	refused refusals
}

// settlement remembers an apply whose result differs from its intent for good,
// because the API server writes a value in another form. Without it such an
// object would be applied at every reconcile.
type settlement struct {
	intent, result [sha256.Size]byte
}

// Intent is an object as it should be.
type Intent struct {
	// Object is an apply configuration of k8s.io/client-go/applyconfigurations.
	Object runtime.ApplyConfiguration
	// Ours reports whether an existing object may be written.
	Ours func(client.Object) bool
	// Leftover reports whether an object that is not ours will go by itself. May
	// be nil.
	Leftover func(client.Object) bool
	// Pause is how long a refusal is taken as the answer to the same intent for
	// the same object, without asking again; 0 for no time.
	Pause time.Duration
}

// TakenError says that an object of the wanted name belongs to someone else.
type TakenError struct {
	Kind string
	Key  client.ObjectKey
	// Leftover: the cluster is about to delete it.
	Leftover bool
}

// Error names the object and the fix.
func (e *TakenError) Error() string {
	if e.Leftover {
		return fmt.Sprintf("%s %s is of a DittoServer of this name that was deleted: it is waited for until the cluster "+
			"has removed it", e.Kind, e.Key.Name)
	}
	return fmt.Sprintf("%s %s exists and does not belong to this DittoServer: delete it, "+
		"or give the DittoServer another name", e.Kind, e.Key.Name)
}

// WaitsForLeftover reports whether err says that an object of the wanted name
// will go by itself.
func WaitsForLeftover(err error) bool {
	var taken *TakenError
	return errors.As(err, &taken) && taken.Leftover
}

// Refused reports whether err is the API server's refusal of what was asked,
// which only a change of the spec or of the cluster can cure, and not a
// trouble that passes.
func Refused(err error) bool {
	var taken *TakenError
	return errors.As(err, &taken) || apierrors.IsInvalid(err) || apierrors.IsForbidden(err) ||
		apierrors.IsBadRequest(err) || apierrors.IsRequestEntityTooLargeError(err)
}

// Ensure makes the object be what intent says and fills live with it. It
// reports whether it wrote.
func (a *Applier) Ensure(ctx context.Context, intent Intent, live client.Object) (bool, error) {
	want, err := toMap(intent.Object)
	if err != nil {
		return false, err
	}
	u := unstructured.Unstructured{Object: want}
	key := client.ObjectKey{Namespace: u.GetNamespace(), Name: u.GetName()}
	exists, err := a.Find(ctx, key, live)
	if err != nil {
		return false, err
	}
	if exists && !intent.Ours(live) {
		return false, &TakenError{Kind: u.GetKind(), Key: key, Leftover: intent.Leftover != nil && intent.Leftover(live)}
	}
	if exists {
		change := a.difference(key, want, live)
		if change == "" {
			return false, nil
		}
		log.FromContext(ctx).V(1).Info("repairing", "kind", u.GetKind(), "name", key.Name, "field", change)
	}
	asked, err := question(want, live, exists)
	if err != nil {
		return false, err
	}
	if err := a.refused.recall(asked); err != nil {
		return false, err
	}
	// The configuration is filled with the answer: want was copied before.
	if err := a.Client.Apply(ctx, intent.Object, client.FieldOwner(Owner), client.ForceOwnership); err != nil {
		err = fmt.Errorf("apply %s %s: %w", u.GetKind(), key.Name, err)
		if Refused(err) {
			a.refused.note(asked, err, intent.Pause)
		}
		return false, err
	}
	answer, err := toMap(intent.Object)
	if err != nil {
		return true, err
	}
	reset(live)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(answer, live); err != nil {
		return true, fmt.Errorf("read answer to apply of %s %s: %w", u.GetKind(), key.Name, err)
	}
	return true, a.settle(key, want, live)
}

// Find reads live from the cache, else from the API server, and reports whether
// it exists.
func (a *Applier) Find(ctx context.Context, key client.ObjectKey, live client.Object) (bool, error) {
	err := a.Client.Get(ctx, key, live)
	if apierrors.IsNotFound(err) {
		reset(live)
		err = a.Live.Get(ctx, key, live)
	}
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// difference is that of Difference, or nothing if the object is what an apply
// of the same intent has left.
func (a *Applier) difference(key client.ObjectKey, want map[string]any, live client.Object) string {
	have, err := toMap(live)
	if err != nil {
		return err.Error()
	}
	path := Difference(want, have, live.GetManagedFields(), Owner)
	known, ok := a.settled.Load(settlementKey(key, live))
	if ok && known == (settlement{intent: digest(want), result: fingerprint(have)}) {
		return ""
	}
	return path
}

// settle remembers the result of an apply that is not what was intended.
func (a *Applier) settle(key client.ObjectKey, want map[string]any, live client.Object) error {
	have, err := toMap(live)
	if err != nil {
		return err
	}
	if Difference(want, have, live.GetManagedFields(), Owner) == "" {
		a.settled.Delete(settlementKey(key, live))
	} else {
		a.settled.Store(settlementKey(key, live), settlement{intent: digest(want), result: fingerprint(have)})
	}
	return nil
}

func settlementKey(key client.ObjectKey, live client.Object) string {
	return fmt.Sprintf("%T %s", live, key)
}

// fingerprint is the digest of what users and controllers mean by an object:
// not its status, version or history.
func fingerprint(object map[string]any) [sha256.Size]byte {
	u := (&unstructured.Unstructured{Object: object}).DeepCopy()
	unstructured.RemoveNestedField(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "apiVersion")
	unstructured.RemoveNestedField(u.Object, "kind")
	u.SetResourceVersion("")
	u.SetManagedFields(nil)
	return digest(u.Object)
}

func digest(object map[string]any) [sha256.Size]byte {
	raw, _ := json.Marshal(object) // maps of JSON values, sorted by key: cannot fail
	return sha256.Sum256(raw)
}

// toMap is the JSON form of an object, with int64 for whole numbers.
func toMap(object any) (map[string]any, error) {
	raw, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("marshal %T: %w", object, err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, fmt.Errorf("unmarshal %T: %w", object, err)
	}
	return out, nil
}
