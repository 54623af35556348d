package server

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/backend"
	"github.com/dittofs/dittofs/internal/meta/memory"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// TestAStoreIsServedByItsDescriptorAlone serves a store of which nothing but
// the list of stores knows.
func TestAStoreIsServedByItsDescriptorAlone(t *testing.T) {
	store := memory.Open()
	before := known
	t.Cleanup(func() { known = before })
	var opened []backend.Settings
	known = append(before[:len(before):len(before)], backend.Backend{
		Name: "toy", Key: "path", Local: true,
		Where: func(s backend.Settings) string { return "in the toy box " + s.Path },
		Files: backend.Files{Most: 10, Least: 5, Others: 2},
		Open: func(_ context.Context, s backend.Settings, o backend.Options) (meta.Store, error) {
			opened = append(opened, s)
			if o.Reserve == 0 || o.MaxOpenFiles < 5 || o.MaxOpenFiles > 10 {
				t.Errorf("a local store is opened with %+v, want a reserve and 5 to 10 files", o)
			}
			return store, nil
		},
		Figures: func(s meta.Store) []backend.Figure {
			return []backend.Figure{{Name: "toys", Help: "Toys.", Read: func() float64 { return float64(s.Epoch()) }}}
		},
	})
	cfg := configuration(t, t.TempDir())
	cfg.Metadata.Type = "toy"
	r := start(t, cfg)
	c := r.dial(t)
	put(t, c, mount(t, c, "/export"), "file", []byte("bytes"), nfsclient.FileSync)
	if len(opened) != 1 || opened[0].Path != cfg.Metadata.Path {
		t.Errorf("the store was opened with %+v, want once with %s", opened, cfg.Metadata.Path)
	}
	if n := descriptorsOf(cfg, 1024); n.tables != 10 || n.others != 2 {
		t.Errorf("its descriptors are %+v", n)
	}
	if got, want := metadataPlace(cfg), "toy in the toy box "+cfg.Metadata.Path; got != want {
		t.Errorf("its place is %q, want %q", got, want)
	}
	_, metrics := r.get(t, "/metrics")
	if got := figure(t, metrics, "dittofs_metadata_toys"); got != 1 {
		t.Errorf("its figure is %v, want 1", got)
	}
}

func TestEveryStoreOfTheConfigurationHasADescriptor(t *testing.T) {
	var names []string
	for _, b := range known {
		names = append(names, b.Name)
	}
	var types []string
	for _, typ := range config.MetadataTypes() {
		types = append(types, string(typ))
	}
	if got, want := strings.Join(types, " "), strings.Join(names, " "); got != want {
		t.Errorf("the configuration knows %q, the server %q", got, want)
	}
	cfg := configuration(t, t.TempDir())
	cfg.Metadata.Type = "no such"
	_, err := openMetadata(t.Context(), cfg, 0, false, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), `metadata.type: this program has no metadata store "no such"`) {
		t.Errorf("a store without a descriptor: %v", err)
	}
}

func TestADatabaseInWhichNothingWasMadeYetCanBeUsed(t *testing.T) {
	cfg := farStores(t, config.DurabilityLocal).Config
	want := func(state string) {
		t.Helper()
		got := Connect(t.Context(), cfg, slog.New(slog.DiscardHandler))[0]
		if got.Err != nil || got.State != state || got.Place != "postgres of "+cfg.Metadata.DSNFile {
			t.Errorf("the answer is %+v, want %q", got, state)
		}
	}
	want("it can be reached; the first start makes its tables")
	store, err := openMetadata(t.Context(), cfg, 0, false, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	want("it can be reached; a server uses it now")
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	want("it can be used")
}
