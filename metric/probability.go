package metric

import (
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
)

// Probabilities turns N×K logits into N×K probabilities at a temperature: softmax(logits/temperature). Temperature 1 leaves them as trained,
// more than 1 makes them less sure. With one class a logit is the binary one, and the result is N×2: the probabilities of 0 and of 1 = sigmoid(logit/temperature).
//
// A temperature divides logits. Dividing probabilities by it and normalising again is another function; natural logarithms of probabilities are
// logits up to a constant and may be given here.
//
// Errors: data.ErrShape unless the length is a multiple of classes ≥ 1, data.ErrFinite for NaN and Inf, ErrRange unless 0 < temperature < ∞.
// Source: Guo et al. (2017), section 4.2, eq. (9).
func Probabilities[F Float](logits []F, classes int, temperature float64) ([]float64, error) {
	const who = "probabilities"
	if classes < 1 || len(logits)%classes != 0 {
		return nil, fmt.Errorf("%s: %w: %d logits for %d classes", who, data.ErrShape, len(logits), classes)
	}
	if err := checkLogits(who, logits, classes, temperature); err != nil {
		return nil, err
	}
	n := len(logits) / classes
	if classes == 1 {
		p := make([]float64, 2*n) // N×2
		for i, z := range logits {
			p[2*i], p[2*i+1] = logistic(-float64(z)/temperature), logistic(float64(z)/temperature)
		}
		return p, nil
	}
	p := make([]float64, len(logits)) // N×K
	for i := range n {
		row := p[i*classes : (i+1)*classes]
		for k, z := range logits[i*classes : (i+1)*classes] {
			row[k] = float64(z)
		}
		num.Softmax(row, row, temperature)
	}
	return p, nil
}

func checkLogits[F Float](who string, logits []F, classes int, temperature float64) error {
	if !(temperature > 0) || math.IsInf(temperature, 1) {
		return fmt.Errorf("%s: temperature %v is %w, want a positive number", who, temperature, ErrRange)
	}
	for i, v := range logits {
		if z := float64(v); math.IsNaN(z) || math.IsInf(z, 0) {
			return fmt.Errorf("%s: row %d, class %d: logit %v is %w", who, i/classes+1, i%classes, z, data.ErrFinite)
		}
	}
	return nil
}

// NLL is the mean negative natural logarithm of the probability that each row gives its label: the log loss, the cross-entropy.
// A uniform guess over K classes gives ln K.
//
// Takes:    N×K probabilities, row-major, each row summing to 1 (within 0.01), and N labels in 0..K−1.
// Interval: percentile bootstrap over rows. Where all rows lose alike, a share q of unseen rows (k = N at [Interval]) could have their best or worst label, of which one with probability 0 counts as the smallest number of its type: no end is infinite.
// Errors:   data.ErrShape, data.ErrFinite, data.ErrLabels, ErrRange; ErrRange also when a label has probability 0, where the NLL is infinite.
// Differs:  nothing is clipped. Where float32 probabilities underflow, [LogitNLL] on the logits does not.
func NLL[F Float](probabilities []F, classes int, labels []int, how ...Interval) (Estimate, error) {
	const who = "nll"
	h, err := settle(who, how)
	if err != nil {
		return Estimate{}, err
	}
	if err := checkProbabilities(who, probabilities, classes, labels); err != nil {
		return Estimate{}, err
	}
	zeros, first := 0, 0
	smallest := math.SmallestNonzeroFloat64
	if F(smallest) == 0 {
		smallest = math.SmallestNonzeroFloat32
	}
	loss := newLosses(len(labels))
	for i, y := range labels {
		row := probabilities[i*classes : (i+1)*classes]
		if row[y] == 0 {
			if zeros == 0 {
				first = i
			}
			zeros++
		}
		least, most := extremes(row)
		loss.set(i, -math.Log(float64(row[y])), -math.Log(most), -math.Log(max(least, smallest)))
	}
	if zeros > 0 {
		return Estimate{}, fmt.Errorf("%s: row %d gives its label %d probability 0 (%d such rows of %d): an infinite loss is %w; use logits and metric.LogitNLL, or smooth the probabilities", who, first+1, labels[first], zeros, len(labels), ErrRange)
	}
	return loss.mean(h), nil
}

// LogitNLL is [NLL] from logits at a temperature, computed without forming probabilities, so that it is finite for any finite logits.
// With one class the logit is the binary one and labels are 0 and 1.
//
// Errors: data.ErrShape, data.ErrFinite, data.ErrLabels; ErrRange unless 0 < temperature < ∞ or for the Interval.
func LogitNLL[F Float](logits []F, classes int, labels []int, temperature float64, how ...Interval) (Estimate, error) {
	const who = "nll of logits"
	h, err := settle(who, how)
	if err != nil {
		return Estimate{}, err
	}
	known := classes
	if classes == 1 {
		known = 2
	}
	if err := checkMatrix(who, "logits", len(logits), classes, labels, known); err != nil {
		return Estimate{}, err
	}
	if err := checkLogits(who, logits, classes, temperature); err != nil {
		return Estimate{}, err
	}
	loss := newLosses(len(labels))
	scaled := make([]float64, known)
	for i, y := range labels {
		for k, z := range logits[i*classes : (i+1)*classes] {
			scaled[known-classes+k] = float64(z) / temperature // a binary logit is class 1's against 0 for class 0
		}
		top, most := largest(scaled)
		least, _ := extremes(scaled)
		// Log1p of the others' sum keeps the digits of a sure and right row, whose loss is far below 1.
		others := 0.0
		for k, z := range scaled {
			if k != top {
				others += math.Exp(z - most)
			}
		}
		normaliser := math.Log1p(others)
		own := normaliser + (most - scaled[y])
		if math.IsNaN(own) || math.IsInf(own, 0) {
			return Estimate{}, fmt.Errorf("%s: row %d: logits divided by temperature %v overflow: their loss is %w", who, i+1, temperature, data.ErrFinite)
		}
		loss.set(i, own, normaliser, normaliser+(most-least))
	}
	return loss.mean(h), nil
}

// Brier is the mean over rows of Σ_k (p_k − 1[k = label])², summed over all K classes as Brier (1950) did: from 0 to 2.
// For two classes that is twice the one-column form (p_1 − label)² which many programs call the Brier score.
//
// Takes, interval: as [NLL]. Errors: data.ErrShape, data.ErrFinite, data.ErrLabels, ErrRange.
func Brier[F Float](probabilities []F, classes int, labels []int, how ...Interval) (Estimate, error) {
	const who = "brier"
	h, err := settle(who, how)
	if err != nil {
		return Estimate{}, err
	}
	if err := checkProbabilities(who, probabilities, classes, labels); err != nil {
		return Estimate{}, err
	}
	loss := newLosses(len(labels))
	for i, y := range labels {
		row := probabilities[i*classes : (i+1)*classes]
		squares := num.SquaredNorm(row)
		least, most := extremes(row)
		// Σ p² − p_y² + (1 − p_y)², which is exactly 0 for a sure and right row.
		at := func(p float64) float64 { return max(0, squares-p*p) + (1-p)*(1-p) }
		loss.set(i, at(float64(row[y])), at(most), at(least))
	}
	return loss.mean(h), nil
}

func extremes[F Float](row []F) (least, most float64) {
	least, most = float64(row[0]), float64(row[0])
	for _, v := range row[1:] {
		least, most = min(least, float64(v)), max(most, float64(v))
	}
	return least, most
}

// losses are the rows' losses under their labels, and the mean losses under the best and the worst label of each row.
type losses struct {
	row         []float64
	best, worst float64
}

func newLosses(n int) *losses { return &losses{row: make([]float64, n)} }

func (l *losses) set(i int, loss, best, worst float64) {
	l.row[i] = max(0, loss) // −log 1 is −0
	l.best += best / float64(len(l.row))
	l.worst += worst / float64(len(l.row))
}

// mean is the mean loss with a percentile bootstrap over rows.
func (l *losses) mean(h Interval) Estimate {
	value := meanAround(l.row, l.row[0])
	if h.ValueOnly {
		return h.alone(value)
	}
	n := len(l.row)
	replicas := h.replicate(func() func(draws) float64 {
		return func(d draws) float64 {
			sum := 0.0
			for range n {
				sum += l.row[d.index(n)] - value
			}
			return value + sum/float64(n)
		}
	})
	if unvaried(value, replicas) {
		q := h.unseen(n)
		return h.between(value, value+q*(l.best-value), value+q*(l.worst-value), 0, math.Inf(1))
	}
	return h.percentile(value, replicas)
}
