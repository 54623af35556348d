package controller_test

import (
	"fmt"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Specs of servers whose stores are elsewhere.
const (
	postgres = `metadata: {type: postgres, postgres: {secretRef: {name: nas-app}}}`
	s3       = `content: {type: s3, s3: {bucket: nas}}`
)

func TestSpecsOfStoresElsewhereAreAcceptedOrRefusedWithTheReason(t *testing.T) {
	ns := namespace(t)
	inS3 := func(fields string) string { return fmt.Sprintf(`{content: {type: s3, s3: {bucket: nas, %s}}}`, fields) }
	inPostgres := func(fields string) string {
		return fmt.Sprintf(`{metadata: {type: postgres, postgres: {secretRef: {name: nas-app}, %s}}}`, fields)
	}
	const (
		badBucket   = `content.s3.bucket must be 3 to 255 letters, digits, '-', '.' and '_', first and last a letter or digit`
		badEndpoint = `content.s3.endpoint must be http or https and a host, without path and credentials (example: https://s3.example.org)`
		badPrefix   = `content.s3.prefix must be letters, digits, '-', '_', '.' and '/', and not begin with '/' (example: nas/)`
		badPage     = `cache.pageSize must be a power of two from 64Ki to 16Mi`
		ephemeral   = `cache.ephemeral needs durability remote, metadata.type postgres and content.type s3: what it holds is lost with the pod`
		bothCAs     = `content.s3 takes caSecretRef or caConfigMapRef, not both`
	)
	for name, test := range map[string]struct{ spec, refusal string }{
		"postgres":            {`{` + postgres + `}`, ""},
		"s3":                  {`{` + s3 + `}`, ""},
		"both":                {`{` + postgres + `, ` + s3 + `, durability: remote, cache: {ephemeral: true}}`, ""},
		"big ephemeral cache": {`{` + postgres + `, ` + s3 + `, durability: remote, cache: {ephemeral: true, size: 20Gi}}`, ""},
		"remote, filesystem":  {`{durability: remote}`, ""},
		"all of postgres":     {inPostgres(`maxConnections: 20, ownerLease: 1m`), ""},
		"all of s3": {inS3(`endpoint: "https://s3.example.org:9000/", region: eu-central-1, prefix: "a/b.c/", addressing: path,
			credentialsSecretRef: {name: nas-s3}, caSecretRef: {name: ca}, partSize: 5Mi, parallelTransfers: 64`), ""},
		"CA in a ConfigMap":     {inS3(`caConfigMapRef: {name: ca, key: root.pem}`), ""},
		"endpoint by address":   {inS3(`endpoint: "http://[fd00::1]:9000"`), ""},
		"all of cache":          {`{cache: {flushInterval: 100ms, fullTimeout: 1h, pageSize: 16Mi, readAhead: 0}}`, ""},
		"largest read-ahead":    {`{cache: {readAhead: 1Gi, pageSize: 64Ki}}`, ""},
		"role":                  {`{serviceAccount: {annotations: {eks.amazonaws.com/role-arn: "arn:aws:iam::1:role/nas"}}}`, ""},
		"backups":               {`{backup: {every: 1m, keep: 1}}`, ""},
		"rare backups":          {`{` + postgres + `, ` + s3 + `, backup: {every: 720h, keep: 1000}}`, ""},
		"backups when asked":    {`{metadata: {type: memory}, content: {type: memory}, backup: {keep: 3}}`, ""},
		"all of compaction":     {`{compaction: {garbagePercent: 5, rate: 64Gi}}`, ""},
		"compaction off":        {`{compaction: {garbagePercent: 100, rate: 1048576}}`, ""},
		"quota of zero":         {`{shares: [{name: a, quota: {bytes: 0}}]}`, ""},
		"no postgres":           {`{metadata: {type: postgres}}`, `metadata.postgres is required by metadata.type postgres`},
		"useless postgres":      {`{metadata: {type: pebble, postgres: {secretRef: {name: a}}}}`, `metadata.postgres is of no use with metadata.type pebble`},
		"useless volume":        {`{metadata: {type: postgres, postgres: {secretRef: {name: a}}, volume: {}}}`, `metadata.volume is of no use with metadata.type postgres`},
		"no Secret":             {`{metadata: {type: postgres, postgres: {secretRef: {}}}}`, `metadata.postgres.secretRef needs a name`},
		"no reference":          {`{metadata: {type: postgres, postgres: {}}}`, `spec.metadata.postgres.secretRef: Required value`},
		"one connection":        {inPostgres(`maxConnections: 1`), `should be greater than or equal to 2`},
		"many connections":      {inPostgres(`maxConnections: 101`), `should be less than or equal to 100`},
		"short lease":           {inPostgres(`ownerLease: 1s`), `metadata.postgres.ownerLease must be from 2s to 10m`},
		"long lease":            {inPostgres(`ownerLease: 11m`), `metadata.postgres.ownerLease must be from 2s to 10m`},
		"no s3":                 {`{content: {type: s3}}`, `content.s3 is required by content.type s3`},
		"useless s3":            {`{content: {type: filesystem, s3: {bucket: nas}}}`, `content.s3 is of no use with content.type filesystem`},
		"useless content":       {`{content: {type: s3, s3: {bucket: nas}, volume: {}}}`, `content.volume is of no use with content.type s3`},
		"no bucket":             {`{content: {type: s3, s3: {}}}`, `spec.content.s3.bucket: Required value`},
		"short bucket":          {`{content: {type: s3, s3: {bucket: ab}}}`, badBucket},
		"bucket with a slash":   {`{content: {type: s3, s3: {bucket: a/bc}}}`, badBucket},
		"endpoint without http": {inS3(`endpoint: "s3.example.org"`), badEndpoint},
		"endpoint of ftp":       {inS3(`endpoint: "ftp://s3.example.org"`), badEndpoint},
		"endpoint with a path":  {inS3(`endpoint: "https://s3.example.org/nas"`), badEndpoint},
		"endpoint with a user":  {inS3(`endpoint: "https://a:b@s3.example.org"`), badEndpoint},
		"endpoint with a query": {inS3(`endpoint: "https://s3.example.org?a=b"`), badEndpoint},
		"bad region":            {inS3(`region: "eu central"`), `content.s3.region must be letters, digits and '-' (example: eu-central-1)`},
		"absolute prefix":       {inS3(`prefix: /a`), badPrefix},
		"dotted prefix":         {inS3(`prefix: a/../b`), badPrefix},
		"doubled slash":         {inS3(`prefix: a//b`), badPrefix},
		"bad addressing":        {inS3(`addressing: host`), `Unsupported value: "host": supported values: "auto", "path", "virtual"`},
		"nameless credentials":  {inS3(`credentialsSecretRef: {}`), `content.s3.credentialsSecretRef needs a name`},
		"two CAs":               {inS3(`caSecretRef: {name: a}, caConfigMapRef: {name: a}`), bothCAs},
		"key with a slash":      {inS3(`caSecretRef: {name: a, key: a/b}`), `a key must be letters, digits, '-', '_' and '.'`},
		"small parts":           {inS3(`partSize: 4Mi`), `content.s3.partSize must be from 5Mi to 1Gi`},
		"large parts":           {inS3(`partSize: 2Gi`), `content.s3.partSize must be from 5Mi to 1Gi`},
		"no transfer":           {inS3(`parallelTransfers: 0`), `should be greater than or equal to 1`},
		"many transfers":        {inS3(`parallelTransfers: 65`), `should be less than or equal to 64`},
		"durability":            {`{durability: some}`, `Unsupported value: "some": supported values: "local", "remote"`},
		"hasty flush":           {`{cache: {flushInterval: 10ms}}`, `cache.flushInterval must be from 100ms to 1h`},
		"endless wait":          {`{cache: {fullTimeout: 2h}}`, `cache.fullTimeout must be from 1s to 1h`},
		"odd page":              {`{cache: {pageSize: 100Ki}}`, badPage},
		"large page":            {`{cache: {pageSize: 32Mi}}`, badPage},
		"negative read-ahead":   {`{cache: {readAhead: -1}}`, `cache.readAhead must be from 0 to 1Gi`},
		"ephemeral, local":      {`{` + postgres + `, ` + s3 + `, cache: {ephemeral: true}}`, ephemeral},
		"ephemeral, pebble":     {`{` + s3 + `, durability: remote, cache: {ephemeral: true}}`, ephemeral},
		"ephemeral, filesystem": {`{` + postgres + `, durability: remote, cache: {ephemeral: true}}`, ephemeral},
		"ephemeral on a volume": {`{` + postgres + `, ` + s3 + `, durability: remote, cache: {ephemeral: true, volume: {}}}`, `cache.volume is of no use with cache.ephemeral`},
		"cache over storage":    {`{` + postgres + `, ` + s3 + `, cache: {size: 20Gi}}`, `cache.size must not be larger than the volume that holds the cache`},
		"hasty backups":         {`{backup: {every: 59s}}`, `backup.every must be from 1m to 720h`},
		"far backups":           {`{backup: {every: 721h}}`, `backup.every must be from 1m to 720h`},
		"backups of no time":    {`{backup: {every: daily}}`, `spec.backup.every in body should match`},
		"backups into memory":   {`{content: {type: memory}, backup: {every: 1h}}`, `backup.every is of no use with metadata.type or content.type memory`},
		"backups of memory":     {`{metadata: {type: memory}, ` + s3 + `, backup: {every: 1h}}`, `backup.every is of no use with metadata.type or content.type memory`},
		"no backup kept":        {`{backup: {keep: 0}}`, `should be greater than or equal to 1`},
		"all backups kept":      {`{backup: {keep: 1001}}`, `should be less than or equal to 1000`},
		"no garbage":            {`{compaction: {garbagePercent: 4}}`, `should be greater than or equal to 5`},
		"more than all":         {`{compaction: {garbagePercent: 101}}`, `should be less than or equal to 100`},
		"slow compaction":       {`{compaction: {rate: 1023Ki}}`, `compaction.rate must be from 1Mi to 64Gi`},
		"fast compaction":       {`{compaction: {rate: 65Gi}}`, `compaction.rate must be from 1Mi to 64Gi`},
		"negative inodes":       {`{shares: [{name: a, quota: {inodes: -1}}]}`, `should be greater than or equal to 0`},
	} {
		t.Run(name, func(t *testing.T) {
			wantRefusal(t, api.Create(t.Context(), parse(t, ns, "nas", test.spec), client.DryRunAll), test.refusal)
		})
	}
}

func TestChangesOfStoresElsewhereAreAcceptedOrRefusedWithTheReason(t *testing.T) {
	const (
		both    = postgres + `, ` + s3 + `, durability: remote`
		rebuild = `; make a new DittoServer and copy`
	)
	ns := namespace(t)
	for i, test := range []struct{ name, before, after, refusal string }{
		{"another endpoint", `{` + s3 + `}`, `{content: {type: s3, s3: {bucket: nas, endpoint: "https://new.example", region: x, addressing: path}}}`, ""},
		{"other credentials", `{` + s3 + `}`, `{content: {type: s3, s3: {bucket: nas, credentialsSecretRef: {name: a}}}}`, ""},
		{"another Secret", `{` + postgres + `}`, `{metadata: {type: postgres, postgres: {secretRef: {name: other}}}}`, ""},
		{"another durability", `{` + s3 + `}`, `{` + s3 + `, durability: remote}`, ""},
		{"another bucket", `{` + s3 + `}`, `{content: {type: s3, s3: {bucket: other}}}`, "content.s3.bucket cannot be changed: the files are in the old bucket" + rebuild},
		{"a prefix later", `{` + s3 + `}`, `{content: {type: s3, s3: {bucket: nas, prefix: a/}}}`, "content.s3.prefix cannot be changed: the files have the old prefix" + rebuild},
		{"another prefix", `{content: {type: s3, s3: {bucket: nas, prefix: a/}}}`, `{content: {type: s3, s3: {bucket: nas, prefix: b/}}}`, "content.s3.prefix cannot be changed: the files have the old prefix" + rebuild},
		{"to postgres", `{}`, `{` + postgres + `}`, "metadata.type cannot be changed: the files of one store are not in the other" + rebuild},
		{"from s3", `{` + s3 + `}`, `{}`, "content.type cannot be changed: the files of one store are not in the other" + rebuild},
		{"ephemeral later", `{` + both + `}`, `{` + both + `, cache: {ephemeral: true}}`, "cache.ephemeral cannot be changed: the journal would stay in the old volume" + rebuild},
		{"ephemeral no more", `{` + both + `, cache: {ephemeral: true}}`, `{` + both + `}`, "cache.ephemeral cannot be changed: the journal would stay in the old volume" + rebuild},
		{"ephemeral and local", `{` + both + `, cache: {ephemeral: true}}`, `{` + postgres + `, ` + s3 + `, cache: {ephemeral: true}}`, "cache.ephemeral needs durability remote"},
	} {
		t.Run(test.name, func(t *testing.T) {
			changeIsRefused(t, ns, fmt.Sprintf("nas%d", i), test.before, test.after, test.refusal)
		})
	}
}
