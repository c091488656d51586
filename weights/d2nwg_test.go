package weights_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/weights"
)

func ExampleD2NWG() {
	// A head for two classes of six, drawn and not trained.
	pool := blobs(1, 480, 6, 6)
	target := ofClasses(blobs(2, 240, 6, 6), "5", "1")
	head, err := weights.D2NWG{Zoo: 64, Steps: 150, Latent: 6}.Apply(context.Background(), weights.D2NWGInput{Rows: pool, Wanted: target})
	if err != nil {
		panic(err)
	}
	held, err := weights.NewHoldout(target)
	if err != nil {
		panic(err)
	}
	accuracy, err := held.Evaluate(context.Background(), head)
	if err != nil {
		panic(err)
	}
	fmt.Println("classes", head.Meta["classes"], accuracy > 0.7)
	// Output:
	// classes ["1","5"] true
}

// ofClasses is the rows of some classes.
func ofClasses(t *data.Table, classes ...string) *data.Table {
	var rows []int
	var names []string
	n, _ := t.Dims()
	for i := range n {
		for _, c := range classes {
			if t.ClassName(i) == c {
				rows, names = append(rows, i), append(names, c)
			}
		}
	}
	out, err := t.Pick(rows).WithClassNames(names)
	if err != nil {
		panic(err)
	}
	return out
}

func d2nwg(t testing.TB, c weights.D2NWG, in weights.D2NWGInput) *data.Checkpoint {
	t.Helper()
	out, err := c.Apply(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func number(t testing.TB, c *data.Checkpoint, key string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(c.Meta[key], 64)
	if err != nil {
		t.Fatalf("metadata %s: %v", key, err)
	}
	return v
}

func TestD2NWGKnowsItsData(t *testing.T) {
	pool := blobs(1, 480, 6, 6)
	target := ofClasses(blobs(2, 240, 6, 6), "1", "5")
	c := weights.D2NWG{Zoo: 64, Steps: 200, Latent: 6, Samples: 9, Seed: 3}
	told := d2nwg(t, c, weights.D2NWGInput{Rows: pool, Wanted: target})
	c.Unconditional = true
	blind := d2nwg(t, c, weights.D2NWGInput{Rows: pool, Wanted: target})
	mean := list(t, told, "d2nwg.mean")
	if a := number(t, told, "d2nwg.accuracy"); a < 0.7 || a < mean[1]+0.1 {
		t.Errorf("accuracy %g, of the mean head %g", a, mean[1])
	}
	// The middle one of the candidates that were told of the data beats that of those that were not.
	a, b := list(t, told, "d2nwg.candidates"), list(t, blind, "d2nwg.candidates")
	if len(a) != 9 || a[4] > 0.7*b[4] {
		t.Errorf("losses %v, without the condition %v", a, b)
	}
	// What the metadata says is what the head does on rows as they come.
	held := holdout(t, target)
	have, err := held.Evaluate(t.Context(), told)
	if err != nil || math.Abs(have-number(t, told, "d2nwg.accuracy")) > 0.013 { // one row of 80 for rounding at a border
		t.Errorf("accuracy %g (%v), the metadata says %s", have, err, told.Meta["d2nwg.accuracy"])
	}
	// The order of the target's rows does not matter.
	n, _ := target.Dims()
	turned := target.Pick(rand.New(rand.NewPCG(1, 1)).Perm(n))
	c.Unconditional = false
	again := d2nwg(t, c, weights.D2NWGInput{Rows: pool, Wanted: turned})
	x, _ := told.Tensors["weight"].Float64s()
	y, _ := again.Tensors["weight"].Float64s()
	for i := range x {
		if math.Abs(x[i]-y[i]) > 1e-3*(1+math.Abs(x[i])) {
			t.Fatalf("weight %d is %g, %g with the rows in another order", i, x[i], y[i])
		}
	}
}

func TestD2NWGLongCodesLoseNothing(t *testing.T) {
	// Heads of 2 classes in 3 columns have 8 weights: codes of 16 hold them all. Codes of one do not.
	pool := blobs(3, 200, 3, 4)
	target := ofClasses(pool, "0", "1")
	long := d2nwg(t, weights.D2NWG{Zoo: 60, Steps: 300, Latent: 16}, weights.D2NWGInput{Rows: pool, Wanted: target})
	short := d2nwg(t, weights.D2NWG{Zoo: 60, Steps: 300, Latent: 1}, weights.D2NWGInput{Rows: pool, Wanted: target})
	if a, b := number(t, long, "d2nwg.reconstruction"), number(t, short, "d2nwg.reconstruction"); a > 0.01 || b < 5*a {
		t.Errorf("share of variance lost: %g with codes of 16, %g with codes of 1", a, b)
	}
}

func TestD2NWGErrors(t *testing.T) {
	rows := blobs(1, 40, 4, 4)
	bare, _ := data.NewTable(2, 4, make([]float32, 8))
	for name, test := range map[string]struct {
		in   weights.D2NWGInput
		kind error
		says string
	}{
		"nothing":   {in: weights.D2NWGInput{}, kind: method.ErrInput, says: "rows"},
		"no labels": {in: weights.D2NWGInput{Rows: bare}, kind: data.ErrLabels},
		"one class": {in: weights.D2NWGInput{Rows: ofClasses(rows, "1")}, kind: data.ErrLabels, says: "1 classes"},
		"too many":  {in: weights.D2NWGInput{Rows: ofClasses(rows, "1", "2"), Wanted: rows}, kind: data.ErrLabels, says: "2 classes, those wanted 4"},
		"columns":   {in: weights.D2NWGInput{Rows: rows, Wanted: blobs(1, 40, 5, 4)}, kind: data.ErrShape, says: "5 columns, rows have 4"},
	} {
		if _, err := (weights.D2NWG{}).Apply(t.Context(), test.in); !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want %v and %q", name, err, test.kind, test.says)
		}
	}
}
