package render

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/volumes"
	"github.com/dittofs/dittofs/pkg/config"
)

// load renders a spec and loads it as the server does.
func load(t *testing.T, change func(*v1alpha1.DittoServerSpec)) *config.Config {
	t.Helper()
	ds := dittoServer()
	for i := range ds.Spec.Shares {
		ds.Spec.Shares[i].Root.Mode = "1777" // the default of the API server
	}
	change(&ds.Spec)
	rendered, err := Config(ds, volumes.For(ds), "")
	if err != nil {
		t.Fatal(err)
	}
	c, warnings, err := config.Parse([]byte(rendered.YAML), nil)
	if err != nil || len(warnings) != 0 || rendered.Warnings != "" {
		t.Fatalf("the server says %v, %v of\n%s", err, warnings, rendered.YAML)
	}
	return c
}

func toPostgres(s *v1alpha1.DittoServerSpec) {
	s.Metadata = v1alpha1.MetadataSpec{
		Type: v1alpha1.MetadataPostgres, Postgres: &v1alpha1.PostgresSpec{SecretRef: corev1.LocalObjectReference{Name: "a"}},
	}
}

func toS3(s *v1alpha1.DittoServerSpec) {
	s.Content = v1alpha1.ContentSpec{Type: v1alpha1.ContentS3, S3: &v1alpha1.S3Spec{Bucket: "files"}}
}

func TestStoresElsewhereAreRendered(t *testing.T) {
	defaults := config.Default().Cache
	for name, test := range map[string]struct {
		change   func(*v1alpha1.DittoServerSpec)
		metadata config.Metadata
		content  config.Content
	}{
		"defaults": {func(s *v1alpha1.DittoServerSpec) { toPostgres(s); toS3(s) },
			config.Metadata{
				Type: "postgres", Cache: 256 << 20, DSNFile: "/etc/dittofs-secrets/postgres", MaxConnections: 8,
				OwnerLease: config.Duration(15 * time.Second),
			},
			config.Content{
				Type: "s3", Bucket: "files", Region: "us-east-1", Addressing: "auto", PartSize: 16 << 20, ParallelTransfers: 8,
			}},
		"everything": {func(s *v1alpha1.DittoServerSpec) {
			toPostgres(s)
			s.Metadata.Postgres.MaxConnections, s.Metadata.Postgres.OwnerLease = ptr.To[int32](20),
				&metav1.Duration{Duration: time.Minute}
			s.Content = v1alpha1.ContentSpec{Type: v1alpha1.ContentS3, S3: &v1alpha1.S3Spec{
				Bucket: "files", Endpoint: "https://s3.example.org", Region: "eu-central-1", Prefix: "nas/", Addressing: "virtual",
				CredentialsSecretRef: &corev1.LocalObjectReference{Name: "b"},
				CAConfigMapRef:       &v1alpha1.KeyRef{Name: "c", Key: "root.pem"},
				PartSize:             ptr.To(resource.MustParse("5Mi")), ParallelTransfers: ptr.To[int32](3)}}
		}, config.Metadata{
			Type: "postgres", Cache: 256 << 20, DSNFile: "/etc/dittofs-secrets/postgres", MaxConnections: 20,
			OwnerLease: config.Duration(time.Minute),
		},
			config.Content{Type: "s3", Bucket: "files", Endpoint: "https://s3.example.org",
				Region: "eu-central-1", Prefix: "nas/", Addressing: "virtual",
				CredentialsFile: "/etc/dittofs-secrets/s3", CAFile: "/etc/dittofs-secrets/s3-ca/root.pem", PartSize: 5 << 20,
				ParallelTransfers: 3}},
		"s3 alone": {toS3, config.Metadata{Type: "pebble", Cache: 256 << 20, Path: "/data/metadata"},
			config.Content{
				Type: "s3", Bucket: "files", Region: "us-east-1", Addressing: "auto", PartSize: 16 << 20, ParallelTransfers: 8,
			}},
	} {
		c := load(t, test.change)
		if c.Metadata != test.metadata || c.Content != test.content {
			t.Errorf("%s: rendered were\n%+v\n%+v, not\n%+v\n%+v", name, c.Metadata, c.Content, test.metadata, test.content)
		}
		if want := defaults; c.Cache.FlushInterval != want.FlushInterval || c.Cache.FullTimeout != want.FullTimeout ||
			c.Cache.PageSize != want.PageSize || c.Cache.ReadAhead != want.ReadAhead {
			t.Errorf("%s: the cache is %+v, without the defaults of %+v", name, c.Cache, want)
		}
		if want := config.Default(); c.Backup != want.Backup || c.Compaction != want.Compaction {
			t.Errorf("%s: backups and compaction are %+v, %+v, without the defaults", name, c.Backup, c.Compaction)
		}
		if c.Durability != config.DurabilityLocal {
			t.Errorf("%s: durability is %s", name, c.Durability)
		}
	}
}

func TestCacheAndDurabilityAreRendered(t *testing.T) {
	c := load(t, func(s *v1alpha1.DittoServerSpec) {
		s.Durability = "remote"
		s.Cache = v1alpha1.CacheSpec{FlushInterval: &metav1.Duration{Duration: 250 * time.Millisecond},
			FullTimeout: &metav1.Duration{Duration: time.Minute},
			PageSize:    ptr.To(resource.MustParse("64Ki")), ReadAhead: ptr.To(resource.MustParse("0"))}
	})
	want := config.Cache{Path: "/data/cache", Size: 10 << 30 / 4, FlushInterval: config.Duration(250 * time.Millisecond),
		FullTimeout: config.Duration(time.Minute), PageSize: 64 << 10}
	if c.Cache != want || c.Durability != config.DurabilityRemote {
		t.Errorf("rendered were %s, %+v, not %+v", c.Durability, c.Cache, want)
	}
}

func TestWhatOnlyTheLoaderKnowsIsItsFault(t *testing.T) {
	ds := dittoServer()
	toS3(&ds.Spec)
	ds.Spec.Content.S3.Endpoint, ds.Spec.Content.S3.Addressing = "http://10.0.0.7:9000", "virtual"
	if _, err := Config(ds, volumes.For(ds), ""); err == nil || !strings.Contains(err.Error(), "content.addressing") {
		t.Errorf("the error is %v", err)
	}
}
