package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// FuzzAnswer: whatever a server sends, an answer is complete only with its last
// line, and lines before it are JSON.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"", "{\"n\":1}\n{\"done\":true}\n", `{"error":"x"}`, `{"done":false}`, `{"error":""}`,
		"[1]\n\n{\"done\":true,\"error\":\"x\"}\n",
		`{"done":true,"done":false}`, "{\"error\":7}\n{\"done\":true}", strings.Repeat("[", 10000), "{\"do", "\xff\n",
		"null\r\n{\"done\":true}\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var lines [][]byte
		err := readAnswer(bytes.NewReader(text), func(line json.RawMessage) error {
			lines = append(lines, line)
			return nil
		})
		for _, line := range lines {
			if _, end := parseLast(line); end || !json.Valid(line) {
				t.Errorf("%q is no line", line)
			}
		}
		var failed *Failed
		if err == nil && !bytes.Contains(text, []byte("done")) || errors.As(err, &failed) &&
			!bytes.Contains(text, []byte("error")) {
			t.Errorf("%q ends with %v", text, err)
		}
	})
}

// FuzzArguments: what is taken as arguments is one JSON value, and what can be
// sent as a line is read as that line.
func FuzzArguments(f *testing.F) {
	for _, seed := range []string{"", " \n", "null", "{}", "{} {}", `{"done":true}`, `{"error":"x"}`, "\xff", `"\ud800"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		args, err := checkArguments(body)
		if err != nil {
			return
		}
		if !json.Valid(args) {
			t.Fatalf("%q is taken as %q", body, args)
		}
		text, err := encodeLine(args)
		if err != nil {
			if _, end := parseLast(args); !end {
				t.Errorf("%q cannot be sent: %v", args, err)
			}
			return
		}
		n := 0
		err = readAnswer(bytes.NewReader(append(text, "{\"done\":true}\n"...)), func(line json.RawMessage) error {
			n++
			if !bytes.Equal(line, text[:len(text)-1]) {
				t.Errorf("%q arrives as %q", text, line)
			}
			return nil
		})
		if err != nil || n != 1 {
			t.Errorf("%q: %d lines, %v", text, n, err)
		}
	})
}
