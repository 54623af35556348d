// Package health is the answer of /readyz in JSON (?format=json): what the
// server writes and the operator reads, so that the two cannot drift.
package health

import "time"

// Report says whether a server can be used, and what is wrong if not.
type Report struct {
	// Ready is what the status code says: 200 or 503.
	Ready bool `json:"ready"`
	// Phase is starting, serving, stopping or failed.
	Phase Phase `json:"phase"`
	// Version of the server.
	Version string `json:"version,omitempty"`
	// Instance names the filesystem that is served: 32 hexadecimal digits, the
	// same at every start over the same stores. Empty until they are open.
	Instance string `json:"instance,omitempty"`
	// ConfigHash is config.FileHash of the configuration file that is in effect
	// as a whole, and stays that of the last such one while a later file is not.
	// Empty until the server serves, and if it was started without a file.
	ConfigHash string `json:"config_hash,omitempty"`
	// ConfigFault says in one line why a later file is not in effect.
	ConfigFault string `json:"config_fault,omitempty"`
	// Checks of the parts, in the order metadata, content, which are always there,
	// and cache, which is there while it is at fault.
	Checks []Check `json:"checks"`
	// Backup is the state of the metadata's backups, which is no part of Ready.
	// Nil if there can be none: something is in memory.
	Backup *Backup `json:"backup,omitempty"`
}

// Backup says up to when a server could be made again from its content store.
type Backup struct {
	// RecoveryPoint is the moment up to which everything that was acknowledged
	// is in a complete backup; nil if none is known.
	RecoveryPoint *time.Time `json:"recovery_point,omitempty"`
	// OK is false of a server with a schedule whose last attempt failed, or whose
	// recovery point is further back than twice the time between two backups.
	OK bool `json:"ok"`
	// Reason and Message are as in Check. Reason is one of those below, or what
	// keeps the content store from being used.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// Reasons of a Backup that is not OK.
const (
	BackupNone    = "NoBackup"     // none was made yet, or the content store did not say
	BackupFailed  = "BackupFailed" // the last attempt
	BackupOverdue = "Overdue"
)

// Phase of a server's life.
type Phase string

// Phases, in their order; Failed ends any of them.
const (
	Starting Phase = "starting"
	Serving  Phase = "serving"
	Stopping Phase = "stopping"
	Failed   Phase = "failed"
)

// Names of checks: the sections of config.yaml.
const (
	Metadata = "metadata"
	Content  = "content"
	Cache    = "cache"
)

// Check is the state of one part.
type Check struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Reason is one word in the form of a Kubernetes condition's reason, such
	// as Unreachable or BucketNotFound; empty if OK.
	Reason string `json:"reason,omitempty"`
	// Message says what is wrong and what to do, in one line without secrets.
	Message string `json:"message,omitempty"`
}

// Find returns the check of a name; nil if it is not in the report.
func (r *Report) Find(name string) *Check {
	for i := range r.Checks {
		if r.Checks[i].Name == name {
			return &r.Checks[i]
		}
	}
	return nil
}
