package cli

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestSets: every method with sets writes them, and measures coverage over all rows and for each class.
func TestSets(t *testing.T) {
	fixture(t)
	tried := 0
	for _, s := range specs() {
		if !s.Can("sets") || len(s.Inputs) != 1 || s.Inputs[0].Name != "logits" {
			continue
		}
		tried++
		fit(t, s, "m.gimbal")
		out := must(t, "sets", "m.gimbal", "--in", "logits.csv", "--label", "y", "--membership", "-o", "sets.csv", "--json")
		var o struct {
			Rows, Labelled_rows int
			Mean_size           float64
			Coverage            struct{ Value, Low, High float64 }
			Classes             []struct {
				Class    string
				Rows     int
				Coverage struct{ Value float64 }
			}
		}
		if err := json.Unmarshal([]byte(out), &o); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if o.Rows != 240 || o.Labelled_rows != 240 || len(o.Classes) != 3 || o.Coverage.Value < 0.85 || o.Coverage.Low > o.Coverage.Value || o.Mean_size <= 0 || o.Mean_size > 3 {
			t.Errorf("%s: %s", s.ID(), out)
		}
		sum := 0.0
		for _, c := range o.Classes {
			sum += c.Coverage.Value * float64(c.Rows) / 240
		}
		if d := sum - o.Coverage.Value; d > 1e-9 || d < -1e-9 {
			t.Errorf("%s: the classes' coverage adds up to %g: %s", s.ID(), sum, out)
		}
		text := gimbal("sets", "m.gimbal", "--in", "logits.csv", "--label", "y")
		if !strings.HasPrefix(text.out, "set\tsize\n") || !strings.Contains(text.errOut, "class ant: the right class is in ") {
			t.Errorf("%s: %.200s %s", s.ID(), text.out, text.errOut)
		}
		write(t, "strange.csv", "ant,bee,cat,y\n1,2,3,yak\n")
		refused(t, 1, []string{"row 1", `"yak"`, "--unknown"}, "sets", "m.gimbal", "--in", "strange.csv", "--label", "y")
		must(t, "sets", "m.gimbal", "--in", "strange.csv", "--label", "y", "--unknown")
		write(t, "narrow.csv", "ant,bee,y\n1,2,ant\n")
		refused(t, 1, []string{"narrow.csv", "wrong shape"}, "sets", "m.gimbal", "--in", "narrow.csv", "--label", "y")
	}
	if tried == 0 {
		t.Error("no method has sets")
	}
	must(t, "fit", "detect/mahalanobis", "--train", "train.csv", "--label", "y", "-o", "m.gimbal")
	refused(t, 1, []string{"m.gimbal", "cannot sets"}, "sets", "m.gimbal", "--in", "new.csv", "--label", "y")
}
