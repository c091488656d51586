package weights

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "which loss a network reaches that is pruned while it is pre-trained, and which schedule to train by",
	Paper: "jin2025journey",
}, SparseLaw.Apply))

// SparseLaw fits a scaling law to finished runs, dense ones and ones pruned on the way, and plans the next run: which dense size to
// start from and how sparse to end, for a wanted size and compute.
//
// It is the law of Jin et al. (2025): loss = E + A/N^a + B/D^b, where D counts tokens and N is the mean over training of the parameters
// that are active. A dense run is the case of a constant N, so that ordinary logs serve; five runs are the least. Loss may be in any
// unit that is above zero.
//
// Takes:   runs, a table: columns parameters, tokens, loss by name, or the first three; all above zero. With columns sparsity, start and end by name too, parameters are those at the start, and a run is pruned to the sparsity between these shares of its training. Rows of one group are one run: its trace, tokens counting from the run's start.
// Apply:   a checkpoint: law, E, A, a, B, b; fitted, each run's mean parameters, tokens, loss and the law's; plan, a row each of final sparsity, parameters at the start, mean parameters, tokens, compute and predicted loss. Metadata: sparselaw.law; .error, the mean size of log(loss/law) of runs left out in turn, and .error.first and .error.last, those of laws in the first and in the last number of parameters, where runs are pruned; .plan, the best row with a 95 % jackknife interval of its loss; .schedule, a line "share of training, sparsity" each.
// Errors:  ErrShape with fewer than three columns; ErrInput naming row and column that is not above zero, or a schedule that is none; ErrDegenerate with fewer than 5 runs, or fewer than 3 different sizes or token counts, or when constants overflow.
// Differs: descent starts from 81 points scaled to the data instead of 4,500 fixed ones. Compute is 6·N·D, the mean N. The plan stops at a sparsity of 0.9, about where the paper's runs do; the law extrapolates, and its interval knows of noise only.
// Source:  jin2025journey, on the average parameter count and the schedule; the fit after Hoffmann et al. (2022), approach 3.
// Claim:   claims/weights/sparselaw.go.
type SparseLaw struct {
	// Parameters is how many are to be left active at the end of the planned run; 0 takes the last number of the run of most compute.
	Parameters float64 `range:"[0,1e18]"`
	// Compute is that of the planned run, 6·parameters·tokens; 0 takes that of the run of most compute.
	Compute float64 `range:"[0,1e36]" unit:"operations"`
	// Start is the share of training after which pruning begins; the paper's 25 %.
	Start float64 `default:"0.25" range:"(0,1)"`
	// End is the share of training after which the mask stays; the paper's 75 %.
	End float64 `default:"0.75" range:"(0,1]"`
	// Strategy is how sparsity grows between them: cubic is fast at first, linear even.
	Strategy string `default:"cubic" enum:"cubic,linear"`
	// Tolerance is the error of log(loss) from which on it counts in proportion instead of squared; Hoffmann's 1e-3.
	Tolerance float64 `default:"0.001" range:"(0,1]" unit:"nats"`
}

// SparseLawInput is what the law is fitted to.
type SparseLawInput struct {
	// Runs is a table of finished runs.
	Runs *data.Table
}

// SparseLawConstants are those of loss = Floor + Size/N^SizeExponent + Data/D^DataExponent.
type SparseLawConstants struct{ Floor, Size, SizeExponent, Data, DataExponent float64 }

// Loss predicts the loss of a run of a mean number of parameters and of tokens.
func (l SparseLawConstants) Loss(parameters, tokens float64) float64 {
	return l.Floor + l.Size*math.Pow(parameters, -l.SizeExponent) + l.Data*math.Pow(tokens, -l.DataExponent)
}

// SparseLawRun is a finished run.
type SparseLawRun struct {
	// Mean, First and Last are numbers of active parameters: over training, at its start and at its end.
	Mean, First, Last, Tokens, Loss float64
}

// sparsity returns the part of the parameters that is pruned at a share of training, for a final sparsity.
func (c SparseLaw) sparsity(share, final float64) float64 {
	switch u := (share - c.Start) / (c.End - c.Start); {
	case u <= 0:
		return 0
	case u >= 1:
		return final
	case c.Strategy == "linear":
		return final * u
	default:
		return final * (1 - (1-u)*(1-u)*(1-u))
	}
}

// meanSparsity returns the mean of sparsity over training for a final sparsity of one.
func (c SparseLaw) meanSparsity() float64 {
	ramp := 0.75
	if c.Strategy == "linear" {
		ramp = 0.5
	}
	return (c.End-c.Start)*ramp + 1 - c.End
}

// Apply fits and plans.
func (c SparseLaw) Apply(ctx context.Context, in SparseLawInput) (*data.Checkpoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if c.Start >= c.End {
		return nil, fmt.Errorf("%w: --start %g is not before --end %g", method.ErrConfig, c.Start, c.End)
	}
	if in.Runs == nil {
		return nil, fmt.Errorf("%w: want a table of runs", method.ErrInput)
	}
	runs, pruned, err := c.runs(in.Runs)
	if err != nil {
		return nil, err
	}
	law, err := c.Fit(ctx, runs)
	if err != nil {
		return nil, err
	}
	n := len(runs)
	others := make([]SparseLawConstants, n) // without each run
	miss := 0.0
	for i := range runs {
		method.Progress(ctx, i, n)
		if others[i], err = c.without(ctx, runs, i, law); err != nil {
			return nil, err
		}
		miss += math.Abs(math.Log(runs[i].Loss/others[i].Loss(runs[i].Mean, runs[i].Tokens))) / float64(n)
	}
	method.Progress(ctx, n, n)
	out := &data.Checkpoint{Meta: map[string]string{"sparselaw.error": brief(miss)}, Tensors: map[string]data.Tensor{
		"law": data.Float64Tensor([]float64{law.Floor, law.Size, law.SizeExponent, law.Data, law.DataExponent}, 5),
	}}
	out.Meta["sparselaw.law"] = fmt.Sprintf("loss = %s + %s/parameters^%s + %s/tokens^%s", brief(law.Floor), brief(law.Size), brief(law.SizeExponent), brief(law.Data), brief(law.DataExponent))
	if pruned {
		for name, size := range map[string]func(SparseLawRun) float64{"first": func(r SparseLawRun) float64 { return r.First }, "last": func(r SparseLawRun) float64 { return r.Last }} {
			if out.Meta["sparselaw.error."+name], err = c.rival(ctx, runs, size); err != nil {
				return nil, err
			}
		}
	}
	var fitted []float64
	largest := runs[0]
	for _, r := range runs {
		fitted = append(fitted, r.Mean, r.Tokens, r.Loss, law.Loss(r.Mean, r.Tokens))
		if r.Mean*r.Tokens > largest.Mean*largest.Tokens {
			largest = r
		}
	}
	out.Tensors["fitted"] = data.Float64Tensor(fitted, n, len(fitted)/n)
	if c.Parameters == 0 {
		c.Parameters = largest.Last
	}
	if c.Compute == 0 {
		c.Compute = 6 * largest.Mean * largest.Tokens
	}
	if err := c.plan(out, law, others); err != nil {
		return nil, err
	}
	for _, name := range out.Names() {
		v, _ := out.Tensors[name].Float64s()
		if i := slices.IndexFunc(v, func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }); i >= 0 {
			return nil, fmt.Errorf("%w: the law's constants overflow (%s)", method.ErrDegenerate, out.Meta["sparselaw.law"])
		}
	}
	return out, nil
}

// plan tries final sparsities and writes down the one of the lowest predicted loss.
func (c SparseLaw) plan(out *data.Checkpoint, law SparseLawConstants, others []SparseLawConstants) error {
	var rows []float64
	best, lowest := -1, math.Inf(1)
	const steps, width = 18, 6 // sparsities of 0 to 0.9
	for i := range steps + 1 {
		s := 0.05 * float64(i)
		first := c.Parameters / (1 - s)
		mean := first * (1 - s*c.meanSparsity())
		tokens := c.Compute / (6 * mean)
		loss := law.Loss(mean, tokens)
		rows = append(rows, s, first, mean, tokens, 6*mean*tokens, loss)
		if loss < lowest {
			best, lowest = i, loss
		}
	}
	out.Tensors["plan"] = data.Float64Tensor(rows, steps+1, width)
	if best < 0 {
		return fmt.Errorf("%w: the law predicts no finite loss for %g parameters and a compute of %g", method.ErrDegenerate, c.Parameters, c.Compute)
	}
	row := rows[best*width : (best+1)*width]
	var square float64 // jackknife, after Tukey (1958)
	for _, l := range others {
		d := l.Loss(row[2], row[3]) - lowest
		square += d * d
	}
	n := float64(len(others))
	half := 1.96 * math.Sqrt((n-1)/n*square)
	out.Meta["sparselaw.plan"] = fmt.Sprintf("start with %s parameters, prune to %s (sparsity %s), %s tokens, %s mean parameters: loss %s [%s, %s]; dense at %s parameters: %s",
		brief(row[1]), brief(c.Parameters), brief(row[0]), brief(row[3]), brief(row[2]), brief(lowest), brief(lowest-half), brief(lowest+half), brief(c.Parameters), brief(rows[width-1]))
	var schedule []string
	for i := range 11 {
		t := c.Start + (c.End-c.Start)*float64(i)/10
		schedule = append(schedule, brief(t)+" "+brief(c.sparsity(t, row[0])))
	}
	out.SetStrings("sparselaw.schedule", schedule)
	return nil
}

// rival is the error of runs left out under a law in another number of parameters; a text for what cannot be fitted.
func (c SparseLaw) rival(ctx context.Context, runs []SparseLawRun, size func(SparseLawRun) float64) (string, error) {
	other := slices.Clone(runs)
	for i, r := range other {
		other[i].Mean = size(r)
	}
	law, err := c.Fit(ctx, other)
	if err != nil {
		if ctx.Err() != nil {
			return "", err
		}
		return "none: " + err.Error(), nil
	}
	miss := 0.0
	for i, r := range other {
		l, err := c.without(ctx, other, i, law)
		if err != nil {
			return "", err
		}
		miss += math.Abs(math.Log(r.Loss/l.Loss(r.Mean, r.Tokens))) / float64(len(other))
	}
	return brief(miss), nil
}

// sparseLawColumns are read by name, the first three by place where there are no names.
var sparseLawColumns = []string{"parameters", "tokens", "loss", "sparsity", "start", "end"}

// runs reads the table, and says whether any run was pruned.
func (c SparseLaw) runs(t *data.Table) (runs []SparseLawRun, pruned bool, err error) {
	n, d := t.Dims()
	at, named := make([]int, len(sparseLawColumns)), 0
	for i, name := range sparseLawColumns {
		if at[i] = slices.Index(t.Columns(), name); at[i] >= 0 {
			named++
		}
	}
	switch {
	case at[0] >= 0 && at[1] >= 0 && at[2] >= 0:
	case named == 0 && d >= 3:
		copy(at, []int{0, 1, 2})
	case named == 0:
		return nil, false, fmt.Errorf("%w: runs have %d columns, want at least 3: parameters, tokens, loss", data.ErrShape, d)
	default:
		return nil, false, fmt.Errorf("%w: runs have columns %v, want parameters, tokens and loss among them", data.ErrShape, t.Columns())
	}
	scheduled := at[3] >= 0
	if scheduled && (at[4] < 0 || at[5] < 0) {
		return nil, false, fmt.Errorf("%w: runs have a column sparsity without start and end", data.ErrShape)
	}
	place := map[string]int{} // of each group
	reached := map[string]float64{}
	for i := range n {
		row := t.Row(i)
		var v [6]float64
		for k, j := range at {
			if j < 0 {
				continue
			}
			if v[k] = float64(row[j]); v[k] <= 0 && k < 3 {
				return nil, false, fmt.Errorf("%w: run of row %d: %s is %g, want a number above zero", method.ErrInput, i+1, sparseLawColumns[k], v[k])
			}
		}
		r := SparseLawRun{Mean: v[0], First: v[0], Last: v[0], Tokens: v[1], Loss: v[2]}
		if s := v[3]; scheduled && s != 0 {
			plan := SparseLaw{Start: v[4], End: v[5], Strategy: c.Strategy}
			if s < 0 || s >= 1 || v[4] < 0 || v[5] > 1 || v[4] >= v[5] {
				return nil, false, fmt.Errorf("%w: run of row %d: a sparsity of %g from %g to %g of training is no schedule", method.ErrInput, i+1, s, v[4], v[5])
			}
			r.Mean, r.Last = v[0]*(1-s*plan.meanSparsity()), v[0]*(1-s)
		}
		pruned = pruned || r.Last != r.First
		if t.Groups() == nil {
			runs = append(runs, r)
			continue
		}
		name := t.Groups()[i]
		k, seen := place[name]
		switch {
		case scheduled && v[3] != 0:
			return nil, false, fmt.Errorf("%w: row %d is part of the trace of run %q and has a schedule too", method.ErrInput, i+1, name)
		case !seen:
			place[name], reached[name] = len(runs), r.Tokens
			runs = append(runs, r)
			continue
		case r.Tokens <= reached[name]:
			return nil, false, fmt.Errorf("%w: row %d: run %q was at %g tokens already, now at %g", method.ErrInput, i+1, name, reached[name], r.Tokens)
		}
		old := &runs[k]
		old.Mean = (old.Mean*reached[name] + r.Mean*(r.Tokens-reached[name])) / r.Tokens
		old.Last, old.Tokens, old.Loss = r.Last, r.Tokens, r.Loss
		reached[name] = r.Tokens
		pruned = pruned || old.Last != old.First
	}
	return runs, pruned, nil
}

// Fit returns the constants that minimise Huber's loss of log(loss) − log(law) over the runs' mean parameters. Errors: ErrDegenerate as Apply.
func (c SparseLaw) Fit(ctx context.Context, runs []SparseLawRun) (SparseLawConstants, error) {
	if err := method.Ready(&c); err != nil {
		return SparseLawConstants{}, err
	}
	sizes, tokens := map[float64]bool{}, map[float64]bool{}
	for _, r := range runs {
		sizes[r.Mean], tokens[r.Tokens] = true, true
	}
	if len(runs) < 5 || len(sizes) < 3 || len(tokens) < 3 {
		return SparseLawConstants{}, fmt.Errorf("%w: %d runs of %d sizes and %d token counts, want at least 5 of 3 and 3", method.ErrDegenerate, len(runs), len(sizes), len(tokens))
	}
	f := newSparseLawFit(runs, c.Tolerance)
	type start struct {
		x    []float64
		loss float64
	}
	var starts []start
	for _, floor := range []float64{0.3, 0.6, 0.9} {
		for _, split := range []float64{0.25, 0.5, 0.75} {
			for _, a := range []float64{0.2, 0.5, 1} {
				for _, b := range []float64{0.2, 0.5, 1} {
					x := []float64{f.loss + math.Log(floor), f.loss + math.Log((1-floor)*split), math.Log(a), f.loss + math.Log((1-floor)*(1-split)), math.Log(b)}
					lowest, err := f.descend(ctx, x, 40)
					if err != nil {
						return SparseLawConstants{}, err
					}
					starts = append(starts, start{x, lowest})
				}
			}
		}
	}
	slices.SortStableFunc(starts, func(a, b start) int {
		switch {
		case a.loss < b.loss:
			return -1
		case a.loss > b.loss:
			return 1
		}
		return 0
	})
	best := starts[0]
	for _, s := range starts[:5] {
		lowest, err := f.descend(ctx, s.x, 600)
		if err != nil {
			return SparseLawConstants{}, err
		}
		if lowest < best.loss {
			best = start{s.x, lowest}
		}
	}
	return f.constants(best.x), nil
}

// without fits all runs but one, starting at the law of all.
func (c SparseLaw) without(ctx context.Context, runs []SparseLawRun, i int, law SparseLawConstants) (SparseLawConstants, error) {
	f := newSparseLawFit(slices.Delete(slices.Clone(runs), i, i+1), c.Tolerance)
	x := f.free(law)
	_, err := f.descend(ctx, x, 200)
	return f.constants(x), err
}

// sparseLawFit is the problem in free numbers: log E, log A, log a, log B, log b, with sizes and tokens divided by their geometric means.
type sparseLawFit struct {
	size, tokens, loss float64      // mean logarithms; loss is the mean log loss
	rows               [][3]float64 // logarithms about them, and the log loss
	tolerance          float64
}

func newSparseLawFit(runs []SparseLawRun, tolerance float64) *sparseLawFit {
	f := &sparseLawFit{tolerance: tolerance}
	n := float64(len(runs))
	for _, r := range runs {
		f.size += math.Log(r.Mean) / n
		f.tokens += math.Log(r.Tokens) / n
		f.loss += math.Log(r.Loss) / n
	}
	for _, r := range runs {
		f.rows = append(f.rows, [3]float64{math.Log(r.Mean) - f.size, math.Log(r.Tokens) - f.tokens, math.Log(r.Loss)})
	}
	return f
}

// sparseLawSmallest and its opposite bound the free logarithms, so that runs which follow no law end somewhere.
const sparseLawSmallest, sparseLawLargest = -30, 4

func (f *sparseLawFit) descend(ctx context.Context, x []float64, evaluations int) (lowest float64, err error) {
	_, lowest, _, err = part.Descent{Evaluations: evaluations, Small: 1e-12, Longest: 1}.Run(ctx, x, func(x []float64) (part.Slope, error) {
		return f.slope(x), nil
	})
	return lowest, err
}

// slope is the mean of Huber's loss, divided by the tolerance so that far errors count by their size, and its derivatives.
func (f *sparseLawFit) slope(x []float64) part.Slope {
	s := part.Slope{Gradient: make([]float64, 5)}
	a, b := math.Exp(min(x[2], sparseLawLargest)), math.Exp(min(x[4], sparseLawLargest))
	n := float64(len(f.rows))
	for _, row := range f.rows {
		terms := [3]float64{x[0], x[1] - a*row[0], x[3] - b*row[1]}
		most := max(terms[0], terms[1], terms[2])
		sum := 0.0
		for i, t := range terms {
			terms[i] = math.Exp(t - most)
			sum += terms[i]
		}
		off := most + math.Log(sum) - row[2]
		slope := max(min(off/f.tolerance, 1), -1)
		if size := math.Abs(off); size <= f.tolerance {
			s.Loss += off * off / (2 * f.tolerance) / n
		} else {
			s.Loss += (size - f.tolerance/2) / n
		}
		slope /= n * sum
		s.Gradient[0] += slope * terms[0]
		s.Gradient[1] += slope * terms[1]
		s.Gradient[2] -= slope * terms[1] * a * row[0]
		s.Gradient[3] += slope * terms[2]
		s.Gradient[4] -= slope * terms[2] * b * row[1]
	}
	for i := range x { // a gentle wall far out
		if over := x[i] - f.loss - sparseLawSmallest; over < 0 && i != 2 && i != 4 {
			s.Loss, s.Gradient[i] = s.Loss+over*over, s.Gradient[i]+2*over
		}
		if over := x[i] - sparseLawLargest; over > 0 && (i == 2 || i == 4) {
			s.Loss, s.Gradient[i] = s.Loss+over*over, s.Gradient[i]+2*over
		}
	}
	return s
}

func (f *sparseLawFit) constants(x []float64) SparseLawConstants {
	a, b := math.Exp(min(x[2], sparseLawLargest)), math.Exp(min(x[4], sparseLawLargest))
	return SparseLawConstants{Floor: math.Exp(x[0]), Size: math.Exp(x[1] + a*f.size), SizeExponent: a, Data: math.Exp(x[3] + b*f.tokens), DataExponent: b}
}

func (f *sparseLawFit) free(l SparseLawConstants) []float64 {
	return []float64{math.Log(l.Floor), math.Log(l.Size) - l.SizeExponent*f.size, math.Log(l.SizeExponent), math.Log(l.Data) - l.DataExponent*f.tokens, math.Log(l.DataExponent)}
}
