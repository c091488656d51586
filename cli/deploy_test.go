package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The files for deployment start commands that there are, with flags that there are, and refer to nothing that is not in them.
func TestDeploymentFiles(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile("../deploy/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	started := func(what string, args []string) {
		t.Helper()
		cmd, rest, err := newRootCommand(newEnv(context.Background(), specs(), strings.NewReader(""), nil, nil)).Find(args)
		if err != nil || cmd.Parent() == nil {
			t.Errorf("%s: %v: %v", what, args, err)
			return
		}
		if err := cmd.ParseFlags(rest); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if cmd.Args != nil {
			if err := cmd.Args(cmd, cmd.Flags().Args()); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	for name, line := range map[string]string{"gimbal.service": `(?m)^ExecStart=\S*/gimbal (.*)$`, "Containerfile": `(?m)^#\s+podman run .* gimbal (serve .*)$`} {
		found := regexp.MustCompile(line).FindStringSubmatch(read(name))
		if found == nil {
			t.Errorf("%s starts nothing", name)
			continue
		}
		started(name, strings.Fields(found[1]))
	}

	type port struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	type probe struct {
		HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
	}
	type container struct {
		Name, Image                string
		Args                       []string
		Ports                      []port
		LivenessProbe              probe `yaml:"livenessProbe"`
		ReadinessProbe             probe `yaml:"readinessProbe"`
		Resources, SecurityContext any
		VolumeMounts               []struct {
			Name, MountPath string
			ReadOnly        bool `yaml:"readOnly"`
		} `yaml:"volumeMounts"`
	}
	var one struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   struct{ Name string }
		Spec       struct {
			Selector any
			Template struct {
				Metadata struct{ Labels, Annotations map[string]string }
				Spec     struct {
					SecurityContext struct {
						RunAsNonRoot bool `yaml:"runAsNonRoot"`
					} `yaml:"securityContext"`
					Containers []container
					Volumes    []struct{ Name string }
				}
			}
		}
	}
	var kinds []string
	for docs := yaml.NewDecoder(bytes.NewReader([]byte(read("kubernetes.yaml")))); ; {
		next := one
		if err := docs.Decode(&next); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, next.Kind)
		if next.Kind != "Deployment" {
			continue
		}
		pod := next.Spec.Template.Spec
		i := slices.IndexFunc(pod.Containers, func(c container) bool { return c.Image == "gimbal" })
		if i < 0 || !pod.SecurityContext.RunAsNonRoot {
			t.Fatalf("no guard in the pod, or as root: %+v", pod)
		}
		guard := pod.Containers[i]
		started("kubernetes.yaml", guard.Args)
		for _, p := range []probe{guard.LivenessProbe, guard.ReadinessProbe} {
			if !slices.ContainsFunc(guard.Ports, func(o port) bool { return o.Name == p.HTTPGet.Port }) {
				t.Errorf("a probe asks port %q, which has no name", p.HTTPGet.Port)
			}
		}
		for _, m := range guard.VolumeMounts {
			if !slices.ContainsFunc(pod.Volumes, func(v struct{ Name string }) bool { return v.Name == m.Name }) {
				t.Errorf("volume %s is mounted and not declared", m.Name)
			}
		}
	}
	if !slices.Equal(kinds, []string{"Deployment", "Service", "PersistentVolumeClaim"}) {
		t.Errorf("documents %v", kinds)
	}
}

// kubernetesFields are the fields of the API (apps/v1, v1) that the example uses, by the kind of object that they are of.
var kubernetesFields = map[string]string{
	"":                           "apiVersion kind metadata spec",
	"metadata":                   "name labels annotations",
	"Deployment.spec":            "replicas strategy selector template",
	"strategy":                   "type",
	"Deployment.selector":        "matchLabels",
	"template":                   "metadata spec",
	"template.spec":              "terminationGracePeriodSeconds securityContext containers volumes",
	"pod.securityContext":        "runAsNonRoot runAsUser fsGroup seccompProfile",
	"seccompProfile":             "type",
	"containers":                 "name image args ports livenessProbe readinessProbe resources securityContext volumeMounts",
	"containers.ports":           "name containerPort",
	"livenessProbe":              "httpGet",
	"readinessProbe":             "httpGet periodSeconds",
	"httpGet":                    "path port",
	"resources":                  "requests limits",
	"requests":                   "cpu memory storage",
	"limits":                     "memory",
	"securityContext":            "allowPrivilegeEscalation readOnlyRootFilesystem capabilities",
	"capabilities":               "drop",
	"volumeMounts":               "name mountPath readOnly",
	"volumes":                    "name configMap persistentVolumeClaim",
	"configMap":                  "name",
	"persistentVolumeClaim":      "claimName",
	"Service.spec":               "selector ports",
	"Service.ports":              "name port targetPort",
	"PersistentVolumeClaim.spec": "accessModes resources",
}

// A cluster refuses fields that it does not know, or drops them in silence: every one is known where it stands.
func TestKubernetesFields(t *testing.T) {
	text, err := os.ReadFile("../deploy/kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	fields := 0
	var walk func(kind, at string, v any)
	walk = func(kind, at string, v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(kind, at, e)
			}
		case map[string]any:
			if slices.Contains([]string{"labels", "annotations", "matchLabels"}, at) || kind == "Service" && at == "selector" {
				return // names of the user's own
			}
			known, ok := kubernetesFields[kind+"."+at]
			if !ok {
				known = kubernetesFields[at]
			}
			for name, value := range v {
				fields++
				if !slices.Contains(strings.Fields(known), name) {
					t.Errorf("%s: %s has no field %s", kind, at, name)
				}
				next := name
				switch {
				case at == "template" && name == "spec":
					next = "template.spec"
				case at == "template.spec" && name == "securityContext":
					next = "pod.securityContext"
				case at == "containers" && name == "ports":
					next = "containers.ports"
				}
				walk(kind, next, value)
			}
		}
	}
	for docs := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var next map[string]any
		if err := docs.Decode(&next); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		kind, _ := next["kind"].(string)
		walk(kind, "", next)
	}
	if fields < 50 {
		t.Errorf("only %d fields were looked at", fields)
	}
}
