package metric

import (
	"math"
	"testing"
)

// threeTasks is a run for hand calculation: row = after stage i, column = task j.
func threeTasks() ContinualRun {
	return ContinualRun{
		Accuracy: [][]float64{
			{0.90, 0.05, 0.20},
			{0.95, 0.70, 0.30},
			{0.60, 0.90, 0.80},
		},
		Untrained: []float64{0.10, 0.10, 0.10},
		Joint:     []float64{0.90, 0.80, 0.90},
	}
}

// TestContinualByHand pins the definitions with a matrix on which all variants differ.
func TestContinualByHand(t *testing.T) {
	run := []ContinualRun{threeTasks()}
	for _, c := range []struct {
		name string
		f    func([]ContinualRun, ...Interval) (Estimate, error)
		want float64
	}{
		// stages: 0.9, (0.95+0.7)/2 = 0.825, (0.6+0.9+0.8)/3 = 0.7667
		{"average incremental accuracy", AverageIncrementalAccuracy, (0.9 + 0.825 + 2.3/3) / 3},
		{"last accuracy", LastAccuracy, 2.3 / 3},
		// last − first: 0.6−0.9 = −0.3, 0.9−0.7 = 0.2
		{"backward transfer", BackwardTransfer, -0.05},
		{"forgetting, first − last", ForgettingFromFirst, 0.05},
		// best − last: 0.95−0.6 = 0.35, 0.9−0.9 = 0. Leaving the last stage out of the best would give 0.35 and −0.2: 0.075.
		{"forgetting, max − last", ForgettingFromMax, 0.175},
		// before training on them: 0.05−0.1, 0.3−0.1
		{"forward transfer", ForwardTransfer, 0.075},
		// 0.9−0.9, 0.8−0.7, 0.9−0.8
		{"intransigence", Intransigence, 0.2 / 3},
	} {
		e := must(t)(c.f(run))
		near(t, c.name, e.Value, c.want, 1e-15)
		if e.HasInterval() {
			t.Errorf("%s: one run has no interval, got %v", c.name, e)
		}
	}
}

// TestContinualRows pins the weighting: with test rows 10, 10, 80 the last accuracy is that over all 100 rows.
func TestContinualRows(t *testing.T) {
	run := threeTasks()
	run.Rows = []int{10, 10, 80}
	near(t, "last", must(t)(LastAccuracy([]ContinualRun{run})).Value, (6+9+64)/100., 1e-15)
	near(t, "average", must(t)(AverageIncrementalAccuracy([]ContinualRun{run})).Value, (0.9+0.825+0.79)/3, 1e-15)
	run.Rows = []int{7, 7, 7}
	near(t, "equal rows", must(t)(LastAccuracy([]ContinualRun{run})).Value, 2.3/3, 1e-15)
	near(t, "backward transfer weighs tasks alike", must(t)(BackwardTransfer([]ContinualRun{run})).Value, -0.05, 1e-15)
}

// TestContinualReadsSeenTasksOnly: a lower triangle is enough, and what stands right of it does not matter, but for forward transfer.
func TestContinualReadsSeenTasksOnly(t *testing.T) {
	full, triangle := threeTasks(), threeTasks()
	for i := range triangle.Accuracy {
		triangle.Accuracy[i] = triangle.Accuracy[i][:i+1]
	}
	for _, f := range []func([]ContinualRun, ...Interval) (Estimate, error){AverageIncrementalAccuracy, LastAccuracy, BackwardTransfer, ForgettingFromFirst, ForgettingFromMax, Intransigence} {
		if a, b := must(t)(f([]ContinualRun{full})), must(t)(f([]ContinualRun{triangle})); a != b {
			t.Errorf("full %v, triangle %v", a, b)
		}
	}
	if _, err := ForwardTransfer([]ContinualRun{triangle}); err == nil {
		t.Error("forward transfer from a triangle")
	}
}

// TestContinualOverRuns: the interval is Student's t of the runs' values.
func TestContinualOverRuns(t *testing.T) {
	runs := []ContinualRun{threeTasks(), threeTasks(), threeTasks()}
	runs[1].Accuracy[2][0], runs[2].Accuracy[2][0] = 0.7, 0.65
	e := must(t)(BackwardTransfer(runs))
	want := must(t)(Mean([]float64{-0.05, 0, -0.025}))
	near(t, "value", e.Value, want.Value, 1e-15)
	near(t, "low", e.Low, want.Low, 1e-14)
	near(t, "high", e.High, want.High, 1e-14)
}

func TestContinualOneTask(t *testing.T) {
	one := []ContinualRun{{Accuracy: [][]float64{{0.8}}}}
	near(t, "last", must(t)(LastAccuracy(one)).Value, 0.8, 0)
	near(t, "average", must(t)(AverageIncrementalAccuracy(one)).Value, 0.8, 0)
	if _, err := BackwardTransfer(one); err == nil {
		t.Error("backward transfer of one task")
	}
}

func TestMeanByHand(t *testing.T) {
	// 1 2 3: mean 2, s = 1, t(2) at 0.975 = 4.302652729749462.
	e := must(t)(Mean([]float64{3, 1, 2}))
	near(t, "mean", e.Value, 2, 0)
	near(t, "high", e.High, 2+4.302652729749462/math.Sqrt(3), 1e-9)
	near(t, "low", e.Low, 2-4.302652729749462/math.Sqrt(3), 1e-9)

	// Paired: the seeds move both by far more than they differ.
	a, b := []float64{10, 50, 90}, []float64{9, 49.5, 88.5}
	e = must(t)(PairedMean(a, b))
	near(t, "difference", e.Value, 1, 1e-15)
	near(t, "its half", e.High-1, 4.302652729749462*0.5/math.Sqrt(3), 1e-9)
	if e = must(t)(PairedMean(b, a)); e.Value != -1 {
		t.Errorf("exchanged: %v", e)
	}

	if e := must(t)(Mean([]float64{0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1})); e.Value != 0.1 || e.Low != 0.1 || e.High != 0.1 {
		t.Errorf("equal values: %+v", e)
	}
	if e := must(t)(Mean([]float64{7})); e.HasInterval() || e.Value != 7 {
		t.Errorf("one value: %v", e)
	}
	// A large offset costs no digits of the spread.
	e = must(t)(Mean([]float64{1e9 + 1, 1e9 + 2, 1e9 + 3}))
	near(t, "width at 1e9", e.High-e.Low, 2*4.302652729749462/math.Sqrt(3), 1e-6)
}
