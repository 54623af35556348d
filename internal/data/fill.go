package data

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
// caller holds Store.mu.
func (g *segment) fill() {
	end := min(g.size+fillStep, g.capacity)
	if end <= g.size {
		return
	}
	f := g.local.Load()
	if _, err := f.WriteAt(zeros[:end-g.size], g.size); err != nil {
		g.sparing = false // the next record meets the error, if it lasts
		return
	}
	g.filled = end
}
