package calibrate

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

// sets is a fitted conformal method: a class is in a row's set when its score there is not above the class's threshold.
type sets struct {
	calibrated
	level      float64
	thresholds []float64                 // K; everything where no score is too high
	score      func(logs, dst []float64) // of each class, from a row's log-probabilities; higher = stranger
}

// everything is a threshold that no score exceeds.
const everything = math.MaxFloat64

// fitSets learns thresholds, one for all classes, or one from each class's own rows. score must not depend on anything but the row.
// Errors: those of read; ErrDegenerate when all rows together are too few for the level.
func fitSets(ctx context.Context, name string, in LogitsInput, probabilities bool, level float64, perClass bool, score func(logs, dst []float64)) (m sets, err error) {
	o, err := read(ctx, name, in, probabilities)
	if err != nil {
		return m, err
	}
	scores := make([]float64, o.n)
	num.Parallel(o.n, 256, func(lo, hi int) {
		dst := make([]float64, o.k)
		for i := lo; i < hi; i++ {
			score(o.row(i), dst)
			scores[i] = dst[o.labels[i]]
		}
	})
	m = sets{o.calibrated(), level, make([]float64, o.k), score}
	if !perClass {
		all := part.NewConformal(scores)
		if all.Check(level) != nil {
			return m, fmt.Errorf("%w: a level of %g needs at least %d calibration rows, have %d: give more rows or raise --level to %.3g",
				method.ErrDegenerate, level, int(math.Ceil(1/level-1e-9))-1, o.n, 1/float64(o.n+1))
		}
		for c := range m.thresholds {
			m.thresholds[c] = all.Threshold(level)
		}
		return m, nil
	}
	own := make([][]float64, o.k)
	for i, y := range o.labels {
		own[y] = append(own[y], scores[i])
	}
	for c := range own {
		m.thresholds[c] = min(part.NewConformal(own[c]).Threshold(level), everything)
	}
	return m, nil
}

// Level returns the level that the sets were made for.
func (m *sets) Level() float64 { return m.level }

// Sets returns N×K zeros and ones: the classes that each row may be of.
func (m *sets) Sets(in *data.Table) (*data.Table, error) {
	return m.table(in, func(logs []float64) {
		scores := make([]float64, len(logs))
		m.score(logs, scores)
		for c, s := range scores {
			logs[c] = 0
			if s <= m.thresholds[c] {
				logs[c] = 1
			}
		}
	})
}

// State returns the model as tensors.
func (m *sets) State() *data.Checkpoint {
	return m.state(map[string]data.Tensor{"thresholds": data.Float64Tensor(m.thresholds, m.k)})
}

func loadSets(name string, st *data.Checkpoint, probabilities bool, level float64, score func(logs, dst []float64)) (m sets, err error) {
	r := st.Read()
	if m.calibrated, err = load(name, r, probabilities); err != nil {
		return m, err
	}
	m.level, m.score, m.thresholds = level, score, r.Floats("thresholds", m.k)
	return m, r.Err()
}

// unlikely is minus the log-probability of each class.
func unlikely(logs, dst []float64) {
	for c, l := range logs {
		dst[c] = -l
	}
}

// cumulative is the probability of all classes that are more probable than each one, and a part of its own that is drawn from
// the row itself: the seed and the row's numbers give the draw, so the same row gets the same set wherever it stands. Equally
// probable classes stand on one place together. A class on a place beyond the first largest ones gets a penalty for each place more.
func cumulative(seed uint64, largest int, penalty float64) func(logs, dst []float64) {
	return func(logs, dst []float64) {
		h := part.Mix(seed + 1)
		order := make([]int, len(logs))
		for c, l := range logs {
			h = part.Mix(h ^ math.Float64bits(l))
			order[c] = c
		}
		share := float64(h>>11) / (1 << 53)
		slices.SortFunc(order, func(a, b int) int { return cmp.Compare(logs[b], logs[a]) })
		before := 0.0
		for from := 0; from < len(order); {
			to, own := from, 0.0
			for to < len(order) && logs[order[to]] == logs[order[from]] {
				own += math.Exp(logs[order[to]])
				to++
			}
			for _, c := range order[from:to] {
				dst[c] = before + share*own + penalty*float64(max(0, from+1-largest))
			}
			before += own
			from = to
		}
	}
}
