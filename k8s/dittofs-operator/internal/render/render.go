// Package render turns a DittoServer into the server's configuration, with the
// types that the server loads it with, and has the server's own loader check
// the result: what the operator puts into the cluster, the server accepts.
package render

import (
	"fmt"
	"net"
	"strconv"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/names"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/volumes"
	"github.com/dittofs/dittofs/pkg/config"
)

// anyAddress is what the listeners bind to: the pod has one address, and it is
// not known before the pod is.
const anyAddress = "0.0.0.0"

// Rendered is a configuration that the server's loader has accepted.
type Rendered struct {
	// YAML is the complete config.yaml.
	YAML string
	// Hash identifies YAML, as the server does: config.FileHash.
	Hash string
	// RestartHash identifies the part that a running server cannot take over.
	RestartHash string
	// Warnings of the loader, one line each.
	Warnings string
}

// Config renders the configuration of ds. The error is the loader's, one line
// for each fault. filesystem is the one that the server must find in its
// stores; empty for any.
func Config(ds *v1alpha1.DittoServer, layout volumes.Layout, filesystem string) (Rendered, error) {
	c := configOf(ds, layout)
	c.Metadata.ExpectedInstance = filesystem
	text, err := config.Marshal(c)
	if err != nil {
		return Rendered{}, err
	}
	loaded, warnings, err := config.Parse(text, nil)
	if err != nil {
		return Rendered{}, err
	}
	return Rendered{
		YAML:        string(text),
		Hash:        config.FileHash(text),
		RestartHash: config.RestartHash(loaded),
		Warnings:    warnings.String(),
	}, nil
}

func configOf(ds *v1alpha1.DittoServer, layout volumes.Layout) *config.Config {
	spec := &ds.Spec
	c := config.Default()
	setCache(&c.Cache, &spec.Cache, layout)
	c.Metadata = metadataOf(ds, layout)
	c.Content = contentOf(ds, layout)
	c.Durability = config.Durability(spec.Durability)
	setNumber(&c.Compaction.GarbagePercent, spec.Compaction.GarbagePercent)
	setSize(&c.Compaction.Rate, spec.Compaction.Rate)
	setDuration(&c.Backup.Every, spec.Backup.Every)
	setNumber(&c.Backup.Keep, spec.Backup.Keep)
	c.NFS.Listen = listen(spec.NFS.Port)
	c.Admin.Listen = listen(names.AdminPort)
	c.Logging = config.Logging{Level: spec.Logging.Level, Format: spec.Logging.Format}
	c.LockTimeout = config.Duration(names.LockTimeout)
	c.ShutdownDelay = config.Duration(names.ShutdownDelay)
	c.ShutdownTimeout = config.Duration(spec.ShutdownTimeout.Duration)
	c.Shares = make([]config.Share, 0, len(spec.Shares))
	for _, share := range spec.Shares {
		c.Shares = append(c.Shares, shareOf(share))
	}
	return c
}

func listen(port int32) string {
	return net.JoinHostPort(anyAddress, strconv.Itoa(int(port)))
}

// shareOf copies what is set; what is not has config's default. The API server
// has put in the defaults of the CRD already.
func shareOf(in v1alpha1.ShareSpec) config.Share {
	out := config.DefaultShare(in.Name)
	if in.Path != "" {
		out.Path = in.Path
	}
	if in.Clients != nil {
		out.Clients = make([]config.Client, 0, len(in.Clients))
	}
	for _, client := range in.Clients {
		out.Clients = append(out.Clients, config.Client{
			CIDR: client.CIDR, Access: config.Access(client.Access), Secure: client.Secure,
		})
	}
	if in.Squash != "" {
		out.Squash = config.Squash(in.Squash)
	}
	set(&out.Anonymous.UID, in.Anonymous.UID)
	set(&out.Anonymous.GID, in.Anonymous.GID)
	set(&out.Root.UID, in.Root.UID)
	set(&out.Root.GID, in.Root.GID)
	if in.Root.Mode != "" {
		out.Root.Mode = in.Root.Mode
	}
	if in.Quota != nil {
		out.Quota.Inodes = uint64(in.Quota.Inodes)
		if in.Quota.Bytes != nil {
			out.Quota.Bytes = config.Size(in.Quota.Bytes.Value())
		}
	}
	out.ReadOnly = in.ReadOnly
	return out
}

// set copies a user or group id; the CRD bounds it to 32 bits.
func set(to *uint32, from *int64) {
	if from != nil {
		*to = uint32(*from)
	}
}

// SharePath is what clients mount of a share.
func SharePath(share v1alpha1.ShareSpec) string {
	return shareOf(share).Path
}

// Endpoint joins an address and the NFS port.
func Endpoint(ds *v1alpha1.DittoServer, address string) string {
	return net.JoinHostPort(address, strconv.Itoa(int(ds.Spec.NFS.Port)))
}

// MountSource is the source of a mount: address and path, an IPv6 address in
// brackets.
func MountSource(address, path string) string {
	if ip := net.ParseIP(address); ip != nil && ip.To4() == nil {
		address = "[" + address + "]"
	}
	return fmt.Sprintf("%s:%s", address, path)
}
