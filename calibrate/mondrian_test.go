package calibrate_test

import (
	"context"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/calibrate"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleMondrian() {
	// One row of fox is too few for a level of 0.4: fox is in every set.
	exampleSets(calibrate.Mondrian{Level: 0.4}.Fit(context.Background(), calibrate.LogitsInput{Logits: exampleRows()}))
	// Output: [1 0 1] [0 1 1] [cat dog fox]
}

// TestMondrianCoversEveryClass: over seeds each class has its coverage, up to 4 standard errors.
func TestMondrianCoversEveryClass(t *testing.T) {
	const level = 0.1
	var s method.Spec
	for _, m := range calibrate.Methods() {
		if m.ID() == "calibrate/mondrian" {
			s = m
		}
	}
	right, rows := map[string]int{}, map[string]int{}
	for seed := range uint64(250) {
		for _, class := range names[:4] {
			r, all, _ := coverage(t, s, 1000+seed, 80, func(c string) bool { return c == class })
			right[class], rows[class] = right[class]+r, rows[class]+all
		}
	}
	for class, n := range rows {
		if have := float64(right[class]) / float64(n); have < 1-level-4*math.Sqrt(level*(1-level)*(1/float64(n)+1/250./20)) {
			t.Errorf("class %s: coverage %.4f of %d rows", class, have, n)
		}
	}
}
