package config_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/dittofs/dittofs/pkg/config"
)

func TestEnvironmentOverridesAnyKey(t *testing.T) {
	text := "cache: {path: /c}\nshares:\n  - name: a\n    read_only: true\n  - name: b\n"
	got := parse(t, text,
		"PATH=/bin",
		"DITTOFS_CACHE_PATH=/elsewhere",
		"DITTOFS_CACHE_SIZE=1GiB",
		"DITTOFS_NFS_VERSIONS=3",
		"DITTOFS_ADMIN_LISTEN=",
		"DITTOFS_SHUTDOWN_TIMEOUT=5s",
		"DITTOFS_SHARES_0_READ_ONLY=false",
		"DITTOFS_SHARES_1_PATH=/bb",
		"DITTOFS_SHARES_1_ROOT_MODE=1777",
		"DITTOFS_SHARES_1_CLIENTS_1_ACCESS=ro",
		"DITTOFS_SHARES_1_CLIENTS_1_CIDR=::/0",
		"DITTOFS_SHARES_1_CLIENTS_0_CIDR=10.0.0.0/8",
		"DITTOFS_SHARES_2_NAME=123",
	)
	want := parse(t, `
cache: {path: /elsewhere, size: 1GiB}
admin: {listen: ""}
shutdown_timeout: 5s
shares:
  - name: a
  - name: b
    path: /bb
    root: {mode: "1777"}
    clients: [{cidr: 10.0.0.0/8}, {cidr: "::/0", access: ro}]
  - name: "123"
`)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestEnvironmentAloneIsAConfiguration(t *testing.T) {
	got := parse(t, "", "DITTOFS_CACHE_PATH=/c", "DITTOFS_SHARES_0_NAME=export")
	if want := parse(t, minimal); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestEnvironmentFaultsNameTheVariable(t *testing.T) {
	tests := []struct{ entry, want string }{
		{"DITTOFS_CACHE_PTH=/c", "unknown variable DITTOFS_CACHE_PTH; did you mean DITTOFS_CACHE_PATH?"},
		{"DITTOFS_SHARES_0_READONLY=true", "unknown variable DITTOFS_SHARES_0_READONLY; did you mean DITTOFS_SHARES_0_READ_ONLY?"},
		{"DITTOFS_SHARES_3_CLIENT_7_CIDR=x", "unknown variable DITTOFS_SHARES_3_CLIENT_7_CIDR; did you mean DITTOFS_SHARES_3_CLIENTS_7_CIDR?"},
		{"DITTOFS_CACHE=/c", "unknown variable DITTOFS_CACHE; did you mean DITTOFS_CACHE_PATH?"},
		{"DITTOFS_SHARES_00_PATH=/c", "unknown variable DITTOFS_SHARES_00_PATH; did you mean DITTOFS_SHARES_0_PATH?"},
		{"DITTOFS_=x", "unknown variable DITTOFS_"},
		{"DITTOFS_CACHE_SIZE=big", `cache.size: "big" is not a size in bytes (examples: 1048576, 64MiB, 10GiB, 5GB) (from DITTOFS_CACHE_SIZE)`},
		{"DITTOFS_LOGGING_LEVEL=", "logging.level: is empty; give a value, or remove the key to use its default (from DITTOFS_LOGGING_LEVEL)"},
		{"DITTOFS_SHARES_0_READ_ONLY=1", `shares[0].read_only: "1" is not true or false (from DITTOFS_SHARES_0_READ_ONLY)`},
		{"DITTOFS_SHARES_5_PATH=/c", "DITTOFS_SHARES_5_PATH: the list has 1 entries, so the next index is 1"},
		{"DITTOFS_NFS_VERSIONS=4.0,4.2", `nfs.versions: lists no version that is served; add "3" (from DITTOFS_NFS_VERSIONS)`},
		{"DITTOFS_NFS_VERSIONS_0=2", `nfs.versions[0]: "2" is not an NFS version (known: "3", "4.0", "4.1", "4.2") (from DITTOFS_NFS_VERSIONS_0)`},
	}
	for _, test := range tests {
		t.Run(test.entry, func(t *testing.T) {
			if got := lines(t, minimal, test.entry); len(got) != 1 || got[0] != test.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, "\n     "), test.want)
			}
		})
	}
}

func TestVariablesOfOthersAreIgnored(t *testing.T) {
	parse(t, minimal,
		"DITTOFS_LAB=/x", "DITTOFS_LAB_NODES=2", "DITTOFS_SERVER_IMAGE=i", "DITTOFS_OPERATOR_NAMESPACE=n",
		"DITTOFS_SERVICE_HOST=10.96.0.1", "DITTOFS_SERVICE_PORT=2049", "DITTOFS_SERVICE_PORT_NFS=2049",
		"DITTOFS_PORT=tcp://10.96.0.1:2049", "DITTOFS_PORT_2049_TCP=tcp://10.96.0.1:2049",
		"DITTOFS_PORT_2049_TCP_ADDR=10.96.0.1",
		"DITTOFS_HOME_SERVICE_HOST=10.96.0.1", "DITTOFS_HOME_PORT_2049_TCP_PROTO=tcp", "DITTOFSX=1",
		"DITTOFS_ACTIVE_HELP=0", "DITTOFS_COMPLETION_DESCRIPTIONS=false")
}

func TestNoKeyIsHiddenByTheIgnoredVariables(t *testing.T) {
	names := config.EnvNames()
	if len(names) < 25 {
		t.Fatalf("only %d variables: %v", len(names), names)
	}
	for _, name := range names {
		name = strings.ReplaceAll(name+"_", "_N_", "_0_")
		name = strings.TrimSuffix(name, "_")
		if config.IgnoredEnv(name) {
			t.Errorf("%s can never be set", name)
		}
		if _, _, err := config.Parse([]byte(minimal), []string{name + "="}); err != nil &&
			strings.Contains(err.Error(), "unknown variable") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
