// Package audit answers: which labels are wrong? Scores grow with the likelihood that one is.
//
//	which one?             takes                   learns in        when
//	[ConfidentLearning]    logits, labels          two passes       classes differ in how sure the classifier is of them; the default
//	[Margin]               logits, labels          no pass          a plain order by what the classifier holds against a label
//	[Neighbors]            features, labels        keeps the rows   there is no classifier, or it has learned the wrong labels
//
// Logits, or with Probabilities set probabilities, must be of a classifier that has not learned from the rows: cross-validated, say.
// It would repeat their labels otherwise.
package audit

import (
	"embed"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

//go:embed *.go
var source embed.FS

var methods = method.Set{Family: "audit", Source: &source}

// Methods returns the family's methods, sorted by name.
func Methods() []method.Spec { return methods.All() }

// LogitsInput is what an audit by a classifier's outputs learns from.
type LogitsInput struct {
	// Logits are N×K raw outputs before any softmax, or probabilities where the method is told so, a column for each class, of
	// labelled rows. Columns that bear the classes' names are found by them; without such names the classes, in their order, are
	// the columns.
	Logits *data.Table
}

// outputs reads a classifier's outputs as probabilities.
type outputs struct {
	name          string // of the method, for messages
	k             int
	probabilities bool
	classes       []string // K; nil as long as they are not known
}

// sumSlack is how far probabilities may be from adding up to one; they are divided by their sum.
const sumSlack = 0.01

// each calls f for every row of a block with its K probabilities, on several threads; p is only lent. Errors: ErrShape on
// another width; ErrInput, with the row counted from first+1, for probabilities that are none.
func (o *outputs) each(in *data.Table, first int, f func(row int, p []float64)) error {
	n, k := in.Dims()
	if k != o.k {
		return fmt.Errorf("%s: %w: table has %d columns, fitted on %d", o.name, data.ErrShape, k, o.k)
	}
	wrong := make([]bool, n)
	num.Parallel(n, 256, func(lo, hi int) {
		p := make([]float64, k)
		for i := lo; i < hi; i++ {
			if o.probabilities {
				wrong[i] = !proportions(p, in.Row(i))
			} else {
				softmax(p, in.Row(i))
			}
			if !wrong[i] {
				f(i, p)
			}
		}
	})
	if i := slices.Index(wrong, true); i >= 0 {
		return fmt.Errorf("%s: %w: row %d is no probabilities, which are 0 to 1 and add up to 1 within %g; without --probabilities rows are read as logits", o.name, method.ErrInput, first+i+1, sumSlack)
	}
	return nil
}

// proportions divides a row by its sum, added up in four strands, always the same ones. false: the row is no probabilities.
func proportions(dst []float64, row []float32) bool {
	var sums [4]float64
	below, c := false, 0
	for ; c+4 <= len(row); c += 4 {
		v := row[c : c+4 : c+4]
		if v[0] < 0 || v[1] < 0 || v[2] < 0 || v[3] < 0 {
			below = true
		}
		sums[0] += float64(v[0])
		sums[1] += float64(v[1])
		sums[2] += float64(v[2])
		sums[3] += float64(v[3])
	}
	for ; c < len(row); c++ {
		below = below || row[c] < 0
		sums[0] += float64(row[c])
	}
	sum := (sums[0] + sums[1]) + (sums[2] + sums[3])
	if below || !(math.Abs(sum-1) <= sumSlack) {
		return false
	}
	one := 1 / sum
	for c, v := range row {
		dst[c] = float64(v) * one
	}
	return true
}

// softmax subtracts the largest value first, so that a constant added to a row loses nothing.
func softmax(dst []float64, row []float32) {
	top := float64(slices.Max(row))
	sum := 0.0
	for c, v := range row {
		dst[c] = math.Exp(float64(v) - top)
		sum += dst[c]
	}
	for c := range dst {
		dst[c] /= sum
	}
}

// labels returns the column of each row's class. Errors: ErrLabels, with the row counted from first+1.
func (o *outputs) labels(in *data.Table, first int) ([]int, error) {
	own, err := in.Labels()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.name, err)
	}
	column := make([]int, len(in.Classes()))
	for c, name := range in.Classes() {
		column[c] = slices.Index(o.classes, name)
	}
	out := make([]int, len(own))
	for i, c := range own {
		switch {
		case c == data.Unknown:
			return nil, fmt.Errorf("%s: %w: row %d has no class; leave such rows out", o.name, data.ErrLabels, first+i+1)
		case column[c] < 0:
			return nil, fmt.Errorf("%s: %w: row %d: class %q is none of the %d known ones", o.name, data.ErrLabels, first+i+1, in.Classes()[c], len(o.classes))
		}
		out[i] = column[c]
	}
	return out, nil
}

// against is the class that a row's probabilities favour most beside its own, the first of equal ones, and how much more than its own.
func against(p []float64, own int) (class int, margin float64) {
	class = -1
	for c, v := range p {
		if c != own && (class < 0 || v > p[class]) {
			class = c
		}
	}
	return class, p[class] - p[own]
}

// state begins a state with the classes.
func (o *outputs) state(tensors map[string]data.Tensor) *data.Checkpoint {
	st := &data.Checkpoint{Tensors: tensors}
	st.SetStrings("classes", o.classes)
	return st
}

// load reads the classes. Errors: those of the reader; ErrShape for fewer than two.
func load(name string, r *data.Reader, probabilities bool) (o outputs, err error) {
	o = outputs{name: name, probabilities: probabilities, classes: r.Strings("classes")}
	if o.k = len(o.classes); r.Err() == nil && o.k < 2 {
		return o, fmt.Errorf("%w: %d classes", data.ErrShape, o.k)
	}
	return o, r.Err()
}
