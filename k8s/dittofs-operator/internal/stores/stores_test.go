package stores

import (
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/pkg/health"
)

func elsewhere() *v1alpha1.DittoServer {
	ds := &v1alpha1.DittoServer{}
	ds.Spec.Metadata = v1alpha1.MetadataSpec{Type: v1alpha1.MetadataPostgres,
		Postgres: &v1alpha1.PostgresSpec{SecretRef: corev1.LocalObjectReference{Name: "nas-app"}}}
	ds.Spec.Content = v1alpha1.ContentSpec{Type: v1alpha1.ContentS3, S3: &v1alpha1.S3Spec{Bucket: "nas",
		CredentialsSecretRef: &corev1.LocalObjectReference{Name: "nas-s3"},
		CAConfigMapRef:       &v1alpha1.KeyRef{Name: "ca", Key: "root.pem"}}}
	return ds
}

func TestReferencesAreThoseOfTheStoresInUse(t *testing.T) {
	names := func(change func(*v1alpha1.DittoServerSpec)) (out []string) {
		ds := elsewhere()
		change(&ds.Spec)
		for _, r := range References(ds) {
			out = append(out, r.Volume+"="+r.Kind+"/"+r.Name)
		}
		return out
	}
	for name, test := range map[string]struct {
		change func(*v1alpha1.DittoServerSpec)
		want   []string
	}{
		"all":        {func(*v1alpha1.DittoServerSpec) {}, []string{"postgres=Secret/nas-app", "s3=Secret/nas-s3", "s3-ca=ConfigMap/ca"}},
		"pebble":     {func(s *v1alpha1.DittoServerSpec) { s.Metadata.Type = v1alpha1.MetadataPebble }, []string{"s3=Secret/nas-s3", "s3-ca=ConfigMap/ca"}},
		"filesystem": {func(s *v1alpha1.DittoServerSpec) { s.Content.Type = v1alpha1.ContentFilesystem }, []string{"postgres=Secret/nas-app"}},
		"a role":     {func(s *v1alpha1.DittoServerSpec) { s.Content.S3 = &v1alpha1.S3Spec{} }, []string{"postgres=Secret/nas-app"}},
		"CA in a Secret": {func(s *v1alpha1.DittoServerSpec) {
			s.Content.S3 = &v1alpha1.S3Spec{CASecretRef: &v1alpha1.KeyRef{Name: "tls"}}
		}, []string{"postgres=Secret/nas-app", "s3-ca=Secret/tls"}},
	} {
		if got := names(test.change); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: references are %v, not %v", name, got, test.want)
		}
	}
	if Elsewhere(&v1alpha1.DittoServer{}) || !Elsewhere(elsewhere()) {
		t.Error("an empty spec has its stores in the pod")
	}
}

func TestSecretsOfEveryOperatorAreTaken(t *testing.T) {
	database := References(elsewhere())[0]
	for name, test := range map[string]struct {
		keys    []string
		message string
	}{
		"CloudNativePG": {[]string{"username", "user", "password", "host", "port", "dbname", "uri", "jdbc-uri", "pgpass"}, ""},
		"Percona":       {[]string{"user", "password", "host", "port", "dbname", "uri", "verifier"}, ""},
		"only uri":      {[]string{"uri"}, ""},
		"parts":         {[]string{"host", "username", "dbname"}, ""},
		"no database":   {[]string{"host", "user"}, "Secret nas-app of spec.metadata.postgres.secretRef lacks the key uri, or dbname, or username and dbname"},
		"nothing":       {nil, "Secret nas-app of spec.metadata.postgres.secretRef lacks the key uri, or host and user and dbname, or host and username and dbname"},
	} {
		fault := database.Lacks(func(key string) bool {
			for _, k := range test.keys {
				if k == key {
					return true
				}
			}
			return false
		})
		switch {
		case fault == nil && test.message != "", fault != nil && fault.Message != test.message:
			t.Errorf("%s: the fault is %+v, not %q", name, fault, test.message)
		case fault != nil && (fault.Reason != "SecretKeyMissing" || fault.Check != health.Metadata):
			t.Errorf("%s: the fault is %+v", name, fault)
		}
	}
}

func TestWhatDoesNotExistIsNamed(t *testing.T) {
	want := Fault{
		health.Content, "ConfigMapNotFound", "ConfigMap ca of spec.content.s3.caConfigMapRef does not exist: create it",
	}
	if got := References(elsewhere())[2].NotFound(); *got != want {
		t.Errorf("the fault is %+v", got)
	}
}
