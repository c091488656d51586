package metric

import (
	"errors"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
)

// ErrRange says that an argument lies outside the values that have a meaning: a probability above 1, a level of 95, a rate of 0.
var ErrRange = errors.New("out of range")

// checkScores refuses empty groups and NaN. Infinite scores are legal: only the order of scores is read.
func checkScores(who, group string, scores []float64) error {
	if len(scores) == 0 {
		return fmt.Errorf("%s: %w: no %s scores", who, data.ErrShape, group)
	}
	if len(scores) > math.MaxInt32 {
		return fmt.Errorf("%s: %w: %d %s scores, at most %d are ranked", who, data.ErrShape, len(scores), group, math.MaxInt32)
	}
	for i, v := range scores {
		if math.IsNaN(v) {
			return fmt.Errorf("%s: %s score of row %d: NaN is %w", who, group, i+1, data.ErrFinite)
		}
	}
	return nil
}

// checkFinite refuses an empty slice, NaN and Inf.
func checkFinite(who string, values []float64) error {
	if len(values) == 0 {
		return fmt.Errorf("%s: %w: no values", who, data.ErrShape)
	}
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%s: value %d: %v is %w", who, i+1, v, data.ErrFinite)
		}
	}
	return nil
}

// checkPaired refuses predictions that do not match the labels one to one.
func checkPaired(who string, labels, predicted []int) error {
	if len(labels) != len(predicted) {
		return fmt.Errorf("%s: %w: %d predictions for %d labels", who, data.ErrShape, len(predicted), len(labels))
	}
	if len(labels) == 0 {
		return fmt.Errorf("%s: %w: no rows", who, data.ErrShape)
	}
	return nil
}

// checkMatrix refuses a matrix that is not len(labels)×classes, and labels outside 0..known−1.
func checkMatrix(who, what string, values, classes int, labels []int, known int) error {
	n := len(labels)
	switch {
	case classes < 1:
		return fmt.Errorf("%s: %w: %d classes, want at least 1", who, data.ErrShape, classes)
	case n == 0:
		return fmt.Errorf("%s: %w: no rows", who, data.ErrShape)
	case values/classes != n || values%classes != 0:
		return fmt.Errorf("%s: %w: %d %s for %d labels × %d classes", who, data.ErrShape, values, what, n, classes)
	}
	for i, y := range labels {
		if y < 0 || y >= known {
			return fmt.Errorf("%s: %w in 0..%d: row %d has label %d", who, data.ErrLabels, known-1, i+1, y)
		}
	}
	return nil
}

// sumTolerance is how far a row of probabilities may sum from 1. It catches logits and one-against-rest sigmoids
// and passes softmax outputs that were rounded to 16 bits.
const sumTolerance = 0.01

// checkProbabilities refuses what is not N rows of K probabilities with labels in 0..K−1.
func checkProbabilities[F Float](who string, probabilities []F, classes int, labels []int) error {
	if err := checkMatrix(who, "probabilities", len(probabilities), classes, labels, classes); err != nil {
		return err
	}
	for i := range labels {
		sum := 0.0
		for k, v := range probabilities[i*classes : (i+1)*classes] {
			p := float64(v)
			if math.IsNaN(p) || math.IsInf(p, 0) {
				return fmt.Errorf("%s: row %d, class %d: %v is %w", who, i+1, k, p, data.ErrFinite)
			}
			if p < 0 || p > 1 {
				return fmt.Errorf("%s: row %d, class %d: probability %v is %w, want 0 to 1 (turn logits into probabilities with metric.Probabilities)", who, i+1, k, p, ErrRange)
			}
			sum += p
		}
		if math.Abs(sum-1) > sumTolerance {
			return fmt.Errorf("%s: row %d: the sum %.4g of its probabilities is %w, want 1 within %v", who, i+1, sum, ErrRange, sumTolerance)
		}
	}
	return nil
}
