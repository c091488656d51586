package cli

import (
	"os"
	"strings"
	"testing"
)

// TestReliability: the page shows the diagram, and needs labels.
func TestReliability(t *testing.T) {
	fixture(t)
	fit(t, having(t, "predict"), "m.gimbal")
	must(t, "predict", "m.gimbal", "--in", "new.csv", "--label", "y", "--reliability", "r.html")
	text, err := os.ReadFile("r.html")
	if err != nil || !strings.Contains(string(text), "Reliability diagram") || !strings.Contains(string(text), "calibrated") {
		t.Errorf("%v: %.300s", err, text)
	}
	refused(t, 2, []string{"--label"}, "predict", "m.gimbal", "--in", "new.csv", "--reliability", "q.html")
}
