// Package health is the answer of /readyz in JSON (?format=json): what the
// server writes and the operator reads, so that the two cannot drift.
package health

// Report says whether a server can be used, and what is wrong if not.
type Report struct {
	// Ready is what the status code says: 200 or 503.
	Ready bool `json:"ready"`
	// Phase is starting, serving, stopping or failed.
	Phase Phase `json:"phase"`
	// Version of the server.
	Version string `json:"version,omitempty"`
	// Checks of the parts, always all of them, in the order metadata, content.
	Checks []Check `json:"checks"`
}

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
