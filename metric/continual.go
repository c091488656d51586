package metric

import (
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
)

// ContinualRun is what one run over T tasks measured. Accuracies are fractions in [0,1]; stages and tasks are in the order of training.
type ContinualRun struct {
	// Accuracy[i][j] is the accuracy on task j after training on tasks 0..i. Row i needs the tasks seen so far, j ≤ i;
	// only ForwardTransfer, UnseenTransfer and GrandMean read tasks not yet seen, and then every row needs all T.
	Accuracy [][]float64 // T×T, row = after stage i, column = task j
	// Rows is how many test rows each task has. With it, accuracies over several tasks weigh tasks by their rows: the accuracy over all test rows
	// of the classes seen so far, as class-incremental papers report it. Without it, tasks weigh alike.
	Rows []int // T, or nil
	// Untrained[j] is the accuracy on task j of the model before any training. Only ForwardTransfer reads it.
	Untrained []float64 // T, or nil
	// Joint[j] is the accuracy on task j of a reference model trained on tasks 0..j at once. Only Intransigence reads it.
	Joint []float64 // T, or nil
}

// AverageIncrementalAccuracy is the mean over the stages of the accuracy on all tasks seen so far: Ā = 1/T·Σ_i A_i, A_i = mean of Accuracy[i][0..i].
// With Rows, A_i weighs tasks by their test rows.
//
// Interval of this and of all continual metrics: the value is the mean over runs (one per seed or task order), the interval Student's t over the runs;
// a single run has none.
// Errors of all: data.ErrShape without runs or for rows that are too short, data.ErrFinite for NaN and Inf, ErrRange for accuracies outside [0,1] or
// for the Interval.
// Source: Rebuffi et al. (2017), section 4.1.
func AverageIncrementalAccuracy(runs []ContinualRun, how ...Interval) (Estimate, error) {
	return overRuns("average incremental accuracy", runs, how, 1, needSeen, func(r ContinualRun) float64 {
		sum := 0.0
		for i := range r.Accuracy {
			sum += r.seen(i)
		}
		return sum / float64(len(r.Accuracy))
	})
}

// LastAccuracy is the accuracy on all T tasks after the last stage: A_T, the mean of the last row. With Rows, tasks weigh by their test rows.
// Interval and errors: see [AverageIncrementalAccuracy].
func LastAccuracy(runs []ContinualRun, how ...Interval) (Estimate, error) {
	return overRuns("last accuracy", runs, how, 1, needSeen, func(r ContinualRun) float64 {
		return r.seen(len(r.Accuracy) - 1)
	})
}

// BackwardTransfer is what later training did to earlier tasks: the mean over all tasks but the last of last − first,
// Accuracy[T−1][j] − Accuracy[j][j]. Negative = forgetting. Needs T ≥ 2.
// Interval and errors: see [AverageIncrementalAccuracy].
//
// Source: Lopez-Paz and Ranzato (2017), eq. (3).
func BackwardTransfer(runs []ContinualRun, how ...Interval) (Estimate, error) {
	return overRuns("backward transfer", runs, how, 2, needSeen, func(r ContinualRun) float64 {
		return r.overEarlier(func(j, last int) float64 { return r.Accuracy[last][j] - r.Accuracy[j][j] })
	})
}

// ForgettingFromFirst is the mean over all tasks but the last of first − last, Accuracy[j][j] − Accuracy[T−1][j]: exactly −[BackwardTransfer], and
// negative when later tasks helped. This is Avalanche's definition of forgetting. Needs T ≥ 2.
// Interval and errors: see [AverageIncrementalAccuracy].
func ForgettingFromFirst(runs []ContinualRun, how ...Interval) (Estimate, error) {
	return overRuns("forgetting from first", runs, how, 2, needSeen, func(r ContinualRun) float64 {
		return r.overEarlier(func(j, last int) float64 { return r.Accuracy[j][j] - r.Accuracy[last][j] })
	})
}

// ForgettingFromMax is the mean over all tasks but the last of best − last, where best is the highest accuracy on the task at any stage since it
// was learnt, the last stage included: never negative, never below [ForgettingFromFirst]. This is the definition of PILOT and mammoth. Needs T ≥ 2.
// Interval and errors: see [AverageIncrementalAccuracy].
//
// Differs: Chaudhry et al. (2018), eq. (3), leave the last stage out of the maximum, so a task that is at its best at the end counts negative there
// and 0 here.
func ForgettingFromMax(runs []ContinualRun, how ...Interval) (Estimate, error) {
	return overRuns("forgetting from max", runs, how, 2, needSeen, func(r ContinualRun) float64 {
		return r.overEarlier(func(j, last int) float64 {
			best := r.Accuracy[j][j]
			for i := j + 1; i <= last; i++ {
				best = max(best, r.Accuracy[i][j])
			}
			return best - r.Accuracy[last][j]
		})
	})
}

// ForwardTransfer is what earlier training did for tasks not yet seen: the mean over all tasks but the first of Accuracy[j−1][j] − Untrained[j].
// Needs T ≥ 2, full rows and Untrained.
// Interval and errors: see [AverageIncrementalAccuracy].
//
// Source: Lopez-Paz and Ranzato (2017), eq. (4).
func ForwardTransfer(runs []ContinualRun, how ...Interval) (Estimate, error) {
	return overRuns("forward transfer", runs, how, 2, needUntrained, func(r ContinualRun) float64 {
		sum := 0.0
		for j := 1; j < len(r.Accuracy); j++ {
			sum += r.Accuracy[j-1][j] - r.Untrained[j]
		}
		return sum / float64(len(r.Accuracy)-1)
	})
}

// Intransigence is the inability to learn new tasks: the mean over tasks of Joint[j] − Accuracy[j][j], how far below the jointly trained reference each
// task is when it is learnt. Negative = above the reference. Needs Joint.
// Interval and errors: see [AverageIncrementalAccuracy].
//
// Source: Chaudhry et al. (2018), eq. (4), averaged over the tasks.
func Intransigence(runs []ContinualRun, how ...Interval) (Estimate, error) {
	return overRuns("intransigence", runs, how, 1, needJoint, func(r ContinualRun) float64 {
		sum := 0.0
		for j := range r.Accuracy {
			sum += r.Joint[j] - r.Accuracy[j][j]
		}
		return sum / float64(len(r.Accuracy))
	})
}

// seen is the accuracy after stage i on tasks 0..i.
func (r ContinualRun) seen(i int) float64 {
	sum, weights := 0.0, 0.0
	for j, a := range r.Accuracy[i][:i+1] {
		weight := 1.0
		if r.Rows != nil {
			weight = float64(r.Rows[j])
		}
		sum += weight * a
		weights += weight
	}
	return sum / weights
}

// overEarlier is the mean of f over all tasks but the last.
func (r ContinualRun) overEarlier(f func(task, last int) float64) float64 {
	last := len(r.Accuracy) - 1
	sum := 0.0
	for j := range last {
		sum += f(j, last)
	}
	return sum / float64(last)
}

type need int

const (
	needSeen need = iota
	needFull
	needUntrained
	needJoint
)

// overRuns checks the runs and averages a metric over them.
func overRuns(who string, runs []ContinualRun, how []Interval, tasks int, need need, metric func(ContinualRun) float64) (Estimate, error) {
	h, err := settle(who, how)
	if err != nil {
		return Estimate{}, err
	}
	if len(runs) == 0 {
		return Estimate{}, fmt.Errorf("%s: %w: no runs", who, data.ErrShape)
	}
	values := make([]float64, len(runs))
	for i, r := range runs {
		if err := r.check(tasks, need); err != nil {
			return Estimate{}, fmt.Errorf("%s: run %d: %w", who, i+1, err)
		}
		values[i] = metric(r)
	}
	return h.student(who, values)
}

func (r ContinualRun) check(least int, need need) error {
	t := len(r.Accuracy)
	if t < least {
		return fmt.Errorf("%w: %d stages, want at least %d", data.ErrShape, t, least)
	}
	for i, row := range r.Accuracy {
		want := i + 1
		if need == needUntrained || need == needFull {
			want = t
		}
		if len(row) < want || len(row) > t {
			return fmt.Errorf("%w: stage %d has accuracies of %d tasks, want %d to %d", data.ErrShape, i+1, len(row), want, t)
		}
		if err := checkFractions(fmt.Sprintf("stage %d", i+1), row); err != nil {
			return err
		}
	}
	if r.Rows != nil && len(r.Rows) != t {
		return fmt.Errorf("%w: rows of %d tasks for %d stages", data.ErrShape, len(r.Rows), t)
	}
	for j, rows := range r.Rows {
		if rows < 1 {
			return fmt.Errorf("task %d: %d test rows are %w, want at least 1", j+1, rows, ErrRange)
		}
	}
	switch need {
	case needUntrained:
		return r.checkReference("untrained", r.Untrained)
	case needJoint:
		return r.checkReference("joint", r.Joint)
	}
	return nil
}

func (r ContinualRun) checkReference(name string, accuracy []float64) error {
	if len(accuracy) != len(r.Accuracy) {
		return fmt.Errorf("%w: %d %s accuracies for %d tasks", data.ErrShape, len(accuracy), name, len(r.Accuracy))
	}
	return checkFractions(name, accuracy)
}

func checkFractions(where string, accuracy []float64) error {
	for j, a := range accuracy {
		if math.IsNaN(a) || math.IsInf(a, 0) {
			return fmt.Errorf("%s, task %d: accuracy %v is %w", where, j+1, a, data.ErrFinite)
		}
		if a < 0 || a > 1 {
			return fmt.Errorf("%s, task %d: accuracy %v is %w, want a fraction 0 to 1", where, j+1, a, ErrRange)
		}
	}
	return nil
}
