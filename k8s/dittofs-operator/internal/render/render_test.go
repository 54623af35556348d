package render

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/volumes"
	"github.com/dittofs/dittofs/pkg/config"
)

func dittoServer() *v1alpha1.DittoServer {
	ds := &v1alpha1.DittoServer{ObjectMeta: metav1.ObjectMeta{Name: "nas"}}
	ds.Spec = v1alpha1.DittoServerSpec{
		Storage:         v1alpha1.VolumeSpec{Size: resource.MustParse("10Gi")},
		Metadata:        v1alpha1.MetadataSpec{Type: v1alpha1.MetadataPebble},
		Content:         v1alpha1.ContentSpec{Type: v1alpha1.ContentFilesystem},
		NFS:             v1alpha1.NFSSpec{Port: 2049},
		Logging:         v1alpha1.LoggingSpec{Level: "info", Format: "text"},
		ShutdownTimeout: metav1.Duration{Duration: 30 * time.Second},
		Shares:          []v1alpha1.ShareSpec{{Name: "export"}},
	}
	return ds
}

func TestFieldsBecomeWhatTheServerReads(t *testing.T) {
	ds := dittoServer()
	ds.Spec.Cache.Size = ptr.To(resource.MustParse("1Gi"))
	ds.Spec.NFS.Port = 12049
	ds.Spec.Logging = v1alpha1.LoggingSpec{Level: "debug", Format: "json"}
	ds.Spec.ShutdownTimeout.Duration = 90 * time.Second
	ds.Spec.Backup = v1alpha1.BackupSpec{Every: &metav1.Duration{Duration: 90 * time.Minute}, Keep: ptr.To[int32](7)}
	ds.Spec.Compaction = v1alpha1.CompactionSpec{
		GarbagePercent: ptr.To[int32](5), Rate: ptr.To(resource.MustParse("64Gi")),
	}
	ds.Spec.Shares = []v1alpha1.ShareSpec{{
		Name: "home", Path: "/srv/home", Squash: "none", ReadOnly: true,
		Clients:   []v1alpha1.ClientSpec{{CIDR: "10.0.0.0/8", Access: "ro", Secure: true}},
		Anonymous: v1alpha1.IdentitySpec{UID: ptr.To[int64](0), GID: ptr.To[int64](4294967294)},
		Root:      v1alpha1.RootSpec{UID: ptr.To[int64](1000), GID: ptr.To[int64](1001), Mode: "2775"},
		Quota:     &v1alpha1.QuotaSpec{Bytes: ptr.To(resource.MustParse("5Gi")), Inodes: 7},
	}}
	rendered, err := Config(ds, volumes.For(ds), "")
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := config.Parse([]byte(rendered.YAML), nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Cache.Size != 1<<30 || c.NFS.Listen != "0.0.0.0:12049" || c.Admin.Listen != "0.0.0.0:8080" ||
		c.Logging.Level != "debug" || c.Logging.Format != "json" || time.Duration(c.ShutdownTimeout) != 90*time.Second {
		t.Errorf("configuration is\n%s", rendered.YAML)
	}
	if want := (config.Backup{Every: config.Duration(90 * time.Minute), Keep: 7}); c.Backup != want {
		t.Errorf("backups are %+v, not %+v", c.Backup, want)
	}
	if want := (config.Compaction{GarbagePercent: 5, Rate: 64 << 30}); c.Compaction != want {
		t.Errorf("compaction is %+v, not %+v", c.Compaction, want)
	}
	want := config.Share{
		Name: "home", Path: "/srv/home", Squash: config.SquashNone, ReadOnly: true,
		Anonymous: config.Identity{UID: 0, GID: 4294967294},
		Root:      config.Root{UID: 1000, GID: 1001, Mode: "2775"},
		Quota:     config.Quota{Bytes: 5 << 30, Inodes: 7},
	}
	got := c.Shares[0]
	if len(got.Clients) != 1 ||
		got.Clients[0] != (config.Client{CIDR: "10.0.0.0/8", Access: config.AccessReadOnly, Secure: true}) {
		t.Errorf("clients are %+v", got.Clients)
	}
	got.Clients = nil
	if got.Name != want.Name || got.Path != want.Path || got.Squash != want.Squash || !got.ReadOnly ||
		got.Anonymous != want.Anonymous || got.Root != want.Root || got.Quota != want.Quota {
		t.Errorf("share is %+v, not %+v", got, want)
	}
}

func TestRestartHashFollowsOnlyWhatNeedsARestart(t *testing.T) {
	hash := func(change func(*v1alpha1.DittoServerSpec)) (all, restart string) {
		ds := dittoServer()
		change(&ds.Spec)
		rendered, err := Config(ds, volumes.For(ds), "")
		if err != nil {
			t.Fatal(err)
		}
		return rendered.Hash, rendered.RestartHash
	}
	all, restart := hash(func(*v1alpha1.DittoServerSpec) {})
	for name, test := range map[string]struct {
		change   func(*v1alpha1.DittoServerSpec)
		restarts bool
	}{
		"share":      {func(s *v1alpha1.DittoServerSpec) { s.Shares[0].ReadOnly = true }, false},
		"logging":    {func(s *v1alpha1.DittoServerSpec) { s.Logging.Level = "debug" }, false},
		"port":       {func(s *v1alpha1.DittoServerSpec) { s.NFS.Port = 2050 }, true},
		"database":   {func(s *v1alpha1.DittoServerSpec) { toPostgres(s) }, true},
		"bucket":     {func(s *v1alpha1.DittoServerSpec) { toS3(s) }, true},
		"durability": {func(s *v1alpha1.DittoServerSpec) { s.Durability = "remote" }, true},
		"quota":      {func(s *v1alpha1.DittoServerSpec) { s.Shares[0].Quota = &v1alpha1.QuotaSpec{Inodes: 5} }, false},
		"backups":    {func(s *v1alpha1.DittoServerSpec) { s.Backup.Every = &metav1.Duration{Duration: time.Hour} }, true},
		"kept":       {func(s *v1alpha1.DittoServerSpec) { s.Backup.Keep = ptr.To[int32](3) }, true},
		"garbage":    {func(s *v1alpha1.DittoServerSpec) { s.Compaction.GarbagePercent = ptr.To[int32](50) }, true},
		"rate":       {func(s *v1alpha1.DittoServerSpec) { s.Compaction.Rate = ptr.To(resource.MustParse("1Mi")) }, true},
		"cache":      {func(s *v1alpha1.DittoServerSpec) { s.Cache.Size = ptr.To(resource.MustParse("1Gi")) }, true},
	} {
		gotAll, gotRestart := hash(test.change)
		if gotAll == all || (gotRestart != restart) != test.restarts {
			t.Errorf("%s: hashes went from %s, %s to %s, %s", name, all, restart, gotAll, gotRestart)
		}
	}
}

func TestFaultsAreTheLoadersOwn(t *testing.T) {
	ds := dittoServer()
	ds.Spec.Shares[0].Path = "relative"
	ds.Spec.Shares[0].Clients = []v1alpha1.ClientSpec{{CIDR: "10.0.0.0/33"}}
	_, err := Config(ds, volumes.For(ds), "")
	if err == nil || !strings.Contains(err.Error(), "shares[0].path") ||
		!strings.Contains(err.Error(), "shares[0].clients[0].cidr") {
		t.Errorf("the error is %v", err)
	}
}

func TestMountSourceOfIPv6HasBrackets(t *testing.T) {
	for address, want := range map[string]string{"10.96.0.17": "10.96.0.17:/a", "fd00::1": "[fd00::1]:/a"} {
		if got := MountSource(address, "/a"); got != want {
			t.Errorf("the source is %s, not %s", got, want)
		}
	}
}
