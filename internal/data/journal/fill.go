package journal

// A sync of bytes that replace others is one write to the disk. A sync of
// bytes that make a file longer, or that come into space which was only
// allocated, waits for the filesystem's own log besides. So where little is
// written between syncs, as by a database, zeros go ahead of the records;
// where much is, they would cost more than they save.

const (
	// fewBytes between two syncs are few: writing them twice costs less than
	// the filesystem's log.
	fewBytes = 16 << 10
	// fillStep is how many zeros are written at once.
	fillStep = 256 << 10
)

var zeros [fillStep]byte

// fill writes zeros behind the last record, where nobody writes yet. The end
// of the records is found by their checksums, never by the file's size. The
// caller holds appender.mu.
func (g *Segment) fill() {
	t := &g.tail
	end := min(t.size+fillStep, t.capacity)
	if end <= t.size {
		return
	}
	if _, err := g.local.Load().WriteAt(zeros[:end-t.size], t.size); err != nil {
		t.sparing = false // the next record meets the error, if it lasts
		return
	}
	t.filled = end
}
