package drift

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title:   "maximum mean discrepancy between reference and window, with an exact permutation p-value",
	Paper:   "gretton2012kernel",
	Default: true,
}, MMD.Fit, loadMMD))

// MMD tests whether a window comes from the reference's distribution, against any other one, by a Gaussian kernel.
//
// It is the two-sample test of Gretton et al. (2012) with a permutation p-value that is exact for every sample size and any
// kind of data. The kernel's matrix is never held, so memory is O((n+m)·(D + P/32)) and 100,000 rows on either side fit into a
// gibibyte; time is O((n+m)²·(D+P)). Prefer [RandomFeatureMMD] or [LinearMMD] when that is too slow, [EnergyDistance] when no
// bandwidth suits, and a test by columns, such as [KolmogorovSmirnov], to learn which columns moved.
//
// Fits on: Table n×D, which becomes the reference.
// Test:    window m×D with m ≥ 1. Statistic mmd2 ≥ 0: the squared MMD over all pairs, of a row with itself too. p-value (1+k)/(1+P). Effect: mmd2 less its mean without drift.
// Errors:  ErrShape for an empty reference or window and on another width; ErrConfig when P permutations cannot reach the level.
// Differs: the biased statistic, which exists for a window of one row, ranks relabellings. Reference and window may be exchanged, and rows be shuffled, to the bit.
// Source:  gretton2012kernel, eq. (5) and section 3; phipson2010permutation for the p-value.
// Claim:   claims/drift/mmd.go.
type MMD struct {
	// Level is the false-alarm probability of one window.
	Level float64 `default:"0.05" range:"(0,1)"`
	// Permutations is P, how many relabellings the statistic is ranked among. The smallest p-value is 1/(1+P).
	Permutations int `default:"499" range:"[1,1e6]"`
	// Bandwidth is the kernel's σ in exp(−‖x−y‖²/(2σ²)), in the columns' unit; 0 takes the median distance between rows of both samples together.
	Bandwidth float64 `range:"[0,1e30]"`
	// Seed starts the drawing of relabellings.
	Seed uint64
}

// Fit keeps the reference.
func (c MMD) Fit(ctx context.Context, train *data.Table) (*MMDModel, error) {
	if err := c.ready(); err != nil {
		return nil, err
	}
	r, err := newReference(ctx, "mmd", train, 1)
	return &MMDModel{r, c}, err
}

func (c *MMD) ready() error {
	if err := method.Ready(c); err != nil {
		return err
	}
	return enough(c.Level, c.Permutations)
}

// MMDModel is a fitted [MMD].
type MMDModel struct {
	reference
	config MMD
}

// Test compares a window with the reference.
func (m *MMDModel) Test(ctx context.Context, window *data.Table) (*method.Comparison, error) {
	if err := m.window(ctx, window, 1); err != nil {
		return nil, err
	}
	p := newPool(m.rows, window)
	scale := m.config.Bandwidth
	if scale == 0 {
		scale = p.medianDistance()
	}
	c, err := p.kernelTest(ctx, kernel{scale, gaussian}, m.config.Level, m.config.Permutations, m.config.Seed)
	if err != nil {
		return nil, err
	}
	c.Name, c.Unit = "mmd2", fmt.Sprintf("squared distance of the means in the space of a kernel with bandwidth %.4g", scale)
	return c, nil
}

func loadMMD(c MMD, st *data.Checkpoint) (*MMDModel, error) {
	if err := c.ready(); err != nil {
		return nil, err
	}
	r, err := loadReference("mmd", st, 1)
	return &MMDModel{r, c}, err
}
