package controller_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/pkg/health"
)

// soon is the time in which a fault is told, and its end.
const soon = 10 * time.Second

// elsewhere is a server over PostgreSQL and S3 with a volume for its cache.
func elsewhere() v1alpha1.DittoServerSpec {
	return v1alpha1.DittoServerSpec{
		Metadata: v1alpha1.MetadataSpec{Type: v1alpha1.MetadataPostgres,
			Postgres: &v1alpha1.PostgresSpec{
				SecretRef:  corev1.LocalObjectReference{Name: "database-app"},
				OwnerLease: &metav1.Duration{Duration: 90 * time.Second},
			}},
		Content: v1alpha1.ContentSpec{Type: v1alpha1.ContentS3, S3: &v1alpha1.S3Spec{
			Bucket: "files", Endpoint: "http://s3:7070",
			CredentialsSecretRef: &corev1.LocalObjectReference{Name: "s3-credentials"},
			CASecretRef:          &v1alpha1.KeyRef{Name: "tls"},
			PartSize:             ptr.To(resource.MustParse("8192Ki")),
		}},
		Durability: "remote",
	}
}

// secrets by name, as the operators of databases and users write them.
var secrets = map[string]map[string]string{
	"database-app":   {"uri": "postgresql://u:hidden@db/app", "username": "u", "password": "hidden", "host": "db", "dbname": "app"},
	"s3-credentials": {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "hidden"},
	"tls":            {"ca.crt": "PEM"},
}

func makeSecret(t *testing.T, namespace, name string, data map[string]string) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, StringData: data}
	if err := api.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	return secret
}

func makeSecrets(t *testing.T, namespace string) {
	t.Helper()
	for name, data := range secrets {
		makeSecret(t, namespace, name, data)
	}
}

// serverWithSecrets makes a DittoServer named nas, and before it its Secrets.
func serverWithSecrets(t *testing.T, spec v1alpha1.DittoServerSpec) *v1alpha1.DittoServer {
	t.Helper()
	ds := &v1alpha1.DittoServer{ObjectMeta: metav1.ObjectMeta{Name: "nas", Namespace: namespace(t)}, Spec: spec}
	makeSecrets(t, ds.Namespace)
	if err := api.Create(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	return ds
}

// waitCondition waits for a condition, and fails if that takes longer than soon.
func waitCondition(
	t *testing.T, ds *v1alpha1.DittoServer, kind string, status metav1.ConditionStatus, reason, contains string,
) {
	t.Helper()
	began := time.Now()
	eventually(t, func() error {
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(ds), ds); err != nil {
			return err
		}
		c := apimeta.FindStatusCondition(ds.Status.Conditions, kind)
		if c == nil || c.Status != status || c.Reason != reason || !strings.Contains(c.Message, contains) {
			return fmt.Errorf("condition %s is %+v; want %s, %s, a message with %q", kind, c, status, reason, contains)
		}
		return nil
	})
	if took := time.Since(began); took > soon {
		t.Errorf("%s=%s took %s", kind, status, took)
	}
}

func setGeneration(t *testing.T, ds *v1alpha1.DittoServer) int64 {
	t.Helper()
	return get(t, ds.Namespace, ds.Name, &appsv1.StatefulSet{}).Generation
}

func TestStoresElsewhereReachThePodAndNoSecretTheConfiguration(t *testing.T) {
	ds := serverWithSecrets(t, elsewhere())
	set := get(t, ds.Namespace, "nas", &appsv1.StatefulSet{})
	text := get(t, ds.Namespace, "nas-config", &corev1.ConfigMap{}).Data["config.yaml"]
	cfg, warnings, err := config.Parse([]byte(text), nil)
	if err != nil || len(warnings) != 0 {
		t.Fatalf("the server says %v, %v of\n%s", err, warnings, text)
	}
	pod := set.Spec.Template.Spec
	mounts := map[string]string{}
	for _, mount := range pod.Containers[0].VolumeMounts {
		if mount.ReadOnly {
			mounts[mount.Name] = mount.MountPath
		}
	}
	if cfg.Metadata.DSNFile != mounts["postgres"] || cfg.Content.CredentialsFile != mounts["s3"] ||
		cfg.Content.CAFile != mounts["s3-ca"]+"/ca.crt" || len(mounts) != 4 {
		t.Errorf("read-only mounts are %v of\n%s", mounts, text)
	}
	if cfg.Durability != config.DurabilityRemote || cfg.Content.PartSize != 8<<20 ||
		cfg.Metadata.OwnerLease.Duration() != 90*time.Second {
		t.Errorf("the configuration is\n%s", text)
	}
	template, err := set.Spec.Template.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, "hidden") || strings.Contains(string(template), "hidden") {
		t.Error("a Secret's value is in the ConfigMap or the StatefulSet")
	}
	var claims corev1.PersistentVolumeClaimList
	if err := api.List(t.Context(), &claims, client.InNamespace(ds.Namespace)); err != nil || len(claims.Items) != 1 ||
		claims.Items[0].Name != "nas-data" {
		t.Errorf("claims are %v (%v)", claims.Items, err)
	}
}

func TestConditionsFollowTheServersReport(t *testing.T) {
	ds := serverWithSecrets(t, elsewhere())
	bindClaim(t, ds.Namespace, "nas-data")
	observeSet(t, ds, "one")
	pod := makePod(t, ds, "one")
	waitCondition(t, ds, v1alpha1.ConditionDatabaseReady, metav1.ConditionUnknown, "NoReport", "does not answer")
	address := fakePods.join(t, pod)
	fakePods.report(address, health.Starting, "Unreachable", "")
	setPod(t, pod, false, running)

	waitCondition(t, ds, v1alpha1.ConditionDatabaseReady, metav1.ConditionFalse, "Unreachable", "no way to the metadata")
	waitPhase(t, ds, v1alpha1.PhaseStarting)
	wantCondition(t, ds, v1alpha1.ConditionReady, metav1.ConditionFalse, "DatabaseUnreachable",
		"the pod nas-0 waits: database: no way")
	wantCondition(t, ds, v1alpha1.ConditionStorageReady, metav1.ConditionUnknown, "Starting", "bucket files")

	fakePods.report(address, health.Serving, "", "")
	setPod(t, pod, true, running)
	waitPhase(t, ds, v1alpha1.PhaseRunning)
	waitCondition(t, ds, v1alpha1.ConditionDatabaseReady, metav1.ConditionTrue, "Reachable",
		"database of Secret database-app")
	generation := setGeneration(t, ds)

	for _, test := range []struct{ metadata, content, kind, reason, ready string }{
		{"", "BucketNotFound", v1alpha1.ConditionStorageReady, "BucketNotFound", "StorageBucketNotFound"},
		{"Fenced", "", v1alpha1.ConditionDatabaseReady, "Fenced", "DatabaseFenced"},
		{"no word", "", v1alpha1.ConditionDatabaseReady, "Fault", "DatabaseFault"},
	} {
		fakePods.report(address, health.Serving, test.metadata, test.content)
		waitCondition(t, ds, test.kind, metav1.ConditionFalse, test.reason, "no way to the")
		waitPhase(t, ds, v1alpha1.PhaseDegraded)
		wantCondition(t, ds, v1alpha1.ConditionReady, metav1.ConditionFalse, test.ready, "no way to the")
		wantCondition(t, ds, v1alpha1.ConditionAvailable, metav1.ConditionTrue, "Serving", "")
		fakePods.report(address, health.Serving, "", "")
		waitCondition(t, ds, test.kind, metav1.ConditionTrue, "Reachable", "")
		waitPhase(t, ds, v1alpha1.PhaseRunning)
	}
	wantEvent(t, ds, "Degraded")
	if now := setGeneration(t, ds); now != generation {
		t.Errorf("the StatefulSet went from generation %d to %d", generation, now)
	}

	// A server that says nothing is not called faulty.
	fakePods.silence(address)
	waitCondition(t, ds, v1alpha1.ConditionStorageReady, metav1.ConditionUnknown, "NoReport",
		"does not answer the operator at port 8080")
	waitPhase(t, ds, v1alpha1.PhaseRunning)
}

func TestServerWaitsForItsSecretsWithoutAPod(t *testing.T) {
	spec := elsewhere()
	spec.Content.S3.CASecretRef = nil
	ds := server(t, spec)
	waitCondition(t, ds, v1alpha1.ConditionDatabaseReady, metav1.ConditionFalse, "SecretNotFound",
		"Secret database-app of spec.metadata.postgres.secretRef does not exist")
	wantCondition(t, ds, v1alpha1.ConditionStorageReady, metav1.ConditionFalse, "SecretNotFound",
		"Secret s3-credentials of spec.content.s3.credentialsSecretRef does not exist")
	waitPhase(t, ds, v1alpha1.PhasePending)
	wantCondition(t, ds, v1alpha1.ConditionReady, metav1.ConditionFalse, "SecretNotFound", "database-app")
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(ds), &appsv1.StatefulSet{}); !apierrors.IsNotFound(err) {
		t.Errorf("there is a StatefulSet of pods that cannot start (%v)", err)
	}

	makeSecret(t, ds.Namespace, "database-app", secrets["database-app"])
	credentials := makeSecret(t, ds.Namespace, "s3-credentials", map[string]string{"AWS_ACCESS_KEY_ID": "key"})
	waitCondition(t, ds, v1alpha1.ConditionStorageReady, metav1.ConditionFalse, "SecretKeyMissing",
		"Secret s3-credentials of spec.content.s3.credentialsSecretRef lacks the key AWS_SECRET_ACCESS_KEY")
	began := time.Now()
	update(t, credentials, func(s *corev1.Secret) { s.StringData = secrets["s3-credentials"] })
	get(t, ds.Namespace, "nas", &appsv1.StatefulSet{})
	if took := time.Since(began); took > soon {
		t.Errorf("the pod came %s after its Secret", took)
	}
	bringUp(t, ds, "nas-data")
}

func TestRunningServerIsLeftAloneWhenASecretIsMissing(t *testing.T) {
	ds := serverWithSecrets(t, elsewhere())
	fakePods.report(fakePods.join(t, bringUp(t, ds, "nas-data")), health.Serving, "", "")
	generation := setGeneration(t, ds)

	if err := api.Delete(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "tls", Namespace: ds.Namespace},
	}); err != nil {
		t.Fatal(err)
	}
	waitCondition(t, ds, v1alpha1.ConditionStorageReady, metav1.ConditionFalse, "SecretNotFound",
		"Secret tls of spec.content.s3.caSecretRef does not exist")
	waitPhase(t, ds, v1alpha1.PhaseDegraded)
	wantCondition(t, ds, v1alpha1.ConditionAvailable, metav1.ConditionTrue, "Serving", "")
	makeSecret(t, ds.Namespace, "tls", secrets["tls"])
	waitPhase(t, ds, v1alpha1.PhaseRunning)

	// The CA is read once; other new contents are the server's to read.
	update(t, get(t, ds.Namespace, "tls", &corev1.Secret{}),
		func(s *corev1.Secret) { s.StringData = map[string]string{"ca.crt": "new", "tls.key": "x"} })
	eventually(t, func() error {
		if now := setGeneration(t, ds); now != generation+1 {
			return fmt.Errorf("with another CA the StatefulSet is of generation %d", now)
		}
		return nil
	})
	generation++
	update(t, get(t, ds.Namespace, "database-app", &corev1.Secret{}),
		func(s *corev1.Secret) { s.StringData = map[string]string{"password": "new"} })
	update(t, ds, func(ds *v1alpha1.DittoServer) { ds.Spec.Metadata.Postgres.SecretRef.Name = "other" })
	waitCondition(t, ds, v1alpha1.ConditionDatabaseReady, metav1.ConditionFalse, "SecretNotFound", "other")
	if now := setGeneration(t, ds); now != generation {
		t.Errorf("the StatefulSet went from generation %d to %d", generation, now)
	}
	makeSecret(t, ds.Namespace, "other", secrets["database-app"])
	eventually(t, func() error {
		for _, volume := range get(t, ds.Namespace, "nas", &appsv1.StatefulSet{}).Spec.Template.Spec.Volumes {
			if volume.Name == "postgres" && volume.Secret.SecretName == "other" {
				return nil
			}
		}
		return fmt.Errorf("the pod does not use the other Secret")
	})
}

func TestConvergedServerOfStoresElsewhereIsNotWrittenTo(t *testing.T) {
	spec := elsewhere()
	spec.Cache.FlushInterval = &metav1.Duration{Duration: 2500 * time.Millisecond}
	spec.Cache.ReadAhead = ptr.To(resource.MustParse("1024Ki"))
	spec.Backup = v1alpha1.BackupSpec{Every: &metav1.Duration{Duration: 90 * time.Minute}, Keep: ptr.To[int32](7)}
	spec.Compaction.Rate = ptr.To(resource.MustParse("1024Ki"))
	spec.ServiceAccount.Annotations = map[string]string{"eks.amazonaws.com/role-arn": "arn"}
	ds := serverWithSecrets(t, spec)
	address := fakePods.join(t, bringUp(t, ds, "nas-data"))
	fakePods.report(address, health.Serving, "", "")
	point := time.Now()
	fakePods.backup(address, health.Backup{RecoveryPoint: &point, OK: true})
	waitCondition(t, ds, v1alpha1.ConditionStorageReady, metav1.ConditionTrue, "Reachable", "")
	waitCondition(t, ds, v1alpha1.ConditionBackupCurrent, metav1.ConditionTrue, "OnSchedule", "")
	wantNoWrites(t, ds, func() {
		asked := fakePods.timesAsked(address)
		eventually(t, func() error {
			if n := fakePods.timesAsked(address) - asked; n < 3 {
				return fmt.Errorf("asked %d times", n)
			}
			return nil
		})
	})
}

func TestHibernatedServerIsNotAsked(t *testing.T) {
	spec := elsewhere()
	spec.Replicas = ptr.To[int32](0)
	ds := server(t, spec) // nor does it need its Secrets
	waitPhase(t, ds, v1alpha1.PhaseHibernated)
	wantCondition(t, ds, v1alpha1.ConditionReady, metav1.ConditionFalse, "Hibernated", "")
	get(t, ds.Namespace, "nas", &appsv1.StatefulSet{})
}

func TestNegativeQuotaIsRefusedByTheServersLoader(t *testing.T) {
	ds := server(t, v1alpha1.DittoServerSpec{
		Shares: []v1alpha1.ShareSpec{{Name: "a", Quota: &v1alpha1.QuotaSpec{Bytes: ptr.To(resource.MustParse("-1Gi"))}}},
	})
	waitPhase(t, ds, v1alpha1.PhaseFailed)
	wantCondition(t, ds, v1alpha1.ConditionConfigReady, metav1.ConditionFalse, "Refused", "shares[0].quota.bytes")
}
