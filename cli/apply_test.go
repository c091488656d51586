package cli

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data/open"
)

func TestApplySoupAverages(t *testing.T) {
	fixture(t)
	must(t, "apply", "weights/soup", "--in", "a.safetensors", "--in", "b.safetensors", "-o", "soup.safetensors")
	values := map[string][]float64{}
	for _, f := range []string{"a", "b", "soup"} {
		c, file, err := open.Checkpoint(f + ".safetensors")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if values[f], _, err = c.Floats("head.weight", 3, 4); err != nil {
			t.Fatal(err)
		}
	}
	for i, got := range values["soup"] {
		if want := float64(float32((values["a"][i] + values["b"][i]) / 2)); got != want {
			t.Errorf("weight %d: %v, want %v", i, got, want)
		}
	}
}

func TestApplyEvaluates(t *testing.T) {
	fixture(t)
	soup := []string{"apply", "weights/soup", "--in", "a.safetensors", "--in", "b.safetensors", "--strategy", "greedy"}
	r := gimbal(append(soup, "--evaluate", "new.csv", "--label", "y", "-o", "rows.safetensors", "--json")...)
	if r.code != 0 {
		t.Fatal(r.errOut)
	}
	var o map[string]any
	if err := json.Unmarshal([]byte(r.out), &o); err != nil || o["soup.scores"] == nil || o["output"] != "rows.safetensors" {
		t.Errorf("%v: %s", err, r.out)
	}
	// A command that counts how often it is asked, finds a readable checkpoint, and likes each one more than the last: all go in.
	must(t, append(soup, "--evaluate-command", "echo x >> calls; head -c 200 {} | grep -q head.weight; echo accuracy: $(wc -l < calls).5e0", "-o", "command.safetensors")...)
	if calls := strings.Count(read(t, "calls"), "x"); calls != 3 {
		t.Errorf("%d evaluations, want 2 inputs and 1 soup", calls)
	}
	must(t, "apply", "weights/soup", "--in", "b.safetensors", "--in", "a.safetensors", "-o", "uniform.safetensors")
	if left, err := os.ReadDir(os.TempDir()); err == nil {
		for _, f := range left {
			if strings.HasPrefix(f.Name(), "gimbal-evaluate-") {
				t.Errorf("%s was left", f.Name())
			}
		}
	}
	for _, c := range []struct {
		code  int
		words []string
		args  []string
	}{
		{2, []string{"{}"}, []string{"--evaluate-command", "echo 1"}},
		{2, []string{"--evaluate and --evaluate-command"}, []string{"--evaluate", "new.csv", "--evaluate-command", "echo {}"}},
		{1, []string{"evaluation command", "exit status 3", "out of order"}, []string{"--evaluate-command", "echo out of order >&2; exit 3 {}"}},
		{1, []string{"evaluation command", "no number"}, []string{"--evaluate-command", "echo fine # {}"}},
		{1, []string{"evaluation command", "not a finite number"}, []string{"--evaluate-command", "echo 1e999 # {}"}},
		{1, []string{"--evaluate"}, nil},
		{1, []string{"new.csv", "labels"}, []string{"--evaluate", "new.csv", "--ignore", "y"}},
	} {
		refused(t, c.code, c.words, append(append(soup[:len(soup):len(soup)], c.args...), "-o", "x.safetensors")...)
	}
}

func TestApplyUsage(t *testing.T) {
	fixture(t)
	refused(t, 2, []string{"--in FILE is missing", "--help"}, "apply", "weights/soup", "-o", "x")
	refused(t, 2, []string{"learns", "gimbal fit detect/mahalanobis"}, "apply", "detect/mahalanobis")
	refused(t, 2, []string{"learns nothing", "gimbal apply weights/soup"}, "fit", "weights/soup", "--in", "a.safetensors")
	refused(t, 2, []string{"--strategy"}, "apply", "weights/soup", "--in", "a.safetensors", "--strategy", "sour", "-o", "x")
	refused(t, 1, []string{"one architecture"}, "apply", "weights/soup", "--in", "a.safetensors", "--in", "train.moments", "-o", "x")
}

func TestSelftest(t *testing.T) {
	var o struct {
		Kernels string
		Checks  []struct{ Check, Result string }
	}
	if err := json.Unmarshal([]byte(must(t, "selftest", "--json")), &o); err != nil {
		t.Fatal(err)
	}
	moments := 0
	for _, s := range specs() {
		if s.FitsMoments() {
			moments++
		}
	}
	if o.Kernels == "" || len(o.Checks) != 4+moments {
		t.Errorf("kernels %q, %d checks, want 4 and one for each of %d methods", o.Kernels, len(o.Checks), moments)
	}
	for _, c := range o.Checks {
		if c.Result != "ok" {
			t.Errorf("%s: %s", c.Check, c.Result)
		}
	}
}

// TestApplyWritesTables: a map that makes rows writes them as any table, with the names of the rows that it was given.
func TestApplyWritesTables(t *testing.T) {
	fixture(t)
	must(t, "apply", "continual/priorshift", "--logits", "logits.csv", "--label", "y", "-o", "p.csv")
	lines := strings.Split(strings.TrimSpace(read(t, "p.csv")), "\n")
	if lines[0] != "ant,bee,cat" || len(lines) != 241 {
		t.Errorf("%d lines, the first %q", len(lines), lines[0])
	}
	must(t, "apply", "continual/batchstatistics", "--in", "new.csv", "--reference", "train.csv", "--label", "y", "--id", "a", "-o", "b.csv")
	if head, _, _ := strings.Cut(read(t, "b.csv"), "\n"); head != "a,b,c,d" {
		t.Errorf("columns %q", head)
	}
	refused(t, 1, []string{"p.xyz"}, "apply", "continual/priorshift", "--logits", "logits.csv", "--label", "y", "-o", "p.xyz")
}
