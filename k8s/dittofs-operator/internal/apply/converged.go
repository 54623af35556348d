package apply

import (
	"reflect"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/json"
)

// Converged reports whether an apply of intent by owner would change nothing:
// owner owns in live exactly the fields of intent, and they have the values of
// intent. Fields that nobody but others own do not matter.
//
// Both directions are needed. A field that somebody else has changed has
// another value; a field that is no longer in intent is still owned, and an
// apply would remove it.
func Converged(intent, live map[string]any, managed []metav1.ManagedFieldsEntry, owner string) bool {
	fields, ok := ownedFields(managed, owner)
	return ok && matches(fields, withoutIdentity(intent), live)
}

// ownedFields is the field set of the applies of owner, in the JSON form of
// FieldsV1: "f:" and a field's name, "k:" and the keys of a list element, "v:"
// and an element of a set, "." for the thing itself.
func ownedFields(managed []metav1.ManagedFieldsEntry, owner string) (map[string]any, bool) {
	for _, entry := range managed {
		if entry.Manager != owner || entry.Operation != metav1.ManagedFieldsOperationApply || entry.Subresource != "" || entry.FieldsV1 == nil {
			continue
		}
		var fields map[string]any
		if err := json.Unmarshal(entry.FieldsV1.Raw, &fields); err != nil {
			return nil, false
		}
		return fields, true
	}
	return nil, false
}

// withoutIdentity leaves out what says which object it is: nobody owns that.
func withoutIdentity(object map[string]any) map[string]any {
	out := map[string]any{}
	for key, value := range object {
		switch key {
		case "apiVersion", "kind":
		case "metadata":
			metadata := map[string]any{}
			for k, v := range value.(map[string]any) {
				if k != "name" && k != "namespace" {
					metadata[k] = v
				}
			}
			if len(metadata) > 0 {
				out[key] = metadata
			}
		default:
			out[key] = value
		}
	}
	return out
}

// matches compares one level: fields is what is owned there.
func matches(fields map[string]any, intent, live any) bool {
	if isLeaf(fields) {
		return reflect.DeepEqual(intent, live)
	}
	switch intent := intent.(type) {
	case map[string]any:
		live, ok := live.(map[string]any)
		return ok && matchesMap(fields, intent, live)
	case []any:
		live, ok := live.([]any)
		return ok && matchesList(fields, intent, live)
	}
	return false
}

// isLeaf tells a scalar or an atomic list or map, which is owned as a whole.
func isLeaf(fields map[string]any) bool {
	for key := range fields {
		if key != "." {
			return false
		}
	}
	return true
}

func matchesMap(fields, intent, live map[string]any) bool {
	for key := range fields {
		if name, ok := strings.CutPrefix(key, "f:"); ok {
			if _, wanted := intent[name]; !wanted {
				return false
			}
		}
	}
	for name, want := range intent {
		child, owned := fields["f:"+name].(map[string]any)
		have, exists := live[name]
		if !owned || !exists || !matches(child, want, have) {
			return false
		}
	}
	return true
}

// matchesList compares lists whose elements are owned one by one: lists with
// keys, and sets.
func matchesList(fields map[string]any, intent, live []any) bool {
	owned := 0
	for key, child := range fields {
		if key == "." {
			continue
		}
		owned++
		want, wanted := element(key, intent)
		have, exists := element(key, live)
		childFields, ok := child.(map[string]any)
		if !wanted || !exists || !ok || !matches(childFields, want, have) {
			return false
		}
	}
	return owned == len(intent)
}

// element finds what a path element "k:{…}" or "v:…" selects in a list.
func element(key string, list []any) (any, bool) {
	if raw, ok := strings.CutPrefix(key, "v:"); ok {
		var value any
		if json.Unmarshal([]byte(raw), &value) != nil {
			return nil, false
		}
		for _, item := range list {
			if reflect.DeepEqual(item, value) {
				return item, true
			}
		}
		return nil, false
	}
	raw, ok := strings.CutPrefix(key, "k:")
	var keys map[string]any
	if !ok || json.Unmarshal([]byte(raw), &keys) != nil {
		return nil, false
	}
	for _, item := range list {
		if fields, ok := item.(map[string]any); ok && hasKeys(fields, keys) {
			return item, true
		}
	}
	return nil, false
}

func hasKeys(fields, keys map[string]any) bool {
	for name, value := range keys {
		if !reflect.DeepEqual(fields[name], value) {
			return false
		}
	}
	return true
}
