package control

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/dittofs/dittofs/internal/smallfile"
)

// Tokens are MinToken to maxToken bytes.
const (
	MinToken = 16
	maxToken = 4096
)

// ReadToken reads the token of a file: its text without white space around it.
func ReadToken(file string) (string, error) {
	text, err := smallfile.Read(file, maxToken)
	if errors.Is(err, smallfile.ErrTooLarge) {
		return "", fmt.Errorf("%s is longer than %d bytes, so it is not a token", file, maxToken)
	}
	if err != nil {
		return "", err
	}
	token := string(bytes.TrimSpace(text))
	switch {
	case len(token) < MinToken:
		return "", fmt.Errorf("the token in %s has %d characters; at least %d are needed (example: "+
			"openssl rand -hex 32 > %s)", file, len(token), MinToken, file)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", fmt.Errorf("the token in %s is not one word of ASCII", file)
	}
	return token, nil
}

// WithToken is the server for a network: it answers those who have the token of
// the file, which is read for each request, so that it can be changed at any
// time.
func (s *Server) WithToken(file string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want, err := ReadToken(file)
		if err != nil {
			s.log.Error("control requests are refused: admin.token_file", "client", r.RemoteAddr, "error", err)
			refuse(w, http.StatusServiceUnavailable, "the server cannot read its token; its log says why")
			return
		}
		if err := checkBearer(r.Header.Get("Authorization"), want); err != nil {
			w.Header().Set("WWW-Authenticate", `Bearer realm="dittofs"`)
			refuse(w, http.StatusUnauthorized, err.Error())
			return
		}
		s.ServeHTTP(w, r)
	})
}

// checkBearer compares in a time that tells nothing of the token.
func checkBearer(header, want string) error {
	const scheme = "Bearer "
	if len(header) <= len(scheme) || !strings.EqualFold(header[:len(scheme)], scheme) {
		return errors.New("a token is needed: Authorization: Bearer TOKEN")
	}
	got, expected := sha256.Sum256([]byte(header[len(scheme):])), sha256.Sum256([]byte(want))
	if subtle.ConstantTimeCompare(got[:], expected[:]) != 1 {
		return errors.New("the token is not the server's")
	}
	return nil
}
