// Package stores knows what a server needs from Secrets and ConfigMaps to get
// at stores outside of its pod: a PostgreSQL database, an S3 bucket. Whoever
// mounts them, names them in the configuration or looks whether they exist asks
// here, so that all agree.
//
// Each is mounted read-only as a directory whose files the server reads again
// when they change, such as
//
//	/etc/dittofs-secrets/postgres/{uri,ca.crt,…}   Secret nas-app
package stores

import (
	"fmt"
	"path"
	"strings"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/pkg/health"
)

// root of the mounts. Not below the directory of the ConfigMap: that is
// read-only, so nothing can be mounted in it.
const root = "/etc/dittofs-secrets"

// Kinds of references.
const (
	Secret    = "Secret"
	ConfigMap = "ConfigMap"
)

// Volumes in the pod.
const (
	Postgres = "postgres"
	S3       = "s3"
	S3CA     = "s3-ca"
)

// Reference is a Secret or ConfigMap that the pod mounts.
type Reference struct {
	// Kind is Secret or ConfigMap.
	Kind string
	Name string
	// Field of the DittoServer that names it.
	Field string
	// Check is the part of the server's report that depends on it: metadata or
	// content.
	Check string
	// Volume in the pod.
	Volume string
	// Only is the one key that is mounted; empty mounts all of them. The server
	// reads it once, as it starts; it reads the files of the others again.
	Only string
	// Needs lists alternatives: of at least one all keys must be there.
	Needs [][]string
}

// Dir is where a volume is mounted.
func Dir(volume string) string { return path.Join(root, volume) }

// UsesDatabase reports whether the metadata is in a PostgreSQL database.
func UsesDatabase(ds *v1alpha1.DittoServer) bool {
	return ds.Spec.Metadata.Type == v1alpha1.MetadataPostgres && ds.Spec.Metadata.Postgres != nil
}

// UsesBucket reports whether the contents are in an S3 bucket.
func UsesBucket(ds *v1alpha1.DittoServer) bool {
	return ds.Spec.Content.Type == v1alpha1.ContentS3 && ds.Spec.Content.S3 != nil
}

// Elsewhere reports whether a store of the server is outside of its pod, and
// can therefore be at fault while the pod is well.
func Elsewhere(ds *v1alpha1.DittoServer) bool { return UsesDatabase(ds) || UsesBucket(ds) }

// References of a server.
func References(ds *v1alpha1.DittoServer) []Reference {
	var out []Reference
	if UsesDatabase(ds) {
		out = append(out, Reference{
			Kind: Secret, Name: ds.Spec.Metadata.Postgres.SecretRef.Name, Field: "spec.metadata.postgres.secretRef",
			Check: health.Metadata, Volume: Postgres,
			Needs: [][]string{{"uri"}, {"host", "user", "dbname"}, {"host", "username", "dbname"}},
		})
	}
	if !UsesBucket(ds) {
		return out
	}
	s3 := ds.Spec.Content.S3
	if s3.CredentialsSecretRef != nil {
		out = append(out, Reference{
			Kind: Secret, Name: s3.CredentialsSecretRef.Name, Field: "spec.content.s3.credentialsSecretRef",
			Check: health.Content, Volume: S3,
			Needs: [][]string{{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}},
		})
	}
	ca := func(kind, field string, ref *v1alpha1.KeyRef) {
		out = append(out, Reference{
			Kind: kind, Name: ref.Name, Field: field, Check: health.Content, Volume: S3CA, Only: ref.Key,
			Needs: [][]string{{ref.Key}},
		})
	}
	switch {
	case s3.CASecretRef != nil:
		ca(Secret, "spec.content.s3.caSecretRef", s3.CASecretRef)
	case s3.CAConfigMapRef != nil:
		ca(ConfigMap, "spec.content.s3.caConfigMapRef", s3.CAConfigMapRef)
	}
	return out
}

// Fault is what keeps a server from one of its stores.
type Fault struct {
	// Check is metadata or content.
	Check string
	// Reason is a word, Message a sentence that says what to do.
	Reason, Message string
}

// NotFound is the fault of a reference to what does not exist.
func (r Reference) NotFound() *Fault {
	return &Fault{
		Check: r.Check, Reason: r.Kind + "NotFound", Message: fmt.Sprintf("%s %s of %s does not exist: create it", r.Kind,
			r.Name, r.Field),
	}
}

// Lacks is the fault of an object without the keys that are needed, or nil. has
// reports whether a key is there and not empty.
func (r Reference) Lacks(has func(key string) bool) *Fault {
	var lacking []string
	for _, keys := range r.Needs {
		missing := without(keys, has)
		if len(missing) == 0 {
			return nil
		}
		lacking = append(lacking, strings.Join(missing, " and "))
	}
	return &Fault{Check: r.Check, Reason: r.Kind + "KeyMissing",
		Message: fmt.Sprintf("%s %s of %s lacks the key %s", r.Kind, r.Name, r.Field, strings.Join(lacking, ", or "))}
}

func without(keys []string, has func(string) bool) []string {
	var missing []string
	for _, key := range keys {
		if !has(key) {
			missing = append(missing, key)
		}
	}
	return missing
}
