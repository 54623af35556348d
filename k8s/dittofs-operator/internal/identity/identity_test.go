package identity

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/names"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/volumes"
)

var (
	one = strings.Repeat("1", 32)
	two = strings.Repeat("2", 32)
)

func note(filesystem, address string) map[string]string {
	return map[string]string{names.AnnotationFilesystem: filesystem, names.AnnotationClusterIP: address}
}

func TestRecall(t *testing.T) {
	volume := []v1alpha1.VolumeStatus{{Claim: "nas-data", ClaimUID: "u1", VolumeName: "pv1"}}
	status := func(id, accepted string) *v1alpha1.FilesystemStatus {
		return &v1alpha1.FilesystemStatus{ID: id, Volumes: volume, AcceptedLoss: accepted}
	}
	tests := []struct {
		name   string
		change func(*v1alpha1.DittoServer)
		notes  []map[string]string
		want   Known
	}{
		{"a first start knows nothing", nil, []map[string]string{nil, {}}, Known{}},
		{"the status counts before notes", func(ds *v1alpha1.DittoServer) {
			ds.Status.Filesystem, ds.Status.ClusterIP = status(one, ""), "10.0.0.1"
		}, []map[string]string{note(two, "10.0.0.2")}, Known{Filesystem: one, Volumes: volume, ClusterIP: "10.0.0.1"}},
		{"a lost status is made again from notes", nil, []map[string]string{{}, note(one, "10.0.0.1")}, Known{Filesystem: one, ClusterIP: "10.0.0.1"}},
		{"notes that cannot be right are ignored", nil, []map[string]string{note("../x", "none")}, Known{}},
		{"an accepted loss is forgotten", func(ds *v1alpha1.DittoServer) {
			ds.Status.Filesystem, ds.Spec.AcceptDataLoss = status(one, ""), one
		}, []map[string]string{note(one, "10.0.0.1")}, Known{AcceptedLoss: one, ClusterIP: "10.0.0.1"}},
		{"also when the status is lost", func(ds *v1alpha1.DittoServer) { ds.Spec.AcceptDataLoss = one },
			[]map[string]string{note(one, "")}, Known{AcceptedLoss: one}},
		{"the loss of another filesystem is not accepted", func(ds *v1alpha1.DittoServer) {
			ds.Status.Filesystem, ds.Spec.AcceptDataLoss = status(one, ""), two
		}, nil, Known{Filesystem: one, Volumes: volume}},
		{"a loss is accepted once", func(ds *v1alpha1.DittoServer) {
			ds.Status.Filesystem, ds.Spec.AcceptDataLoss = status(one, one), one
		}, nil, Known{Filesystem: one, Volumes: volume, AcceptedLoss: one}},
		{"an abandoned address is forgotten", func(ds *v1alpha1.DittoServer) {
			ds.Status.ClusterIP, ds.Spec.Service.AbandonClusterIP = "10.0.0.1", "10.0.0.1"
		}, nil, Known{}},
		{"metadata in memory keeps its address alone", func(ds *v1alpha1.DittoServer) {
			ds.Spec.Metadata.Type, ds.Status.ClusterIP = v1alpha1.MetadataMemory, "10.0.0.1"
		}, []map[string]string{note(one, "")}, Known{ClusterIP: "10.0.0.1"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ds := &v1alpha1.DittoServer{ObjectMeta: metav1.ObjectMeta{Name: "nas"}}
			if test.change != nil {
				test.change(ds)
			}
			if got := Recall(ds, test.notes...); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

// claim in the cluster; uid "" for none.
func claim(volume, uid, pv string, change ...func(*corev1.PersistentVolumeClaim)) volumes.State {
	state := volumes.State{Claim: volumes.Claim{Name: "nas-" + volume, Volume: volume}}
	if uid == "" {
		return state
	}
	state.Live = &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid)}, Spec: corev1.PersistentVolumeClaimSpec{VolumeName: pv},
	}
	for _, f := range change {
		f(state.Live)
	}
	return state
}

func deleted(pvc *corev1.PersistentVolumeClaim) { pvc.DeletionTimestamp = &metav1.Time{} }
func noted(pvc *corev1.PersistentVolumeClaim)   { pvc.Annotations = note(one, "") }

func TestJudge(t *testing.T) {
	known := Known{
		Filesystem: one, Volumes: []v1alpha1.VolumeStatus{
			{Claim: "nas-data", ClaimUID: "u1", VolumeName: "pv1"}, {Claim: "nas-cache", ClaimUID: "u2", VolumeName: "pv2"},
		},
	}
	forgotten := Known{Filesystem: one}
	remote := func(ds *v1alpha1.DittoServer) { ds.Spec.Durability = "remote" }
	accept := func(uid string) func(*v1alpha1.DittoServer) {
		return func(ds *v1alpha1.DittoServer) {
			ds.Spec.AcceptVolumes = []v1alpha1.AcceptedUID{v1alpha1.AcceptedUID(uid)}
		}
	}
	tests := []struct {
		name   string
		known  Known
		change func(*v1alpha1.DittoServer)
		claim  volumes.State
		reason string
		usable bool
	}{
		{"a first start makes its claims", Known{}, nil, claim("data", "", ""), "", true},
		{"the same claim", known, nil, claim("data", "u1", "pv1"), "", true},
		{"a claim that is gone", known, nil, claim("data", "", ""), VolumeGone, false},
		{"a claim that is being deleted", known, nil, claim("data", "u1", "pv1", deleted), VolumeDeleting, true},
		{"another claim", known, nil, claim("data", "u9", "pv9"), VolumeReplaced, false},
		{"another claim that is not bound", known, nil, claim("data", "u9", ""), VolumeReplaced, false},
		{"another claim over the same volume", known, nil, claim("data", "u9", "pv1"), "", true},
		{"another claim that the spec names", known, accept("u9"), claim("data", "u9", ""), "", true},
		{"another claim than the spec names", known, accept("u8"), claim("data", "u9", ""), VolumeReplaced, false},
		{"an annotation is not enough while the claim is known", known, nil, claim("data", "u9", "pv9", noted), VolumeReplaced, false},
		{"an annotation is enough when the status was lost", forgotten, nil, claim("data", "u9", "pv9", noted), "", true},
		{"without it a claim is another one", forgotten, nil, claim("data", "u9", "pv9"), VolumeReplaced, false},
		{"no claim when the status was lost", forgotten, nil, claim("data", "", ""), VolumeGone, false},
		{"a cache is part of the filesystem", known, nil, claim("cache", "", ""), VolumeGone, false},
		{"unless the stores have everything", known, remote, claim("cache", "", ""), "", true},
		{"which is true of no other volume", known, remote, claim("data", "", ""), VolumeGone, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ds := &v1alpha1.DittoServer{}
			if test.change != nil {
				test.change(ds)
			}
			losses, usable := test.known.Judge(ds, []volumes.State{test.claim})
			reason := ""
			for _, loss := range losses {
				reason = loss.Reason
				if !strings.Contains(loss.Message, test.claim.Claim.Name) || !strings.Contains(loss.Message, one) {
					t.Errorf("the message names neither claim nor filesystem: %s", loss.Message)
				}
			}
			if reason != test.reason || (len(usable) == 1) != test.usable {
				t.Errorf("loss %q, usable %v", reason, len(usable) == 1)
			}
		})
	}
}

func TestRecord(t *testing.T) {
	ds := &v1alpha1.DittoServer{}
	claims := []volumes.State{claim("data", "u1", "pv1")}
	if got := (Known{}).Record(ds, "", claims, false); got != nil {
		t.Errorf("before a server has served, %+v is recorded", got)
	}
	first := (Known{}).Record(ds, one, claims, false)
	want := &v1alpha1.FilesystemStatus{
		ID: one, Volumes: []v1alpha1.VolumeStatus{{Claim: "nas-data", ClaimUID: "u1", VolumeName: "pv1"}},
	}
	if !reflect.DeepEqual(first, want) {
		t.Errorf("first: %+v", first)
	}
	known := Known{Filesystem: first.ID, Volumes: first.Volumes}
	if got := known.Record(ds, two, []volumes.State{claim("data", "u2", "pv2")}, true); !reflect.DeepEqual(got, want) {
		t.Errorf("while it is lost: %+v", got)
	}
	if got := known.Record(ds, "", []volumes.State{claim("data", "u2", "")}, false); !reflect.DeepEqual(got, want) {
		t.Errorf("while an accepted claim is not bound: %+v", got)
	}
	if got := known.Record(ds, "", []volumes.State{claim("data", "u2", "pv2")}, false); got.Volumes[0].ClaimUID != "u2" ||
		got.ID != one {
		t.Errorf("with an accepted claim: %+v", got)
	}
	if got := (Known{AcceptedLoss: one}).Record(ds, "", claims, false); got.ID != "" || got.Volumes != nil ||
		got.AcceptedLoss != one {
		t.Errorf("after an accepted loss: %+v", got)
	}
	ds.Status.Filesystem, ds.Spec.AcceptDataLoss = want, one
	given := Recall(ds)
	if got := given.Record(ds, one, claims, false); !reflect.DeepEqual(got, want) {
		t.Errorf("given up while it is still served: %+v", got)
	}
	if got := given.Record(ds, two, claims, false); got.ID != two || got.AcceptedLoss != one {
		t.Errorf("given up, and another is served: %+v", got)
	}
	ds.Status.Filesystem, ds.Spec.AcceptDataLoss = nil, ""
	ds.Spec.Metadata.Type = v1alpha1.MetadataMemory
	if got := (Known{}).Record(ds, one, claims, false); got != nil {
		t.Errorf("of memory %+v is recorded", got)
	}
}
