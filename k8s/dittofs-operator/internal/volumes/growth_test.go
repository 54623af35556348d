package volumes_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/apply"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/names"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/volumes"
)

// rigid is a cluster of one claim, which may not grow.
type rigid struct {
	client.Client
	claim *corev1.PersistentVolumeClaim
	asked []string // sizes
}

func (c *rigid) Get(_ context.Context, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	c.claim.DeepCopyInto(object.(*corev1.PersistentVolumeClaim))
	return nil
}

func (c *rigid) Apply(_ context.Context, object runtime.ApplyConfiguration, _ ...client.ApplyOption) error {
	raw, err := json.Marshal(object)
	if err != nil {
		return err
	}
	var claim corev1.PersistentVolumeClaim
	if err := json.Unmarshal(raw, &claim); err != nil {
		return err
	}
	size := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	c.asked = append(c.asked, size.String())
	if size.Cmp(c.claim.Spec.Resources.Requests[corev1.ResourceStorage]) > 0 {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "persistentvolumeclaims"}, claim.Name, nil)
	}
	return nil
}

// A server with stores elsewhere is looked at every two seconds.
func TestAClaimThatMayNotGrowIsNotAskedToAtEveryLook(t *testing.T) {
	ds := &v1alpha1.DittoServer{ObjectMeta: metav1.ObjectMeta{Name: "nas", Namespace: "n"}}
	c := &rigid{
		claim: &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Name: "nas-data", Namespace: "n", Labels: names.Labels(ds)},
		},
	}
	c.claim.Spec.VolumeName = "pv"
	c.claim.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")}
	applier := &apply.Applier{Client: c, Live: c}
	look := func(size string) {
		t.Helper()
		found := volumes.State{Claim: volumes.Claim{Name: "nas-data"}, Live: c.claim.DeepCopy()}
		found.Claim.Spec.Size = resource.MustParse(size)
		states, err := volumes.Ensure(t.Context(), applier, ds, []volumes.State{found}, nil)
		if err != nil || states[0].Refusal == nil {
			t.Fatalf("the claim may grow: %+v, %v", states, err)
		}
	}
	asked := func(size string) (n int) {
		for _, other := range c.asked {
			if other == size {
				n++
			}
		}
		return n
	}
	for range 5 {
		look("20Gi")
	}
	if n := asked("20Gi"); n != 1 {
		t.Errorf("in one moment it is asked %d times: %s", n, strings.Join(c.asked, ", "))
	}
	look("30Gi")
	if n := asked("30Gi"); n != 1 {
		t.Errorf("another size is asked for %d times", n)
	}
	c.claim.Annotations = map[string]string{"somebody": "has changed it"}
	look("20Gi")
	if n := asked("20Gi"); n != 2 {
		t.Errorf("after a change of the claim it is asked %d times", n)
	}
}
