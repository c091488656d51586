package continual

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "probabilities corrected for classes that are not as frequent as they were",
	Paper: "saerens2002adjusting",
	Exempt: map[string]string{
		"rows-independent": "the shares of classes are those of the rows that come together, section 2",
		"direction":        "what comes out are probabilities of classes, not a score",
	},
}, PriorShift.Apply))

// PriorShift finds how frequent classes are among unlabelled rows, and corrects their probabilities for it.
//
// It is the procedure of Saerens, Latinne and Decaestecker (2002): expectation and maximisation by turns, between shares of classes and probabilities
// of rows, which climbs to the shares under which the rows are most likely. O(N·K) a round. It is right when only the shares have changed
// and the probabilities were calibrated; it makes things worse where features have drifted.
//
// Takes:   Logits N×K, and, if there are any, Train: labelled rows with the classes' former shares. Without them, all were equally frequent.
// Apply:   N×K corrected probabilities.
// Errors:  ErrShape without classes; ErrLabels when Train has a row without a label or a class that is no column, or lacks one; with Probabilities, ErrShape for rows that are none.
// Differs: columns without a name are the classes "0", "1" and so on.
// Source:  saerens2002adjusting, eq. (2.4) and (2.9).
// Claim:   claims/continual/priorshift.go.
type PriorShift struct {
	// Steps is how many rounds are made at most; most tables settle sooner.
	Steps int `default:"1000" range:"[1,1e6]"`
	// Probabilities says that Logits are probabilities already.
	Probabilities bool
}

// PriorShiftInput is what a classifier says of rows, and rows that show how frequent classes were when it learned.
type PriorShiftInput struct {
	Logits *data.Table
	Train  *data.Table `optional:"true"`
}

// Apply corrects all rows together.
func (c PriorShift) Apply(ctx context.Context, in PriorShiftInput) (*data.Table, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	n, k := in.Logits.Dims()
	p, err := posteriors(in.Logits, c.Probabilities)
	if err != nil {
		return nil, err
	}
	former, err := in.priorshiftShares(k)
	if err != nil {
		return nil, err
	}
	share, next, q := slices.Clone(former), make([]float64, k), make([]float64, n*k)
	for range c.Steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		clear(next)
		for i := range n { // eq. (2.4): reweigh, then normalise
			row, sum := q[i*k:(i+1)*k], 0.0
			for a := range row {
				row[a] = p[i*k+a] * share[a] / former[a]
				sum += row[a]
			}
			for a := range row {
				if sum > 0 {
					row[a] /= sum
				} else { // every class that the row might be of has died out
					row[a] = p[i*k+a]
				}
				next[a] += row[a] / float64(n)
			}
		}
		moved := 0.0
		for a := range next {
			moved = max(moved, math.Abs(next[a]-share[a]))
		}
		copy(share, next)
		if moved < 1e-10 || n == 0 {
			break
		}
	}
	return probabilityTable(q, n, in.Logits.Columns())
}

// priorshiftShares are the classes' former shares, K values above zero.
func (in PriorShiftInput) priorshiftShares(k int) ([]float64, error) {
	share := slices.Repeat([]float64{1 / float64(k)}, k)
	if in.Train == nil {
		return share, nil
	}
	names := in.Logits.Columns()
	if names == nil {
		for a := range k {
			names = append(names, fmt.Sprint(a))
		}
	}
	clear(share)
	n, _ := in.Train.Dims()
	for i := range n {
		a := slices.Index(names, in.Train.ClassName(i))
		if a < 0 {
			return nil, fmt.Errorf("%w: row %d of train is of class %q, which is no column", data.ErrLabels, i+1, in.Train.ClassName(i))
		}
		share[a] += 1 / float64(n)
	}
	for a, v := range share {
		if v == 0 {
			return nil, fmt.Errorf("%w: no row of train is of class %q", data.ErrLabels, names[a])
		}
	}
	return share, nil
}
