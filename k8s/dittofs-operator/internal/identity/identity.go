// Package identity decides what must stay the same for as long as a
// DittoServer, or its data, lives: its filesystem, the volumes under it, and
// the address that mounts have.
//
// What is known of them is in the status. Because a status can be lost, and a
// DittoServer deleted and made again over its retained volumes, it is also in
// annotations of the claims and of the ConfigMap:
//
//	dittofs.io/filesystem: 6b5c0a…   dittofs.io/cluster-ip: 10.96.0.17
//
// A server is never started over something else, unless the spec names what is
// lost. The package is pure.
package identity

import (
	"net/netip"
	"regexp"
	"slices"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/names"
)

// Known is what is remembered of a server that has served. The zero value is
// that of one that has not.
type Known struct {
	// Filesystem is its name, empty until a server has served it.
	Filesystem string
	// Volumes that hold it.
	Volumes []v1alpha1.VolumeStatus
	// ClusterIP is the address that mounts have.
	ClusterIP string
	// AcceptedLoss is the lost filesystem that the spec has given up.
	AcceptedLoss string
}

var filesystemName = regexp.MustCompile(`^[0-9a-f]{32}$`)

// Recall is what the status says, and else the annotations of retained objects.
// Nothing is known of a filesystem that spec.acceptDataLoss has given up.
func Recall(ds *v1alpha1.DittoServer, notes ...map[string]string) Known {
	known := Known{ClusterIP: ds.Status.ClusterIP}
	if status := ds.Status.Filesystem; status != nil {
		known.Filesystem, known.Volumes, known.AcceptedLoss = status.ID, status.Volumes, status.AcceptedLoss
	}
	lost := ds.Spec.AcceptDataLoss
	if lost != "" && known.Filesystem == lost && known.AcceptedLoss != lost {
		known.Filesystem, known.Volumes, known.AcceptedLoss = "", nil, lost
	}
	for _, note := range notes {
		switch id := note[names.AnnotationFilesystem]; {
		case known.Filesystem != "" || !filesystemName.MatchString(id):
		case id == lost:
			known.AcceptedLoss = lost
		default:
			known.Filesystem = id
		}
		if ip, err := netip.ParseAddr(note[names.AnnotationClusterIP]); err == nil && known.ClusterIP == "" {
			known.ClusterIP = ip.String()
		}
	}
	if known.ClusterIP == ds.Spec.Service.AbandonClusterIP {
		known.ClusterIP = ""
	}
	if volatile(ds) {
		return Known{ClusterIP: known.ClusterIP}
	}
	return known
}

// volatile metadata begins a new filesystem at every start.
func volatile(ds *v1alpha1.DittoServer) bool {
	return ds.Spec.Metadata.Type == v1alpha1.MetadataMemory
}

// Notes are the annotations of objects that outlive the status.
func (k Known) Notes() map[string]string {
	notes := map[string]string{}
	if k.Filesystem != "" {
		notes[names.AnnotationFilesystem] = k.Filesystem
	}
	if k.ClusterIP != "" {
		notes[names.AnnotationClusterIP] = k.ClusterIP
	}
	return notes
}

// volume is what is known of a claim; nil if nothing is.
func (k Known) volume(claim string) *v1alpha1.VolumeStatus {
	i := slices.IndexFunc(k.Volumes, func(v v1alpha1.VolumeStatus) bool { return v.Claim == claim })
	if i < 0 {
		return nil
	}
	return &k.Volumes[i]
}
