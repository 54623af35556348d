package pebble

// zeros are written at once in front of a log.
var zeros [256 << 10]byte

// logFile is a log of Pebble that grows by zeros, written well before they are
// needed. A sync of bytes that replace others is one write to the disk; a sync
// of bytes that make a file longer, or that fill space which was only
// allocated, is one more for the filesystem's own log. Pebble takes zeros for
// the end of a log, and what it uses again has been written already.
type logFile struct {
	*guardedFile
	at, filled int64
}

// Write implements vfs.File.
func (f *logFile) Write(p []byte) (int, error) {
	if end := f.at + int64(len(p)); end > f.filled {
		if _, err := f.WriteAt(zeros[:], end); err != nil {
			return 0, err
		}
		f.filled = end + int64(len(zeros))
	}
	n, err := f.guardedFile.Write(p)
	f.at += int64(n)
	return n, err
}
