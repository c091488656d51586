package weights

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "how many of a checkpoint's smallest weights can go at once, without retraining",
	Paper: "jaiswal2023emergence",
}, EssSparsity.Apply))

// EssSparsity sets the smallest weights of a checkpoint to zero, at every sparsity of a sweep and in patterns of N of M, and
// finds the knee: the largest sparsity up to which the score stays near that of all weights.
//
// It is the one-shot magnitude pruning that Jaiswal et al. (2023) measure checkpoints by: no data, no training, one evaluation a
// sparsity. Use it to learn how much of a checkpoint can be dropped today.
//
// Takes:   in, a checkpoint; evaluate, an evaluator of it. Tensors of two and more dimensions are pruned; biases, norms and integers stay.
// Apply:   the checkpoint pruned at the knee, or as Share or Pattern say: exactly that many elements are zero, kept ones have their bits. Metadata: esssparsity.dense, the score of all weights; .curve, a line "sparsity score" each; .knee, with .low and .high: a 95 % interval over resampled rows where the evaluator shows its rows, else the knee and the next sparsity of the sweep; .slopes, the mean loss of score by sparsity up to the knee and behind it; .patterns, a line "N:M sparsity score" each; .layers, a line "tensor elements zeros" each; .share, of what was written.
// Errors:  ErrInput when no tensor can be pruned; ErrFinite naming tensor and element, or a score.
// Differs: the knee is the last sparsity before the first that loses more than Drop; the paper takes the largest that loses 1 %. Its encoders are tuned once more under the mask, which is left to the caller. Of equal magnitudes, those of the first tensors by name and the first elements go.
// Source:  jaiswal2023emergence, sections 2 and 3.
// Claim:   claims/weights/esssparsity.go.
type EssSparsity struct {
	// Drop is the part of the score that pruning may cost, as a share of the unpruned score's size; the paper's 1 %.
	Drop float64 `default:"0.01" range:"(0,1]" unit:"share of the score"`
	// Strategy says what magnitudes are held against: global ranks those of all tensors together; layer takes the same share of each.
	Strategy string `default:"global" enum:"global,layer"`
	// Steps is how many sparsities are tried, evenly up to 0.95.
	Steps int `default:"19" range:"[1,1000]" unit:"evaluations"`
	// Share is the sparsity to write instead of the knee; 0 writes the knee.
	Share float64 `range:"[0,1)"`
	// Pattern keeps so many of every so many consecutive elements of a row instead, as sparse hardware wants it; rows are all that one output sums over, and those whose length does not divide stay whole.
	Pattern string `default:"none" enum:"none,1:2,2:4,4:8"`
	// Exclude leaves tensors alone whose names contain one of these words, separated by commas, such as embed,head.
	Exclude string
}

// EssSparsityInput is what is pruned.
type EssSparsityInput struct {
	// In is the checkpoint.
	In *data.Checkpoint
	// Evaluate scores a checkpoint, higher = better.
	Evaluate data.Evaluator
}

// essSparsityMost is the largest sparsity of a sweep, essSparsityDraws how often rows are drawn anew for the interval.
const essSparsityMost, essSparsityDraws = 0.95, 400

// essSparsityPatterns are those whose scores are always reported.
var essSparsityPatterns = []string{"1:2", "2:4", "4:8"}

// Apply sweeps, finds the knee and prunes.
func (c EssSparsity) Apply(ctx context.Context, in EssSparsityInput) (*data.Checkpoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if in.In == nil || in.Evaluate == nil {
		return nil, fmt.Errorf("%w: want a checkpoint and what scores it", method.ErrInput)
	}
	names, size := c.prunable(in.In), 0
	for _, name := range names {
		size += in.In.Tensors[name].Len()
	}
	if size == 0 {
		return nil, fmt.Errorf("%w: the checkpoint has no floating-point tensors of two or more dimensions to prune", method.ErrInput)
	}
	shares := make([]float64, c.Steps+1, c.Steps+2)
	for i := range shares {
		shares[i] = essSparsityMost * float64(i) / float64(c.Steps)
	}
	pruned, err := c.prune(ctx, in.In, names, append(slices.Clone(shares), c.Share))
	if err != nil {
		return nil, err
	}
	s := essSparsitySweep{shares: shares, drop: c.Drop}
	total := len(shares) + len(essSparsityPatterns)
	for i := range shares {
		method.Progress(ctx, i, total)
		if err := s.measure(ctx, in.Evaluate, pruned[i]); err != nil {
			return nil, fmt.Errorf("sparsity %.3g: %w", shares[i], err)
		}
	}
	knee := essSparsityKnee(s.scores, c.Drop)
	low, high := s.interval(knee)

	var patterns []string
	written, share := pruned[knee], shares[knee]
	if c.Share > 0 {
		written, share = pruned[len(shares)], c.Share
	}
	for i, pattern := range essSparsityPatterns {
		method.Progress(ctx, len(shares)+i, total)
		p, zeros, err := c.pattern(in.In, names, pattern)
		if err != nil {
			return nil, err
		}
		v, err := score(ctx, in.Evaluate, p, "pattern "+pattern)
		if err != nil {
			return nil, err
		}
		patterns = append(patterns, fmt.Sprintf("%s %.4g %s", pattern, float64(zeros)/float64(size), digits(v)))
		if pattern == c.Pattern {
			written, share = p, float64(zeros)/float64(size)
		}
	}
	method.Progress(ctx, total, total)

	out := copied(written, "esssparsity.")
	var curve, layers []string
	for i, v := range s.scores {
		curve = append(curve, fmt.Sprintf("%.4g %s", shares[i], digits(v)))
	}
	for _, name := range names {
		v, err := finiteTensor(name, out.Tensors[name])
		if err != nil {
			return nil, err
		}
		zeros := 0
		for _, x := range v {
			if x == 0 {
				zeros++
			}
		}
		layers = append(layers, fmt.Sprintf("%s %d %d", name, len(v), zeros))
	}
	before, after := s.slopes(knee)
	out.Meta["esssparsity.dense"] = digits(s.scores[0])
	out.SetStrings("esssparsity.curve", curve)
	out.Meta["esssparsity.knee"] = brief(shares[knee])
	out.Meta["esssparsity.low"], out.Meta["esssparsity.high"] = brief(low), brief(high)
	out.SetStrings("esssparsity.slopes", []string{brief(before), brief(after)})
	out.SetStrings("esssparsity.patterns", patterns)
	out.SetStrings("esssparsity.layers", layers)
	out.Meta["esssparsity.share"] = brief(share)
	return out, nil
}

// prunable lists the tensors that lose weights, sorted.
func (c EssSparsity) prunable(in *data.Checkpoint) (names []string) {
	words := strings.FieldsFunc(c.Exclude, func(r rune) bool { return r == ',' })
	for _, name := range in.Names() {
		t := in.Tensors[name]
		if t.DType.Float() && len(t.Shape) >= 2 && t.Len() > 0 && !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(name, strings.TrimSpace(w)) }) {
			names = append(names, name)
		}
	}
	return names
}

// prune returns the checkpoint at each sparsity, a share of all elements of the named tensors, rounded to whole ones.
func (c EssSparsity) prune(ctx context.Context, in *data.Checkpoint, names []string, shares []float64) ([]*data.Checkpoint, error) {
	pools := [][]string{names}
	if c.Strategy == "layer" {
		pools = nil
		for _, name := range names {
			pools = append(pools, []string{name})
		}
	}
	out := make([]*data.Checkpoint, len(shares))
	for i := range out {
		out[i] = copied(in, "esssparsity.")
	}
	for _, pool := range pools {
		size, counts := 0, make([]int, len(shares))
		for _, name := range pool {
			size += in.Tensors[name].Len()
		}
		for i, s := range shares {
			counts[i] = int(math.Round(s * float64(size)))
		}
		at, err := cuts(ctx, in, pool, counts)
		if err != nil {
			return nil, err
		}
		before, err := tiesBefore(in, pool, at)
		if err != nil {
			return nil, err
		}
		for i := range shares {
			if counts[i] == 0 {
				continue
			}
			for _, name := range pool {
				if out[i].Tensors[name], err = changed(name, in.Tensors[name], func(v []float64) { zeroBelow(v, at[i], before[name][i]) }); err != nil {
					return nil, err
				}
			}
		}
	}
	return out, nil
}

// pattern returns the checkpoint with N of M consecutive elements of every row kept, and how many went.
func (c EssSparsity) pattern(in *data.Checkpoint, names []string, pattern string) (*data.Checkpoint, int, error) {
	keep, of := 0, 0
	if _, err := fmt.Sscanf(pattern, "%d:%d", &keep, &of); err != nil {
		return nil, 0, fmt.Errorf("%w: pattern %q: %v", method.ErrConfig, pattern, err)
	}
	out, zeros := copied(in, "esssparsity."), 0
	for _, name := range names {
		t := in.Tensors[name]
		if row := t.Len() / t.Shape[0]; row%of != 0 {
			continue
		}
		zeros += t.Len() / of * (of - keep)
		var err error
		if out.Tensors[name], err = changed(name, t, func(v []float64) { keepLargest(v, keep, of) }); err != nil {
			return nil, 0, err
		}
	}
	return out, zeros, nil
}

// essSparsitySweep is what was measured.
type essSparsitySweep struct {
	shares, scores []float64
	drop           float64
	right          [][]bool // of each sparsity, of each row; nil when the evaluator shows none
}

func (s *essSparsitySweep) measure(ctx context.Context, e data.Evaluator, c *data.Checkpoint) error {
	rows, ok := e.(data.RowEvaluator)
	if !ok {
		v, err := score(ctx, e, c, "score")
		s.scores = append(s.scores, v)
		return err
	}
	z, err := rows.Outputs(ctx, c)
	if err != nil {
		return err
	}
	right, err := hits(z)
	s.right, s.scores = append(s.right, right), append(s.scores, mean01(right))
	return err
}

// essSparsityKnee is the place of the last score before the first that lies more than a share drop of the first one's size
// below it.
func essSparsityKnee(scores []float64, drop float64) int {
	least := scores[0] - drop*math.Abs(scores[0])
	for i, v := range scores {
		if v < least {
			return i - 1
		}
	}
	return len(scores) - 1
}

// interval is that of the knee: over rows drawn anew where there are any, else from it to the next sparsity.
func (s *essSparsitySweep) interval(knee int) (low, high float64) {
	if len(s.right) == 0 || len(s.right[0]) == 0 {
		return s.shares[knee], s.shares[min(knee+1, len(s.shares)-1)]
	}
	n, r := len(s.right[0]), rand.New(rand.NewPCG(1, 0))
	knees := make([]float64, essSparsityDraws)
	times, scores := make([]int, n), make([]float64, len(s.shares))
	for k := range knees {
		clear(times)
		for range n {
			times[r.IntN(n)]++
		}
		for i, right := range s.right {
			sum := 0
			for row, hit := range right {
				if hit {
					sum += times[row]
				}
			}
			scores[i] = float64(sum) / float64(n)
		}
		knees[k] = s.shares[essSparsityKnee(scores, s.drop)]
	}
	slices.Sort(knees)
	return knees[essSparsityDraws/40], knees[essSparsityDraws-1-essSparsityDraws/40]
}

// slopes returns by how much the score falls for a sparsity of one, on the mean, up to the knee and behind it.
func (s *essSparsitySweep) slopes(knee int) (before, after float64) {
	last := len(s.shares) - 1
	if knee > 0 {
		before = (s.scores[0] - s.scores[knee]) / (s.shares[knee] - s.shares[0])
	}
	if knee < last {
		after = (s.scores[knee] - s.scores[last]) / (s.shares[last] - s.shares[knee])
	}
	return before, after
}
