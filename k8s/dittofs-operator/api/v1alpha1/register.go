package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is dittofs.io/v1alpha1.
var GroupVersion = schema.GroupVersion{Group: "dittofs.io", Version: "v1alpha1"}

// Kind is the name of the resource kind.
const Kind = "DittoServer"

// AddToScheme registers the types of this package.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &DittoServer{}, &DittoServerList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
