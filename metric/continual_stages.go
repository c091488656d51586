package metric

import "fmt"

// ForgettingFromPast is the mean over all tasks but the last of best − last, where best is the highest accuracy on the task at any stage before the
// last: Chaudhry's definition, which surveys of language models follow. Negative where a task is at its best at the end, and never below
// [ForgettingFromFirst]; [ForgettingFromMax] counts such a task as 0. Needs T ≥ 2.
// Interval and errors: see [AverageIncrementalAccuracy].
//
// Source: Chaudhry et al. (2018), eq. (3).
func ForgettingFromPast(runs []ContinualRun, how ...Interval) (Estimate, error) {
	return overRuns("forgetting from past", runs, how, 2, needSeen, func(r ContinualRun) float64 {
		return r.overEarlier(func(j, last int) float64 {
			best := r.Accuracy[j][j]
			for i := j + 1; i < last; i++ {
				best = max(best, r.Accuracy[i][j])
			}
			return best - r.Accuracy[last][j]
		})
	})
}

// AveragePerformance is AP: the mean over all tasks of the accuracy after the last stage, each task alike whatever its rows. It is [LastAccuracy]
// of a run without Rows.
// Interval and errors: see [AverageIncrementalAccuracy].
//
// Source: Chaudhry et al. (2018), eq. (2).
func AveragePerformance(runs []ContinualRun, how ...Interval) (Estimate, error) {
	return overRuns("average performance", runs, how, 1, needSeen, func(r ContinualRun) float64 {
		r.Rows = nil
		return r.seen(len(r.Accuracy) - 1)
	})
}

// UnseenTransfer is what is left of the ability on tasks before they are learned: the mean over all tasks but the first of the mean accuracy on it
// after each of the stages before its own, Accuracy[i][j], i < j. ZSCL calls it Transfer. Needs T ≥ 2 and full rows.
// Interval and errors: see [AverageIncrementalAccuracy].
//
// Source: Zheng et al. (2023), section 5.1.
func UnseenTransfer(runs []ContinualRun, how ...Interval) (Estimate, error) {
	return overRuns("unseen transfer", runs, how, 2, needFull, func(r ContinualRun) float64 {
		t, sum := len(r.Accuracy), 0.0
		for j := 1; j < t; j++ {
			before := 0.0
			for i := range j {
				before += r.Accuracy[i][j]
			}
			sum += before / float64(j)
		}
		return sum / float64(t-1)
	})
}

// GrandMean is the mean of all T×T accuracies, tasks not yet learned included; ZSCL calls it Avg. Needs full rows.
// Interval and errors: see [AverageIncrementalAccuracy].
//
// Source: Zheng et al. (2023), section 5.1.
func GrandMean(runs []ContinualRun, how ...Interval) (Estimate, error) {
	return overRuns("grand mean", runs, how, 1, needFull, func(r ContinualRun) float64 {
		sum := 0.0
		for _, row := range r.Accuracy {
			for _, a := range row {
				sum += a
			}
		}
		return sum / float64(len(r.Accuracy)*len(r.Accuracy))
	})
}

// FUAR is the trade between forgetting and new knowledge: facts that should have stayed and were forgotten, for each fact that was brought up to date
// or acquired. 0 = nothing was lost, 1 = one lost for one gained; lower is better.
// Errors: ErrRange for negative counts, and when nothing was gained, for then there is no trade.
//
// Source: Jang et al. (2022), section 3.3, with unit weights and counts of facts in the place of score differences.
func FUAR(forgotten, updated, acquired int) (float64, error) {
	if forgotten < 0 || updated < 0 || acquired < 0 {
		return 0, fmt.Errorf("FUAR: %d facts forgotten, %d updated, %d acquired: %w, want counts", forgotten, updated, acquired, ErrRange)
	}
	if updated+acquired == 0 {
		return 0, fmt.Errorf("FUAR: no fact was updated or acquired, so the ratio is %w", ErrRange)
	}
	return float64(forgotten) / float64(updated+acquired), nil
}
