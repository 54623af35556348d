package manifests

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// dir is the operator's folder.
const dir = "../.."

func TestRenderedFilesAreCurrent(t *testing.T) {
	for _, output := range Outputs {
		want, err := output.Render(dir)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, output.Path))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not current: run make manifests", output.Path)
		}
	}
}

func TestReferenceExplainsEveryField(t *testing.T) {
	text, err := Reference(dir)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, line := range strings.Split(string(text), "\n") {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		rows++
		if last := strings.Trim(cells[len(cells)-1], " |"); last == "" {
			t.Errorf("a field has no description: %s", line)
		}
	}
	if rows < 60 {
		t.Errorf("there are only %d fields", rows)
	}
}

func TestReferenceHasEveryRuleAndNoEmptyItem(t *testing.T) {
	text, err := Reference(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, rules, _ := strings.Cut(string(text), "## Rules")
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "-" || strings.HasPrefix(line, "- '") {
			t.Errorf("an item is empty, or is an expression: %q", line)
		}
	}
	for _, field := range []string{"metadata.volume", "metadata.postgres", "content.volume", "content.s3"} {
		section, _, _ := strings.Cut(field, ".")
		if want := "- " + field + " is of no use with " + section + ".type (the value of type)\n"; !strings.Contains(rules,
			want) {
			t.Errorf("no item %q", want)
		}
	}
}

func TestOperatorMayDoNothingMoreThanItNeeds(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(dir, "config/rbac/role.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string]string{} // verbs, by group and resource
	for _, part := range strings.Split(string(text), "\n---\n") {
		var role rbacv1.ClusterRole // a Role has the same fields
		if err := yaml.Unmarshal([]byte(strings.TrimPrefix(part, "---\n")), &role); err != nil {
			t.Fatal(err)
		}
		if role.AggregationRule != nil {
			t.Errorf("%s takes the rules of other roles", role.Name)
		}
		for _, rule := range role.Rules {
			if len(rule.NonResourceURLs) > 0 {
				t.Errorf("%s allows %v", role.Name, rule.NonResourceURLs)
			}
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					name := strings.TrimPrefix(group+"/"+resource, "/")
					if allowed[name] != "" { // what several rules allow is allowed together
						t.Errorf("%s has more than one rule: %q, and %v", name, allowed[name], rule.Verbs)
					}
					allowed[name] = strings.Join(rule.Verbs, ",")
				}
			}
		}
	}
	want := map[string]string{
		"dittofs.io/dittoservers":            "get,list,watch",
		"dittofs.io/dittoservers/status":     "patch",
		"dittofs.io/dittoservers/finalizers": "update",
		"apps/statefulsets":                  "create,get,list,patch,watch",
		"services":                           "create,get,list,patch,watch",
		"configmaps":                         "create,get,list,patch,watch",
		"serviceaccounts":                    "create,get,list,patch,watch",
		"persistentvolumeclaims":             "create,get,list,patch,watch",
		"pods":                               "delete,get,list,patch,watch",
		"secrets":                            "get",
		"events":                             "create,patch",
		"events.k8s.io/events":               "create,patch",
		"coordination.k8s.io/leases":         "create,get,update",
	}
	for resource, verbs := range want {
		if allowed[resource] != verbs {
			t.Errorf("%s: the role allows %q, not %q", resource, allowed[resource], verbs)
		}
		delete(allowed, resource)
	}
	for resource, verbs := range allowed {
		t.Errorf("%s: the role allows %q without need", resource, verbs)
	}
}
