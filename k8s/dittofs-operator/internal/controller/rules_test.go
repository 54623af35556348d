package controller_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
)

// parse reads a DittoServer as a user writes it.
func parse(t *testing.T, namespace, name, spec string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte("spec: "+spec), &u.Object); err != nil {
		t.Fatal(err)
	}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(v1alpha1.Kind))
	u.SetNamespace(namespace)
	u.SetName(name)
	return u
}

// wantRefusal checks that err contains message, or that there is none.
func wantRefusal(t *testing.T, err error, message string) {
	t.Helper()
	switch {
	case message == "" && err != nil:
		t.Errorf("refused: %v", err)
	case message != "" && err == nil:
		t.Errorf("accepted, and not refused with %q", message)
	case message != "" && !strings.Contains(err.Error(), message):
		t.Errorf("refused with\n%v\nand not with\n%s", err, message)
	}
}

func TestSpecsAreAcceptedOrRefusedWithTheReason(t *testing.T) {
	ns := namespace(t)
	for name, test := range map[string]struct{ spec, refusal string }{
		"empty":             {`{}`, ""},
		"memory":            {`{metadata: {type: memory}, content: {type: memory}}`, ""},
		"all volumes":       {`{metadata: {volume: {size: 1Gi}}, content: {volume: {size: 1Gi, storageClassName: x}}, cache: {volume: {}}}`, ""},
		"size as number":    {`{storage: {size: 1073741824}}`, ""},
		"root share":        {`{shares: [{name: a, path: /}]}`, ""},
		"nested shares":     {`{shares: [{name: a, path: /a}, {name: b, path: /a/b}]}`, ""},
		"clients":           {`{shares: [{name: a, clients: [{cidr: "10.0.0.0/8", access: ro}, {cidr: "2001:db8::/32"}]}]}`, ""},
		"quota":             {`{shares: [{name: a, quota: {bytes: 10Gi, inodes: 5}}]}`, ""},
		"node port":         {`{service: {type: NodePort, nodePort: 30049, externalTrafficPolicy: Local}}`, ""},
		"balancer":          {`{service: {type: LoadBalancer, loadBalancerClass: example.com/x}}`, ""},
		"hibernated":        {`{replicas: 0}`, ""},
		"pod":               {`{podLabels: {team: a}, podAnnotations: {b: c}, shutdownTimeout: 1m30s}`, ""},
		"big cache, memory": {`{metadata: {type: memory}, content: {type: memory}, cache: {size: 20Gi}}`, ""},

		"pinned address": {`{service: {clusterIP: 10.0.0.17, abandonClusterIP: 10.0.0.18}}`, ""},
		"accepted loss":  {`{acceptDataLoss: 0123456789abcdef0123456789abcdef, acceptVolumes: [1b4e28ba-2fa1-11d2-883f-0016d3cca427]}`, ""},

		"no address":         {`{service: {clusterIP: None}}`, `service.clusterIP must be an IP address (example: 10.96.0.17)`},
		"no abandoned":       {`{service: {abandonClusterIP: all}}`, `service.abandonClusterIP must be an IP address`},
		"loss without name":  {`{acceptDataLoss: "yes"}`, `acceptDataLoss must be the 32 hexadecimal digits of status.filesystem.id`},
		"volume by name":     {`{acceptVolumes: [nas-data]}`, `acceptVolumes must be UIDs of PersistentVolumeClaims`},
		"unknown metadata":   {`{metadata: {type: mysql}}`, `spec.metadata.type: Unsupported value: "mysql": supported values: "pebble", "memory", "postgres"`},
		"unknown content":    {`{content: {type: nfs}}`, `spec.content.type: Unsupported value: "nfs": supported values: "filesystem", "memory", "s3"`},
		"two replicas":       {`{replicas: 2}`, `spec.replicas: Invalid value: 2: spec.replicas in body should be less than or equal to 1`},
		"tiny volume":        {`{storage: {size: 100Mi}}`, `size must be at least 128Mi`},
		"tiny cache":         {`{cache: {size: 63Mi}}`, `cache.size must be at least 64Mi`},
		"cache over volume":  {`{cache: {size: 11Gi}}`, `cache.size must not be larger than the volume that holds the cache`},
		"cache over its own": {`{cache: {size: 2Gi, volume: {size: 1Gi}}}`, `cache.size must not be larger than the volume that holds the cache`},
		"useless metadata":   {`{metadata: {type: memory, volume: {size: 1Gi}}}`, `metadata.volume is of no use with metadata.type memory`},
		"useless content":    {`{content: {type: memory, volume: {size: 1Gi}}}`, `content.volume is of no use with content.type memory`},
		"no share":           {`{shares: []}`, `spec.shares in body should have at least 1 items`},
		"same name":          {`{shares: [{name: a, path: /x}, {name: a, path: /y}]}`, `spec.shares[1]: Duplicate value`},
		"same path":          {`{shares: [{name: a}, {name: b, path: /a}]}`, `shares must have different paths`},
		"bad name":           {`{shares: [{name: Upper}]}`, `a share's name must be lower-case letters, digits, '-', '.' and '_', and begin with a letter or digit`},
		"relative path":      {`{shares: [{name: a, path: a}]}`, `a share's path must be absolute and clean (example: /export)`},
		"dotted path":        {`{shares: [{name: a, path: /a/../b}]}`, `a share's path must be absolute and clean (example: /export)`},
		"slash at the end":   {`{shares: [{name: a, path: /a/}]}`, `a share's path must be absolute and clean (example: /export)`},
		"bad CIDR":           {`{shares: [{name: a, clients: [{cidr: 10.0.0.0/33}]}]}`, `clients.cidr must be a CIDR (example: 10.0.0.0/8)`},
		"no client":          {`{shares: [{name: a, clients: []}]}`, `should have at least 1 items`},
		"bad squash":         {`{shares: [{name: a, squash: some}]}`, `Unsupported value: "some": supported values: "root", "all", "none"`},
		"bad mode":           {`{shares: [{name: a, root: {mode: "0999"}}]}`, `root.mode must be an octal string of 3 or 4 digits (example: "0755")`},
		"user id too large":  {`{shares: [{name: a, anonymous: {uid: 4294967295}}]}`, `should be less than or equal to 4294967294`},
		"port of the probes": {`{nfs: {port: 8080}}`, `nfs.port must not be 8080: that is the port of the probes`},
		"privileged port":    {`{nfs: {port: 111}}`, `spec.nfs.port in body should be greater than or equal to 1024`},
		"node port alone":    {`{service: {nodePort: 30049}}`, `service.nodePort needs service.type NodePort or LoadBalancer`},
		"policy alone":       {`{service: {externalTrafficPolicy: Local}}`, `service.externalTrafficPolicy needs service.type NodePort or LoadBalancer`},
		"class alone":        {`{service: {type: NodePort, loadBalancerClass: a}}`, `service.loadBalancerClass needs service.type LoadBalancer`},
		"endless stop":       {`{shutdownTimeout: 2h}`, `shutdownTimeout must be from 1s to 1h`},
		"no duration":        {`{shutdownTimeout: soon}`, `spec.shutdownTimeout in body should match`},
		"label of ours":      {`{podLabels: {app.kubernetes.io/name: x}}`, `podLabels must not begin with app.kubernetes.io/ or dittofs.io/: the operator sets those`},
		"annotation of ours": {`{podAnnotations: {dittofs.io/restart-hash: x}}`, `podAnnotations must not begin with dittofs.io/: the operator sets those`},
		"log level":          {`{logging: {level: loud}}`, `Unsupported value: "loud": supported values: "debug", "info", "warn", "error"`},
		"policy":             {`{deletionPolicy: Keep}`, `Unsupported value: "Keep": supported values: "Retain", "Delete"`},
	} {
		t.Run(name, func(t *testing.T) {
			wantRefusal(t, api.Create(t.Context(), parse(t, ns, "nas", test.spec), client.DryRunAll), test.refusal)
		})
	}
}

func TestChangesAreAcceptedOrRefusedWithTheReason(t *testing.T) {
	ns := namespace(t)
	for i, test := range []struct{ name, before, after, refusal string }{
		{"growing", `{storage: {size: 1Gi}}`, `{storage: {size: 2Gi}}`, ""},
		{"same size in other words", `{storage: {size: 1Gi}}`, `{storage: {size: 1024Mi}}`, ""},
		{"more shares", `{}`, `{shares: [{name: export}, {name: more}]}`, ""},
		{"another type of Service", `{service: {type: LoadBalancer, loadBalancerClass: a}}`, `{service: {type: ClusterIP}}`, ""},
		{"shrinking", `{storage: {size: 2Gi}}`, `{storage: {size: 1Gi}}`, "size cannot shrink: a volume can only grow"},
		{"shrinking a volume of its own", `{content: {volume: {size: 2Gi}}}`, `{content: {volume: {size: 1Gi}}}`, "size cannot shrink: a volume can only grow"},
		{"another class", `{storage: {storageClassName: a}}`, `{storage: {storageClassName: b}}`, "storageClassName cannot be changed: the data would stay in the old volume; make a new DittoServer and copy"},
		{"a class later", `{}`, `{storage: {storageClassName: b}}`, "storageClassName cannot be changed"},
		{"another metadata store", `{}`, `{metadata: {type: memory}}`, "metadata.type cannot be changed: the files of one store are not in the other; make a new DittoServer and copy"},
		{"another content store", `{}`, `{content: {type: memory}}`, "content.type cannot be changed: the files of one store are not in the other; make a new DittoServer and copy"},
		{"a metadata volume later", `{}`, `{metadata: {volume: {size: 1Gi}}}`, "metadata.volume cannot be added or removed: the data would stay in the old volume; make a new DittoServer and copy"},
		{"a content volume no more", `{content: {volume: {size: 1Gi}}}`, `{}`, "content.volume cannot be added or removed: the data would stay in the old volume; make a new DittoServer and copy"},
		{"a cache volume later", `{}`, `{cache: {volume: {size: 1Gi}}}`, "cache.volume cannot be added or removed: the journal would stay in the old volume; make a new DittoServer and copy"},
		{"another balancer class", `{service: {type: LoadBalancer, loadBalancerClass: a}}`, `{service: {type: LoadBalancer, loadBalancerClass: b}}`, "service.loadBalancerClass cannot be changed while service.type is LoadBalancer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			changeIsRefused(t, ns, fmt.Sprintf("nas-%d", i), test.before, test.after, test.refusal)
		})
	}
}

// changeIsRefused makes a DittoServer and changes it, which must be refused
// with a message that contains refusal, or accepted if that is empty.
func changeIsRefused(t *testing.T, namespace, name, before, after, refusal string) {
	t.Helper()
	old := parse(t, namespace, name, before)
	if err := api.Create(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	changed := parse(t, namespace, name, after)
	eventually(t, func() error {
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(old), old); err != nil {
			return err
		}
		changed.SetResourceVersion(old.GetResourceVersion())
		err := api.Update(t.Context(), changed.DeepCopy(), client.DryRunAll)
		if err != nil && strings.Contains(err.Error(), "object has been modified") {
			return err
		}
		wantRefusal(t, err, refusal)
		return nil
	})
}

func TestNamesThatNoServiceCanHaveAreRefused(t *testing.T) {
	ns := namespace(t)
	const rule = "metadata.name must be at most 50 characters: a lower-case letter, then lower-case letters, digits and '-', not ending in '-'"
	for name, refusal := range map[string]string{
		"a":                     "",
		strings.Repeat("a", 50): "",
		strings.Repeat("a", 51): rule,
		"1nas":                  rule,
		"nas.example":           rule,
	} {
		wantRefusal(t, api.Create(t.Context(), parse(t, ns, name, `{}`), client.DryRunAll), refusal)
	}
}

func TestSamplesBecomeServers(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "config", "samples", "*.yaml"))
	if err != nil || len(files) < 6 {
		t.Fatalf("samples are %v (%v)", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			ds := &v1alpha1.DittoServer{}
			if err := yaml.UnmarshalStrict(text, ds); err != nil {
				t.Fatal(err)
			}
			ds.ObjectMeta = metav1.ObjectMeta{Name: ds.Name, Namespace: namespace(t)}
			makeSecrets(t, ds.Namespace)
			if err := api.Create(t.Context(), ds); err != nil {
				t.Fatal(err)
			}
			claims, known := map[string][]string{
				"minimal": {"minimal-data"}, "memory": {}, "filesystem": {"filesystem-metadata", "filesystem-content", "filesystem-cache"},
				"s3": {"s3-data"}, "postgres": {"postgres-data"}, "postgres-s3": {},
			}[ds.Name]
			if !known {
				t.Fatalf("what volumes does %s have?", ds.Name)
			}
			bringUp(t, ds, claims...)
		})
	}
}
