package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// awayConfig is a configuration whose bucket is at an address that nobody
// listens at.
func awayConfig(t *testing.T, dir string) (file, endpoint string) {
	t.Helper()
	file, endpoint = filepath.Join(dir, "config.yaml"), "http://"+freeAddress(t)
	credentials := filepath.Join(dir, "credentials")
	write(t, credentials, "[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
	write(t, file, fmt.Sprintf(`cache: {path: %[1]s/cache}
metadata: {path: %[1]s/metadata}
content: {type: s3, bucket: bucket, endpoint: %q, credentials_file: %s}
nfs: {listen: "127.0.0.1:0"}
admin: {listen: ""}
shares: [{name: a}]
`, dir, endpoint, credentials))
	return file, endpoint
}

func TestValidateNamesTheKeyOfAFileThatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	file, _ := awayConfig(t, dir)
	if err := os.Remove(filepath.Join(dir, "credentials")); err != nil {
		t.Fatal(err)
	}
	want := result{
		2, "", fmt.Sprintf("content.credentials_file: %q does not exist; make it, or name another\n",
			filepath.Join(dir, "credentials")),
	}
	if got := dittofs(t, dir, nil, "config", "validate", "--config", file); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestValidateAsksTheStores(t *testing.T) {
	dir := t.TempDir()
	file := storeConfig(t, dir)
	want := result{0, strings.ReplaceAll(`config.yaml: valid
metadata: pebble at DIR/metadata: ok: nothing is there yet; the first start makes it
content: filesystem at DIR/content: ok: nothing is there yet; the first start makes it
`, "DIR", dir), ""}
	if got := dittofs(t, dir, nil, "config", "validate", "--connect", "--config", "config.yaml"); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("files were made: %v", entries)
	}
	s := startServe(t, file)
	s.waitLog("msg=serving")
	got := dittofs(t, dir, nil, "config", "validate", "--connect", "--config", "config.yaml")
	if got.code != 0 || !containsAll(got.stdout, []string{
		"a server uses it now", "content: filesystem at " + dir + "/content: ok: it can be used",
	}) {
		t.Errorf("while a server runs: %+v", got)
	}

	away, endpoint := awayConfig(t, t.TempDir())
	got = dittofs(t, dir, nil, "config", "validate", "--connect", "--config", away)
	lines := strings.Split(got.stdout, "\n")
	if got.code != 1 || len(lines) != 4 ||
		!strings.HasPrefix(lines[2], "content: s3 bucket bucket at "+endpoint+": cannot be used: ") {
		t.Errorf("%+v", got)
	}
}

func TestWhileAStoreIsAwayTheLogAndFsckSayWhichOne(t *testing.T) {
	dir := t.TempDir()
	file, endpoint := awayConfig(t, dir)
	s := startServe(t, file)
	s.waitLog("msg=starting", "content=\"s3 bucket bucket at "+endpoint)
	s.waitLog("the start waits for a store", "s3 bucket bucket at "+endpoint, "for=1s")
	got := dittofs(t, dir, nil, "fsck", "--config", file)
	if got.code != exitUnchecked || !containsAll(got.stderr,
		[]string{"the content store cannot be used", endpoint, "a server has the other store open and waits for it"}) {
		t.Errorf("%+v", got)
	}
}
