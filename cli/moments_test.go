package cli

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// body is a file's lines without the header.
func body(t *testing.T, path string) []string {
	t.Helper()
	return strings.Split(strings.TrimSpace(read(t, path)), "\n")[1:]
}

func TestMomentsLaws(t *testing.T) {
	fixture(t)
	label := []string{"--label", "y"}
	moments := func(out string, args ...string) {
		t.Helper()
		must(t, append(append([]string{"moments"}, args...), append(label, "-o", out)...)...)
	}
	t.Run("order of rows", func(t *testing.T) {
		rows := body(t, "train.csv")
		rand.New(rand.NewPCG(1, 1)).Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		if err := writeLines("shuffled.csv", header, rows); err != nil {
			t.Fatal(err)
		}
		moments("shuffled.moments", "shuffled.csv")
		sameFile(t, "shuffled.moments", "train.moments")
	})
	t.Run("several files are one", func(t *testing.T) {
		moments("two.moments", "b.csv", "a.csv")
		sameFile(t, "two.moments", "train.moments")
	})
	t.Run("threads", func(t *testing.T) {
		moments("one.moments", "train.csv", "--threads", "1")
		moments("three.moments", "train.csv", "--threads", "3")
		sameFile(t, "one.moments", "train.moments")
		sameFile(t, "three.moments", "train.moments")
	})
	t.Run("shards merge into the whole", func(t *testing.T) {
		must(t, "moments", "merge", "b.moments", "a.moments", "-o", "merged.moments")
		sameFile(t, "merged.moments", "train.moments")
	})
	t.Run("forgetting one shard leaves the other", func(t *testing.T) {
		must(t, "moments", "forget", "train.moments", "--rows", "a.csv", "--label", "y", "-o", "left.moments")
		sameFile(t, "left.moments", "b.moments")
	})
	t.Run("in place", func(t *testing.T) {
		write(t, "mine.moments", read(t, "train.moments"))
		must(t, "moments", "forget", "mine.moments", "--rows", "a.csv", "--label", "y", "-o", "mine.moments")
		sameFile(t, "mine.moments", "b.moments")
		must(t, "moments", "merge", "mine.moments", "a.moments", "-o", "mine.moments")
		sameFile(t, "mine.moments", "train.moments")
	})
	t.Run("from a pipe", func(t *testing.T) {
		r := gimbalIn(t.Context(), strings.NewReader(read(t, "b.csv")), "moments", "-", "--label", "y", "--like", "a.moments", "-o", "piped.moments")
		if r.code != 0 {
			t.Fatal(r.errOut)
		}
		sameFile(t, "piped.moments", "b.moments")
	})
	t.Run("to a pipe", func(t *testing.T) {
		write(t, "stdout.moments", must(t, "moments", "a.csv", "b.csv", "--label", "y", "-o", "-"))
		moments("two.moments", "a.csv", "b.csv")
		sameFile(t, "stdout.moments", "two.moments")
	})
	t.Run("per class", func(t *testing.T) {
		moments("c.moments", "train.csv", "--per-class")
		moments("ca.moments", "a.csv", "--like", "c.moments") // per class like its model
		moments("cb.moments", "b.csv", "--like", "c.moments")
		must(t, "moments", "merge", "ca.moments", "cb.moments", "-o", "cab.moments")
		sameFile(t, "cab.moments", "c.moments")
	})
}

func TestMomentsRegrid(t *testing.T) {
	fixture(t)
	must(t, "moments", "merge", "train.moments", "other-grid.moments", "--regrid", "-o", "all.moments")
	got := shown(t, "all.moments")
	if got["rows"] != 280.0 || got["columns"] != 4.0 {
		t.Errorf("merged state: %v rows × %v columns, want 280 × 4", got["rows"], got["columns"])
	}
	// Sums stay exact: the means are those of one pass, up to half a step of its coarser grid.
	must(t, "moments", "train.csv", "ood.csv", "--label", "y", "-o", "pass.moments")
	want := shown(t, "pass.moments")["column"].([]any)
	for j, c := range got["column"].([]any) {
		have, one := c.(map[string]any)["mean"].(float64), want[j].(map[string]any)["mean"].(float64)
		if d := have - one; d > 1e-5 || d < -1e-5 {
			t.Errorf("column %d: mean %v, want %v", j+1, have, one)
		}
	}
}

func shown(t *testing.T, path string) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(must(t, "moments", "show", path, "--json")), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestMomentsShow(t *testing.T) {
	fixture(t)
	if err := writeLines("small.csv", "u,v,y", []string{"1,10,left", "3,10,left", "5,40,right", "7,10,right"}); err != nil {
		t.Fatal(err)
	}
	must(t, "moments", "small.csv", "--label", "y", "-o", "small.moments")
	o := shown(t, "small.moments")
	for name, want := range map[string]any{"rows": 4.0, "columns": 2.0, "targets": 0.0, "classes": 2.0, "unlabelled_rows": 0.0, "cross_products": "all rows"} {
		if o[name] != want {
			t.Errorf("%s is %v, want %v", name, o[name], want)
		}
	}
	rows := o["class_rows"].(map[string]any)
	if rows["left"] != 2.0 || rows["right"] != 2.0 {
		t.Errorf("class rows %v", rows)
	}
	// u: mean 4, variance (9+1+1+9)/4 = 5; v: mean 17.5, variance (3·7.5² + 22.5²)/4 = 168.75. All lie on the grid.
	for j, want := range []map[string]any{{"name": "u", "mean": 4.0, "variance": 5.0}, {"name": "v", "mean": 17.5, "variance": 168.75}} {
		got := o["column"].([]any)[j].(map[string]any)
		for k, w := range want {
			if got[k] != w {
				t.Errorf("column %d: %s is %v, want %v", j+1, k, got[k], w)
			}
		}
		if o["rounding_max"].(float64) < got["step"].(float64)/2 {
			t.Errorf("rounding bound %v is below half of step %v", o["rounding_max"], got["step"])
		}
	}
	info, err := os.Stat("small.moments")
	if err != nil {
		t.Fatal(err)
	}
	if o["bytes"] != float64(info.Size()) {
		t.Errorf("%v bytes, want %d", o["bytes"], info.Size())
	}
	lines := must(t, "moments", "show", "small.moments")
	if !strings.Contains(lines, "rows\t4\n") || !strings.Contains(lines, "sha256\t"+o["sha256"].(string)) {
		t.Errorf("tab-separated:\n%s", lines)
	}
}

func TestMomentsRefuses(t *testing.T) {
	fixture(t)
	for _, c := range []struct {
		code  int
		words []string
		args  []string
	}{
		{2, []string{"FILE is missing", "--help"}, []string{"moments", "-o", "x"}},
		{2, []string{"-o STATE is missing"}, []string{"moments", "train.csv"}},
		{2, []string{"second STATE is missing"}, []string{"moments", "merge", "a.moments", "-o", "x"}},
		{1, []string{"other-grid.moments", "different grids", "--regrid"}, []string{"moments", "merge", "train.moments", "other-grid.moments", "-o", "x"}},
		{1, []string{"never in this state"}, []string{"moments", "forget", "b.moments", "--rows", "ood.csv", "--label", "y", "-o", "x"}},
		{2, []string{"--label"}, []string{"moments", "forget", "b.moments", "--rows", "a.csv", "--ignore", "y", "-o", "x"}},
		{2, []string{"only once"}, []string{"moments", "-", "-", "-o", "x"}},
		{1, []string{"train.csv", "safetensors"}, []string{"moments", "show", "train.csv"}},
	} {
		refused(t, c.code, c.words, c.args...)
	}
}
