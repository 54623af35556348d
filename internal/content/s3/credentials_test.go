package s3

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/test/s3server"
)

func TestCredentialsAreRotatedWithoutARestart(t *testing.T) {
	srv := s3server.Shared(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "credentials")
	secret := filepath.Join(dir, "secret")
	// A Secret is mounted as links to a folder that is swapped.
	mount := func(version, id, key string) {
		t.Helper()
		data := filepath.Join(secret, ".."+version)
		for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": id, "AWS_SECRET_ACCESS_KEY": key + "\n"} {
			writeFile(t, filepath.Join(data, name), value)
			link := filepath.Join(secret, name)
			if _, err := os.Lstat(link); err != nil {
				if err := os.Symlink(filepath.Join("..data", name), link); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := os.Symlink(".."+version, filepath.Join(secret, "..new")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(secret, "..new"), filepath.Join(secret, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	write := func(_, id, key string) {
		writeFile(t, file, fmt.Sprintf("# comment\n[other]\naws_access_key_id=x\naws_secret_access_key=y\n[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", id, key))
	}
	for name, c := range map[string]struct {
		path   string
		change func(version, id, key string)
	}{"file": {file, write}, "directory": {secret, mount}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.opts.CredentialsFile = c.path
			c.change("1", "OLD", "old-secret")
			s := w.store(t)
			if f := fault.Of(s.Check(t.Context())); f == nil || f.Reason != fault.InvalidCredentials {
				t.Fatalf("with wrong credentials: %v", f)
			}
			c.change("2", srv.AccessKey, srv.SecretKey)
			mustPut(t, s, "a", []byte("x"))
			if err := s.Check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheLastCredentialsStayWhileTheFileIsUnusable(t *testing.T) {
	w := newWorld(t)
	s := w.store(t)
	for _, text := range []string{
		"", "[default]\n", "[default\nx", "[default]\naws_access_key_id = A\n", strings.Repeat("#", maxCredentialsFile+1),
	} {
		writeFile(t, w.opts.CredentialsFile, text)
		mustPut(t, s, "a", []byte("x"))
	}
	if err := os.Remove(w.opts.CredentialsFile); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "a", []byte("x"))
}

func TestOpenFindsWhatIsWrongWithFiles(t *testing.T) {
	dir := t.TempDir()
	path := func(name, text string) string {
		p := filepath.Join(dir, name)
		writeFile(t, p, text)
		return p
	}
	absent := filepath.Join(dir, "absent")
	noCert, noKeys, empty := path("ca", "hello"), path("keys", "[default]\nregion = x\n"), filepath.Join(dir, "empty")
	notINI := path("ini", "secret-that-must-not-show\n")
	huge := path("huge", strings.Repeat("#", maxCredentialsFile+1))
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	good := path("good", "[default]\naws_access_key_id = A\naws_secret_access_key = B\n")
	const fix = ": it is a file like ~/.aws/credentials with a profile default, or a directory with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
	for name, c := range map[string]struct {
		opts            Options
		reason, message string
	}{
		"no bucket": {
			Options{CredentialsFile: good}, fault.InvalidConfiguration, "content.bucket: is required: name a bucket that exists",
		},
		"no URL":    {Options{Bucket: "b", Endpoint: "s3.example.org"}, fault.InvalidConfiguration, `content.endpoint: "s3.example.org" is no URL of a service: write it like https://s3.example.org`},
		"other URL": {Options{Bucket: "b", Endpoint: "ftp://x"}, fault.InvalidConfiguration, `content.endpoint: "ftp://x" is no URL of a service: write it like https://s3.example.org`},
		"addressing": {
			Options{Bucket: "b", Addressing: "both"}, fault.InvalidConfiguration,
			`content.addressing: "both" is not auto, path or virtual`,
		},
		"no CA": {
			Options{Bucket: "b", CAFile: absent}, fault.InvalidConfiguration,
			"content.ca_file: open " + absent + ": no such file or directory: make it readable, or correct content.ca_file",
		},
		"no PEM": {
			Options{Bucket: "b", CAFile: noCert}, fault.InvalidConfiguration,
			"content.ca_file: " + noCert + " has no PEM certificate: put the certificate of the endpoint's authority there",
		},
		"absent keys": {
			Options{Bucket: "b", CredentialsFile: absent}, fault.InvalidConfiguration, "content.credentials_file: stat " +
				absent + ": no such file or directory: mend it, or correct content.credentials_file",
		},
		"no keys": {
			Options{Bucket: "b", CredentialsFile: noKeys}, fault.InvalidCredentials,
			"content.credentials_file: " + noKeys + " has no access key" + fix,
		},
		"empty": {
			Options{Bucket: "b", CredentialsFile: empty}, fault.InvalidCredentials,
			"content.credentials_file: " + empty + " has no access key" + fix,
		},
		"not INI": {
			Options{Bucket: "b", CredentialsFile: notINI}, fault.InvalidCredentials,
			"content.credentials_file: " + notINI + " has no access key" + fix,
		},
		"huge": {Options{Bucket: "b", CredentialsFile: huge}, fault.InvalidConfiguration, fmt.Sprintf("content.credentials_file: read %s: it is larger than 65536 bytes: mend it, or correct content.credentials_file", huge)},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(c.opts)
			if s != nil {
				t.Error("opened")
			}
			expectFault(t, err, c.reason, c.message)
		})
	}
}

// emptyEnvironment has no credentials, and asks no machine for any.
func emptyEnvironment(t *testing.T) {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, value, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, value) // restores it
			_ = os.Unsetenv(name)
		}
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func TestCredentialsOfTheEnvironment(t *testing.T) {
	emptyEnvironment(t)
	w := newWorld(t)
	w.opts.CredentialsFile = ""
	everyCall(t, w.store(t), fault.InvalidCredentials,
		"content.credentials_file: there are no credentials: set it, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment")
	t.Setenv("AWS_ACCESS_KEY_ID", w.server.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	expectFault(t, w.store(t).Check(t.Context()), fault.InvalidCredentials, fmt.Sprintf(
		"content.credentials_file: %s does not accept the credentials (SignatureDoesNotMatch): correct the secret access key in the environment", w.opts.Endpoint))
	t.Setenv("AWS_SECRET_ACCESS_KEY", w.server.SecretKey)
	mustPut(t, w.store(t), "a", []byte("x"))
}

// TestWebIdentity has a token exchanged for keys, as on EKS: by a stand-in for
// AWS STS, whose answer has the real keys of the server, which takes no session tokens.
func TestWebIdentity(t *testing.T) {
	emptyEnvironment(t)
	w := newWorld(t)
	w.opts.CredentialsFile = ""
	failing := true
	sts := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if failing || r.FormValue("Action") != "AssumeRoleWithWebIdentity" || r.FormValue("WebIdentityToken") != "the token" {
			http.Error(rw, "no", http.StatusBadRequest)
			return
		}
		rw.Header().Set("Content-Type", "text/xml")
		fmt.Fprintf(rw, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>
			<AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken></SessionToken>
			<Expiration>%s</Expiration>
			</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
			w.server.AccessKey, w.server.SecretKey, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	defer sts.Close()
	token := filepath.Join(t.TempDir(), "token")
	writeFile(t, token, "the token")
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token)
	t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/dittofs")
	t.Setenv("AWS_ENDPOINT_URL_STS", sts.URL)
	s := w.store(t)
	s.pace.tries = 1
	if f := fault.Of(s.Check(t.Context())); f == nil || f.Reason != fault.Unreachable || f.Lasting ||
		!strings.HasPrefix(f.Message, "content.credentials_file: is not set, and AWS_WEB_IDENTITY_TOKEN_FILE gives no credentials (") {
		t.Errorf("fault %v", f)
	}
	failing = false
	mustPut(t, s, "a", []byte("x"))
}

func TestACertificateBundleOfTheEnvironmentIsNamed(t *testing.T) {
	t.Setenv("AWS_CA_BUNDLE", filepath.Join(t.TempDir(), "absent.pem"))
	_, err := Open(Options{Bucket: "b", Endpoint: "https://127.0.0.1:1"})
	if f := fault.Of(err); f == nil || f.Reason != fault.InvalidConfiguration ||
		!strings.Contains(f.Message, "content.ca_file instead of AWS_CA_BUNDLE") {
		t.Errorf("%v", err)
	}
}

// withoutDescriptors calls f while this process can open no file.
func withoutDescriptors(t *testing.T, f func()) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

// A start waits for what passes, and ends for what lasts.
func TestAFileThatCannotBeReadJustNowIsNoLastingFault(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, "[default]\naws_access_key_id = A\naws_secret_access_key = B\n")
	for name, opts := range map[string]Options{
		"credentials": {Bucket: "b", CredentialsFile: file},
		"CA":          {Bucket: "b", CAFile: file},
	} {
		withoutDescriptors(t, func() {
			_, err := Open(opts)
			if f := fault.Of(err); f == nil || f.Reason != fault.InvalidConfiguration || f.Lasting {
				t.Errorf("%s: %v is told as a lasting fault, or none", name, err)
			}
		})
	}
	if f := fault.Of(unreadable("", unix.EIO)); f.Lasting {
		t.Error("a disk that does not answer is a lasting fault")
	}
}
