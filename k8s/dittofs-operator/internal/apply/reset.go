package apply

import (
	"reflect"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// reset empties an object before it is read into again: reading merges.
func reset(object client.Object) {
	value := reflect.ValueOf(object).Elem()
	value.Set(reflect.Zero(value.Type()))
}
