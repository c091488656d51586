package cli

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/method"
)

// fit fits a method on the fixture's tables.
func fit(t *testing.T, s method.Spec, out string, more ...string) {
	t.Helper()
	args := []string{"fit", s.ID()}
	for _, slot := range s.Inputs {
		if !slot.Optional {
			flag := slotFlag(slot)
			args = append(args, "--"+flag, map[bool]string{true: "train.csv", false: flag + ".csv"}[flag == "train"])
		}
	}
	must(t, append(append(args, "--label", "y", "-o", out), more...)...)
}

// having is the first method that has a verb and learns from a plain table.
func having(t *testing.T, verb string) method.Spec {
	t.Helper()
	for _, s := range specs() {
		if s.Can(verb) && len(s.Inputs) == 1 && s.Inputs[0].Name == "in" && !s.TwoClasses {
			return s
		}
	}
	t.Skipf("no method can %s", verb)
	return method.Spec{}
}

func TestFitFromMomentsIsFitFromRows(t *testing.T) {
	for _, s := range specs() {
		if !s.FitsMoments() {
			continue
		}
		t.Run(s.ID(), func(t *testing.T) {
			fixture(t)
			fit(t, s, "rows.gimbal")
			args := []string{"moments", "train.csv", "--label", "y", "-o", "m.moments"}
			if s.Needs.Options().PerClass {
				args = append(args, "--per-class")
			}
			must(t, args...)
			must(t, "fit", s.ID(), "--moments", "m.moments", "-o", "moments.gimbal")
			sameFile(t, "rows.gimbal", "moments.gimbal")
		})
	}
}

// numbers parses a column of tab-separated output.
func numbers(t *testing.T, text, name string) []float64 {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	j := slices.Index(strings.Split(lines[0], "\t"), name)
	if j < 0 {
		t.Fatalf("no column %q in %q", name, lines[0])
	}
	var out []float64
	for _, line := range lines[1:] {
		v, err := strconv.ParseFloat(strings.Split(line, "\t")[j], 64)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

func TestScoreForms(t *testing.T) {
	fixture(t)
	fit(t, having(t, "score"), "m.gimbal")
	known := numbers(t, must(t, "score", "m.gimbal", "--in", "new.csv", "--label", "y"), "ood_score")
	unknown := numbers(t, must(t, "score", "m.gimbal", "--in", "ood.csv", "--label", "y"), "ood_score")
	if len(known) != 40 || slices.Max(known) >= slices.Min(unknown) {
		t.Errorf("%d scores, the known rows' largest is %v, the unknown rows' smallest %v", len(known), slices.Max(known), slices.Min(unknown))
	}
	turned := numbers(t, must(t, "score", "m.gimbal", "--in", "new.csv", "--label", "y", "--higher", "id"), "id_score")
	for i := range turned {
		if turned[i] != -known[i] {
			t.Fatalf("row %d: id_score %v, ood_score %v", i+1, turned[i], known[i])
		}
	}
	if both := numbers(t, must(t, "score", "m.gimbal", "--in", "new.csv", "--in", "ood.csv", "--label", "y"), "ood_score"); !slices.Equal(both, slices.Concat(known, unknown)) {
		t.Error("two files are not scored as one")
	}
	r := gimbalIn(t.Context(), strings.NewReader(read(t, "new.csv")), "score", "m.gimbal", "--in", "-", "--label", "y")
	if !slices.Equal(numbers(t, r.out, "ood_score"), known) {
		t.Errorf("a pipe scores differently: %s", r.errOut)
	}
	var list []map[string]float64
	if err := json.Unmarshal([]byte(must(t, "score", "m.gimbal", "--in", "new.csv", "--label", "y", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	for i, o := range list {
		if o["ood_score"] != known[i] || len(o) != 1 {
			t.Fatalf("JSON row %d: %v, want %v", i+1, o, known[i])
		}
	}
	must(t, "score", "m.gimbal", "--in", "new.csv", "--label", "y", "-o", "scores.tsv")
	if got := numbers(t, read(t, "scores.tsv"), "ood_score"); !slices.Equal(got, known) {
		t.Error("a file holds other scores")
	}
}

func TestScoreCarriesIDsAndFindsColumns(t *testing.T) {
	fixture(t)
	fit(t, having(t, "score"), "m.gimbal")
	want := numbers(t, must(t, "score", "m.gimbal", "--in", "new.csv", "--label", "y"), "ood_score")
	// The columns in another order, among others that are no features, found by the names that the model was fitted on.
	var rows []string
	for i, row := range body(t, "new.csv") {
		c := strings.Split(row, ",")
		rows = append(rows, strings.Join([]string{c[3], "note " + strconv.Itoa(i), c[1], c[0], c[2], "id" + strconv.Itoa(i)}, ","))
	}
	if err := writeLines("mixed.csv", "d,remark,b,a,c,name", rows); err != nil {
		t.Fatal(err)
	}
	out := must(t, "score", "m.gimbal", "--in", "mixed.csv", "--id", "name")
	if got := numbers(t, out, "ood_score"); !slices.Equal(got, want) {
		t.Errorf("scores %v, want %v", got[:3], want[:3])
	}
	if !strings.HasPrefix(out, "name\tood_score\nid0\t") {
		t.Errorf("ids do not go along: %.40q", out)
	}
	// From a pipe too, and a pipe without names is taken as it is; both also packed.
	var bare []string
	for _, row := range body(t, "new.csv") {
		bare = append(bare, row[:strings.LastIndexByte(row, ',')])
	}
	for name, text := range map[string]string{"named": read(t, "mixed.csv"), "bare": strings.Join(bare, "\n") + "\n"} {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		z.Write([]byte(text))
		z.Close()
		for _, in := range []string{text, packed.String()} {
			r := gimbalIn(t.Context(), strings.NewReader(in), "score", "m.gimbal", "--in", "-")
			if r.code != 0 || !slices.Equal(numbers(t, r.out, "ood_score"), want) {
				t.Errorf("%s pipe: exit %d: %s", name, r.code, r.errOut)
			}
		}
	}
}

func TestPredictAgainstCounts(t *testing.T) {
	fixture(t)
	s := having(t, "predict")
	fit(t, s, "m.gimbal")
	// Predicted classes taken as the truth for all rows but the first five make 35 of 40 right.
	out := strings.Split(strings.TrimSpace(must(t, "predict", "m.gimbal", "--in", "new.csv", "--label", "y", "--probabilities", "--quiet")), "\n")
	if out[0] != "label\tprobability\tp_ant\tp_bee\tp_cat" {
		t.Fatalf("columns %q", out[0])
	}
	rows := body(t, "new.csv")
	nll := 0.0
	for i, line := range out[1:] {
		cells := strings.Split(line, "\t")
		label := cells[0]
		if i < 5 {
			label = map[string]string{"ant": "bee", "bee": "cat", "cat": "ant"}[label]
		}
		rows[i] = rows[i][:strings.LastIndexByte(rows[i], ',')+1] + label
		p, err := strconv.ParseFloat(cells[2+slices.Index([]string{"ant", "bee", "cat"}, label)], 64)
		if err != nil {
			t.Fatal(err)
		}
		nll -= math.Log(p) / 40
	}
	if err := writeLines("truth.csv", header, rows); err != nil {
		t.Fatal(err)
	}
	var o map[string]any
	if err := json.Unmarshal([]byte(must(t, "predict", "m.gimbal", "--in", "truth.csv", "--label", "y", "-o", "p.csv", "--json")), &o); err != nil {
		t.Fatal(err)
	}
	if o["rows"] != 40.0 || o["compared_rows"] != 40.0 {
		t.Errorf("%v of %v rows compared", o["compared_rows"], o["rows"])
	}
	accuracy := o["accuracy"].(map[string]any)
	if accuracy["value"] != 0.875 || !(accuracy["low"].(float64) < 0.875 && accuracy["high"].(float64) > 0.875) {
		t.Errorf("accuracy %v, want 35/40 inside its interval", accuracy)
	}
	// Probabilities are printed as float32: seven digits.
	if got := o["nll"].(map[string]any)["value"].(float64); math.Abs(got-nll) > 1e-5*nll {
		t.Errorf("nll %v, want %v", got, nll)
	}
	if r := gimbal("predict", "m.gimbal", "--in", "truth.csv", "--label", "y"); !strings.Contains(r.errOut, "accuracy 87.50 [") {
		t.Errorf("no accuracy among the talk: %s", r.errOut)
	}
}

func TestPredictUnknownClass(t *testing.T) {
	fixture(t)
	fit(t, having(t, "predict"), "m.gimbal")
	rows := body(t, "new.csv")
	rows[6] = rows[6][:strings.LastIndexByte(rows[6], ',')+1] + "dragonfly"
	if err := writeLines("dragon.csv", header, rows); err != nil {
		t.Fatal(err)
	}
	refused(t, 1, []string{"dragon.csv", "row 7", `"dragonfly"`, "ant, bee, cat", "--unknown"},
		"predict", "m.gimbal", "--in", "dragon.csv", "--label", "y", "-o", "p.csv")
	var o map[string]any
	if err := json.Unmarshal([]byte(must(t, "predict", "m.gimbal", "--in", "dragon.csv", "--label", "y", "--unknown", "-o", "p.csv", "--json")), &o); err != nil {
		t.Fatal(err)
	}
	if o["unknown_class_rows"] != 1.0 || o["compared_rows"] != 39.0 {
		t.Errorf("unknown %v, compared %v", o["unknown_class_rows"], o["compared_rows"])
	}
}

func TestUpdateThenForgetIsTheOldModel(t *testing.T) {
	tried := 0
	for _, s := range specs() {
		if !s.Can("update") || !s.Can("forget") {
			continue
		}
		tried++
		t.Run(s.ID(), func(t *testing.T) {
			fixture(t)
			fit(t, s, "m.gimbal")
			before := read(t, "m.gimbal")
			must(t, "update", "m.gimbal", "--in", "more.csv", "--label", "y", "-o", "m.gimbal")
			if read(t, "m.gimbal") == before {
				t.Error("updating changed nothing")
			}
			must(t, "forget", "m.gimbal", "--in", "more.csv", "--label", "y", "-o", "m.gimbal")
			if read(t, "m.gimbal") != before {
				t.Error("forgetting what was learned does not give the old file")
			}
		})
	}
	if tried == 0 {
		t.Skip("no method can update and forget")
	}
}

func TestModelFilesRefused(t *testing.T) {
	fixture(t)
	s := having(t, "score")
	fit(t, s, "m.gimbal")
	whole := read(t, "m.gimbal")
	write(t, "half.gimbal", whole[:len(whole)/2])
	write(t, "empty.gimbal", "")
	broken := []byte(whole)
	broken[len(broken)-9] ^= 1
	write(t, "broken.gimbal", string(broken))
	write(t, "foreign.gimbal", strings.Replace(whole, s.ID(), strings.Repeat("x", len(s.ID())), 1))
	write(t, "future.gimbal", strings.Replace(whole, `"version":"1"`, `"version":"9"`, 1))
	for file, words := range map[string][]string{
		"half.gimbal": nil, "empty.gimbal": nil, "broken.gimbal": {"damaged"}, "foreign.gimbal": nil, "future.gimbal": {`version "9"`},
		"train.moments": {"moments", "--moments"}, "a.safetensors": {"no Gimbal state"}, "train.csv": nil, "nothing.gimbal": {"no such file"},
	} {
		refused(t, 1, append(words, file), "score", file, "--in", "new.csv", "--label", "y")
	}
	refused(t, 1, []string{"m.gimbal", "score, predict"}, "moments", "show", "m.gimbal")
}
