package apply

import (
	"encoding/json"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ours is a Service as an API server returns it after an apply by the operator
// and an update by somebody else.
const (
	ownedService = `{"f:metadata":{"f:labels":{"f:app":{}},"f:ownerReferences":{"k:{\"uid\":\"u\"}":{}}},
		"f:spec":{"f:type":{},"f:selector":{},
			"f:ports":{"k:{\"port\":2049,\"protocol\":\"TCP\"}":{".":{},"f:name":{},"f:port":{},"f:protocol":{}}}}}`
	intendedService = `{"apiVersion":"v1","kind":"Service","metadata":{"name":"nas","namespace":"n","labels":{"app":"x"},"ownerReferences":[{"uid":"u","name":"nas"}]},
		"spec":{"type":"ClusterIP","selector":{"a":"b"},"ports":[{"name":"nfs","port":2049,"protocol":"TCP"}]}}`
	liveService = `{"apiVersion":"v1","kind":"Service","metadata":{"name":"nas","namespace":"n","uid":"z","labels":{"app":"x","theirs":"y"},"ownerReferences":[{"uid":"u","name":"nas"}]},
		"spec":{"type":"ClusterIP","clusterIP":"10.0.0.1","selector":{"a":"b"},
			"ports":[{"name":"other","port":1,"protocol":"TCP"},{"name":"nfs","port":2049,"protocol":"TCP","targetPort":2049}]}}`
)

func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	var raw any
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		t.Fatal(err)
	}
	out, err := toMap(raw)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func managedBy(manager, fields string) []metav1.ManagedFieldsEntry {
	return []metav1.ManagedFieldsEntry{{Manager: manager, Operation: metav1.ManagedFieldsOperationApply,
		FieldsV1: metav1.NewFieldsV1(fields)}}
}

func TestDifferenceNamesWhatAnApplyWouldChange(t *testing.T) {
	set := func(path ...string) func(map[string]any) {
		return func(object map[string]any) {
			for _, key := range path[:len(path)-2] {
				object = object[key].(map[string]any)
			}
			object[path[len(path)-2]] = path[len(path)-1]
		}
	}
	port := func(live map[string]any) map[string]any {
		return live["spec"].(map[string]any)["ports"].([]any)[1].(map[string]any)
	}
	for name, test := range map[string]struct {
		intent, live func(map[string]any)
		want         string
	}{
		"nothing":           {nil, nil, ""},
		"a field of others": {nil, set("metadata", "labels", "theirs", "new"), ""},
		"a scalar":          {nil, set("spec", "type", "NodePort"), "spec.type"},
		"an atomic map":     {nil, set("spec", "selector", "extra", "x"), "spec.selector"},
		"a label":           {nil, set("metadata", "labels", "app", "z"), "metadata.labels.app"},
		"a new field":       {set("spec", "externalName", "x"), nil, "spec.externalName"},
		"an element's field": {
			nil, func(l map[string]any) { port(l)["name"] = "x" }, `spec.ports[k:{"port":2049,"protocol":"TCP"}].name`,
		},
		"a defaulted sibling": {nil, func(l map[string]any) { port(l)["targetPort"] = int64(1) }, ""},
		"an element that went": {
			nil, func(l map[string]any) { port(l)["port"] = int64(3) }, `spec.ports[k:{"port":2049,"protocol":"TCP"}]`,
		},
		"a field no longer wanted": {func(i map[string]any) { delete(i["spec"].(map[string]any), "type") }, nil, "spec.type"},
		"an element more": {func(i map[string]any) {
			spec := i["spec"].(map[string]any)
			spec["ports"] = append(spec["ports"].([]any), map[string]any{"name": "b", "port": int64(5), "protocol": "TCP"})
		}, nil, "spec.ports"},
		"an atomic element": {nil, func(l map[string]any) {
			l["metadata"].(map[string]any)["ownerReferences"].([]any)[0].(map[string]any)["name"] = "x"
		}, `metadata.ownerReferences[k:{"uid":"u"}]`},
	} {
		t.Run(name, func(t *testing.T) {
			intent, live := decode(t, intendedService), decode(t, liveService)
			if test.intent != nil {
				test.intent(intent)
			}
			if test.live != nil {
				test.live(live)
			}
			if got := Difference(intent, live, managedBy(Owner, ownedService), Owner); got != test.want {
				t.Errorf("the difference is %q, not %q", got, test.want)
			}
		})
	}
}

func TestDifferenceIsEverythingWithoutAnApplyOfOurs(t *testing.T) {
	for name, managed := range map[string][]metav1.ManagedFieldsEntry{
		"nobody":  nil,
		"another": managedBy("kubectl", ownedService),
		"broken":  managedBy(Owner, `{"f:`),
		"only updates": {
			{Manager: Owner, Operation: metav1.ManagedFieldsOperationUpdate, FieldsV1: metav1.NewFieldsV1(ownedService)},
		},
	} {
		if got := Difference(decode(t, intendedService), decode(t, liveService), managed,
			Owner); got != "metadata.managedFields" {
			t.Errorf("%s: the difference is %q", name, got)
		}
	}
}
