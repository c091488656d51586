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

// shares are a row's K probabilities: exact, or those of row times one, so that a row of probabilities is not written out before it is
// known which of them matter.
type shares struct {
	exact []float64
	row   []float32
	one   float64
}

func (s shares) at(c int) float64 {
	if s.exact != nil {
		return s.exact[c]
	}
	return float64(s.row[c]) * s.one
}

// each calls f for every row of a block with its probabilities, on several threads; they are only lent. Errors: ErrShape on
// another width; ErrInput, with the row counted from first+1, for probabilities that are none.
func (o *outputs) each(in *data.Table, first int, f func(row int, p shares)) error {
	n, k := in.Dims()
	if k != o.k {
		return fmt.Errorf("%s: %w: table has %d columns, fitted on %d", o.name, data.ErrShape, k, o.k)
	}
	wrong := make([]bool, n)
	num.Parallel(n, 256, func(lo, hi int) {
		if o.probabilities {
			for i := lo; i < hi; i++ {
				p := shares{row: in.Row(i)}
				if p.one = toOne(p.row); p.one == 0 {
					wrong[i] = true
				} else {
					f(i, p)
				}
			}
			return
		}
		p := make([]float64, k)
		for i := lo; i < hi; i++ {
			softmax(p, in.Row(i))
			f(i, shares{exact: p})
		}
	})
	if i := slices.Index(wrong, true); i >= 0 {
		return fmt.Errorf("%s: %w: row %d is no probabilities, which are 0 to 1 and add up to 1 within %g; without --probabilities rows are read as logits", o.name, method.ErrInput, first+i+1, sumSlack)
	}
	return nil
}

// toOne is what a row is multiplied with to add up to one, its sum taken in four strands, always the same ones. 0: the row is no probabilities.
func toOne(row []float32) float64 {
	var sums [4]float64
	signs, c := uint32(0), 0
	for ; c+4 <= len(row); c += 4 {
		v := row[c : c+4 : c+4]
		signs |= math.Float32bits(v[0]) | math.Float32bits(v[1]) | math.Float32bits(v[2]) | math.Float32bits(v[3])
		sums[0] += float64(v[0])
		sums[1] += float64(v[1])
		sums[2] += float64(v[2])
		sums[3] += float64(v[3])
	}
	for ; c < len(row); c++ {
		signs |= math.Float32bits(row[c])
		sums[0] += float64(row[c])
	}
	sum := (sums[0] + sums[1]) + (sums[2] + sums[3])
	if signs>>31 != 0 && slices.Min(row) < 0 || !(math.Abs(sum-1) <= sumSlack) { // a sign may be that of −0
		return 0
	}
	return 1 / sum
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
func (s shares) against(own int) (class int, margin float64) {
	if s.exact != nil {
		class = largestBeside(s.exact, own)
	} else {
		class = largestBeside(s.row, own)
	}
	return class, s.at(class) - s.at(own)
}

func largestBeside[T float32 | float64](p []T, own int) int {
	best, most := -1, T(-1)
	for c, v := range p {
		if v > most && c != own {
			best, most = c, v
		}
	}
	return best
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
