package render

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/volumes"
)

// notOfTheServer are fields of the spec, with all below them, that say what is
// around the server, or what happens to it, and not how it is configured.
var notOfTheServer = []string{
	"image", "imagePullPolicy", "imagePullSecrets", "replicas", "service", "serviceAccount", "deletionPolicy",
	"acceptDataLoss", "acceptVolumes",
	"nodeSelector", "tolerations", "affinity", "topologySpreadConstraints", "priorityClassName", "podLabels",
	"podAnnotations",
	"resources.requests", "resources.claims", "storage.storageClassName",
	// Names of Secrets and ConfigMaps, which are mounted at places of their own.
	"metadata.postgres.secretRef", "content.s3.caSecretRef.name", "content.s3.caConfigMapRef.name",
}

// leaf is a field without fields.
type leaf struct {
	path string
	set  func(*v1alpha1.DittoServerSpec) // to a value that is no default
}

// leaves walks a type. at finds the value of the type in a spec, and makes what
// it is in.
func leaves(of reflect.Type, path string, at func(*v1alpha1.DittoServerSpec) reflect.Value) (all []leaf) {
	if value, ok := unlikeAny(of); ok {
		return []leaf{{path, func(s *v1alpha1.DittoServerSpec) { at(s).Set(value) }}}
	}
	switch of.Kind() {
	case reflect.Pointer:
		return leaves(of.Elem(), path, func(s *v1alpha1.DittoServerSpec) reflect.Value {
			v := at(s)
			if v.IsNil() {
				v.Set(reflect.New(of.Elem()))
			}
			return v.Elem()
		})
	case reflect.Slice:
		return leaves(of.Elem(), path, func(s *v1alpha1.DittoServerSpec) reflect.Value {
			v := at(s)
			if v.Len() == 0 {
				v.Set(reflect.MakeSlice(of, 1, 1))
			}
			return v.Index(0)
		})
	case reflect.Struct:
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			all = append(all, leaves(of.Field(i).Type, strings.TrimPrefix(path+"."+name, "."),
				func(s *v1alpha1.DittoServerSpec) reflect.Value { return at(s).Field(i) })...)
		}
		return all
	}
	return []leaf{{path, nil}}
}

// unlikeAny is a value that is no default and in no spec of these tests.
func unlikeAny(of reflect.Type) (reflect.Value, bool) {
	switch reflect.Zero(of).Interface().(type) {
	case resource.Quantity:
		return reflect.ValueOf(resource.MustParse("3Gi")), true
	case corev1.ResourceList:
		return reflect.ValueOf(corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("3Gi")}), true
	case metav1.Duration:
		return reflect.ValueOf(metav1.Duration{Duration: 77 * time.Minute}), true
	}
	v := reflect.New(of).Elem()
	switch of.Kind() {
	case reflect.String:
		v.SetString("unlike")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(77)
	default:
		return v, false
	}
	return v, true
}

// A field that is new in the spec has to reach the configuration, or to be among
// those that are not for the server. What it becomes there is seen elsewhere.
func TestEveryFieldReachesTheConfiguration(t *testing.T) {
	bases := []func(*v1alpha1.DittoServerSpec){
		func(*v1alpha1.DittoServerSpec) {},
		func(s *v1alpha1.DittoServerSpec) {
			toPostgres(s)
			toS3(s)
			s.Content.S3.CASecretRef = &v1alpha1.KeyRef{Name: "tls"}
		},
		func(s *v1alpha1.DittoServerSpec) {
			toS3(s)
			s.Content.S3.CAConfigMapRef = &v1alpha1.KeyRef{Name: "tls"}
		},
	}
	// Of a value that the loader refuses, its refusal says that it came so far.
	outcome := func(changes ...func(*v1alpha1.DittoServerSpec)) string {
		ds := dittoServer()
		for _, change := range changes {
			change(&ds.Spec)
		}
		rendered, err := Config(ds, volumes.For(ds), "")
		if err != nil {
			return err.Error()
		}
		return rendered.YAML
	}
	used := map[string]bool{}
	except := func(path string) bool {
		for _, name := range notOfTheServer {
			if path == name || strings.HasPrefix(path, name+".") {
				used[name] = true
				return true
			}
		}
		return false
	}
	for _, l := range leaves(reflect.TypeFor[v1alpha1.DittoServerSpec](),
		"", func(s *v1alpha1.DittoServerSpec) reflect.Value { return reflect.ValueOf(s).Elem() }) {
		excepted := except(l.path)
		if l.set == nil {
			if !excepted {
				t.Errorf("spec.%s: this test cannot set it", l.path)
			}
			continue
		}
		reaches := slices.ContainsFunc(bases, func(base func(*v1alpha1.DittoServerSpec)) bool {
			return outcome(base, l.set) != outcome(base)
		})
		if reaches == excepted {
			t.Errorf("spec.%s reaches the configuration: %v, and it is among those that do not: %v", l.path, reaches, excepted)
		}
	}
	for _, name := range notOfTheServer {
		if !used[name] {
			t.Errorf("spec.%s is no field", name)
		}
	}
}
