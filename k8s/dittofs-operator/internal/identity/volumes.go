package identity

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/names"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/stores"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/volumes"
)

// Reasons of a Loss.
const (
	// VolumeDeleting: the claim goes as soon as no pod uses it.
	VolumeDeleting = "VolumeDeleting"
	// VolumeGone: there is no claim any more.
	VolumeGone = "VolumeGone"
	// VolumeReplaced: the claim is another one, over another volume.
	VolumeReplaced = "VolumeReplaced"
	// OtherFilesystem: a server serves another filesystem.
	OtherFilesystem = "OtherFilesystem"
)

// Loss says what became of a filesystem, and what to do.
type Loss struct {
	Reason, Message string
}

// Starts reports whether a server may start nevertheless.
func (l Loss) Starts() bool { return l.Reason == VolumeDeleting }

// Judge compares the claims of a server with what is known of them. It returns
// the losses, and those claims that may be made or changed: a claim in the
// place of one that had data is left alone.
func (k Known) Judge(ds *v1alpha1.DittoServer, claims []volumes.State) (losses []Loss, usable []volumes.State) {
	for _, claim := range claims {
		loss := k.judge(ds, claim)
		if loss != nil {
			losses = append(losses, *loss)
		}
		if loss == nil || loss.Starts() {
			usable = append(usable, claim)
		}
	}
	return losses, usable
}

func (k Known) judge(ds *v1alpha1.DittoServer, claim volumes.State) *Loss {
	if k.Filesystem == "" || expendable(ds, claim.Claim) {
		return nil
	}
	name, before := claim.Claim.Name, k.volume(claim.Claim.Name)
	lost := func(reason, format string, args ...any) *Loss {
		return &Loss{reason, fmt.Sprintf("PersistentVolumeClaim %s", name) + fmt.Sprintf(format, args...)}
	}
	switch {
	case claim.Live == nil:
		return lost(VolumeGone, "%s is gone, and with it filesystem %s. No server is started in its place. "+
			"Make the claim again over its volume, if that is still there; or let a server begin with an empty filesystem by "+
			"spec.acceptDataLoss: %s",
			over(before), k.Filesystem, k.Filesystem)
	case claim.Live.DeletionTimestamp != nil:
		return lost(VolumeDeleting, " is being deleted: as soon as the pod stops, it goes, and with it filesystem %s. "+
			"Do not stop the pod. Copy the files away, or keep the volume: kubectl patch pv %s -p "+
			"'{\"spec\":{\"persistentVolumeReclaimPolicy\":\"Retain\"}}'",
			k.Filesystem, claim.Live.Spec.VolumeName)
	case k.same(claim.Live, before) || slices.Contains(ds.Spec.AcceptVolumes, v1alpha1.AcceptedUID(claim.Live.UID)):
		return nil
	}
	return lost(VolumeReplaced, " is another one than the one that held filesystem %s%s. No server is started over it. "+
		"If it holds that filesystem, restored from a snapshot for example, say spec.acceptVolumes: [%s]",
		k.Filesystem, over(before), claim.Live.UID)
}

// same reports whether a claim is the one that is known, or another one over
// the same volume. Nothing but an annotation is known after the status was lost.
func (k Known) same(live *corev1.PersistentVolumeClaim, before *v1alpha1.VolumeStatus) bool {
	if before == nil {
		return live.Annotations[names.AnnotationFilesystem] == k.Filesystem
	}
	return live.UID == before.ClaimUID || before.VolumeName != "" && live.Spec.VolumeName == before.VolumeName
}

func over(before *v1alpha1.VolumeStatus) string {
	if before == nil || before.VolumeName == "" {
		return ""
	}
	return " (over PersistentVolume " + before.VolumeName + ")"
}

// expendable is a cache whose contents the stores have.
func expendable(ds *v1alpha1.DittoServer, claim volumes.Claim) bool {
	alone := claim.Volume == volumes.Cache || claim.Volume == volumes.Data && stores.UsesDatabase(ds) &&
		stores.UsesBucket(ds)
	return alone && ds.Spec.Durability == "remote"
}

// known reports whether the volume of each claim is seen. A view of a claim from
// before it was bound names none, although a server serves over it.
func known(ds *v1alpha1.DittoServer, claims []volumes.State) bool {
	return !slices.ContainsFunc(claims, func(claim volumes.State) bool {
		return !expendable(ds, claim.Claim) && (claim.Live == nil || claim.Live.Spec.VolumeName == "")
	})
}

// Record is what the status has to remember: that of before, and what is newly
// known. served is the filesystem that a server has said to serve, or empty.
func (k Known) Record(
	ds *v1alpha1.DittoServer, served string, claims []volumes.State, lost bool,
) *v1alpha1.FilesystemStatus {
	if old := ds.Status.Filesystem; k.Filesystem == "" && served != "" && old != nil && old.ID == served &&
		old.AcceptedLoss != served {
		return old.DeepCopy() // given up, and still served: the loss is yet to come
	}
	out := &v1alpha1.FilesystemStatus{ID: k.Filesystem, Volumes: k.Volumes, AcceptedLoss: k.AcceptedLoss}
	if out.ID == "" {
		out.ID = served
	}
	switch {
	case volatile(ds) || out.ID == "" && out.AcceptedLoss == "":
		return nil
	case out.ID == "":
		return out
	}
	if stores.UsesBucket(ds) {
		out.Bucket, out.Prefix = ds.Spec.Content.S3.Bucket, ds.Spec.Content.S3.Prefix
	}
	if lost {
		return out
	}
	if k.Filesystem == "" && !known(ds, claims) {
		return ds.Status.Filesystem // the volumes under it are seen in a moment
	}
	out.Volumes = nil
	for _, claim := range claims {
		before := k.volume(claim.Claim.Name)
		switch live := claim.Live; {
		case live != nil && live.Spec.VolumeName != "":
			out.Volumes = append(out.Volumes, v1alpha1.VolumeStatus{
				Claim: claim.Claim.Name, ClaimUID: live.UID, VolumeName: live.Spec.VolumeName,
			})
		case before != nil:
			out.Volumes = append(out.Volumes, *before)
		}
	}
	return out
}
