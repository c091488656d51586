package cli

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestDriftGate: every method that tests or watches says yes to rows like its reference, and exits with 3 for others.
func TestDriftGate(t *testing.T) {
	fixture(t)
	for _, s := range specs() {
		for _, verb := range []string{"test", "watch"} {
			if !s.Can(verb) || len(s.Inputs) != 1 || s.Inputs[0].Name != "in" {
				continue
			}
			fit(t, s, "m.gimbal")
			must(t, verb, "m.gimbal", "--in", "new.csv", "--label", "y")
			args := []string{verb, "m.gimbal", "--in", "ood.csv", "--label", "y", "--json"}
			if verb == "watch" { // a change needs something to change from
				args = append([]string{verb, "m.gimbal", "--in", "new.csv"}, args[2:]...)
			}
			r := gimbal(args...)
			var o map[string]any
			if err := json.Unmarshal([]byte(r.out), &o); err != nil || r.code != exitGate || o["drift"] != true || o["method"] != s.ID() {
				t.Errorf("%s %s on shifted rows: exit %d, %v, %s %s", s.ID(), verb, r.code, err, r.out, r.errOut)
			}
			if !strings.Contains(r.errOut, "ood.csv: drift: ") {
				t.Errorf("%s %s: %s", s.ID(), verb, r.errOut)
			}
			write(t, "narrow.csv", "a,b,c,y\n1,2,3,ant\n")
			refused(t, 1, []string{"narrow.csv", "wrong shape"}, verb, "m.gimbal", "--in", "narrow.csv", "--label", "y")
		}
	}
	must(t, "fit", "detect/mahalanobis", "--train", "train.csv", "--label", "y", "-o", "m.gimbal")
	refused(t, 1, []string{"m.gimbal", "cannot test"}, "test", "m.gimbal", "--in", "new.csv", "--label", "y")
	refused(t, 1, []string{"m.gimbal", "cannot watch"}, "watch", "m.gimbal", "--in", "new.csv", "--label", "y")
	refused(t, 2, []string{"--in"}, "test", "m.gimbal")
}

// TestWatchGoesOn: rows in two runs are the same stream as rows in one.
func TestWatchGoesOn(t *testing.T) {
	fixture(t)
	fit(t, having(t, "watch"), "m.gimbal")
	must(t, "watch", "m.gimbal", "--in", "new.csv", "--in", "more.csv", "--label", "y", "--stream", "one.stream")
	must(t, "watch", "m.gimbal", "--in", "new.csv", "--label", "y", "--stream", "two.stream")
	must(t, "watch", "m.gimbal", "--in", "more.csv", "--label", "y", "--stream", "two.stream")
	sameFile(t, "one.stream", "two.stream")
	write(t, "broken.stream", "{")
	refused(t, 1, []string{"broken.stream", "not a saved stream"}, "watch", "m.gimbal", "--in", "new.csv", "--label", "y", "--stream", "broken.stream")
	must(t, "fit", having(t, "watch").ID(), "--train", "more.csv", "--label", "y", "-o", "other.gimbal")
	refused(t, 1, []string{"one.stream", "another model"}, "watch", "other.gimbal", "--in", "new.csv", "--label", "y", "--stream", "one.stream")
}
