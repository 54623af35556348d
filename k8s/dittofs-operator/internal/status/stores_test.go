package status

import (
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/stores"
	"github.com/dittofs/dittofs/pkg/health"
)

// remote is a healthy server over PostgreSQL and S3.
func remote() Observation {
	o := healthy()
	o.Server.Spec.Metadata = v1alpha1.MetadataSpec{Type: v1alpha1.MetadataPostgres,
		Postgres: &v1alpha1.PostgresSpec{SecretRef: corev1.LocalObjectReference{Name: "db"}}}
	o.Server.Spec.Content = v1alpha1.ContentSpec{Type: v1alpha1.ContentS3, S3: &v1alpha1.S3Spec{Bucket: "files"}}
	o.Report = &health.Report{
		Ready: true, Phase: health.Serving, Checks: []health.Check{
			{Name: health.Metadata, OK: true}, {Name: health.Content, OK: true},
		},
	}
	return o
}

func at(check int, reason string) func(*Observation) {
	return func(o *Observation) {
		c := &o.Report.Checks[check]
		c.OK, c.Reason, c.Message = false, reason, "said the server"
	}
}

func without(check, reason string) func(*Observation) {
	return func(o *Observation) {
		o.Lacking = append(o.Lacking, stores.Fault{Check: check, Reason: reason, Message: "lacks something"})
	}
}

func starting(o *Observation) { o.Report.Phase, o.Report.Ready = health.Starting, false }

func silent(o *Observation) { o.Report, o.Silence = nil, "nobody answers" }

func TestStoresOutsideOfThePodAreJudged(t *testing.T) {
	const yes, no, unknown = metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown
	for name, test := range map[string]struct {
		changes        []func(*Observation)
		phase          v1alpha1.Phase
		ready          string // reason of Ready
		database       metav1.ConditionStatus
		databaseReason string
		storage        metav1.ConditionStatus
		storageReason  string
		stillServes    bool
	}{
		"healthy":               {nil, v1alpha1.PhaseRunning, "Running", yes, "Reachable", yes, "Reachable", true},
		"stores in the pod":     {[]func(*Observation){func(o *Observation) { *o = healthy() }}, v1alpha1.PhaseRunning, "Running", yes, "NotUsed", yes, "Bound", true},
		"database away":         {[]func(*Observation){at(0, "Unreachable")}, v1alpha1.PhaseDegraded, "DatabaseUnreachable", no, "Unreachable", yes, "Reachable", true},
		"bucket away":           {[]func(*Observation){at(1, "BucketNotFound")}, v1alpha1.PhaseDegraded, "StorageBucketNotFound", yes, "Reachable", no, "BucketNotFound", true},
		"both away":             {[]func(*Observation){at(0, "Unreachable"), at(1, "SlowDown")}, v1alpha1.PhaseDegraded, "DatabaseUnreachable", no, "Unreachable", no, "SlowDown", true},
		"a reason with spaces":  {[]func(*Observation){at(0, "no way")}, v1alpha1.PhaseDegraded, "DatabaseFault", no, "Fault", yes, "Reachable", true},
		"no reason":             {[]func(*Observation){at(1, "")}, v1alpha1.PhaseDegraded, "StorageFault", yes, "Reachable", no, "Fault", true},
		"starting":              {[]func(*Observation){notReady, starting}, v1alpha1.PhaseStarting, "PodNotReady", unknown, "Starting", unknown, "Starting", false},
		"waiting":               {[]func(*Observation){notReady, starting, at(0, "Unreachable")}, v1alpha1.PhaseStarting, "DatabaseUnreachable", no, "Unreachable", unknown, "Starting", false},
		"starting again":        {[]func(*Observation){was(v1alpha1.PhaseRunning), notReady, at(1, "AccessDenied")}, v1alpha1.PhaseDegraded, "StorageAccessDenied", yes, "Reachable", no, "AccessDenied", false},
		"rolled out to a fault": {[]func(*Observation){func(o *Observation) { o.Set.Generation++ }, at(0, "Unreachable")}, v1alpha1.PhaseDegraded, "DatabaseUnreachable", no, "Unreachable", yes, "Reachable", true},
		"silent":                {[]func(*Observation){silent}, v1alpha1.PhaseRunning, "Running", unknown, "NoReport", unknown, "NoReport", true},
		"an old server":         {[]func(*Observation){func(o *Observation) { o.Report.Checks = nil }}, v1alpha1.PhaseRunning, "Running", unknown, "NoReport", unknown, "NoReport", true},
		"no Secret":             {[]func(*Observation){without(health.Metadata, "SecretNotFound"), noPod, silent, unboundClaim}, v1alpha1.PhasePending, "SecretNotFound", no, "SecretNotFound", no, "Waiting", false},
		"no credentials":        {[]func(*Observation){without(health.Content, "SecretKeyMissing"), noPod, silent, unboundClaim}, v1alpha1.PhasePending, "SecretKeyMissing", unknown, "NoReport", no, "SecretKeyMissing", false},
		"Secret taken away":     {[]func(*Observation){without(health.Metadata, "SecretNotFound")}, v1alpha1.PhaseDegraded, "SecretNotFound", no, "SecretNotFound", yes, "Reachable", true},
		"volume lost":           {[]func(*Observation){unboundClaim, notReady}, v1alpha1.PhasePending, "WaitingForVolume", yes, "Reachable", no, "Waiting", false},
		"hibernated":            {[]func(*Observation){func(o *Observation) { o.Server.Spec.Replicas = ptr.To[int32](0) }, noPod, silent}, v1alpha1.PhaseHibernated, "Hibernated", unknown, "Hibernated", unknown, "Hibernated", false},
		"ephemeral":             {[]func(*Observation){func(o *Observation) { o.Claims = nil }}, v1alpha1.PhaseRunning, "Running", yes, "Reachable", yes, "Reachable", true},
		"crashing": {[]func(*Observation){containerState(corev1.ContainerStatus{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 2}}}), silent},
			v1alpha1.PhaseFailed, "CrashLoop", unknown, "NoReport", unknown, "NoReport", false},
	} {
		t.Run(name, func(t *testing.T) {
			o := remote()
			for _, change := range test.changes {
				change(&o)
			}
			got := Compute(o)
			if got.Phase != test.phase {
				t.Errorf("phase is %s, not %s", got.Phase, test.phase)
			}
			for kind, want := range map[string]struct {
				status metav1.ConditionStatus
				reason string
			}{
				v1alpha1.ConditionDatabaseReady: {test.database, test.databaseReason},
				v1alpha1.ConditionStorageReady:  {test.storage, test.storageReason},
			} {
				if c := apimeta.FindStatusCondition(got.Conditions, kind); c.Status != want.status || c.Reason != want.reason ||
					c.Message == "" {
					t.Errorf("condition %s is %+v, not %+v", kind, c, want)
				}
			}
			if c := apimeta.FindStatusCondition(got.Conditions, v1alpha1.ConditionReady); c.Reason != test.ready ||
				(c.Status == yes) != (test.phase == v1alpha1.PhaseRunning) {
				t.Errorf("Ready is %+v", c)
			}
			if serves := apimeta.IsStatusConditionTrue(got.Conditions, v1alpha1.ConditionAvailable); serves != test.stillServes {
				t.Errorf("Available is %t", serves)
			}
			o.Server.Status, o.Now = got, noon.Add(time.Hour)
			if again := Compute(o); !reflect.DeepEqual(again, got) {
				t.Errorf("the same cluster gave\n%+v\nand then\n%+v", got, again)
			}
		})
	}
}

func TestFaultOfAStoreIsToldInTheServersWords(t *testing.T) {
	o := remote()
	at(0, "Unreachable")(&o)
	for kind, want := range map[string]string{
		v1alpha1.ConditionDatabaseReady: "said the server",
		v1alpha1.ConditionReady:         "database: said the server",
		v1alpha1.ConditionStorageReady:  "the server can use the bucket files",
	} {
		if c := apimeta.FindStatusCondition(Compute(o).Conditions, kind); !strings.Contains(c.Message, want) {
			t.Errorf("%s says %q, not %q", kind, c.Message, want)
		}
	}
}
