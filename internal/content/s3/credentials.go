package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/smallfile"
)

// maxCredentialsFile bounds what is read of a file, in bytes.
const maxCredentialsFile = 64 << 10

// credentialsTimeout bounds fetching credentials from where the environment
// says, such as web identity. On a machine that has none, this also bounds
// asking for those of the machine itself.
const credentialsTimeout = 5 * time.Second

// newCredentials returns where the keys come from.
func newCredentials(opts Options, client *http.Client) (aws.CredentialsProvider, error) {
	if opts.CredentialsFile != "" {
		f := &fileCredentials{path: opts.CredentialsFile, log: opts.Logger}
		if err := f.load(); err != nil {
			return nil, err
		}
		return f, nil
	}
	if err := checkEnvironment(); err != nil {
		return nil, err
	}
	cfg, err := config.LoadDefaultConfig(context.Background(), config.WithRegion(opts.Region),
		config.WithHTTPClient(client))
	if err != nil {
		// The SDK cannot combine its own bundle with our client, for one.
		return nil, misconfigured(
			fmt.Sprintf("content.credentials_file: is not set, and the environment's AWS configuration cannot be used (%v): "+
				"set content.credentials_file, and content.ca_file instead of AWS_CA_BUNDLE", lastOf(err)), err)
	}
	return environment{cfg.Credentials}, nil
}

// fileVariables are those of the environment that name files, which the SDK reads
// without a bound.
var fileVariables = []string{
	"AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_CA_BUNDLE",
	"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
}

// checkEnvironment refuses files that the SDK would wait for or read without end.
// What is missing or cannot be read it says itself.
func checkEnvironment() error {
	files := map[string]string{}
	for _, name := range fileVariables {
		files[name] = os.Getenv(name)
	}
	if home, err := os.UserHomeDir(); err == nil {
		files["HOME"], files["the directory HOME"] = filepath.Join(home, ".aws", "config"),
			filepath.Join(home, ".aws", "credentials")
	}
	for name, path := range files {
		if path == "" || path == os.DevNull { // which is how one says that there is none
			continue
		}
		if err := smallfile.Check(path, maxCAFile); smallfile.Unfit(err) {
			return misconfigured(fmt.Sprintf("content.credentials_file: is not set, and the file that %s of the environment "+
				"leads to cannot be used: %v", name, err), err)
		}
	}
	return nil
}

// environment turns the SDK's errors into faults.
type environment struct{ aws.CredentialsProvider }

func (e environment) Retrieve(ctx context.Context) (aws.Credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, credentialsTimeout)
	defer cancel()
	c, err := e.CredentialsProvider.Retrieve(ctx)
	if err == nil {
		return c, nil
	}
	for _, name := range []string{
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	} {
		if os.Getenv(name) != "" {
			return c, newFault(fault.Unreachable, fmt.Sprintf(
				"content.credentials_file: is not set, and %s gives no credentials (%v): mend it, or set content.credentials_file",
				name, lastOf(err)), err)
		}
	}
	return c, newFault(fault.InvalidCredentials,
		"content.credentials_file: there are no credentials: set it, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the "+
			"environment", err)
}

// fileCredentials reads keys from a file, or a directory with a file for each,
// again when it has changed: so they are rotated without a restart.
type fileCredentials struct {
	path string
	log  *slog.Logger

	mu   sync.Mutex
	keys aws.Credentials
	seen version
}

// Files of a directory, as a Secret is mounted.
const (
	keyID    = "AWS_ACCESS_KEY_ID"
	keySec   = "AWS_SECRET_ACCESS_KEY"
	keyToken = "AWS_SESSION_TOKEN"
)

// Retrieve implements aws.CredentialsProvider. The client asks at every
// request. While a changed file cannot be used, the last keys are.
func (f *fileCredentials) Retrieve(context.Context) (aws.Credentials, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := versionOf(f.path); now != f.seen {
		if err := f.load(); err != nil {
			f.log.Error("credentials have changed and cannot be used; the last ones stay in use", "error", err)
		} else {
			f.log.Info("credentials were read again", "path", f.path)
		}
	}
	return f.keys, nil
}

// version tells whether a path was changed.
type version [4]struct {
	modified time.Time
	size     int64
}

func versionOf(path string) (v version) {
	for i, p := range []string{
		path, filepath.Join(path, keyID), filepath.Join(path, keySec), filepath.Join(path, keyToken),
	} {
		if info, err := os.Stat(p); err == nil {
			v[i].modified, v[i].size = info.ModTime(), info.Size()
		}
	}
	return v
}

// load reads the keys. A change while it reads is seen by the next Retrieve.
func (f *fileCredentials) load() error {
	f.seen = versionOf(f.path)
	info, err := os.Stat(f.path)
	var keys aws.Credentials
	switch {
	case err != nil:
	case info.IsDir():
		keys, err = fromDirectory(f.path)
	default:
		keys, err = fromFile(f.path)
	}
	if disk.Passing(err) {
		f.seen = version{} // they are read again
	}
	if err != nil {
		return unreadable(fmt.Sprintf("content.credentials_file: %v: mend it, or correct content.credentials_file", err), err)
	}
	if keys.AccessKeyID == "" || keys.SecretAccessKey == "" {
		return newFault(fault.InvalidCredentials, fmt.Sprintf(
			"content.credentials_file: %s has no access key: it is a file like ~/.aws/credentials with a profile default, "+
				"or a directory with %s and %s", f.path, keyID, keySec), nil)
	}
	f.keys = keys
	return nil
}

func fromDirectory(path string) (keys aws.Credentials, err error) {
	for name, value := range map[string]*string{
		keyID: &keys.AccessKeyID, keySec: &keys.SecretAccessKey, keyToken: &keys.SessionToken,
	} {
		b, err := smallfile.Read(filepath.Join(path, name), maxCredentialsFile)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return keys, err
		}
		*value = strings.TrimSpace(string(b))
	}
	return keys, nil
}

func fromFile(path string) (aws.Credentials, error) {
	if err := smallfile.Check(path, maxCredentialsFile); err != nil {
		return aws.Credentials{}, err
	}
	profile, err := config.LoadSharedConfigProfile(context.Background(),
		"default", func(o *config.LoadSharedConfigOptions) {
			o.CredentialsFiles = []string{path}
			o.ConfigFiles = []string{}
		})
	var none config.SharedConfigProfileNotExistError
	if errors.As(err, &none) {
		// The SDK takes a file that it cannot open for an empty one.
		_, err = smallfile.Read(path, maxCredentialsFile)
		return aws.Credentials{}, err
	}
	if err != nil {
		// the cause may quote a secret
		return aws.Credentials{}, fmt.Errorf("%s is not in the format of ~/.aws/credentials", path)
	}
	return profile.Credentials, nil
}
