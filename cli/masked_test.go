package cli

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// Every method on logits takes −Inf for a class that is masked out, when it is fitted and when it is asked; a method on
// features names its place.
func TestLogitsMayBeMasked(t *testing.T) {
	fixture(t)
	r := rand.New(rand.NewPCG(71, 1))
	var b strings.Builder
	b.WriteString("ant,bee,cat,y\n")
	for i := range 240 {
		z := []string{}
		for c := range 3 {
			v := 0.8 * r.NormFloat64()
			if c == i%3 {
				v += 1.5
			}
			z = append(z, fmt.Sprintf("%.4f", v))
		}
		if i%4 == 0 {
			z[(i+1)%3] = "-inf" // never the row's own class
		}
		fmt.Fprintf(&b, "%s,%s\n", strings.Join(z, ","), []string{"ant", "bee", "cat"}[i%3])
	}
	write(t, "logits.csv", b.String())
	tried := 0
	for _, s := range specs() {
		if len(s.Inputs) != 1 || s.Inputs[0].Name != logitSlot {
			continue
		}
		tried++
		fit(t, s, "m.gimbal")
		for _, verb := range []string{"score", "predict", "sets", "test"} {
			if !s.Can(verb) {
				continue
			}
			out := gimbal(verb, "m.gimbal", "--in", "logits.csv", "--label", "y")
			if out.code != 0 && out.code != 3 || strings.Contains(out.out, "NaN") || strings.Contains(out.out, "Inf") {
				t.Errorf("%s %s: exit %d: %s%.300s", verb, s.ID(), out.code, out.errOut, out.out)
			}
		}
	}
	if tried < 10 {
		t.Errorf("%d methods take logits", tried)
	}
	refused(t, 1, []string{"logits.csv", `column "bee"`, "finite"}, "fit", having(t, "score").ID(), "--train", "logits.csv", "--label", "y", "-o", "x.gimbal")
}
