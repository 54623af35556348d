package apply

import (
	"reflect"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/json"
)

// Difference is the path of a field that an apply of intent by owner would
// change, such as spec.selector, or empty if it would change nothing: owner owns
// in live exactly the fields of intent, and they have the values of intent.
// Fields that only others own do not matter.
//
// Both directions are needed. A field that somebody else has changed has
// another value; a field that is no longer in intent is still owned, and an
// apply would remove it.
func Difference(intent, live map[string]any, managed []metav1.ManagedFieldsEntry, owner string) string {
	fields, ok := ownedFields(managed, owner)
	if !ok {
		return "metadata.managedFields"
	}
	return strings.TrimPrefix(differs(fields, withoutIdentity(intent), live), ".")
}

// ownedFields is the field set of the applies of owner, in the JSON form of
// FieldsV1: "f:" and a field's name, "k:" and the keys of a list element, "v:"
// and an element of a set, "." for the thing itself.
func ownedFields(managed []metav1.ManagedFieldsEntry, owner string) (map[string]any, bool) {
	for _, entry := range managed {
		if entry.Manager != owner || entry.Operation != metav1.ManagedFieldsOperationApply || entry.Subresource != "" ||
			entry.FieldsV1 == nil {
			continue
		}
		var fields map[string]any
		if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields); err != nil {
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
				if k != "name" && k != "namespace" && k != "uid" {
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

// differs compares one level: fields is what is owned there. It returns the
// path of a difference below, "." for one right here, or nothing.
func differs(fields map[string]any, intent, live any) string {
	if isLeaf(fields) {
		if reflect.DeepEqual(intent, live) {
			return ""
		}
		return "."
	}
	switch intent := intent.(type) {
	case map[string]any:
		if live, ok := live.(map[string]any); ok {
			return mapDiffers(fields, intent, live)
		}
	case []any:
		if live, ok := live.([]any); ok {
			return listDiffers(fields, intent, live)
		}
	}
	return "."
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

func mapDiffers(fields, intent, live map[string]any) string {
	for key := range fields {
		if name, ok := strings.CutPrefix(key, "f:"); ok {
			if _, wanted := intent[name]; !wanted {
				return "." + name
			}
		}
	}
	for name, want := range intent {
		child, owned := fields["f:"+name].(map[string]any)
		have, exists := live[name]
		if !owned || !exists {
			return "." + name
		}
		if below := differs(child, want, have); below != "" {
			return join("."+name, below)
		}
	}
	return ""
}

// listDiffers compares lists whose elements are owned one by one: lists with
// keys, and sets.
func listDiffers(fields map[string]any, intent, live []any) string {
	owned := 0
	for key, child := range fields {
		if key == "." {
			continue
		}
		owned++
		want, wanted := element(key, intent)
		have, exists := element(key, live)
		childFields, ok := child.(map[string]any)
		if !wanted || !exists || !ok {
			return "[" + key + "]"
		}
		if below := differs(childFields, want, have); below != "" {
			return join("["+key+"]", below)
		}
	}
	if owned != len(intent) {
		return "."
	}
	return ""
}

func join(path, below string) string {
	if below == "." {
		return path
	}
	return path + below
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
