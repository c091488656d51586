package cli

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestProbeAdvise(t *testing.T) {
	fixture(t)
	args := []string{"probe", "advise", "--train", "train.csv", "--label", "y", "--splits", "3"}
	var advice map[string]any
	if err := json.Unmarshal([]byte(must(t, append(args, "--json")...)), &advice); err != nil {
		t.Fatal(err)
	}
	points := advice["points"].([]any)
	before := 0.0
	for _, p := range points {
		rows := p.(map[string]any)["rows"].(float64)
		if rows <= before {
			t.Errorf("%v rows after %v", rows, before)
		}
		before = rows
	}
	if choice := advice["recommended"]; choice != "probe/naivebayes" && choice != "probe/logistic" {
		t.Errorf("recommended: %v", choice)
	}
	r := gimbal(args...)
	if r.code != 0 || !strings.Contains(r.errOut, "recommended for ") || !strings.Contains(r.errOut, "sure") {
		t.Errorf("exit %d, standard error %q", r.code, r.errOut)
	}
	if must(t, append(args, "--threads", "1")...) != r.out {
		t.Error("another run prints other bytes")
	}
}

func TestProbeAdviseRefuses(t *testing.T) {
	fixture(t)
	args := []string{"probe", "advise", "--train", "train.csv"}
	for _, c := range []struct{ words, args []string }{
		{[]string{"--label COLUMN is missing"}, nil},
		{[]string{"--splits 1"}, []string{"--label", "y", "--splits", "1"}},
		{[]string{"--rows 5"}, []string{"--label", "y", "--rows", "5"}},
		{[]string{"no method", "probe/nosuch"}, []string{"--label", "y", "--few", "probe/nosuch"}},
		{[]string{"detect/knn", "predict"}, []string{"--label", "y", "--many", "detect/knn"}},
	} {
		refused(t, 2, c.words, append(args, c.args...)...)
	}
}
