package drift

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "largest gap between the distribution functions of each column, with exact p-values",
	Paper: "kolmogorov1933sulla",
}, KolmogorovSmirnov.Fit, loadKolmogorovSmirnov))

// KolmogorovSmirnov tests column by column whether a window comes from the reference's distribution, by the largest gap between
// the two distribution functions.
//
// A column's p-value is exact for any data, ties and all, while n·m ≤ 4,000,000: relabelled samples are paths on a grid, and the
// paths that reach the gap between two different values are counted, O(n·m). Beyond, the limit distribution is used, which errs towards no drift,
// with ties more so. Prefer [CramerVonMises] for small changes all along a column, [Wasserstein] to learn how far a column moved.
//
// Fits on: Table n×D, which becomes the reference.
// Test:    window m×D with m ≥ 1. Statistic ks in [0,1], of the column with the least p-value. p-value: the least corrected one. Effect: shift of the mean.
// Errors:  ErrShape for an empty reference or window and on another width.
// Differs: p-values are conditional on the ties of both samples together, where the paper takes none.
// Source:  kolmogorov1933sulla; schroeer1995exact for the paths with ties; benjamini1995controlling.
// Claim:   claims/drift/kolmogorovsmirnov.go.
type KolmogorovSmirnov struct {
	// Level is the false-alarm probability of one window over all columns, and the expected share of false ones among the columns called.
	Level float64 `default:"0.05" range:"(0,1)"`
	// Correction holds the columns' p-values to the level together: Benjamini and Hochberg's for independent or positively dependent columns, Bonferroni's for any.
	Correction string `default:"benjamini-hochberg" enum:"benjamini-hochberg,bonferroni"`
}

// Fit keeps the reference.
func (c KolmogorovSmirnov) Fit(ctx context.Context, train *data.Table) (*KolmogorovSmirnovModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r, err := newReference(ctx, "kolmogorovsmirnov", train, 1)
	return c.model(r), err
}

// KolmogorovSmirnovModel is a fitted [KolmogorovSmirnov].
type KolmogorovSmirnovModel struct{ columnModel }

func (c KolmogorovSmirnov) model(r reference) *KolmogorovSmirnovModel {
	return &KolmogorovSmirnovModel{columnModel{r, columnTest{name: "ks", statistic: kolmogorovSmirnov, exact: kolmogorovSmirnovP}, c.Level, c.Correction}}
}

func kolmogorovSmirnov(c *column, counts []float64) float64 {
	return kolmogorovSmirnovGap(c, counts) / (c.few * c.other)
}

// kolmogorovSmirnovGap is the largest gap times few·other: a whole number, so that equal gaps are equal.
func kolmogorovSmirnovGap(c *column, counts []float64) (gap float64) {
	at := 0.0
	for g, size := range c.sizes {
		at += counts[g]*c.other - (size-counts[g])*c.few
		gap = math.Max(gap, math.Abs(at))
	}
	return gap
}

// kolmogorovSmirnovCells is n·m up to which paths are counted.
const kolmogorovSmirnovCells = 4e6

func kolmogorovSmirnovP(c *column, statistic, level float64) (p, visible float64) {
	root := math.Sqrt((c.few + c.other) / (c.few * c.other))
	visible = math.Min(1, (math.Sqrt(-math.Log(level/2)/2)+powerQuantile/2)*root)
	if statistic == 0 {
		return 1, visible
	}
	gap := math.Round(statistic * c.few * c.other)
	if c.few*c.other <= kolmogorovSmirnovCells {
		return kolmogorovSmirnovPaths(c, gap), visible
	}
	return kolmogorovSmirnovLimit(statistic / root), visible
}

// kolmogorovSmirnovLimit is the probability that the supremum of a Brownian bridge exceeds z in size, 2 Σ (−1)^(k−1) exp(−2k²z²).
func kolmogorovSmirnovLimit(z float64) float64 {
	if z < 0.2 { // one, to sixteen digits
		return 1
	}
	sum := 0.0
	for k := 1.0; k <= 100; k++ {
		term := math.Exp(-2 * k * k * z * z)
		sum -= term * math.Cos(math.Pi*k)
		if term < 1e-17*sum {
			break
		}
	}
	return math.Max(math.Min(1, 2*sum), math.SmallestNonzeroFloat64)
}

// kolmogorovSmirnovPaths is the share of relabellings whose gap is at least the given one. A relabelling is a path from (0,0) to
// (few, other); what reaches the gap where a group of equal values ends is taken out and added up, so that small p-values are exact too.
func kolmogorovSmirnovPaths(c *column, gap float64) float64 {
	few, other := int(c.few), int(c.other)
	ends := make([]bool, few+other+1)
	at := 0
	for _, size := range c.sizes {
		at += int(size)
		ends[at] = true
	}
	mass := make([]float64, other+1) // that is at (i, j) and never reached the gap
	p := 0.0
	for i := range few + 1 {
		for j := range other + 1 {
			m := 0.0
			if i == 0 && j == 0 {
				m = 1
			}
			if i > 0 {
				m = mass[j] * float64(few-i+1) / float64(few+other-i-j+1)
			}
			if j > 0 {
				m += mass[j-1] * float64(other-j+1) / float64(few+other-i-j+1)
			}
			if ends[i+j] && math.Abs(float64(i)*c.other-float64(j)*c.few) >= gap {
				p += m
				m = 0
			}
			mass[j] = m
		}
	}
	return math.Max(math.Min(p, 1), math.SmallestNonzeroFloat64)
}

func loadKolmogorovSmirnov(c KolmogorovSmirnov, st *data.Checkpoint) (*KolmogorovSmirnovModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r, err := loadReference("kolmogorovsmirnov", st, 1)
	return c.model(r), err
}
