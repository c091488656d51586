package metric

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

func TestErrors(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	one, two := []float64{1}, []float64{1, 2}
	p, y := []float64{0.5, 0.5, 1, 0}, []int{0, 1}
	estimate := func(_ Estimate, err error) error { return err }
	bootstrap := func(f func([]int) float64) error { return estimate(Bootstrap(0, 5, f)) }
	paired := func(a, b, c, d []float64) error { _, _, err := DeLongPaired(a, b, c, d); return err }
	matrix := func(y, hat []int) error { _, err := ConfusionMatrix(y, hat); return err }
	probabilities := func(z []float64, k int, t float64) error { _, err := Probabilities(z, k, t); return err }
	many := make([]int, confusionClasses+1)
	for i := range many {
		many[i] = i
	}
	for _, c := range []struct {
		err  error
		want error
		word string // the place, or what there is and what is wanted
	}{
		{paired(nil, one, nil, one), data.ErrShape, "no negative A"},
		{paired(one, two, one, one), data.ErrShape, "2 positive scores, scorer B 1"},
		{paired(one, two, one, []float64{0, nan}), data.ErrFinite, "positive B score of row 2"},
		{bootstrap(func([]int) float64 { return nan }), data.ErrFinite, "5 rows is NaN"},
		{bootstrap(func(i []int) float64 { return 1 / float64(i[4]-i[0]) }), data.ErrFinite, "Inf"},
		{estimate(Bootstrap(0, 50, func(i []int) float64 {
			if slices.IsSorted(i) { // all rows once, and as good as no resample
				return 1
			}
			return nan
		})), data.ErrFinite, "undefined on 1000 of 1000"},
		{estimate(Bootstrap(0, 0, func([]int) float64 { return 0 })), data.ErrShape, "0 rows"},
		{estimate(FPRAtTPR(one, one, 0)), ErrRange, "rate 0"},
		{estimate(FPRAtTPR(one, one, 95)), ErrRange, "rate 95"},
		{estimate(FPRAtTPR(one, one, nan)), ErrRange, "rate NaN"},
		{estimate(Mean(nil)), data.ErrShape, "no values"},
		{estimate(Mean([]float64{1, inf})), data.ErrFinite, "value 2"},
		{estimate(Mean([]float64{math.MaxFloat64, -math.MaxFloat64})), data.ErrFinite, "2 values"},
		{estimate(PairedMean(one, two)), data.ErrShape, "1 values against 2"},
		{estimate(PairedMean(nil, nil)), data.ErrShape, "no values"},
		{estimate(PairedMean(two, []float64{1, nan})), data.ErrFinite, "value 2"},
		{estimate(Proportion(3, 2)), ErrRange, "3 successes of 2"},
		{estimate(Proportion(-1, 2)), ErrRange, "-1 successes"},
		{estimate(Proportion(0, 0)), data.ErrShape, "0 trials"},
		{estimate(Accuracy(nil, nil)), data.ErrShape, "no rows"},
		{estimate(Accuracy(y, []int{1})), data.ErrShape, "1 predictions for 2 labels"},
		{estimate(BalancedAccuracy(y, []int{1})), data.ErrShape, "1 predictions for 2 labels"},
		{estimate(MacroF1(nil, nil)), data.ErrShape, "no rows"},
		{matrix(y, nil), data.ErrShape, "0 predictions for 2 labels"},
		{matrix(many, many), data.ErrShape, "4097 different classes"},
		{probabilities([]float64{1, 2, 3}, 2, 1), data.ErrShape, "3 logits for 2 classes"},
		{probabilities(two, 0, 1), data.ErrShape, "0 classes"},
		{probabilities(two, 2, 0), ErrRange, "temperature 0"},
		{probabilities(two, 2, -1), ErrRange, "temperature -1"},
		{probabilities(two, 2, inf), ErrRange, "temperature +Inf"},
		{probabilities(two, 2, nan), ErrRange, "temperature NaN"},
		{probabilities([]float64{1, 2, 3, inf}, 2, 1), data.ErrFinite, "row 2, class 1"},
		{estimate(LogitNLL([]float64{1, nan}, 1, y, 1)), data.ErrFinite, "row 2, class 0"},
		{estimate(LogitNLL(two, 1, []int{0, 2}, 1)), data.ErrLabels, "0..1: row 2 has label 2"},
		{estimate(LogitNLL(two, 1, y, -3)), ErrRange, "temperature -3"},
		{estimate(LogitNLL([]float64{1e308, 1}, 2, []int{0}, 1e-300)), data.ErrFinite, "row 1"},
		{estimate(NLL(p, 2, []int{0, 1})), ErrRange, "row 2 gives its label 1 probability 0 (1 such rows of 2)"},
		{estimate(BinnedECE(Bins{Count: -1}, p, 2, y)), ErrRange, "-1 bins"},
		{estimate(BinnedECE(Bins{Count: 1 << 30}, p, 2, y)), ErrRange, "bins"},
		{estimate(AUROC(one, one, Interval{}, Interval{})), data.ErrShape, "2 intervals"},
	} {
		if !errors.Is(c.err, c.want) || !strings.Contains(c.err.Error(), c.word) {
			t.Errorf("got %v, want %q with %q", c.err, c.want, c.word)
		}
		if c.err != nil && strings.Contains(c.err.Error(), "\n") {
			t.Errorf("%q is not one line", c.err)
		}
	}
}

// TestErrorsOfScores: every metric of two groups refuses the same things with the same words.
func TestErrorsOfScores(t *testing.T) {
	for name, f := range rankMetrics {
		for _, c := range []struct {
			negative, positive []float64
			how                Interval
			want               error
			word               string
		}{
			{nil, []float64{1}, Interval{}, data.ErrShape, "no negative"},
			{[]float64{1}, nil, Interval{}, data.ErrShape, "no positive"},
			{[]float64{1, math.NaN()}, []float64{1}, Interval{}, data.ErrFinite, "score of row 2: NaN"},
			{[]float64{1}, []float64{1}, Interval{Level: 95}, ErrRange, "level 95"},
			{[]float64{1}, []float64{1}, Interval{Level: -0.5}, ErrRange, "level -0.5"},
			{[]float64{1}, []float64{1}, Interval{Level: math.NaN()}, ErrRange, "level NaN"},
			{[]float64{1}, []float64{1}, Interval{Resamples: 38}, ErrRange, "want at least 39"},
			{[]float64{1}, []float64{1}, Interval{Resamples: -1}, ErrRange, "-1 resamples"},
			{[]float64{1}, []float64{1}, Interval{Level: 0.99, Resamples: 198}, ErrRange, "want at least 199"},
		} {
			if _, err := f(c.negative, c.positive, c.how); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.word) {
				t.Errorf("%s: got %v, want %q with %q", name, err, c.want, c.word)
			}
		}
	}
}

// TestErrorsOfProbabilities: every metric of probabilities refuses the same things with the same words.
func TestErrorsOfProbabilities(t *testing.T) {
	for name, f := range rowMetrics {
		switch name {
		case "LogitNLL", "Accuracy", "BalancedAccuracy", "MacroF1":
			continue // these take no probabilities
		}
		for _, c := range []struct {
			p      []float64
			k      int
			labels []int
			want   error
			word   string
		}{
			{[]float64{0.5, 0.5}, 2, nil, data.ErrShape, "no rows"},
			{[]float64{0.5, 0.5}, 2, []int{0, 1}, data.ErrShape, "2 probabilities for 2 labels × 2 classes"},
			{[]float64{0.5, 0.5, 1}, 2, []int{0}, data.ErrShape, "3 probabilities for 1 labels × 2 classes"},
			{[]float64{0.5, 0.5}, 0, []int{0}, data.ErrShape, "0 classes"},
			{[]float64{0.5, 0.5, 0.5, 0.5}, 2, []int{0, 2}, data.ErrLabels, "in 0..1: row 2 has label 2"},
			{[]float64{0.5, 0.5, 0.5, 0.5}, 2, []int{-1, 0}, data.ErrLabels, "row 1 has label -1"},
			{[]float64{0.5, 0.5, 0.5, math.NaN()}, 2, []int{0, 0}, data.ErrFinite, "row 2, class 1: NaN"},
			{[]float64{0.5, math.Inf(1)}, 2, []int{0}, data.ErrFinite, "row 1, class 1: +Inf"},
			{[]float64{1.25, -0.25}, 2, []int{0}, ErrRange, "row 1, class 0: probability 1.25"},
			{[]float64{-0.25, 1}, 2, []int{0}, ErrRange, "probability -0.25"},
			{[]float64{0.5, 0.6}, 2, []int{0}, ErrRange, "row 1: the sum 1.1"},
			{[]float64{0.5, 0.4}, 2, []int{0}, ErrRange, "row 1: the sum 0.9"},
		} {
			if _, err := f(c.p, c.k, c.labels); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.word) {
				t.Errorf("%s: got %v, want %q with %q", name, err, c.want, c.word)
			}
		}
		if _, err := f([]float64{0.504, 0.5}, 2, []int{0}); err != nil {
			t.Errorf("%s refuses a row that sums to 1.004: %v", name, err)
		}
	}
}

func TestErrorsOfContinual(t *testing.T) {
	broken := func(change func(*ContinualRun)) []ContinualRun {
		bad := threeTasks()
		change(&bad)
		return []ContinualRun{threeTasks(), bad}
	}
	for _, c := range []struct {
		f    func([]ContinualRun, ...Interval) (Estimate, error)
		runs []ContinualRun
		want error
		word string
	}{
		{LastAccuracy, nil, data.ErrShape, "no runs"},
		{LastAccuracy, []ContinualRun{{}}, data.ErrShape, "run 1: wrong shape: 0 stages"},
		{ForgettingFromMax, []ContinualRun{{Accuracy: [][]float64{{0.5}}}}, data.ErrShape, "1 stages, want at least 2"},
		{LastAccuracy, broken(func(r *ContinualRun) { r.Accuracy[2] = r.Accuracy[2][:2] }), data.ErrShape, "run 2: wrong shape: stage 3 has accuracies of 2 tasks, want 3 to 3"},
		{LastAccuracy, broken(func(r *ContinualRun) { r.Accuracy[0] = make([]float64, 4) }), data.ErrShape, "stage 1 has accuracies of 4 tasks, want 1 to 3"},
		{ForwardTransfer, broken(func(r *ContinualRun) { r.Accuracy[0] = r.Accuracy[0][:2] }), data.ErrShape, "want 3 to 3"},
		{BackwardTransfer, broken(func(r *ContinualRun) { r.Accuracy[1][0] = math.NaN() }), data.ErrFinite, "run 2: stage 2, task 1: accuracy NaN"},
		{BackwardTransfer, broken(func(r *ContinualRun) { r.Accuracy[1][0] = 95 }), ErrRange, "accuracy 95"},
		{LastAccuracy, broken(func(r *ContinualRun) { r.Rows = []int{1, 2} }), data.ErrShape, "rows of 2 tasks for 3 stages"},
		{LastAccuracy, broken(func(r *ContinualRun) { r.Rows = []int{1, 0, 2} }), ErrRange, "task 2: 0 test rows"},
		{ForwardTransfer, broken(func(r *ContinualRun) { r.Untrained = nil }), data.ErrShape, "0 untrained accuracies for 3 tasks"},
		{Intransigence, broken(func(r *ContinualRun) { r.Joint = r.Joint[:1] }), data.ErrShape, "1 joint accuracies for 3 tasks"},
		{Intransigence, broken(func(r *ContinualRun) { r.Joint[2] = -1 }), ErrRange, "joint, task 3: accuracy -1"},
	} {
		if _, err := c.f(c.runs); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.word) {
			t.Errorf("got %v, want %q with %q", err, c.want, c.word)
		}
	}
}
