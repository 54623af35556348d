package report

import "time"

// BackupLine is a line of the answer to "backup": progress, or at the end the
// backup that was made.
type BackupLine struct {
	Keys    int64   `json:"keys,omitempty"`
	Written int64   `json:"written_bytes,omitempty"`
	Backup  *Backup `json:"backup,omitempty"`
}

// Backup is a backup in the content store. Error says why it cannot be read.
type Backup struct {
	Name string `json:"name"`
	// RecoveryPoint: everything acknowledged before is in the backup.
	RecoveryPoint time.Time `json:"recovery_point"`
	Keys          int64     `json:"keys"`
	Segments      int       `json:"segments"`
	// Bytes are those of all its chunks, Written those of the ones that no
	// earlier backup had.
	Bytes   int64  `json:"bytes"`
	Written int64  `json:"written_bytes"`
	Error   string `json:"error,omitempty"`
}

// Restored is what a restore has done.
type Restored struct {
	Backup
	// Missing segments: reads of their bytes fail.
	Missing int `json:"missing_segments"`
}
