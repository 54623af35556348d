package names

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
)

func TestAnObjectIsOursByItsOwnerOrWithoutOneByItsMaker(t *testing.T) {
	ds := &v1alpha1.DittoServer{ObjectMeta: metav1.ObjectMeta{Name: "nas", UID: "now"}}
	applied := []metav1.ManagedFieldsEntry{{Manager: Operator, Operation: metav1.ManagedFieldsOperationApply}}
	owner := func(kind, name, uid string) []metav1.OwnerReference {
		is := true
		return []metav1.OwnerReference{
			{APIVersion: v1alpha1.GroupVersion.String(), Kind: kind, Name: name, UID: types.UID(uid), Controller: &is},
		}
	}
	tests := []struct {
		name           string
		object         metav1.ObjectMeta
		ours, leftover bool
	}{
		{"owned", metav1.ObjectMeta{OwnerReferences: owner("DittoServer", "nas", "now")}, true, false},
		{"left behind", metav1.ObjectMeta{Labels: Labels(ds), ManagedFields: applied}, true, false},
		{"with our labels, made by somebody", metav1.ObjectMeta{Labels: Labels(ds), ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl", Operation: metav1.ManagedFieldsOperationApply}}}, false, false},
		{"made by us for another", metav1.ObjectMeta{Labels: map[string]string{LabelInstance: "other"}, ManagedFields: applied}, false, false},
		{"of somebody else", metav1.ObjectMeta{Labels: Labels(ds), ManagedFields: applied, OwnerReferences: owner("Other", "nas", "x")}, false, false},
		{"of a deleted one of this name", metav1.ObjectMeta{Labels: Labels(ds), ManagedFields: applied, OwnerReferences: owner("DittoServer", "nas", "before")}, false, true},
		{"of one of another name", metav1.ObjectMeta{OwnerReferences: owner("DittoServer", "other", "before")}, false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			object := &corev1.Service{ObjectMeta: test.object}
			if ours, leftover := Ours(ds)(object), Leftover(ds)(object); ours != test.ours || leftover != test.leftover {
				t.Errorf("ours %v, leftover %v", ours, leftover)
			}
		})
	}
}
