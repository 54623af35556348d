package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/dittofs/dittofs/pkg/config"
)

func TestAFileThatIsNotThereIsAFaultOfItsKeyButNotForTheLoader(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.Parse([]byte(`
cache: {path: /c}
metadata: {type: postgres, dsn_file: /nosuch/dsn}
content: {type: s3, bucket: bucket, credentials_file: `+there+`, ca_file: /nosuch/ca}
shares: [{name: a}]
`), nil)
	if err != nil {
		t.Fatalf("the loader looks for files: %v", err)
	}
	got := config.CheckFiles(cfg)
	want := []string{
		`metadata.dsn_file: "/nosuch/dsn" does not exist; make it, or name another`,
		`content.ca_file: "/nosuch/ca" does not exist; make it, or name another`,
	}
	if len(got) != len(want) {
		t.Fatalf("%v", got)
	}
	for i, f := range got {
		if f.String() != want[i] {
			t.Errorf("got %s, want %s", f, want[i])
		}
	}
}
