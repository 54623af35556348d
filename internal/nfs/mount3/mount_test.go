package mount3_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/dittofs/dittofs/internal/nfs/nfstest"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/test/nfsclient"
)

func wantStatus(t *testing.T, err error, want nfsclient.Status, what string) {
	t.Helper()
	var got nfsclient.Status
	if err != nil && !errors.As(err, &got) {
		t.Fatalf("%s: %v", what, err)
	}
	if got != want {
		t.Errorf("%s: status %d, want %d", what, uint32(got), uint32(want))
	}
}

func TestMountGivesTheHandleOfAShareOrOfADirectoryBelow(t *testing.T) {
	srv := nfstest.Start(t, nfstest.Memory,
		config.Share{Name: "export"},
		config.Share{Name: "inner", Path: "/export/inner"},
		config.Share{Name: "other", Clients: []config.Client{{CIDR: "192.0.2.0/24"}}})
	c := srv.Dial(nfsclient.Options{})
	user := srv.Dial(nfsclient.Options{UID: 1000, GID: 1000})
	root, flavors, err := c.MountFlavors("/export")
	wantStatus(t, err, 0, "MNT /export")
	if !slices.Equal(flavors, []uint32{1, 0}) {
		t.Errorf("flavors %v, want AUTH_SYS, AUTH_NONE", flavors)
	}
	mkdir := func(dir nfsclient.Handle, name string, mode uint32) nfsclient.Handle {
		n, err := c.Mkdir(dir, name, nfsclient.SetAttr{Mode: &mode})
		wantStatus(t, err, 0, "MKDIR "+name)
		return n.Handle
	}
	a := mkdir(root, "a", 0755)
	ab := mkdir(a, "b", 0755)
	private := mkdir(root, "private", 0700)
	deep := mkdir(private, "deep", 0755)
	if _, err := c.Create(root, "file", nfsclient.Guarded, nfsclient.SetAttr{}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Symlink(root, "link", "a", nfsclient.SetAttr{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Symlink(private, "link", "deep", nfsclient.SetAttr{}); err != nil {
		t.Fatal(err)
	}
	inner, err := c.Mount("/export/inner")
	wantStatus(t, err, 0, "MNT of a share inside another's path")
	for path, tc := range map[string]struct {
		c      *nfsclient.Client
		want   nfsclient.Handle
		status nfsclient.Status
	}{
		"/export/":                             {c, root, 0},
		"//export/./a/..":                      {c, root, 0},
		"/export/a":                            {c, a, 0},
		"/export/a/b/":                         {c, ab, 0},
		"/export/inner/":                       {c, inner, 0},
		"/export/private/deep":                 {c, deep, 0},
		"/export/private/deep/":                {user, deep, 0},
		"/export/private/none":                 {user, nil, nfsclient.ErrNoEnt},
		"/export/private/link":                 {user, nil, nfsclient.ErrNotDir},
		"/export/private/deep/../../../other":  {user, nil, nfsclient.ErrAcces},
		"/export/none":                         {c, nil, nfsclient.ErrNoEnt},
		"/export/a/none/b":                     {c, nil, nfsclient.ErrNoEnt},
		"/export/file":                         {c, nil, nfsclient.ErrNotDir},
		"/export/file/x":                       {c, nil, nfsclient.ErrNotDir},
		"/export/link":                         {c, nil, nfsclient.ErrNotDir},
		"/export/" + strings.Repeat("x", 256):  {c, nil, nfsclient.ErrNameTooLong},
		"/exp":                                 {c, nil, nfsclient.ErrNoEnt},
		"/exportx":                             {c, nil, nfsclient.ErrNoEnt},
		"/":                                    {c, nil, nfsclient.ErrNoEnt},
		"/export/../other":                     {c, nil, nfsclient.ErrAcces},
		"/other":                               {c, nil, nfsclient.ErrAcces},
		"/other/none":                          {c, nil, nfsclient.ErrAcces},
		"":                                     {c, nil, nfsclient.ErrInval},
		"export":                               {c, nil, nfsclient.ErrInval},
		"/export\x00":                          {c, nil, nfsclient.ErrInval},
		"/export/inner/../../other/../export/": {c, root, 0},
	} {
		h, err := tc.c.Mount(path)
		wantStatus(t, err, tc.status, fmt.Sprintf("MNT %.30q", path))
		if !bytes.Equal(h, tc.want) {
			t.Errorf("MNT %.30q gave another handle", path)
		}
	}
	if _, err := c.Mount("/" + strings.Repeat("x", 1024)); err == nil || errors.As(err, new(nfsclient.Status)) {
		t.Errorf("MNT of a path above MNTPATHLEN: %v, want GARBAGE_ARGS", err)
	}
}

func TestAHandleBelowAPrivateDirectoryIsNoPermission(t *testing.T) {
	srv := nfstest.Start(t, nfstest.Memory, config.Share{
		Name: "export", Squash: config.SquashRoot, Root: config.Root{Mode: "0777"},
	})
	owner := srv.Dial(nfsclient.Options{UID: 1000, GID: 1000})
	root := srv.Dial(nfsclient.Options{})
	top := srv.Mount(owner, "/export")
	private := nfsclient.SetAttr{Mode: nfsclient.Ptr[uint32](0700)}
	home, err := owner.Mkdir(top, "home", private)
	wantStatus(t, err, 0, "MKDIR home")
	data, err := owner.Mkdir(home.Handle, "data", private)
	wantStatus(t, err, 0, "MKDIR data")
	got := srv.Mount(root, "/export/home/data")
	if !bytes.Equal(got, data.Handle) {
		t.Error("MNT gave another handle")
	}
	_, err = root.ReadDir(got, 0, 0, 4096)
	wantStatus(t, err, nfsclient.ErrAcces, "READDIR by the squashed root")
	_, err = owner.ReadDir(got, 0, 0, 4096)
	wantStatus(t, err, 0, "READDIR by the owner")
}

func TestMountsAreListedUntilTheyAreUnmounted(t *testing.T) {
	srv := nfstest.Start(t, nfstest.Memory, config.Share{Name: "a"}, config.Share{Name: "b"})
	c := srv.Dial(nfsclient.Options{})
	dump := func(want ...nfsclient.Mounted) {
		t.Helper()
		got, err := c.Dump()
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("DUMP: %v, %v; want %v", got, err, want)
		}
	}
	const me = "127.0.0.1"
	dump()
	srv.Mount(c, "/a")
	srv.Mount(c, "/b")
	srv.Mount(c, "/a")
	dump(nfsclient.Mounted{Client: me, Dir: "/a"}, nfsclient.Mounted{Client: me, Dir: "/b"})
	if err := c.Unmount("/a"); err != nil {
		t.Fatal(err)
	}
	if err := c.Unmount(""); err != nil {
		t.Fatal(err)
	}
	dump(nfsclient.Mounted{Client: me, Dir: "/b"})
	srv.Mount(c, "/a")
	if err := c.UnmountAll(); err != nil {
		t.Fatal(err)
	}
	dump()
}

func TestMountListIsBounded(t *testing.T) {
	srv := nfstest.Start(t, nfstest.Memory, config.Share{Name: "a"})
	c := srv.Dial(nfsclient.Options{})
	for i := range 1100 {
		srv.Mount(c, "/a"+strings.Repeat("/.", i%500)+strings.Repeat("/", i/500+1))
	}
	got, err := c.Dump()
	if err != nil || len(got) != 1024 {
		t.Errorf("DUMP: %d mounts, %v; want 1024", len(got), err)
	}
}

func TestExportsThatAClientMayUseAreListedWithTheirClients(t *testing.T) {
	srv := nfstest.Start(t, nfstest.Memory,
		config.Share{Name: "everyone"},
		config.Share{
			Name: "some", Path: "/x/some", Clients: []config.Client{{CIDR: "10.0.0.0/8"}, {CIDR: "127.0.0.0/8", Secure: true}},
		},
		config.Share{Name: "others", Clients: []config.Client{{CIDR: "10.0.0.0/8"}, {CIDR: "2001:db8::/32"}}})
	got, err := srv.Dial(nfsclient.Options{AuthNone: true}).Exports()
	if err != nil {
		t.Fatal(err)
	}
	want := []nfsclient.Exported{
		{Dir: "/everyone", Groups: []string{"0.0.0.0/0", "::/0"}},
		{Dir: "/x/some", Groups: []string{"10.0.0.0/8", "127.0.0.0/8"}},
	}
	if !slices.EqualFunc(got, want, func(a, b nfsclient.Exported) bool {
		return a.Dir == b.Dir && slices.Equal(a.Groups, b.Groups)
	}) {
		t.Errorf("EXPORT: %v, want %v", got, want)
	}
}

func TestMountsOfSharesThatAClientMayNotUseAreNotListed(t *testing.T) {
	a, b := config.Share{Name: "a", Path: "/a"}, config.Share{Name: "b", Path: "/b"}
	srv := nfstest.Start(t, nfstest.Memory, a, b)
	c := srv.Dial(nfsclient.Options{})
	srv.Mount(c, "/a")
	srv.Mount(c, "/b/")
	b.Clients = []config.Client{{CIDR: "192.0.2.0/24"}}
	if err := srv.Exports.Replace([]config.Share{a, b}, srv.IDs); err != nil {
		t.Fatal(err)
	}
	got, err := c.Dump()
	if want := []nfsclient.Mounted{{Client: "127.0.0.1", Dir: "/a"}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("DUMP: %v, %v; want %v", got, err, want)
	}
}

func TestMountFromAnUnprivilegedPortIsRefusedWhereItMustBePrivileged(t *testing.T) {
	srv := nfstest.Start(t, nfstest.Memory, config.Share{
		Name: "a", Clients: []config.Client{{CIDR: "127.0.0.0/8", Secure: true}},
	})
	c := srv.Dial(nfsclient.Options{})
	if port := c.LocalAddr().(*net.TCPAddr).Port; port < 1024 {
		t.Fatalf("the client has port %d", port)
	}
	_, err := c.Mount("/a")
	wantStatus(t, err, nfsclient.ErrAcces, "MNT from an unprivileged port")
}

func TestOtherVersionsOfMountAreToldWhichIsServed(t *testing.T) {
	srv := nfstest.Start(t, nfstest.Memory, config.Share{Name: "a"})
	c := srv.Dial(nfsclient.Options{})
	for _, vers := range []uint32{1, 2, 4} {
		_, err := c.Call(nfsclient.ProgramMount, vers, 0, nil)
		var got *nfsclient.RPCError
		if !errors.As(err, &got) || got.Stat != 2 || got.Low != 3 || got.High != 3 {
			t.Errorf("MOUNT version %d: %v", vers, err)
		}
	}
	if _, err := c.Call(nfsclient.ProgramMount, 3, 0, nil); err != nil {
		t.Errorf("NULL: %v", err)
	}
}
