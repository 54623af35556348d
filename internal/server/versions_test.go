package server

import (
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/sunrpc"
)

// The same number means another thing in another version, and both have a NULL.
func TestVersionsOfAProgramAreCountedApart(t *testing.T) {
	m := newMetrics("test")
	m.statusName[programVersion{"nfs", 3}] = func(uint32) string { return "three" }
	m.statusName[programVersion{"nfs", 4}] = func(uint32) string { return "four" }
	for _, version := range []uint32{3, 4, 4} {
		m.Procedure("nfs", version, "NULL").Call(sunrpc.Success, 7, time.Millisecond, 10, 20)
	}
	families, err := m.calls.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, c := range f.GetMetric() {
			label := map[string]string{}
			for _, l := range c.GetLabel() {
				label[l.GetName()] = l.GetValue()
			}
			if label["status"] != "" {
				got[label["version"]+" "+label["status"]] += c.GetCounter().GetValue()
			}
		}
	}
	if got["3 three"] != 1 || got["4 four"] != 2 {
		t.Errorf("counted %v", got)
	}
}
