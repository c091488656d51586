package metric

import (
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
)

// Proportion is successes/trials with Wilson's score interval, which keeps its coverage for few trials and rates near 0 or 1 and is never of zero width.
//
// Errors: data.ErrShape for trials < 1, ErrRange unless 0 ≤ successes ≤ trials or for the Interval.
// Source: Wilson (1927).
func Proportion(successes, trials int, how ...Interval) (Estimate, error) {
	const who = "proportion"
	h, err := settle(who, how)
	if err != nil {
		return Estimate{}, err
	}
	if trials < 1 {
		return Estimate{}, fmt.Errorf("%s: %w: %d trials, want at least 1", who, data.ErrShape, trials)
	}
	if successes < 0 || successes > trials {
		return Estimate{}, fmt.Errorf("%s: %d successes of %d trials are %w", who, successes, trials, ErrRange)
	}
	return h.wilson(successes, trials), nil
}

func (h Interval) wilson(successes, trials int) Estimate {
	n := float64(trials)
	p := float64(successes) / n
	if h.ValueOnly {
		return h.alone(p)
	}
	z := h.z()
	center := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return h.between(p, center-half, center+half, 0, 1)
}

// Accuracy is the share of rows whose predicted class is their label, with Wilson's interval.
// Classes are any whole numbers: a prediction of −1 (unknown) is right for a row labelled −1.
//
// Errors: data.ErrShape without rows or for unequal lengths, ErrRange for the Interval.
func Accuracy(labels, predicted []int, how ...Interval) (Estimate, error) {
	const who = "accuracy"
	h, err := settle(who, how)
	if err != nil {
		return Estimate{}, err
	}
	if err := checkPaired(who, labels, predicted); err != nil {
		return Estimate{}, err
	}
	right := 0
	for i, y := range labels {
		if predicted[i] == y {
			right++
		}
	}
	return h.wilson(right, len(labels)), nil
}

// BalancedAccuracy is the mean over the classes among the labels of the share of their rows that is predicted right: the mean recall.
// Chance is 1/K whatever the class sizes; it is not rescaled to make chance 0.
//
// Interval: percentile bootstrap over rows; a class that a resample lacks is left out of its mean. Where no resample moves the value (all right or
// all wrong), it reaches to the largest mean error over classes, Σ q_c/K, that leaves all rows clean with probability Π (1−q_c)^n_c ≥ (1−Level)/2.
// Errors:   data.ErrShape without rows or for unequal lengths, ErrRange for the Interval.
// Source:   Brodersen et al. (2010); scikit-learn's balanced_accuracy_score.
func BalancedAccuracy(labels, predicted []int, how ...Interval) (Estimate, error) {
	return classMean("balanced accuracy", labels, predicted, (*tally).balancedAccuracy, how)
}

// MacroF1 is the mean over classes of F1 = 2·TP/(2·TP + FP + FN), the harmonic mean of precision and recall. The classes are those among labels or
// predictions: a class that is predicted but never true counts with F1 = 0.
// It is the mean of the classes' F1; the F1 of mean precision and mean recall goes by the same name and is never smaller.
//
// Interval, errors: as [BalancedAccuracy].
// Source: scikit-learn's f1_score(average="macro"); the two definitions are compared in Opitz and Burst (2019).
func MacroF1(labels, predicted []int, how ...Interval) (Estimate, error) {
	return classMean("macro-F1", labels, predicted, (*tally).macroF1, how)
}

// tally counts by class: rows truly of it, rows predicted as it, rows that are both.
type tally struct{ label, predicted, right []int32 }

func newTally(classes int) *tally {
	return &tally{make([]int32, classes), make([]int32, classes), make([]int32, classes)}
}

func (t *tally) reset() {
	clear(t.label)
	clear(t.predicted)
	clear(t.right)
}

func (t *tally) add(label, predicted int32) {
	t.label[label]++
	t.predicted[predicted]++
	if label == predicted {
		t.right[label]++
	}
}

func (t *tally) balancedAccuracy() float64 {
	sum, classes := 0.0, 0
	for c, rows := range t.label {
		if rows > 0 {
			sum += float64(t.right[c]) / float64(rows)
			classes++
		}
	}
	return sum / float64(classes)
}

func (t *tally) macroF1() float64 {
	sum, classes := 0.0, 0
	for c, rows := range t.label {
		if either := rows + t.predicted[c]; either > 0 { // 2·TP + FP + FN
			sum += 2 * float64(t.right[c]) / float64(either)
			classes++
		}
	}
	return sum / float64(classes)
}

// classMean evaluates a mean over classes.
func classMean(who string, labels, predicted []int, statistic func(*tally) float64, how []Interval) (Estimate, error) {
	h, err := settle(who, how)
	if err != nil {
		return Estimate{}, err
	}
	if err := checkPaired(who, labels, predicted); err != nil {
		return Estimate{}, err
	}
	classes := distinct(labels, predicted)
	y, yhat := indices(labels, classes), indices(predicted, classes)
	all := newTally(len(classes))
	for i := range y {
		all.add(y[i], yhat[i])
	}
	value := statistic(all)
	if h.ValueOnly {
		return h.alone(value), nil
	}
	replicas := h.replicate(func() func(draws) float64 {
		t := newTally(len(classes))
		return func(d draws) float64 {
			t.reset()
			for range y {
				i := d.index(len(y))
				t.add(y[i], yhat[i])
			}
			return statistic(t)
		}
	})
	if unvaried(value, replicas) {
		b := h.unseenOverClasses(all.label)
		return h.between(value, value-b, value+b, 0, 1), nil
	}
	return h.percentile(value, replicas), nil
}

// unseenOverClasses is the largest mean error Σ q_c/K of K classes with the given numbers of rows (zeros are no classes) under which no error
// shows with probability Π (1−q_c)^n_c ≥ alpha/2. At the maximum 1 − q_c = μ·n_c for the smaller classes and q_c = 0 for the others (Lagrange);
// the constraint gives μ for each number of smaller classes, and the right number is the one whose next class has μ·n_c ≥ 1.
func (h Interval) unseenOverClasses(rows []int32) float64 {
	sizes := slices.DeleteFunc(slices.Clone(rows), func(n int32) bool { return n == 0 })
	slices.Sort(sizes)
	budget := math.Log(h.alpha() / 2)
	sum, weighted, mu := 0.0, 0.0, 0.0
	used := 0
	for used < len(sizes) {
		n := float64(sizes[used])
		if used > 0 && mu*n >= 1 {
			break
		}
		sum += n
		weighted += n * math.Log(n)
		used++
		mu = math.Exp((budget - weighted) / sum)
	}
	total := 0.0
	for _, n := range sizes[:used] {
		total += 1 - mu*float64(n)
	}
	return total / float64(len(sizes))
}

// distinct returns the different values of both, ascending.
func distinct(a, b []int) []int {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Clip(slices.Compact(all))
}

// indices returns the position of each value in the ascending classes.
func indices(values, classes []int) []int32 {
	index := make([]int32, len(values))
	for i, v := range values {
		at, _ := slices.BinarySearch(classes, v)
		index[i] = int32(at)
	}
	return index
}
