package cli

import (
	"fmt"
	"strings"
	"testing"
)

// TestAudit: every method that audits puts planted wrong labels on the list, the worst first, with row, label and reason.
func TestAudit(t *testing.T) {
	fixture(t)
	tried := 0
	for _, s := range specs() {
		if !s.Can("audit") || len(s.Inputs) != 1 {
			continue
		}
		tried++
		flag, columns := slotFlag(s.Inputs[0]), "ant,bee,cat"
		classes := strings.Split(columns, ",")
		text := columns + ",name,y\n"
		for i := range 90 {
			v := []float64{0.1 * float64(i%7), 0.1 * float64(i%5), 0.1 * float64(i%3)}
			v[i%3] += 4
			label := classes[i%3]
			if i == 41 || i == 70 {
				label = classes[(i+1)%3]
				v[i%3]++ // surer than most
			}
			text += fmt.Sprintf("%g,%g,%g,n%d,%s\n", v[0], v[1], v[2], i, label)
		}
		write(t, "rows.csv", text)
		must(t, "fit", s.ID(), "--"+flag, "rows.csv", "--label", "y", "--id", "name", "-o", "m.gimbal")
		out := must(t, "audit", "m.gimbal", "--in", "rows.csv", "--label", "y", "--id", "name")
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if len(lines) != 3 || lines[0] != "row\tname\tlabel\tsuggested\tscore\treason" {
			t.Fatalf("%s: %s", s.ID(), out)
		}
		for _, want := range []string{"42\tn41\tant\tcat\t", "71\tn70\tcat\tbee\t"} {
			if !strings.Contains(out, "\n"+want) {
				t.Errorf("%s: no %q in %s", s.ID(), want, out)
			}
		}
		if short := must(t, "audit", "m.gimbal", "--in", "rows.csv", "--label", "y", "--limit", "1", "--id", "name"); short != lines[0]+"\n"+lines[1]+"\n" {
			t.Errorf("%s: --limit 1: %s", s.ID(), short)
		}
		if o := must(t, "audit", "m.gimbal", "--in", "rows.csv", "--label", "y", "--id", "name", "-o", "review.csv", "--json"); !strings.Contains(o, `"suspect": 2`) {
			t.Errorf("%s: %s", s.ID(), o)
		}
		refused(t, 2, []string{"--label"}, "audit", "m.gimbal", "--in", "rows.csv")
		write(t, "strange.csv", columns+",name,y\n1,2,3,n,yak\n")
		refused(t, 1, []string{"row 1", `"yak"`}, "audit", "m.gimbal", "--in", "strange.csv", "--label", "y", "--id", "name")
	}
	if tried == 0 {
		t.Error("no method audits")
	}
	must(t, "fit", "detect/mahalanobis", "--train", "train.csv", "--label", "y", "-o", "m.gimbal")
	refused(t, 1, []string{"m.gimbal", "cannot audit"}, "audit", "m.gimbal", "--in", "new.csv", "--label", "y")
}
