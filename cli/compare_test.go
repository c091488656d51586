package cli

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
	"github.com/gimbal-ml/gimbal/moments"
)

// parsed runs the program and reads its JSON array of objects.
func parsed(t *testing.T, args ...string) []map[string]any {
	t.Helper()
	var list []map[string]any
	if err := json.Unmarshal([]byte(must(t, append(args, "--json")...)), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestCompareScoresAgreesWithScore(t *testing.T) {
	fixture(t)
	list := parsed(t, "compare", "detect", "--train", "train.csv", "--in", "new.csv", "--ood", "ood.csv", "--ood", "more.csv", "--label", "y")
	seen := map[string]int{}
	for _, o := range list {
		id := o["method"].(string)
		seen[id]++
		if s, _ := newEnv(t.Context(), specs(), nil, nil, nil).spec(id); s.TwoClasses {
			if note, _ := o["note"].(string); !strings.Contains(note, "two classes") {
				t.Errorf("%s, on three classes: note %q", id, note)
			}
			seen[id]++ // one line that says so, instead of one a file
			continue
		}
		if note, _ := o["note"].(string); strings.Contains(note, onTexts) {
			seen[id]++
			continue
		}
		if o["note"] != nil {
			t.Errorf("%s has no result: %v", id, o["note"])
			continue
		}
		s, _ := newEnv(t.Context(), specs(), nil, nil, nil).spec(id)
		if s.Inputs[0].Name != "in" {
			continue // its logits come from the head
		}
		// The same numbers must come out of fit and score, and the metric by its definition: the share of pairs in order.
		fit(t, s, "m.gimbal")
		known := numbers(t, must(t, "score", "m.gimbal", "--in", "new.csv", "--label", "y"), "ood_score")
		unknown := numbers(t, must(t, "score", "m.gimbal", "--in", o["ood"].(string), "--label", "y"), "ood_score")
		want := 0.0
		for _, a := range known {
			for _, b := range unknown {
				switch {
				case b > a:
					want++
				case b == a:
					want += 0.5
				}
			}
		}
		want /= float64(len(known) * len(unknown))
		auroc := o["auroc"].(map[string]any)
		if got := auroc["value"].(float64); math.Abs(got-want) > 1e-12 {
			t.Errorf("%s on %s: AUROC %v, want %v", id, o["ood"], got, want)
		}
		if lo, hi := auroc["low"].(float64), auroc["high"].(float64); !(lo <= want && want <= hi && lo < hi) {
			t.Errorf("%s: interval [%v, %v] around %v", id, lo, hi, want)
		}
	}
	for _, s := range specs() {
		if s.Family == "detect" && s.Can("score") && seen[s.ID()] != 2 {
			t.Errorf("%s is listed %d times, want once for each of 2 files", s.ID(), seen[s.ID()])
		}
	}
}

// onTexts is why a detector on texts cannot be compared on a table of features.
const onTexts = "takes tokens:table"

func TestCompareListsFailures(t *testing.T) {
	fixture(t)
	// Without labels there is no head, so a method that takes logits or a last layer has no result and says why, as does one
	// that learns classes.
	list := parsed(t, "compare", "detect", "--train", "train.csv", "--in", "new.csv", "--ood", "ood.csv", "--ignore", "y")
	failed := map[string]string{}
	for _, o := range list {
		if o["note"] != nil {
			failed[o["method"].(string)] = o["note"].(string)
			if o["auroc"] != nil {
				t.Errorf("%v has a note and a result", o)
			}
		}
	}
	for _, s := range specs() {
		if s.Family != "detect" || !s.Can("score") {
			continue
		}
		want := ""
		switch {
		case s.Inputs[0].Name == logitSlot:
			want = "takes logits, and a head needs at least 2 labelled classes"
		case s.Inputs[0].Name == "tokens":
			want = onTexts
		case len(s.Inputs) == 2 && s.Inputs[1].Name == headSlot:
			want = "takes a last layer, and a head needs at least 2 labelled classes"
		case s.Needs&moments.Classes != 0, s.TwoClasses:
			want = "labels needed"
		}
		if got, ok := failed[s.ID()]; ok != (want != "") || !strings.Contains(got, want) {
			t.Errorf("%s: note %q, want %q", s.ID(), got, want)
		}
	}
}

func TestCompareFolder(t *testing.T) {
	fixture(t)
	args := []string{"compare", "detect", "--folder", "tasks", "--anomaly", "y", "--seeds", "2"}
	means := parsed(t, args...)
	files := parsed(t, append(args, "--per-file")...)
	if again := parsed(t, append(args, "--threads", "1")...); again[0]["method"] != means[0]["method"] || again[0]["auroc"].(map[string]any)["value"] != means[0]["auroc"].(map[string]any)["value"] {
		t.Errorf("a second run gives %v, the first %v", again[0], means[0])
	}
	for _, o := range means {
		if o["note"] != nil {
			if note := o["note"].(string); !strings.Contains(note, "head needs") && !strings.Contains(note, "labels needed") && !strings.Contains(note, "class") && !strings.Contains(note, onTexts) {
				t.Errorf("%v: %v", o["method"], o["note"])
			}
			continue
		}
		sum, n := 0.0, 0
		for _, f := range files {
			if f["method"] == o["method"] {
				sum += f["auroc"].(float64)
				n++
			}
		}
		// Anomalies lie six deviations away in every column: any detector must see them, one of few directions most of them.
		if got := o["auroc"].(map[string]any)["value"].(float64); n != 2 || math.Abs(got-sum/2) > 1e-12 || got < 0.8 {
			t.Errorf("%v: mean %v over %d files, by file %v", o["method"], got, n, sum/2)
		}
	}
	write(t, "tasks/third.csv", "a,b,c,d,y\n1,2,3,4,0\n1,2,3,5,7\n")
	refused(t, 1, []string{"third.csv", "row 2", `"7"`}, args...)
	if err := os.Mkdir("none", 0o777); err != nil {
		t.Fatal(err)
	}
	refused(t, 1, []string{"none", "no tables"}, "compare", "detect", "--folder", "none")
}

func TestMeanOfFiles(t *testing.T) {
	// One file: the interval is over its seeds. Resampling two values with replacement gives their means 0, ½, 1 with
	// probability ¼, ½, ¼, so the middle 95 % is [0, 1].
	v, err := meanOfFiles([][]float64{{0, 1}})
	if err != nil || v.Value != 0.5 || v.Low != 0 || v.High != 1 {
		t.Errorf("one file: %+v, %v", v, err)
	}
	// Seeds that agree leave the files: four values, mean 0.25; all four draws on the same file have probability 4/256 < 2.5 %.
	v, err = meanOfFiles([][]float64{{1, 1}, {0, 0}, {0, 0}, {0, 0}})
	if err != nil || v.Value != 0.25 || v.Low != 0 || v.High != 0.75 {
		t.Errorf("four files: %+v, %v", v, err)
	}
	if _, err := meanOfFiles(nil); err == nil {
		t.Error("no files have a mean")
	}
}

func TestComparePredictions(t *testing.T) {
	for _, family := range newEnv(t.Context(), specs(), nil, nil, nil).families() {
		e := newEnv(t.Context(), specs(), nil, nil, nil)
		if verbs := common(e.family(family)); len(verbs) == 0 || verbs[len(verbs)-1] != "predict" {
			continue
		}
		t.Run(family, func(t *testing.T) {
			fixture(t)
			for _, o := range parsed(t, "compare", family, "--train", "train.csv", "--in", "new.csv", "--label", "y", "--report", "page.html") {
				if note, ok := o["note"].(string); ok {
					two := slices.ContainsFunc(e.family(family), func(s method.Spec) bool { return s.ID() == o["method"] && s.TwoClasses })
					if !two || !strings.Contains(note, "two classes") { // the rows have three
						t.Errorf("%v: %v", o["method"], note)
					}
					continue
				}
				// Class means lie 4√2 apart: the best possible accuracy is above 0.99, and 40 rows leave 0.9 to be exceeded.
				if a := o["accuracy"].(map[string]any)["value"].(float64); a < 0.9 {
					t.Errorf("%v: accuracy %v", o["method"], a)
				}
			}
			if page := read(t, "page.html"); !strings.Contains(page, "<svg") || !strings.Contains(page, family) {
				t.Error("the report has no plot or no methods")
			}
		})
	}
}

func TestCompareUsage(t *testing.T) {
	fixture(t)
	for _, c := range []struct {
		words []string
		args  []string
	}{
		{[]string{"FAMILY is missing"}, []string{"compare"}},
		{[]string{`"detekt"`, "detect"}, []string{"compare", "detekt"}},
		{[]string{"--train FILE is missing"}, []string{"compare", "detect"}},
		{[]string{"--ood FILE is missing"}, []string{"compare", "detect", "--train", "train.csv", "--in", "new.csv"}},
		{[]string{"--folder and --train"}, []string{"compare", "detect", "--train", "train.csv", "--folder", "tasks"}},
		{[]string{"--split 1"}, []string{"compare", "detect", "--folder", "tasks", "--split", "1"}},
		{[]string{"--seeds 0"}, []string{"compare", "detect", "--folder", "tasks", "--seeds", "0"}},
		{[]string{"--head nosuch"}, []string{"compare", "detect", "--train", "train.csv", "--in", "new.csv", "--ood", "ood.csv", "--head", "nosuch"}},
	} {
		refused(t, 2, append(c.words, "--help"), c.args...)
	}
}

func TestListingForms(t *testing.T) {
	l := &listing{columns: []column{{name: "method"}, {name: "auroc", title: "AUROC %", percent: true}, {name: "rows"}, {name: "note"}}}
	l.add("detect/x", metric.Estimate{Value: 0.93414, Low: 0.9, High: 0.95, Level: 0.95}, 7, nil)
	l.add("detect/longer", nil, 123, "a\treason\n")
	for _, c := range []struct {
		e    env
		want string
	}{
		{env{}, "method\tauroc\tauroc_low\tauroc_high\trows\tnote\ndetect/x\t0.93414\t0.9\t0.95\t7\t\ndetect/longer\t\t\t\t123\ta reason \n"},
		{env{outTerminal: true, width: 80}, "METHOD                      AUROC %  ROWS  NOTE\ndetect/x       93.41 [90.00, 95.00]     7  –\ndetect/longer                     –   123  a reason \n"},
		{env{outTerminal: true, width: 40}, "METHOD             AUROC %  ROWS  NOTE\ndetect/x       93.41 ±3.41     7  –\ndetect/longer            –   123  a reason \n"},
	} {
		var b strings.Builder
		c.e.stdout = &b
		if err := c.e.print(l); err != nil || b.String() != c.want {
			t.Errorf("width %d: %v\n%s\nwant\n%s", c.e.width, err, b.String(), c.want)
		}
	}
	var b strings.Builder
	e := env{stdout: &b, json: true}
	l.rows[0][1] = metric.Estimate{Value: 0.5, Low: math.Inf(-1), High: math.Inf(1), Level: 0.95}
	if err := e.print(l); err != nil {
		t.Fatal(err)
	}
	var list []map[string]any
	if err := json.Unmarshal([]byte(b.String()), &list); err != nil {
		t.Fatal(err)
	}
	if v := list[0]["auroc"].(map[string]any); v["value"] != 0.5 || v["low"] != nil || v["high"] != nil {
		t.Errorf("an unbounded side is %v, want null", v)
	}
	if list[1]["auroc"] != nil || list[1]["rows"] != 123.0 {
		t.Errorf("%v", list[1])
	}
}

// With the network's own last layer in a file, logits and weights are those that the network has, labels or not.
func TestCompareWithAHeadInAFile(t *testing.T) {
	fixture(t)
	args := []string{"compare", "detect", "--train", "train.csv", "--in", "new.csv", "--ood", "ood.csv", "--ignore", "y", "--head"}
	for _, o := range parsed(t, append(args, "head.safetensors")...) {
		if note := o["note"]; note != nil && !strings.Contains(note.(string), "labels needed") && !strings.Contains(note.(string), onTexts) {
			t.Errorf("%v: %v", o["method"], note)
		}
	}
	if r := gimbal("fit", "detect/vim", "--train", "train.csv", "--label", "y", "--head", "head.safetensors", "-o", "vim.gimbal"); r.code != 0 {
		t.Fatal(r.errOut)
	}
	in, ood := scored(t, "vim.gimbal", "new.csv"), scored(t, "vim.gimbal", "ood.csv")
	wins := 0.0
	for _, a := range in {
		for _, b := range ood {
			if b > a {
				wins++
			}
		}
	}
	want := wins / float64(len(in)*len(ood))
	for _, o := range parsed(t, append(args, "head.safetensors")...) {
		if o["method"] == "detect/vim" {
			if got := o["auroc"].(map[string]any)["value"].(float64); math.Abs(got-want) > 1e-12 {
				t.Errorf("AUROC %v, by fit and score %v", got, want)
			}
		}
	}
	refused(t, 2, []string{"nosuch.safetensors", "neither a file nor a method"}, append(args, "nosuch.safetensors")...)
	for _, o := range parsed(t, append(args, "train.moments")...) {
		if note, _ := o["note"].(string); o["method"] == "detect/maxlogit" && !strings.Contains(note, "train.moments") {
			t.Errorf("a file without a last layer: %v", o)
		}
	}
}

// scored reads the scores that a model gives to a file's rows.
func scored(t *testing.T, model, in string) (all []float64) {
	t.Helper()
	for _, o := range parsed(t, "score", model, "--in", in, "--label", "y") {
		all = append(all, o["ood_score"].(float64))
	}
	return all
}

// TestCompareSaysWhatAPlaneTells: beside the detectors stands how well a plane does that has seen both kinds of rows.
func TestCompareSaysWhatAPlaneTells(t *testing.T) {
	fixture(t)
	r := gimbal("compare", "detect", "--train", "train.csv", "--in", "new.csv", "--ood", "ood.csv", "--ood", "more.csv", "--label", "y")
	if r.code != 0 || !strings.Contains(r.errOut, "ood.csv: a plane that was shown rows of both tells it from --in with AUROC 100.00 [") || !strings.Contains(r.errOut, "more.csv: a plane") {
		t.Errorf("exit %d, %q", r.code, r.errOut)
	}
}

func TestSampleKeepsEveryRowAsLikely(t *testing.T) {
	const n = 3 * sampleRows
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i)
	}
	table, err := data.NewTable(n, 1, x)
	if err != nil {
		t.Fatal(err)
	}
	s := &sample{Source: table}
	for range 2 { // a second pass starts again
		for _, err := range s.Blocks(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	mean := 0.0
	for _, v := range s.x {
		mean += float64(v) / sampleRows
	}
	// Of 0 … 3m−1, m are drawn: the mean's deviation is 3m/√12·√(2/3)/√m.
	if want, spread := float64(n-1)/2, 3*sampleRows/math.Sqrt(12*1.5*sampleRows); len(s.x) != sampleRows || math.Abs(mean-want) > 4*spread {
		t.Errorf("%d rows with mean %v, want %d with %v ± %v", len(s.x), mean, sampleRows, want, spread)
	}
}
