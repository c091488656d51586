package part

import (
	"math"
	"slices"
	"testing"
)

func TestHashText(t *testing.T) {
	row := func(text string) []float32 {
		x := make([]float32, 512)
		HashText(x, text)
		return x
	}
	dot := func(a, b []float32) (s float64) {
		for i := range a {
			s += float64(a[i]) * float64(b[i])
		}
		return s
	}
	a := row("please transfer ten dollars to my savings account")
	for range 20 {
		if !slices.Equal(a, row("Please transfer TEN dollars, to my savings account!")) {
			t.Fatal("case, signs or map order change the row")
		}
	}
	if math.Abs(dot(a, a)-1) > 1e-6 {
		t.Errorf("squared length %g", dot(a, a))
	}
	near, far := row("transfer money to savings please"), row("what is the weather in oslo tomorrow")
	if dot(a, near) < dot(a, far)+0.2 {
		t.Errorf("similar text %.3f, other text %.3f", dot(a, near), dot(a, far))
	}
	if slices.ContainsFunc(row("?! …"), func(v float32) bool { return v != 0 }) {
		t.Error("a text without letters is not zero")
	}
}
