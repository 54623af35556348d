package vfs

import (
	"strings"
	"testing"

	"github.com/dittofs/dittofs/internal/vfs/layout"
)

// Servers before this one took links that Linux cannot read as a whole.
func TestALinkThatIsTooLongShowsTheSizeOfWhatIsRead(t *testing.T) {
	r := record{layout.Inode{Type: TypeSymlink, Target: strings.Repeat("p", 4096)}}
	if a := r.attr(1); a.Size != 4095 || a.Size != uint64(len(r.Readlink())) {
		t.Errorf("a link of 4096 bytes is %+v", a)
	}
}
