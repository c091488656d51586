package probe

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/probe"
)

// The sizes of the simulation.
var naiveBayesColumns = []int{50, 100, 200, 400}

const (
	naiveBayesReplicates = 20
	naiveBayesExcess     = 0.01
)

func naiveBayes() claim.Claim {
	return claim.Claim{
		ID:    "probe/naivebayes",
		Paper: "zheng2023revisiting, theorem on sample complexity and simulation",
		Statement: "Naive Bayes comes close to its own best error with a number of labelled rows that grows with the logarithm of the number of columns, logistic regression with one that grows in proportion to it. " +
			"Where columns correlate the own best of naive Bayes is worse, so logistic regression wins in the end: two regimes.",
		ScaleDown: fmt.Sprintf("the paper's simulation with 50 to 400 columns and %d replicates a seed; errors are exact, for the rules are linear and the classes Gaussian. Its experiments on features of large networks are not repeated. "+
			"As facts: the same race where columns correlate, in a design of ours, the simulation with a disturbance that its quiet columns share. "+
			"In a first design of ours, where half of 50 columns shared one, there was one regime alone: logistic regression was better from 4 rows on.", naiveBayesReplicates),
		Arms: []string{"naive Bayes", "logistic regression"},
		Data: "two Gaussian classes with means −1 and +1 in all of D columns, variance D in one half of them and 1 in the other",
		Metric: "slope of log rows against log D, D = 50, 100, 200, 400, where rows is how many are needed " +
			"for a mean error of at most the smallest possible + 0.01",
		LowerIsBetter: true,
		Margin:        0.3,
		Seeds:         5,
		Run:           naiveBayesRun,
		Facts:         claim.Means,
	}
}

func naiveBayesRun(ctx context.Context, _ claim.Env, seed uint64) (o claim.Outcome, err error) {
	o.Extra = map[string]float64{}
	logColumns, logRows := []float64{}, make([][]float64, 2)
	for _, d := range naiveBayesColumns {
		w := naiveBayesWorld(d)
		logColumns = append(logColumns, math.Log(float64(d)))
		for arm, fit := range naiveBayesArms {
			n, err := w.needed(ctx, seed, fit.fit)
			if err != nil {
				return o, err
			}
			logRows[arm] = append(logRows[arm], math.Log(n))
			o.Extra[fmt.Sprintf("rows needed, %3d columns, %s", d, fit.name)] = n
		}
	}
	o.Arms = []float64{naiveBayesSlope(logColumns, logRows[0]), naiveBayesSlope(logColumns, logRows[1])}
	return o, naiveBayesCross(ctx, seed, o.Extra)
}

// naiveBayesCross measures the race where columns correlate: the simulation with 200 columns, and a disturbance that its
// quiet columns share.
func naiveBayesCross(ctx context.Context, seed uint64, extra map[string]float64) error {
	w := naiveBayesWorld(200)
	for j, v := range w.variance {
		if v == 1 {
			w.shared[j] = 1
		}
	}
	overtaken := 0
	for n := 4; n <= 4096; n *= 2 {
		var errors [2]float64
		for arm, fit := range naiveBayesArms {
			var err error
			if errors[arm], err = w.meanError(ctx, seed, n, fit.fit); err != nil {
				return err
			}
			if n == 16 || n == 256 || n == 4096 {
				extra[fmt.Sprintf("correlated columns: error after %4d rows, %s", n, fit.name)] = errors[arm]
			}
		}
		if overtaken == 0 && errors[1] < errors[0] {
			overtaken = n
		}
	}
	extra["correlated columns: rows (a power of 2, up to 4096; 0 = never) from which logistic regression is better"] = float64(overtaken)
	return nil
}

// naiveBayesArms are the two heads as linear rules.
var naiveBayesArms = []struct {
	name string
	fit  func(context.Context, *data.Table) (rule, error)
}{{"naive Bayes", naiveBayesRule}, {"logistic regression", logistic}}

func naiveBayesRule(ctx context.Context, train *data.Table) (rule, error) {
	m, err := probe.NaiveBayes{}.Fit(ctx, train)
	if err != nil {
		return rule{}, err
	}
	center, weights, intercept := m.Linear()
	r := rule{make([]float64, len(center)), intercept[1] - intercept[0]}
	for j, c := range center {
		r.w[j] = weights[2*j+1] - weights[2*j]
		r.b -= c * r.w[j]
	}
	return r, nil
}

// gaussians is two classes with means −mean and +mean and the covariance diag(variance) + shared·sharedᵀ.
type gaussians struct{ mean, variance, shared []float64 }

// naiveBayesWorld is the paper's simulation.
func naiveBayesWorld(d int) gaussians {
	w := gaussians{make([]float64, d), make([]float64, d), make([]float64, d)}
	for j := range d {
		w.mean[j], w.variance[j] = 1, 1
		if j < d/2 {
			w.variance[j] = float64(d)
		}
	}
	return w
}

// draw returns the first n rows of a stream, the classes by turns.
func (w gaussians) draw(r *rand.Rand, n int) (*data.Table, error) {
	d := len(w.mean)
	x, labels := make([]float32, n*d), make([]int, n)
	for i := range n {
		labels[i] = i % 2
		sign, f := float64(2*labels[i]-1), r.NormFloat64()
		for j := range d {
			x[i*d+j] = float32(sign*w.mean[j] + math.Sqrt(w.variance[j])*r.NormFloat64() + f*w.shared[j])
		}
	}
	t, err := data.NewTable(n, d, x)
	if err != nil {
		return nil, err
	}
	return t.WithLabels(labels, claim.Numbers(2))
}

// error returns the exact share of rows that a linear rule gets wrong.
func (w gaussians) error(r rule) float64 {
	apart, variance, shared := 0.0, 0.0, 0.0
	for j, v := range r.w {
		apart += v * w.mean[j]
		variance += v * v * w.variance[j]
		shared += v * w.shared[j]
	}
	spread := math.Sqrt(variance + shared*shared)
	if spread == 0 {
		return 0.5
	}
	return (normalTail((apart+r.b)/spread) + normalTail((apart-r.b)/spread)) / 2
}

// least returns the error of the best rule, for columns without a shared disturbance.
func (w gaussians) least() float64 {
	squared := 0.0
	for j, m := range w.mean {
		squared += m * m / w.variance[j]
	}
	return normalTail(math.Sqrt(squared))
}

// normalTail is the chance that a standard normal number exceeds z.
func normalTail(z float64) float64 { return math.Erfc(z/math.Sqrt2) / 2 }

// meanError is the error after n rows, over the replicates.
func (w gaussians) meanError(ctx context.Context, seed uint64, n int, fit func(context.Context, *data.Table) (rule, error)) (float64, error) {
	sum := 0.0
	for replicate := range naiveBayesReplicates {
		train, err := w.draw(claim.Random(seed, uint64(1000*len(w.mean)+replicate)), n)
		if err != nil {
			return 0, err
		}
		r, err := fit(ctx, train)
		if err != nil {
			return 0, err
		}
		sum += w.error(r)
	}
	return sum / naiveBayesReplicates, nil
}

// needed returns how many rows bring the mean error to the least one + 0.01: searched upwards in steps of about a fifth,
// and interpolated between the last two in the logarithm of rows.
func (w gaussians) needed(ctx context.Context, seed uint64, fit func(context.Context, *data.Table) (rule, error)) (float64, error) {
	target := w.least() + naiveBayesExcess
	before, at := 0.5, 2.0
	for n := 4; n < 1<<14; n += max(2, n/10*2) {
		e, err := w.meanError(ctx, seed, n, fit)
		if err != nil {
			return 0, err
		}
		if e <= target {
			share := (before - target) / (before - e)
			return math.Exp(math.Log(at) + share*(math.Log(float64(n))-math.Log(at))), nil
		}
		before, at = e, float64(n)
	}
	return 0, fmt.Errorf("simulation: %d rows do not suffice for %d columns", 1<<14, len(w.mean))
}

// naiveBayesSlope is the least-squares slope of y against x.
func naiveBayesSlope(x, y []float64) float64 {
	mx, my := 0.0, 0.0
	for i := range x {
		mx += x[i] / float64(len(x))
		my += y[i] / float64(len(y))
	}
	cross, square := 0.0, 0.0
	for i := range x {
		cross += (x[i] - mx) * (y[i] - my)
		square += (x[i] - mx) * (x[i] - mx)
	}
	return cross / square
}
