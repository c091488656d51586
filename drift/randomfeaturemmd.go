package drift

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "maximum mean discrepancy over random features: exact p-value, cost that grows with the rows alone",
	Paper: "zhao2015fastmmd",
}, RandomFeatureMMD.Fit, loadRandomFeatureMMD))

// RandomFeatureMMD is the test of [MMD] with the kernel replaced by random waves: each row becomes F cosines and sines.
//
// It is the ensemble of Zhao and Meng (2015) with Rahimi and Recht's features. The waves are drawn without looking at the
// samples' labels, so the permutation p-value stays exact whatever F is; what few waves cost is power. Memory is
// O(n·P/8 + P·F), time O((n+m)·F·(D+P)): prefer it to [MMD] from some ten thousand rows on.
//
// Fits on: Table n×D, which becomes the reference.
// Test:    window m×D with m ≥ 1. Statistic mmd2 ≥ 0, an estimate of MMD's; p-value (1+k)/(1+P). Effect: mmd2 less its mean without drift; its interval counts the waves' chance too.
// Errors:  ErrShape for an empty reference or window and on another width; ErrConfig when P permutations cannot reach the level.
// Differs: the paper's bound on the deviation is replaced by the permutation p-value.
// Source:  zhao2015fastmmd, section 3; rahimi2007random, Algorithm 1; phipson2010permutation.
// Claim:   claims/drift/randomfeaturemmd.go.
type RandomFeatureMMD struct {
	// Level is the false-alarm probability of one window.
	Level float64 `default:"0.05" range:"(0,1)"`
	// Permutations is P, how many relabellings the statistic is ranked among. The smallest p-value is 1/(1+P).
	Permutations int `default:"499" range:"[1,1e6]"`
	// Rank is F, how many waves are drawn; the statistic's relative error falls with its root.
	Rank int `default:"256" range:"[1,1e6]"`
	// Bandwidth is the kernel's σ in exp(−‖x−y‖²/(2σ²)), in the columns' unit; 0 takes the median distance between rows of both samples together.
	Bandwidth float64 `range:"[0,1e30]"`
	// Seed starts the drawing of waves and of relabellings.
	Seed uint64
}

// Fit keeps the reference.
func (c RandomFeatureMMD) Fit(ctx context.Context, train *data.Table) (*RandomFeatureMMDModel, error) {
	if err := c.ready(); err != nil {
		return nil, err
	}
	r, err := newReference(ctx, "randomfeaturemmd", train, 1)
	return &RandomFeatureMMDModel{r, c}, err
}

func (c *RandomFeatureMMD) ready() error {
	if err := method.Ready(c); err != nil {
		return err
	}
	return enough(c.Level, c.Permutations)
}

// RandomFeatureMMDModel is a fitted [RandomFeatureMMD].
type RandomFeatureMMDModel struct {
	reference
	config RandomFeatureMMD
}

// Test compares a window with the reference.
func (m *RandomFeatureMMDModel) Test(ctx context.Context, window *data.Table) (*method.Comparison, error) {
	if err := m.window(ctx, window, 1); err != nil {
		return nil, err
	}
	p := newPool(m.rows, window)
	k := kernel{m.config.Bandwidth, gaussian}
	if k.scale == 0 {
		k.scale = p.medianDistance()
	}
	labels, err := p.relabellings(ctx, m.config.Permutations, m.config.Seed)
	if err != nil {
		return nil, err
	}
	v, terms, err := m.randomFeatureMMD(ctx, p, k, labels)
	if err != nil {
		return nil, err
	}
	r := rank(v[0], v[1:], m.config.Level, 1e-12)
	// The waves' terms are independent: the spread of their mean joins that of the rows.
	among := 0.0
	for _, t := range terms {
		among += (t - v[0]) * (t - v[0])
	}
	with := r
	f := float64(len(terms))
	with.spread = math.Sqrt(r.spread*r.spread + among/(f*max(f-1, 1)))
	return &method.Comparison{
		Drift: r.p <= m.config.Level, PValue: r.p, Level: m.config.Level,
		Statistic: v[0], Name: "mmd2", Effect: p.effect(k, with, v[0]), Visible: r.visible + r.mean,
		Unit: fmt.Sprintf("squared distance of the means in the space of a kernel with bandwidth %.4g", k.scale),
	}, nil
}

// randomFeatureMMD returns the statistic for each of the labels, and for the first the terms of the waves, whose mean it is.
func (m *RandomFeatureMMDModel) randomFeatureMMD(ctx context.Context, p *pool, k kernel, labels []subset) (v, terms []float64, err error) {
	n, d, f := len(p.rows), len(p.rows[0]), m.config.Rank
	random := rand.New(rand.NewPCG(m.config.Seed, 0x77617665))
	waves := make([]float64, f*d)
	for i := range waves {
		waves[i] = random.NormFloat64()
	}
	centre := p.centre()
	rows := make([]float64, kernelBlock*d)
	phase, features := make([]float64, kernelBlock*f), make([]float64, kernelBlock*2*f)
	wide := len(labels) + 1
	u := make([]float64, kernelBlock*wide) // labels, and ones
	sums := make([]float64, wide*2*f)      // of the features of each subset
	for first := 0; first < n; first += kernelBlock {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		size := min(kernelBlock, n-first)
		for i := range size {
			for j, x := range p.rows[first+i] {
				rows[i*d+j] = max(-kernelFar, min(kernelFar, (float64(x)-centre[j])/k.scale))
			}
			for c, s := range labels {
				u[i*wide+c] = 0
				if s.has(first + i) {
					u[i*wide+c] = 1
				}
			}
			u[i*wide+wide-1] = 1
		}
		num.Gemm(false, true, size, f, d, 1, rows, d, waves, d, 0, phase, f)
		num.Parallel(size, 16, func(lo, hi int) {
			for i := lo * f; i < hi*f; i++ {
				features[2*i+1], features[2*i] = math.Sincos(phase[i])
			}
		})
		num.Gemm(true, false, wide, 2*f, size, 1, u, wide, features, 2*f, 1, sums, 2*f)
	}
	all := sums[(wide-1)*2*f:]
	a, b := float64(p.few), float64(p.other)
	v, terms = make([]float64, len(labels)), make([]float64, f)
	for c := range labels {
		for i := range f {
			term := 0.0
			for _, at := range []int{2 * i, 2*i + 1} {
				s := sums[c*2*f+at]
				gap := s/a - (all[at]-s)/b
				term += gap * gap
			}
			v[c] += term / float64(f)
			if c == 0 {
				terms[i] = term
			}
		}
	}
	return v, terms, nil
}

func loadRandomFeatureMMD(c RandomFeatureMMD, st *data.Checkpoint) (*RandomFeatureMMDModel, error) {
	if err := c.ready(); err != nil {
		return nil, err
	}
	r, err := loadReference("randomfeaturemmd", st, 1)
	return &RandomFeatureMMDModel{r, c}, err
}
