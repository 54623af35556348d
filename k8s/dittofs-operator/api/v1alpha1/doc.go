// Package v1alpha1 is the Kubernetes API of DittoFS: the DittoServer kind of
// dittofs.io/v1alpha1. It holds shapes, defaults and validation only, so that
// other programs can import it without the operator.
//
// Everything that can be refused by looking at one object is refused by the
// API server, with rules in the schema (OpenAPI and CEL): there is no webhook
// to run. What the server's own loader refuses beyond that is reported in the
// condition ConfigReady.
//
// +kubebuilder:object:generate=true
// +groupName=dittofs.io
package v1alpha1
