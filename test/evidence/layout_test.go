package evidence

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/process"
	"github.com/dittofs/dittofs/test/s3server"
)

var (
	layoutMiB   = flag.Int("layout", 64, "MiB of the file that is written at random and read in order")
	layoutCache = flag.Int("layout.cache", 256, "MiB of cache.size then")
)

// TestAFileWrittenAtRandomIsLaidOutForItsReaders writes a file in blocks of 16 KiB in a random order and reads it from
// one end to the other, with nothing in the cache; after the server has laid it out again, such a read asks the content
// store for much less.
func TestAFileWrittenAtRandomIsLaidOutForItsReaders(t *testing.T) {
	t.Run("filesystem", func(t *testing.T) {
		layOut(t, "{type: filesystem, path: DIR/content}")
	})
	t.Run("s3", func(t *testing.T) {
		objects := s3server.Start(t, s3server.Options{})
		layOut(t, fmt.Sprintf("{type: s3, bucket: %s, endpoint: %q, credentials_file: %q}",
			objects.Bucket(t), objects.Endpoint, objects.Credentials(t)))
	})
}

func layOut(t *testing.T, content string) {
	size := int64(*layoutMiB) << 20
	o := newOverwritten(t, *layoutMiB, fmt.Sprintf(`
cache:    {path: DIR/cache, size: %dMiB, flush_interval: 1s, page_size: 64KiB}
metadata: {type: pebble, path: DIR/metadata}
content:  %s
`, *layoutCache, content))
	s := o.s
	o.writeInRandomOrder()
	waitUntil(t, s, "all is stored", func(m process.Figures) bool { return m.Of("dittofs_upload_waiting_bytes") == 0 })
	before, fetched := o.readCold(content)
	waitUntil(t, s, "the layout", func(m process.Figures) bool {
		return m.Of("dittofs_layout_rewritten_bytes_total") > 0 && m.Of("dittofs_layout_waiting_files") == 0 &&
			m.Of("dittofs_upload_waiting_bytes") == 0
	})
	copied := metrics(t, s).Of("dittofs_layout_rewritten_bytes_total")
	waitUntil(t, s, "the space", func(m process.Figures) bool { return m.Of("dittofs_stored_bytes") < 1.5*float64(size) })
	after, less := o.readCold(content)
	if m := metrics(t, s); m.Of("dittofs_layout_waiting_files") != 0 {
		t.Error("it is to be laid out once more")
	}
	t.Logf("%d MiB in blocks of 16 KiB, cache of %d MiB: a cold read in order made %.0f reads of the content store and fetched %.0f MiB; %.0f MiB were copied; now it makes %.0f (%.1f times fewer) and fetches %.0f MiB",
		*layoutMiB, *layoutCache, before, fetched/(1<<20), copied/(1<<20), after, before/max(after, 1), less/(1<<20))
	if after*8 > before {
		t.Errorf("%.0f reads of the content store were %.0f", after, before)
	}
	if copied > 1.1*float64(size) {
		t.Errorf("%.0f bytes were copied of %d", copied, size)
	}
}

func (o *overwritten) writeInRandomOrder() {
	order := rand.New(rand.NewPCG(1, 2)).Perm(len(o.versions))
	o.inParallel(func(w int, c *nfsclient.Client) error {
		for i := w; i < len(order); i += overwriters {
			if err := o.write(c, order[i], nfsclient.Unstable); err != nil {
				return err
			}
		}
		return nil
	})
	if _, err := connect(o.t, o.s).Commit(o.file, 0, 0); err != nil {
		o.t.Fatal(err)
	}
}

// readCold starts the server again, without what it had in the cache of a store that is far away, and reads the file in
// order. It returns how often the content store was read, and how many bytes were fetched.
func (o *overwritten) readCold(content string) (reads, fetched float64) {
	o.t.Helper()
	if strings.Contains(content, "type: s3") {
		if code := o.s.Signal(syscall.SIGTERM); code != 0 {
			o.t.Fatalf("exit code %d; the server's log ends:\n%s", code, o.s.Log())
		}
		if err := os.RemoveAll(filepath.Join(o.s.Dir, "cache")); err != nil {
			o.t.Fatal(err)
		}
		o.s.StartFor(o.t)
	}
	c := connect(o.t, o.s)
	before := metrics(o.t, o.s)
	const step = 1 << 20
	want := make([]byte, 0, step)
	for block := 0; block < len(o.versions); block += step / overwriteBlock {
		want = want[:0]
		for i := range step / overwriteBlock {
			want = append(want, blockOf(block+i, o.versions[block+i])...)
		}
		got, err := c.Read(o.file, uint64(block)*overwriteBlock, step)
		if err != nil || !bytes.Equal(got.Data, want) {
			o.t.Fatalf("the bytes of block %d and after it are wrong: %v", block, err)
		}
	}
	after := metrics(o.t, o.s)
	return after.Of("dittofs_content_reads_total") - before.Of("dittofs_content_reads_total"),
		after.Of("dittofs_content_fetched_bytes_total") - before.Of("dittofs_content_fetched_bytes_total")
}
