package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data/open"
)

const mergeRecipe = `
models:
  - model: a.safetensors
    parameters: {weight: 3}
  - model: b.safetensors
    parameters: {weight: 1, density: 0.5}
merge_method: linear
dtype: bfloat16
`

func TestWeightsMerge(t *testing.T) {
	fixture(t)
	write(t, "recipe.yaml", mergeRecipe)
	r := gimbal("weights", "merge", "recipe.yaml", "-o", "merged")
	if r.code != 0 || !strings.Contains(r.errOut, "ignored density: linear has no such parameter") {
		t.Fatalf("exit %d: %s", r.code, r.errOut)
	}
	values := func(path string) []float64 {
		c, file, err := open.Checkpoint(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		v, _, err := c.Floats("head.weight", 3, 4)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	a, b, merged := values("a.safetensors"), values("b.safetensors"), values("merged")
	for i := range merged {
		if off := merged[i] - (3*a[i]+b[i])/4; off > 0x1p-8 || off < -0x1p-8 {
			t.Errorf("element %d: %v of %v and %v", i, merged[i], a[i], b[i])
		}
	}
	if got := names(t, "merged"); got != "model.lineage.json model.safetensors" {
		t.Errorf("files %s", got)
	}
	// The same in shards, from shards: the same tensors, the same manifest but for the names of the inputs.
	must(t, "weights", "merge", "recipe.yaml", "-o", "shards", "--shard-bytes", "8")
	if got := names(t, "shards"); got != "model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.lineage.json model.safetensors.index.json" {
		t.Errorf("files %s", got)
	}
	sameFile(t, "merged/model.lineage.json", "shards/model.lineage.json")
	for _, path := range []string{"merged", "shards", "merged/model.safetensors", "shards/model.safetensors.index.json"} {
		var o map[string]any
		if err := json.Unmarshal([]byte(must(t, "weights", "verify", path, "--json")), &o); err != nil || o["sha256"] == nil || o["tensors"] != 2. {
			t.Errorf("%s: %v %v", path, o, err)
		}
	}
	must(t, "weights", "merge", "recipe.yaml", "-o", "plain.safetensors", "--no-manifest", "--threads", "1")
	sameFile(t, "plain.safetensors", "merged/model.safetensors")
}

func TestWeightsVerifyFindsDamage(t *testing.T) {
	fixture(t)
	write(t, "recipe.yaml", mergeRecipe)
	must(t, "weights", "merge", "recipe.yaml", "-o", "m.safetensors")
	whole := read(t, "m.safetensors")
	damaged := []byte(whole)
	damaged[len(damaged)-1] ^= 1
	write(t, "m.safetensors", string(damaged))
	refused(t, 3, []string{"m.safetensors is not what m.lineage.json says", `tensor "head.weight" has another hash`}, "weights", "verify", "m.safetensors")
	write(t, "m.safetensors", whole[:len(whole)-1])
	refused(t, 1, []string{"m.safetensors", "ends early"}, "weights", "verify", "m.safetensors")
	write(t, "m.safetensors", whole)
	write(t, "m.lineage.json", strings.Replace(read(t, "m.lineage.json"), "merge_method", "merge_mothod", 1))
	refused(t, 1, []string{"m.lineage.json", "it was changed"}, "weights", "verify", "m.safetensors")
	refused(t, 1, []string{"nowhere.json"}, "weights", "verify", "m.safetensors", "--manifest", "nowhere.json")
	damaged = []byte(whole)
	copy(damaged[len(damaged)-2:], "\xff\xff") // a NaN in bfloat16
	write(t, "nan.safetensors", string(damaged))
	refused(t, 3, []string{"nan.safetensors", "head.weight", "1 element not finite"}, "weights", "verify", "nan.safetensors")
	if r := gimbal("weights", "inspect", "nan.safetensors"); r.code != 3 || !strings.Contains(r.out, "head.weight\tBF16\t[3 4]") {
		t.Errorf("exit %d: %s%s", r.code, r.out, r.errOut)
	}
}

func TestWeightsDiff(t *testing.T) {
	fixture(t)
	out := must(t, "weights", "diff", "a.safetensors", "b.safetensors")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], "tensor\ttype\tshape\tcosine") {
		t.Errorf("%s", out)
	}
	if r := gimbal("weights", "diff", "a.safetensors", "train.moments"); r.code != 3 || !strings.Contains(r.out, "only the first checkpoint has it") {
		t.Errorf("exit %d: %s%s", r.code, r.out, r.errOut)
	}
}

func TestWeightsRefuse(t *testing.T) {
	fixture(t)
	write(t, "recipe.yaml", mergeRecipe)
	merge := []string{"weights", "merge", "recipe.yaml"}
	refused(t, 2, []string{"RECIPE is missing"}, "weights", "merge", "-o", "x")
	refused(t, 2, []string{"-o FOLDER is missing"}, merge...)
	refused(t, 2, []string{"--shard-bytes 0"}, append(merge, "-o", "x", "--shard-bytes", "0")...)
	refused(t, 2, []string{"-o a.safetensors", "over the input a.safetensors"}, append(merge, "-o", "a.safetensors")...)
	refused(t, 2, []string{"over the input a.safetensors"}, "apply", "weights/soup", "--in", "a.safetensors", "-o", "a.safetensors")
	refused(t, 2, []string{"-o recipe.yaml", "want a folder"}, append(merge, "-o", "recipe.yaml")...)
	refused(t, 1, []string{"nowhere.yaml"}, "weights", "merge", "nowhere.yaml", "-o", "x")
	write(t, "recipe.yaml", strings.Replace(mergeRecipe, "b.safetensors", "nowhere.safetensors", 1))
	refused(t, 1, []string{"nowhere.safetensors"}, append(merge, "-o", "x")...)
	write(t, "recipe.yaml", strings.Replace(mergeRecipe, "linear", "nearswap", 1))
	refused(t, 1, []string{"recipe.yaml", "merge_method nearswap is not here"}, append(merge, "-o", "x")...)
	write(t, "recipe.yaml", strings.Replace(mergeRecipe, "b.safetensors", "train.moments", 1))
	refused(t, 1, []string{"recipe.yaml", "not of one architecture"}, append(merge, "-o", "x")...)
	// A shard of the output may not be an input either, nor a link to one.
	write(t, "recipe.yaml", strings.ReplaceAll(mergeRecipe, "a.safetensors", "in/model-00001-of-00002.safetensors"))
	if err := os.Mkdir("in", 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Link("a.safetensors", "in/model-00001-of-00002.safetensors"); err != nil {
		t.Fatal(err)
	}
	before := names(t, "in")
	refused(t, 2, []string{"over the input in/model-00001-of-00002.safetensors"}, append(merge, "-o", "in", "--shard-bytes", "8")...)
	if after := names(t, "in"); after != before {
		t.Errorf("files are %s, were %s", after, before)
	}
}

// A disk that is full half-way, here a device that always is, leaves no file and one line.
func TestWeightsMergeOnAFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	fixture(t)
	write(t, "recipe.yaml", mergeRecipe)
	if err := os.Symlink("/dev/full", filepath.Join("full.safetensors")); err != nil {
		t.Fatal(err)
	}
	refused(t, 1, []string{"/dev/full", "no space left"}, "weights", "merge", "recipe.yaml", "-o", "full.safetensors")
}

// The guide's story: three tuned copies, a soup of them that verifies, and the curve from the base to it.
func TestWeightsDemoAndCurve(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, "weights", "demo", "-o", "soup")
	if got := names(t, "soup"); got != "a.safetensors b.safetensors base.safetensors c.safetensors damaged.parquet held.parquet" {
		t.Fatalf("files %s", got)
	}
	write(t, "recipe.yaml", "merge_method: linear\nmodels:\n  - {model: soup/a.safetensors, parameters: {weight: 1}}\n  - {model: soup/b.safetensors, parameters: {weight: 1}}\n  - {model: soup/c.safetensors, parameters: {weight: 1}}\n")
	must(t, "weights", "merge", "recipe.yaml", "-o", "merged")
	must(t, "weights", "verify", "merged")
	score := func(checkpoint, rows string) float64 {
		var list []struct{ Accuracy float64 }
		if err := json.Unmarshal([]byte(must(t, "weights", "curve", checkpoint, checkpoint, "--evaluate", rows, "--label", "label", "--points", "2", "--json")), &list); err != nil || len(list) != 2 || list[0] != list[1] {
			t.Fatalf("%v %v", list, err)
		}
		return list[0].Accuracy
	}
	// Tuning gains on clean rows and loses on damaged ones; the soup is no worse than the mean of what it is made of.
	for _, rows := range []string{"soup/held.parquet", "soup/damaged.parquet"} {
		mean := 0.0
		for _, name := range []string{"a", "b", "c"} {
			mean += score("soup/"+name+".safetensors", rows) / 3
		}
		base, soup := score("soup/base.safetensors", rows), score("merged", rows)
		if soup < mean || (soup > base) != (rows == "soup/held.parquet") {
			t.Errorf("%s: base %.3f, copies %.3f, soup %.3f", rows, base, mean, soup)
		}
	}
	out := must(t, "weights", "curve", "soup/base.safetensors", "merged", "--evaluate", "soup/held.parquet", "--evaluate", "soup/damaged.parquet", "--label", "label", "--points", "5", "-o", "curve.html")
	if strings.Count(out, "\n") != 11 || !strings.Contains(read(t, "curve.html"), "<svg") {
		t.Errorf("%s", out)
	}
	refused(t, 2, []string{"--evaluate FILE is missing"}, "weights", "curve", "merged", "merged")
	refused(t, 2, []string{"--points 1"}, "weights", "curve", "merged", "merged", "--evaluate", "soup/held.parquet", "--points", "1")
	refused(t, 1, []string{"labels"}, "weights", "curve", "merged", "merged", "--evaluate", "soup/held.parquet", "--ignore", "label")
}
