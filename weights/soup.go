package weights

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "one checkpoint that averages several fine-tuned ones",
	Paper: "wortsman2022soups",
}, Soup.Apply))

// Soup averages checkpoints that were fine-tuned from one start: near the accuracy of their ensemble, at the cost of one.
//
// They must share the start: averages of networks trained from different initial weights are useless. Uniform needs no
// data; greedy never falls below the best single checkpoint on the rows it is given, in 2M−1 evaluations of M checkpoints;
// learned fits M mixing weights by gradient. The result is computed one tensor at a time while it is written.
//
// Takes:   in, M ≥ 1 checkpoints with the same tensors; evaluate, an evaluator, for greedy and learned only (learned needs gradients too).
// Apply:   a checkpoint with the same names, shapes and types; sums in float64, rounded once. Metadata: what all inputs share, and soup.strategy, soup.ingredients (positions in the input, from 1); greedy: soup.scores of the inputs, soup.path of the soup after each addition; learned: soup.weights, soup.scale, by which to multiply the logits, soup.loss before and after, soup.steps; with Gaps: soup.gaps, a line "checkpoint checkpoint predicted measured" each, in nats.
// Errors:  ErrShape listing how the checkpoints differ in names, shapes, types, or in the values of tensors of integers; ErrInput without checkpoints or without the evaluator that the strategy needs; ErrFinite naming tensor and element, when that tensor is asked for.
// Differs: uniform is exact, so the same bits come out for any order of inputs; equal scores are ranked by input order; learned descends on all rows at once by L-BFGS, where the authors take mini-batches. Batch-normalisation statistics are averaged like weights: re-estimate them if the network has any.
// Source:  wortsman2022soups, section 2, Recipe 1, section 4 on soups and ensembles, and appendix on learned soups.
// Claim:   claims/weights/soup.go.
type Soup struct {
	// Strategy says what goes in: uniform takes all alike; greedy adds, from the best one down, whatever does not lower the score; learned mixes all by weights that minimise the cross-entropy.
	Strategy string `default:"uniform" enum:"uniform,greedy,learned"`
	// PerLayer gives learned mixing weights of their own to each layer, which is a tensor's name up to its last dot.
	PerLayer bool
	// Steps bounds how often learned evaluates loss and gradient, each of which reads every checkpoint. It stops earlier when no derivative by the logarithm of a mixing weight or of the scale exceeds 1e-5.
	Steps int `default:"100" range:"[1,1e6]"`
	// Gaps also predicts, for every two inputs, by how much the loss of their average exceeds that of the average of their logits, and measures it: where it is large, an ensemble would be better than a soup. It needs an evaluator that shows its rows.
	Gaps bool
}

// SoupInput is what a soup is made of.
type SoupInput struct {
	// In are M checkpoints of one architecture.
	In data.Checkpoints
	// Evaluate scores a checkpoint, higher = better, and for learned gives its loss and gradients too.
	Evaluate data.Evaluator `optional:"true"`
}

// Apply makes the soup.
func (c Soup) Apply(ctx context.Context, in SoupInput) (*data.Checkpoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if c.Gaps {
		return c.withGaps(ctx, in)
	}
	aligned, err := numbered(in.In).align()
	if err != nil {
		return nil, err
	}
	in.In = aligned.list
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.Strategy == "uniform" {
		return soupOf(in.In, soupAll(in.In), c.Strategy)
	}
	if in.Evaluate == nil {
		return nil, fmt.Errorf("%w: strategy %s needs held-out rows or a command that score a checkpoint (--evaluate, --evaluate-command)", method.ErrInput, c.Strategy)
	}
	if c.Strategy == "greedy" {
		return soupGreedy(ctx, in)
	}
	loss, ok := in.Evaluate.(data.Differentiable)
	if !ok {
		return nil, fmt.Errorf("%w: strategy learned needs gradients and the evaluator gives only scores; pass held-out rows (--evaluate) or take greedy", method.ErrInput)
	}
	return c.learn(ctx, in.In, loss)
}

// withGaps makes the soup and writes down the gaps.
func (c Soup) withGaps(ctx context.Context, in SoupInput) (*data.Checkpoint, error) {
	rows, ok := in.Evaluate.(data.RowEvaluator)
	if !ok {
		return nil, fmt.Errorf("%w: --gaps needs the logits of held-out rows; pass them (--evaluate)", method.ErrInput)
	}
	c.Gaps = false
	out, err := c.Apply(ctx, in)
	if err != nil {
		return nil, err
	}
	gaps, err := Gaps(ctx, in.In, rows)
	if err != nil {
		return nil, err
	}
	list := make([]string, len(gaps))
	for i, g := range gaps {
		list[i] = fmt.Sprintf("%d %d %s %s", g.First, g.Second, brief(g.Predicted), brief(g.Measured))
	}
	out.SetStrings("soup.gaps", list)
	return out, nil
}

func soupAll(in data.Checkpoints) []int {
	all := make([]int, len(in))
	for i := range all {
		all[i] = i
	}
	return all
}

// soupOf returns the mean of the chosen checkpoints.
func soupOf(in data.Checkpoints, chosen []int, strategy string) (*data.Checkpoint, error) {
	var from data.Checkpoints
	for _, i := range chosen {
		from = append(from, in[i])
	}
	all := numbered(in).who
	who := make([]string, len(chosen))
	for k, i := range chosen {
		who[k] = all[i]
	}
	out, err := sources{from, who}.blend(evenly)
	if err != nil {
		return nil, err
	}
	soupLabel(out, strategy, chosen)
	return out, nil
}

// soupLabel writes what went in, in place of what an input that is itself a soup says of its own.
func soupLabel(out *data.Checkpoint, strategy string, chosen []int) {
	for key := range out.Meta {
		if strings.HasPrefix(key, "soup.") {
			delete(out.Meta, key)
		}
	}
	out.Meta["soup.strategy"] = strategy
	list := make([]string, len(chosen))
	for k, i := range chosen {
		list[k] = strconv.Itoa(i + 1)
	}
	out.SetStrings("soup.ingredients", list)
}

func soupNumbers(values ...float64) []string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = strconv.FormatFloat(v, 'g', -1, 64)
	}
	return list
}

// soupGreedy is the paper's Recipe 1.
func soupGreedy(ctx context.Context, in SoupInput) (*data.Checkpoint, error) {
	n := len(in.In)
	score := func(c *data.Checkpoint, done int, what string) (float64, error) {
		method.Progress(ctx, done, 2*n-1)
		v, err := in.Evaluate.Evaluate(ctx, c)
		if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
			err = fmt.Errorf("a score of %v, %w", v, data.ErrFinite)
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", what, err)
		}
		return v, nil
	}
	scores := make([]float64, n)
	for i, c := range in.In {
		var err error
		if scores[i], err = score(c, i, called(c, fmt.Sprintf("checkpoint %d", i+1))); err != nil {
			return nil, err
		}
	}
	order := soupAll(in.In)
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	chosen, path := order[:1:1], []float64{scores[order[0]]}
	soup, err := soupOf(in.In, chosen, "greedy")
	if err != nil {
		return nil, err
	}
	for k, i := range order[1:] {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		wider := append(slices.Clone(chosen), i)
		candidate, err := soupOf(in.In, wider, "greedy")
		if err != nil {
			return nil, err
		}
		v, err := score(candidate, n+k, fmt.Sprintf("checkpoint %d in a soup of %d", i+1, len(wider)))
		if err != nil {
			return nil, err
		}
		if v >= path[len(path)-1] {
			soup, chosen, path = candidate, wider, append(path, v)
		}
	}
	method.Progress(ctx, 2*n-1, 2*n-1)
	soup.SetStrings("soup.scores", soupNumbers(scores...))
	soup.SetStrings("soup.path", soupNumbers(path...))
	return soup, nil
}

// soupSearch is a point in the search for mixing weights. The free numbers are, for each group of tensors that shares
// weights, the M logarithms whose softmax they are, and at last the logarithm of the scale.
type soupSearch struct {
	in      data.Checkpoints
	loss    data.Differentiable
	group   func(tensor string) string
	groups  []string             // G
	weights map[string][]float64 // of each group, M
	scale   float64
}

// learn minimises the cross-entropy over mixing weights and scale on all rows at once, from equal weights and scale one.
func (c Soup) learn(ctx context.Context, in data.Checkpoints, loss data.Differentiable) (*data.Checkpoint, error) {
	const small = 1e-5 // nats for a change of the free numbers by one: far below what held-out rows can tell
	s := &soupSearch{in: in, loss: loss, group: func(string) string { return "" }}
	if c.PerLayer {
		s.group = func(tensor string) string { return tensor[:max(strings.LastIndexByte(tensor, '.'), 0)] }
	}
	for _, name := range in[0].Names() {
		if g := s.group(name); in[0].Tensors[name].DType.Float() && !slices.Contains(s.groups, g) {
			s.groups = append(s.groups, g)
		}
	}
	if len(s.groups) == 0 {
		return nil, fmt.Errorf("%w: the checkpoints hold no floating-point tensors to mix", method.ErrInput)
	}
	free := make([]float64, len(s.groups)*len(in)+1)
	done := 0
	// The free numbers are logarithms: one step changes none of them by more than 2.
	first, lowest, made, err := part.Descent{Evaluations: c.Steps, Small: small, Longest: 2}.Run(ctx, free, func(free []float64) (part.Slope, error) {
		method.Progress(ctx, done, c.Steps)
		done++
		s.set(free)
		return s.slope(ctx)
	})
	if err != nil {
		return nil, err
	}
	s.set(free)
	out, err := s.mixed()
	if err != nil {
		return nil, err
	}
	soupLabel(out, c.Strategy, soupAll(in))
	for _, g := range s.groups {
		out.SetStrings(strings.TrimSuffix("soup.weights."+g, "."), soupNumbers(s.weights[g]...))
	}
	out.SetStrings("soup.scale", soupNumbers(s.scale))
	out.SetStrings("soup.loss", soupNumbers(first, lowest))
	out.Meta["soup.steps"] = strconv.Itoa(made)
	return out, nil
}

func (s *soupSearch) set(free []float64) {
	s.weights = map[string][]float64{} // a new one: checkpoints mixed before keep theirs
	m := len(s.in)
	for k, g := range s.groups {
		w := make([]float64, m)
		num.Softmax(w, free[k*m:(k+1)*m], 1)
		s.weights[g] = w
	}
	s.scale = math.Exp(free[len(free)-1])
}

// mixed returns the checkpoint of the present weights.
func (s *soupSearch) mixed() (*data.Checkpoint, error) {
	group, weights := s.group, s.weights
	return numbered(s.in).blend(func(t *strand) (kernel, error) {
		w := weights[group(t.name)]
		return func(dst []float64, src [][]float64, _ int) { mix(dst, src, w) }, nil
	})
}

// slope returns the loss at the present point and its derivatives by the free numbers.
func (s *soupSearch) slope(ctx context.Context) (part.Slope, error) {
	c, err := s.mixed()
	if err != nil {
		return part.Slope{}, err
	}
	loss, byScale, gradient, err := s.loss.Loss(ctx, c, s.scale)
	if err != nil {
		return part.Slope{}, err
	}
	byWeight := map[string][]float64{}
	for _, g := range s.groups {
		byWeight[g] = make([]float64, len(s.in))
	}
	for _, name := range c.Names() {
		t := c.Tensors[name]
		if !t.DType.Float() {
			continue
		}
		slopes := gradient[name]
		if len(slopes) != t.Len() {
			return part.Slope{}, fmt.Errorf("%w: the evaluator's gradient has %d values for tensor %q of %d", data.ErrShape, len(slopes), name, t.Len())
		}
		for i, from := range s.in { // ∂loss/∂α_i = Σ gradient·θ_i
			theta, err := from.Tensors[name].Float64s()
			if err != nil {
				return part.Slope{}, fmt.Errorf("checkpoint %d, tensor %q: %w", i+1, name, err)
			}
			for k, x := range theta {
				byWeight[s.group(name)][i] += slopes[k] * x
			}
		}
	}
	var by []float64
	for _, g := range s.groups { // through the softmax: ∂/∂a_i = α_i·(∂/∂α_i − Σ_j α_j·∂/∂α_j)
		inner := 0.0
		for i, w := range s.weights[g] {
			inner += w * byWeight[g][i]
		}
		for i, w := range s.weights[g] {
			by = append(by, w*(byWeight[g][i]-inner))
		}
	}
	return part.Slope{Loss: loss, Gradient: append(by, s.scale*byScale)}, nil
}
