package cli

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestPreprocess: the grid of sizes and normalisations, the network's own marked once, and the controls.
func TestPreprocess(t *testing.T) {
	fixture(t)
	r := must(t, "preprocess", "--model", "net.safetensors", "--in", "images", "--json")
	var rows []struct {
		Encoder, Size, Normalize string
		Own                      bool
		Features                 int
		Accuracy                 struct{ Value, Low, High float64 }
	}
	if err := json.Unmarshal([]byte(r), &rows); err != nil {
		t.Fatalf("%v\n%s", err, r)
	}
	own, controls := 0, 0
	for _, row := range rows {
		if row.Own {
			own++
			if row.Normalize != "network" || row.Size != "8x8" {
				t.Errorf("own is %+v", row)
			}
		}
		if strings.HasPrefix(row.Encoder, "control") {
			controls++
		}
		if row.Accuracy.Value < row.Accuracy.Low || row.Accuracy.Value > row.Accuracy.High {
			t.Errorf("accuracy %+v", row)
		}
	}
	if own != 1 || controls != 2 || len(rows) < 7 {
		t.Errorf("%d rows, %d own, %d controls:\n%s", len(rows), own, controls, r)
	}
	refused(t, 2, []string{"--model"}, "preprocess", "--in", "images")
	refused(t, 2, []string{`"smooth"`}, "preprocess", "--model", "net.safetensors", "--in", "images", "--resize", "smooth")
	refused(t, 1, []string{"no such file"}, "preprocess", "--model", "net.safetensors", "--in", "nowhere")
}
