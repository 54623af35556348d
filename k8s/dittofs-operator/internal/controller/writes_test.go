package controller_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// writeCounter sees every write of the operator. They are counted for each
// namespace, which is a test's own: what tests before it have left has work yet.
// A claim that must not grow, for one, is tried again for ever.
type writeCounter struct {
	mu  sync.Mutex
	all map[string][]string // by namespace
}

func (w *writeCounter) add(verb string, object any) {
	namespace, name := identify(object)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all[namespace] = append(w.all[namespace], fmt.Sprintf("%s %T %s", verb, object, name))
}

// identify reads the namespace and the name of an object or an apply
// configuration, which have no interface in common but their form in JSON.
func identify(object any) (namespace, name string) {
	raw, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	var o metav1.PartialObjectMetadata
	if err := json.Unmarshal(raw, &o); err != nil {
		panic(err)
	}
	if o.Namespace == "" {
		panic(fmt.Sprintf("the operator writes a %T without a namespace: no test would count it", object))
	}
	return o.Namespace, o.Name
}

// since returns the writes to a namespace after the first n.
func (w *writeCounter) since(namespace string, n int) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.all[namespace][n:]...)
}

func (w *writeCounter) count(namespace string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.all[namespace])
}

func (w *writeCounter) funcs() interceptor.Funcs {
	return interceptor.Funcs{
		Apply: func(ctx context.Context, c client.WithWatch, object runtime.ApplyConfiguration,
			opts ...client.ApplyOption) error {
			w.add("apply", object)
			return c.Apply(ctx, object, opts...)
		},
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			w.add("create", object)
			return c.Create(ctx, object, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.UpdateOption) error {
			w.add("update", object)
			return c.Update(ctx, object, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch,
			opts ...client.PatchOption) error {
			w.add("patch", object)
			return c.Patch(ctx, object, patch, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.DeleteOption) error {
			w.add("delete", object)
			return c.Delete(ctx, object, opts...)
		},
		SubResourceApply: func(ctx context.Context, c client.Client, sub string, object runtime.ApplyConfiguration,
			opts ...client.SubResourceApplyOption) error {
			w.add("apply "+sub, object)
			return c.SubResource(sub).Apply(ctx, object, opts...)
		},
	}
}
