package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/content/filesystem"
	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/pkg/health"
)

// connectTimeout is how long a store has for its answer to Connect.
const connectTimeout = 10 * time.Second

// Answer is whether a store can be used.
type Answer struct {
	Store string // "metadata" or "content"
	Place string // what it is, and where
	State string // what is there, if Err is nil
	Err   error
}

// Connect asks the stores of a configuration whether a server can use them. It
// changes nothing, and takes nothing from a server that uses them.
func Connect(ctx context.Context, cfg *config.Config, logger *slog.Logger) []Answer {
	answers := []Answer{
		{Store: health.Metadata, Place: metadataPlace(cfg)},
		{Store: health.Content, Place: contentPlace(cfg)},
	}
	for i, ask := range []func(context.Context, *config.Config, *slog.Logger) (string, error){askMetadata, askContent} {
		within, cancel := context.WithTimeout(ctx, connectTimeout)
		answers[i].State, answers[i].Err = ask(within, cfg, logger)
		cancel()
	}
	return answers
}

const (
	notMade = "nothing is there yet; the first start makes it"
	inOrder = "it can be used"
)

func askMetadata(ctx context.Context, cfg *config.Config, logger *slog.Logger) (string, error) {
	b := backendOf(cfg)
	switch {
	case b.Volatile:
		return inOrder, nil
	case metadataIsNew(cfg):
		return notMade, nil
	}
	opened, err := openMetadataReadOnly(ctx, cfg, logger)
	switch {
	case err == nil:
		return inOrder, opened.Close()
	case errors.Is(err, meta.ErrLocked):
		return "it can be reached; a server uses it now", nil
	case fault.Of(err) != nil && fault.Of(err).Reason == fault.StoreEmpty:
		return "it can be reached; the first start makes its tables", nil
	}
	return "", atField(metadataField(cfg), err)
}

func askContent(ctx context.Context, cfg *config.Config, logger *slog.Logger) (string, error) {
	switch cfg.Content.Type {
	case config.ContentMemory:
		return inOrder, nil
	case config.ContentFilesystem:
		owner, err := filesystem.Inspect(cfg.Content.Path)
		if err != nil || owner != "" {
			return inOrder, atField("content.path", err)
		}
		return notMade, nil
	}
	store, err := openContent(cfg, logger)
	if err != nil {
		return "", err
	}
	defer store.Close()
	if checker, ok := content.As[fault.Checker](store); ok {
		err = checker.Check(ctx)
	}
	return "the bucket is there, and the credentials are good", err
}

// contentPlace is what the content store is and where, for people.
func contentPlace(cfg *config.Config) string {
	c := &cfg.Content
	switch c.Type {
	case config.ContentFilesystem:
		return "filesystem at " + c.Path
	case config.ContentS3:
		where := c.Endpoint
		if where == "" {
			where = "AWS"
		}
		return fmt.Sprintf("s3 bucket %s at %s", c.Bucket, where)
	}
	return string(c.Type)
}
