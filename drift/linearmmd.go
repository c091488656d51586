package drift

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "linear-time maximum mean discrepancy with error bars and an exact sign-flip p-value",
	Paper: "gretton2012kernel",
}, LinearMMD.Fit, loadLinearMMD))

// LinearMMD is the linear-time estimate of [MMD]'s squared distance: an average over independent pairs of pairs of rows.
//
// It is section 6 of Gretton et al. (2012). Each term is as often positive as negative without drift, because exchanging one row of the
// reference with one of the window turns its sign; so flipping signs at random gives an exact p-value where the paper has a
// normal approximation. O(min(n,m)·(D+P)). It uses as many rows as the smaller sample has and each once: [MMD] and
// [RandomFeatureMMD] see much smaller changes in the same rows.
//
// Fits on: Table n×D with n ≥ 2, which becomes the reference.
// Test:    window m×D with m ≥ 2. Statistic mmd2, unbiased, so it may be negative; p-value (1+k)/(1+P). Effect: mmd2 with the normal interval of its terms.
// Errors:  ErrShape for fewer than 2 rows in either sample and on another width; ErrConfig when P sign flips cannot reach the level.
// Differs: sign flips instead of the normal distribution. With q terms no p-value can be below 2^−q on average: give tens of rows at least.
// Source:  gretton2012kernel, section 6, Lemma 14; phipson2010permutation.
// Claim:   claims/drift/linearmmd.go.
type LinearMMD struct {
	// Level is the false-alarm probability of one window.
	Level float64 `default:"0.05" range:"(0,1)"`
	// Permutations is P, how many random choices of signs the statistic is ranked among. The smallest p-value is 1/(1+P).
	Permutations int `default:"999" range:"[1,1e6]"`
	// Bandwidth is the kernel's σ in exp(−‖x−y‖²/(2σ²)), in the columns' unit; 0 takes the median distance between rows of both samples together.
	Bandwidth float64 `range:"[0,1e30]"`
	// Seed starts the drawing of pairs and of signs.
	Seed uint64
}

// Fit keeps the reference.
func (c LinearMMD) Fit(ctx context.Context, train *data.Table) (*LinearMMDModel, error) {
	if err := c.ready(); err != nil {
		return nil, err
	}
	r, err := newReference(ctx, "linearmmd", train, 2)
	return &LinearMMDModel{r, c}, err
}

func (c *LinearMMD) ready() error {
	if err := method.Ready(c); err != nil {
		return err
	}
	return enough(c.Level, c.Permutations)
}

// LinearMMDModel is a fitted [LinearMMD].
type LinearMMDModel struct {
	reference
	config LinearMMD
}

// Test compares a window with the reference.
func (m *LinearMMDModel) Test(ctx context.Context, window *data.Table) (*method.Comparison, error) {
	if err := m.window(ctx, window, 2); err != nil {
		return nil, err
	}
	p := newPool(m.rows, window)
	k := kernel{m.config.Bandwidth, gaussian}
	if k.scale == 0 {
		k.scale = p.medianDistance()
	}
	random := rand.New(rand.NewPCG(m.config.Seed, 0x6c696e65))
	a, b := p.samples() // sorted: an order that says nothing of how rows came, and is shuffled
	for _, rows := range [][][]float32{a, b} {
		random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	}
	h := make([]float64, len(a)/2)
	mean, square := 0.0, 0.0
	for i := range h {
		x, y, s, t := a[2*i], b[2*i], a[2*i+1], b[2*i+1]
		h[i] = k.between(x, s) + k.between(y, t) - k.between(x, t) - k.between(s, y)
		mean += h[i] / float64(len(h))
	}
	for _, v := range h {
		square += v * v
	}
	flipped := make([]float64, m.config.Permutations)
	for c := range flipped {
		if c%64 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var signs uint64
		for i, v := range h {
			if i%64 == 0 {
				signs = random.Uint64()
			}
			if signs>>(i%64)&1 == 1 {
				v = -v
			}
			flipped[c] += v / float64(len(h))
		}
	}
	r := rank(mean, flipped, m.config.Level, 1e-12)
	q := float64(len(h))
	spread := math.Sqrt(math.Max(square/q-mean*mean, 0) / max(q-1, 1))
	if len(h) == 1 {
		spread = math.Abs(mean)
	}
	return &method.Comparison{
		Drift: r.p <= m.config.Level, PValue: r.p, Level: m.config.Level,
		Statistic: mean, Name: "mmd2", Effect: normalInterval(mean, spread), Visible: r.visible,
		Unit: fmt.Sprintf("squared distance of the means in the space of a kernel with bandwidth %.4g", k.scale),
	}, nil
}

func loadLinearMMD(c LinearMMD, st *data.Checkpoint) (*LinearMMDModel, error) {
	if err := c.ready(); err != nil {
		return nil, err
	}
	r, err := loadReference("linearmmd", st, 2)
	return &LinearMMDModel{r, c}, err
}
