package cli

import (
	"strings"
	"testing"
)

func TestChooseRanks(t *testing.T) {
	fixture(t)
	args := []string{"choose", "detect", "--train", "train.csv", "--label", "y", "--splits", "3"}
	list := parsed(t, args...)
	seen, best := map[string]bool{}, 2.0
	for i, o := range list {
		id := o["method"].(string)
		if seen[id] {
			t.Errorf("%s is listed twice without --all", id)
		}
		seen[id] = true
		if o["note"] != nil {
			continue
		}
		value := o["auroc"].(map[string]any)["value"].(float64)
		if value > best {
			t.Errorf("line %d, %s: AUROC %v after %v", i+1, id, value, best)
		}
		best = value
		if o["classes"] == nil || o["permuted"] == nil {
			t.Errorf("%s: no figures for each kind: %v", id, o)
		}
		if !strings.Contains(o["command"].(string), "gimbal fit "+id) || !strings.Contains(o["command"].(string), "-o ") {
			t.Errorf("%s: fitted by %q", id, o["command"])
		}
	}
	for _, s := range specs() {
		if s.Family == "detect" && s.Can("score") && !seen[s.ID()] {
			t.Errorf("%s is not ranked", s.ID())
		}
	}
	if list[0]["tied"] != true || list[0]["behind"].(map[string]any)["value"] != 0.0 {
		t.Errorf("the first is tied with itself, nothing behind: %v", list[0])
	}
	all := parsed(t, append(args, "--all")...)
	if len(all) <= len(list) {
		t.Errorf("--all lists %d settings, without it %d methods", len(all), len(list))
	}
	r := gimbal(args...)
	if r.code != 0 || !strings.Contains(r.errOut, "recommended: gimbal fit "+list[0]["method"].(string)) || !strings.Contains(r.errOut, "sure") {
		t.Errorf("exit %d, standard error %q", r.code, r.errOut)
	}
	if must(t, append(args, "--threads", "1")...) != r.out {
		t.Error("another run prints other bytes")
	}
	if must(t, append(args, "--seed", "1")...) == r.out {
		t.Error("another seed prints the same bytes")
	}
}

// TestChooseRecommendsWhatRuns fits the recommended method with the words it was recommended with.
func TestChooseRecommendsWhatRuns(t *testing.T) {
	fixture(t)
	list := parsed(t, "choose", "detect", "--train", "train.csv", "--label", "y", "--splits", "2")
	for _, o := range list {
		words := strings.Fields(o["command"].(string))
		if o["note"] != nil || strings.Contains(o["command"].(string), "HEAD") || strings.Contains(o["command"].(string), "LOGITS") {
			continue
		}
		must(t, words[1:]...)
		return
	}
	t.Error("nothing to fit")
}

func TestChooseRefuses(t *testing.T) {
	fixture(t)
	for _, c := range []struct{ words, args []string }{
		{[]string{"FAMILY is missing"}, []string{"choose"}},
		{[]string{`"detekt"`, "detect"}, []string{"choose", "detekt"}},
		{[]string{"probe", "score"}, []string{"choose", "probe", "--train", "train.csv"}},
		{[]string{"--train FILE is missing"}, []string{"choose", "detect"}},
		{[]string{"--splits 1"}, []string{"choose", "detect", "--train", "train.csv", "--splits", "1"}},
		{[]string{"--rows 5"}, []string{"choose", "detect", "--train", "train.csv", "--rows", "5"}},
		{[]string{"--head nosuch"}, []string{"choose", "detect", "--train", "train.csv", "--head", "nosuch"}},
	} {
		refused(t, 2, c.words, c.args...)
	}
}
