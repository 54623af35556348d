package config_test

import (
	"strings"
	"testing"

	"github.com/dittofs/dittofs/pkg/config"
)

func TestControlSocketIsInTheCacheUnlessItIsNamed(t *testing.T) {
	if got := parse(t, minimal).ControlSocket(); got != "/c/control.sock" {
		t.Errorf("got %s", got)
	}
	if got := parse(t, minimal+"admin: {socket: /run/d.sock}\n").ControlSocket(); got != "/run/d.sock" {
		t.Errorf("got %s", got)
	}
}

func TestAdminWarningsNameWhatCannotBeReachedAndWhoCanListen(t *testing.T) {
	long := "/" + strings.Repeat("c", 100)
	for text, want := range map[string]string{
		minimal: "",
		"cache: {path: " + long + "}\nshares: [{name: a}]\n": `admin.socket: "` + long +
			`/control.sock" would be longer than 107 bytes, so commands cannot reach the server; name a shorter path`,
		"cache: {path: " + long + "}\nadmin: {socket: /s}\nshares: [{name: a}]\n": "",
		minimal + "admin: {token_file: /t}":                                       "",
		minimal + "admin: {listen: '[::1]:80', token_file: /t}":                   "",
		minimal + "admin: {listen: 'localhost:80', token_file: /t}":               "",
		minimal + "admin: {listen: '', token_file: /t}": "" +
			"admin.token_file: is not used, because admin.listen is empty (line 3)",
		minimal + "admin: {listen: ':80', token_file: /t}": "" +
			"admin.token_file: the token and the answers cross the network in clear text; " +
			"let admin.listen be 127.0.0.1, or put TLS before it (line 3)",
	} {
		_, warnings, err := config.Parse([]byte(text), nil)
		if err != nil || others(warnings) != want {
			t.Errorf("%s\ngot  %s %v\nwant %s", text, warnings, err, want)
		}
	}
}

// TestKeysOfCommandsLeaveTheHashAlone keeps an upgrade of the operator from
// restarting servers that do not use them.
func TestKeysOfCommandsLeaveTheHashAlone(t *testing.T) {
	c := config.Default()
	text, err := config.Marshal(c)
	if err != nil || strings.Contains(string(text), "socket") || strings.Contains(string(text), "token_file") {
		t.Errorf("%v\n%s", err, text)
	}
	before := config.RestartHash(c)
	if c.Admin.TokenFile = "/t"; config.RestartHash(c) == before {
		t.Error("a change of admin.token_file needs a restart, and the hash does not tell")
	}
}
