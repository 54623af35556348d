package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestReportCountsTestsAndShowsWhatFailed(t *testing.T) {
	events := `{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:1: not what was wanted\n"}
{"Action":"fail","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestC","Output":"=== RUN   TestC\n"}
{"Action":"output","Package":"p","Test":"TestC","Output":"    c_test.go:1: no server here\n"}
{"Action":"skip","Package":"p","Test":"TestC"}
{"Action":"fail","Package":"p","Elapsed":1.5}
{"Action":"pass","Package":"q","Elapsed":0.5}
`
	var out bytes.Buffer
	r := newReport(&out)
	r.read(strings.NewReader(events))
	r.sum()
	if r.passed != 1 || r.failed != 1 || r.skipped != 1 {
		t.Errorf("%d passed, %d failed, %d skipped; want 1 of each", r.passed, r.failed, r.skipped)
	}
	for _, want := range []string{
		"FAIL p TestB\n", "not what was wanted", "SKIP 1 of p: no server here\n1 passed, 1 failed, 1 skipped\n",
		"ok   q 0.5s",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}

func TestAPackageThatDoesNotCompileIsAFailure(t *testing.T) {
	var out bytes.Buffer
	r := newReport(&out)
	r.read(strings.NewReader(`{"Action":"build-output","ImportPath":"p","Output":"p.go:1: undefined: x\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","FailedBuild":"p"}
`))
	if r.failed != 1 || !strings.Contains(out.String(), "undefined: x") {
		t.Errorf("%d failed\n%s", r.failed, out.String())
	}
}
