package workload

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/names"
)

func elsewhere(spec *v1alpha1.DittoServerSpec) {
	spec.Metadata = v1alpha1.MetadataSpec{
		Type: v1alpha1.MetadataPostgres, Postgres: &v1alpha1.PostgresSpec{SecretRef: corev1.LocalObjectReference{Name: "db"}},
	}
	spec.Content = v1alpha1.ContentSpec{Type: v1alpha1.ContentS3, S3: &v1alpha1.S3Spec{Bucket: "files",
		CredentialsSecretRef: &corev1.LocalObjectReference{Name: "keys"},
		CASecretRef:          &v1alpha1.KeyRef{Name: "tls", Key: "ca.crt"}}}
}

func TestSecretsAreReadOnlyDirectoriesOfThePod(t *testing.T) {
	pod := made(t, elsewhere).Spec.Template.Spec
	mounted := map[string]string{}
	for _, mount := range pod.Containers[0].VolumeMounts {
		if strings.HasPrefix(mount.MountPath, "/etc/dittofs-secrets/") && mount.ReadOnly && mount.SubPath == "" {
			mounted[mount.Name] = mount.MountPath
		}
	}
	if want := map[string]string{
		"postgres": "/etc/dittofs-secrets/postgres", "s3": "/etc/dittofs-secrets/s3", "s3-ca": "/etc/dittofs-secrets/s3-ca",
	}; !reflect.DeepEqual(mounted, want) {
		t.Errorf("mounts are %v, not %v", mounted, want)
	}
	secrets := map[string]string{}
	for _, volume := range pod.Volumes {
		if volume.Secret == nil {
			continue
		}
		secrets[volume.Name] = volume.Secret.SecretName
		if *volume.Secret.DefaultMode != 0o440 || volume.Secret.Optional != nil {
			t.Errorf("volume %s is %+v", volume.Name, volume.Secret)
		}
		// A Secret with a CA often has its private key, too.
		if items := volume.Secret.Items; (volume.Name == "s3-ca") != (len(items) == 1) || len(items) == 1 &&
			items[0].Key != "ca.crt" {
			t.Errorf("volume %s shows %v", volume.Name, items)
		}
	}
	if want := map[string]string{"postgres": "db", "s3": "keys", "s3-ca": "tls"}; !reflect.DeepEqual(secrets, want) {
		t.Errorf("Secrets are %v, not %v", secrets, want)
	}
	for _, env := range pod.Containers[0].Env {
		if env.Name != "GOMEMLIMIT" {
			t.Errorf("the environment has %s", env.Name)
		}
	}
}

func TestServerOfStoresElsewhereWaitsForThemAndStaysInTheService(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*v1alpha1.DittoServerSpec)
		args   string
		probe  string
	}{
		"in the pod": {nil, "serve --config /etc/dittofs/config.yaml", "/readyz"},
		"elsewhere":  {elsewhere, "serve --config /etc/dittofs/config.yaml --wait-for-stores", "/readyz?exclude=metadata&exclude=content"},
	} {
		c := made(t, test.change).Spec.Template.Spec.Containers[0]
		if got := strings.Join(c.Args, " "); got != test.args || c.ReadinessProbe.HTTPGet.Path != test.probe ||
			c.StartupProbe.HTTPGet.Path != "/healthz" {
			t.Errorf("%s: arguments are %q, the probe is %s", name, got, c.ReadinessProbe.HTTPGet.Path)
		}
	}
}

func TestAnotherRoleIsAnotherPod(t *testing.T) {
	hash := func(role string) string {
		return made(t, func(spec *v1alpha1.DittoServerSpec) {
			if role != "" {
				spec.ServiceAccount.Annotations = map[string]string{"eks.amazonaws.com/role-arn": role}
			}
		}).Spec.Template.Annotations[names.AnnotationRestartHash]
	}
	a, again := hash("a"), hash("a")
	if hash("") != "hash" || a == "hash" || a == hash("b") || a != again {
		t.Errorf("hashes are %s, %s, %s", hash(""), a, hash("b"))
	}
}
