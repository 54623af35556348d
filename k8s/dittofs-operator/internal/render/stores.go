package render

import (
	"path"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/memory"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/stores"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/volumes"
	"github.com/dittofs/dittofs/pkg/config"
)

// setCache changes what the spec says; the rest stays at its default.
func setCache(c *config.Cache, spec *v1alpha1.CacheSpec, layout volumes.Layout) {
	c.Path, c.Size = layout.CacheDir, config.Size(layout.CacheSize)
	setDuration(&c.FlushInterval, spec.FlushInterval)
	setDuration(&c.FullTimeout, spec.FullTimeout)
	setSize(&c.PageSize, spec.PageSize)
	setSize(&c.ReadAhead, spec.ReadAhead)
}

// metadataOf leaves to the loader what the spec does not say.
func metadataOf(ds *v1alpha1.DittoServer, layout volumes.Layout) config.Metadata {
	m := config.Metadata{Type: config.MetadataType(ds.Spec.Metadata.Type), Path: layout.MetadataDir}
	if m.Type != config.MetadataMemory {
		m.Cache = memory.MetadataCache(ds.Spec.Resources)
	}
	if !stores.UsesDatabase(ds) {
		return m
	}
	postgres := ds.Spec.Metadata.Postgres
	m.DSNFile = stores.Dir(stores.Postgres)
	setNumber(&m.MaxConnections, postgres.MaxConnections)
	setDuration(&m.OwnerLease, postgres.OwnerLease)
	return m
}

// contentOf leaves to the loader what the spec does not say.
func contentOf(ds *v1alpha1.DittoServer, layout volumes.Layout) config.Content {
	c := config.Content{Type: config.ContentType(ds.Spec.Content.Type), Path: layout.ContentDir}
	if !stores.UsesBucket(ds) {
		return c
	}
	s3 := ds.Spec.Content.S3
	c.Bucket, c.Endpoint, c.Region, c.Prefix = s3.Bucket, s3.Endpoint, s3.Region, s3.Prefix
	c.Addressing = config.Addressing(s3.Addressing)
	setSize(&c.PartSize, s3.PartSize)
	setNumber(&c.ParallelTransfers, s3.ParallelTransfers)
	for _, reference := range stores.References(ds) {
		switch reference.Volume {
		case stores.S3:
			c.CredentialsFile = stores.Dir(stores.S3)
		case stores.S3CA:
			c.CAFile = path.Join(stores.Dir(stores.S3CA), reference.Only)
		}
	}
	return c
}

func setDuration(to *config.Duration, from *metav1.Duration) {
	if from != nil {
		*to = config.Duration(from.Duration)
	}
}

func setSize(to *config.Size, from *resource.Quantity) {
	if from != nil {
		*to = config.Size(from.Value())
	}
}

// setNumber copies a number that the CRD bounds to be positive.
func setNumber(to *uint32, from *int32) {
	if from != nil {
		*to = uint32(*from)
	}
}
