package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// split writes some rows of a CSV file with a header to two others: those that keep chooses, and the rest.
func split(t *testing.T, from, kept, rest string, keep func(i int) bool) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	a, b := lines[0], lines[0]
	for i, l := range lines[1:] {
		if keep(i) {
			a += l
		} else {
			b += l
		}
	}
	for name, text := range map[string]string{kept: a, rest: b} {
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGuardForgetsToTheByte(t *testing.T) {
	fixture(t)
	split(t, "train.csv", "gone.csv", "left.csv", func(i int) bool { return i%9 == 4 })
	must(t, "guard", "fit", "--train", "train.csv", "--label", "y", "--alpha", "0.1", "-o", "whole.gimbal")
	must(t, "guard", "forget", "whole.gimbal", "--rows", "gone.csv", "--label", "y", "-o", "forgot.gimbal")
	must(t, "guard", "fit", "--train", "left.csv", "--label", "y", "--like", "whole.gimbal", "-o", "never.gimbal")
	must(t, "guard", "update", "never.gimbal", "--in", "gone.csv", "--label", "y", "-o", "again.gimbal")
	files := map[string][]byte{}
	for _, name := range []string{"whole", "forgot", "never", "again"} {
		text, err := os.ReadFile(name + ".gimbal")
		if err != nil {
			t.Fatal(err)
		}
		files[name] = text
	}
	if !bytes.Equal(files["forgot"], files["never"]) {
		t.Error("the file after forgetting is not that of a fit that never saw the rows")
	}
	if bytes.Equal(files["forgot"], files["whole"]) || !bytes.Equal(files["whole"], files["again"]) {
		t.Error("forgetting changed nothing, or learning again does not lead back")
	}
	refused(t, exitFailed, []string{"cannot forget"}, "guard", "forget", "forgot.gimbal", "--rows", "train.csv", "--label", "y", "-o", "x.gimbal")
	refused(t, exitFailed, []string{"--label"}, "guard", "update", "whole.gimbal", "--in", "gone.csv", "--ignore", "y", "-o", "x.gimbal")
	refused(t, exitUsage, []string{"--alpha", "--like"}, "guard", "fit", "--train", "left.csv", "--label", "y", "--like", "whole.gimbal", "--alpha", "0.2", "-o", "x.gimbal")
	refused(t, exitUsage, []string{"calibration rows"}, "guard", "run", "whole.gimbal", "--in", "left.csv", "--label", "y", "--alpha", "0.00001")
}

func TestGuardStreamGoesOnFromRunToRun(t *testing.T) {
	fixture(t)
	must(t, "guard", "fit", "--train", "train.csv", "--label", "y", "--alpha", "0.1", "-o", "g.gimbal")
	split(t, "new.csv", "first.csv", "second.csv", func(i int) bool { return i < 20 })
	type outcome struct {
		Rows     int     `json:"rows"`
		Stream   int     `json:"stream_rows"`
		Evidence float64 `json:"evidence"`
		Drift    bool    `json:"drift"`
	}
	run := func(args ...string) (o outcome) {
		t.Helper()
		text := must(t, append([]string{"guard", "run", "g.gimbal", "--label", "y", "--json", "-o", "d.csv"}, args...)...)
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			t.Fatal(err, text)
		}
		return o
	}
	first := run("--in", "first.csv", "--stream", "s")
	second := run("--in", "second.csv", "--stream", "s")
	whole := run("--in", "first.csv", "--in", "second.csv")
	if first.Stream != 20 || second.Stream != whole.Rows || second.Evidence != whole.Evidence {
		t.Errorf("two runs %+v and %+v, one run %+v", first, second, whole)
	}
	// A stream of one strange row again and again must ring, and gate.
	text, _ := os.ReadFile("first.csv")
	lines := strings.SplitAfter(string(text), "\n")
	cells := strings.Split(strings.TrimSpace(lines[1]), ",")
	header := strings.Split(strings.TrimSpace(lines[0]), ",")
	for j := range cells {
		if header[j] != "y" && header[j] != "id" && !strings.Contains(header[j], "name") {
			cells[j] = "50"
		}
	}
	strange := lines[0] + strings.Repeat(strings.Join(cells, ",")+"\n", 200)
	if err := os.WriteFile("strange.csv", []byte(strange), 0o666); err != nil {
		t.Fatal(err)
	}
	r := gimbal("guard", "run", "g.gimbal", "--in", "strange.csv", "--label", "y", "--fail-on-drift", "-o", "d.csv")
	if r.code != exitGate || !strings.Contains(r.errOut, "drift alarm rang") {
		t.Errorf("exit %d: %s", r.code, r.errOut)
	}
	decisions, err := os.ReadFile("d.csv")
	if err != nil || !strings.HasPrefix(string(decisions), "label,probability,ood_score,p_value,accept\n") || strings.Contains(string(decisions), "true") {
		t.Errorf("decisions: %v %.200s", err, decisions)
	}
	must(t, "guard", "update", "g.gimbal", "--in", "second.csv", "--label", "y", "-o", "g.gimbal")
	refused(t, exitFailed, []string{"another calibration sample"}, "guard", "run", "g.gimbal", "--in", "first.csv", "--label", "y", "--stream", "s")
}

func TestDemoTellsItsStory(t *testing.T) {
	if testing.Short() {
		t.Skip("plays the whole story")
	}
	t.Chdir(t.TempDir())
	text := must(t, "demo")
	if strings.Count(text, "kept  ") != 8 {
		t.Errorf("the story: %s", text)
	}
	page, err := os.ReadFile("gimbal-report.html")
	if err != nil || !strings.Contains(string(page), "Every promise was kept") {
		t.Errorf("the report: %v", err)
	}
}
