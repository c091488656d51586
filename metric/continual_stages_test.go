package metric

import (
	"errors"
	"slices"
	"testing"
)

// TestContinualStagesByHand goes on with the matrix of TestContinualByHand.
func TestContinualStagesByHand(t *testing.T) {
	run := threeTasks()
	run.Rows = []int{10, 10, 80} // average performance does not look at them
	for _, c := range []struct {
		name string
		f    func([]ContinualRun, ...Interval) (Estimate, error)
		want float64
	}{
		// best before the last stage − last: 0.95−0.6 = 0.35, 0.7−0.9 = −0.2
		{"forgetting from past", ForgettingFromPast, 0.075},
		{"average performance", AveragePerformance, 2.3 / 3},
		// task 2 before: 0.05; task 3 before: (0.2+0.3)/2
		{"unseen transfer", UnseenTransfer, (0.05 + 0.25) / 2},
		{"grand mean", GrandMean, (0.9 + 0.05 + 0.2 + 0.95 + 0.7 + 0.3 + 0.6 + 0.9 + 0.8) / 9},
	} {
		near(t, c.name, must(t)(c.f([]ContinualRun{run})).Value, c.want, 1e-15)
	}
}

// TestZeroShotRow: a learner that stays what it was has the same row at every stage; the three figures that ZSCL's authors
// give for CLIP's own row of eleven tasks.
func TestZeroShotRow(t *testing.T) {
	row := []float64{.243, .884, .682, .446, .549, .710, .885, .594, .890, .647, .652}
	run := ContinualRun{Accuracy: slices.Repeat([][]float64{row}, len(row))}
	near(t, "transfer", must(t)(UnseenTransfer([]ContinualRun{run})).Value, .6939, 5e-5)
	near(t, "avg", must(t)(GrandMean([]ContinualRun{run})).Value, .6529, 5e-5)
	near(t, "last", must(t)(AveragePerformance([]ContinualRun{run})).Value, .6529, 5e-5)
	for _, f := range []func([]ContinualRun, ...Interval) (Estimate, error){ForgettingFromFirst, ForgettingFromMax, ForgettingFromPast, BackwardTransfer} {
		near(t, "forgetting of a constant matrix", must(t)(f([]ContinualRun{run})).Value, 0, 0)
	}
}

// TestForgettingOrder: the three definitions are ordered on any matrix.
func TestForgettingOrder(t *testing.T) {
	x := uint64(1)
	for range 200 {
		run := ContinualRun{Accuracy: make([][]float64, 4)}
		for i := range run.Accuracy {
			for range 4 {
				x = x*6364136223846793005 + 1442695040888963407
				run.Accuracy[i] = append(run.Accuracy[i], float64(x>>11)/(1<<53))
			}
		}
		one := []ContinualRun{run}
		first, past, most := must(t)(ForgettingFromFirst(one)).Value, must(t)(ForgettingFromPast(one)).Value, must(t)(ForgettingFromMax(one)).Value
		if past < first || most < past || most < 0 {
			t.Fatalf("from first %v, from past %v, from max %v", first, past, most)
		}
	}
}

func TestFUAR(t *testing.T) {
	if v, err := FUAR(3, 4, 2); err != nil || v != 0.5 {
		t.Errorf("%v, %v", v, err)
	}
	for _, c := range [][3]int{{1, 0, 0}, {-1, 1, 1}, {1, -1, 3}} {
		if _, err := FUAR(c[0], c[1], c[2]); !errors.Is(err, ErrRange) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestUnseenTransferNeedsFullRows(t *testing.T) {
	run := threeTasks()
	run.Accuracy[0] = run.Accuracy[0][:1]
	if _, err := UnseenTransfer([]ContinualRun{run}); err == nil {
		t.Error("from a triangle")
	}
}
