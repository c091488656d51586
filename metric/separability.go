package metric

import (
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
)

// separabilityRidge is added to the covariance, as a share of its mean variance: rows may be fewer than columns.
const separabilityRidge = 0.01

// LinearSeparability is the AUROC with which a plane tells the rows of b from those of a, D columns each, that was fitted to
// other rows of both: 0.5 where only a curved border could, 1 where no row lies on the wrong side. It is not what a detector
// reaches, for a detector never sees b; it says whether there is something to see along a line of these columns, and with an
// encoder's features and a linear head, whether the head's planes could have told.
//
// Each half of the rows, every other one, is judged by Fisher's discriminant of the other half, in units of its own deviation.
//
// Interval: DeLong's for the pooled halves, as for [AUROC]; it takes the planes as given.
// Errors:   data.ErrShape for lengths that are no rows of d columns or fewer than 4 rows, data.ErrFinite for NaN and Inf, ErrRange for the Interval.
// Source:   Fisher (1936); Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, section 4.3.
func LinearSeparability(a, b []float32, d int, how ...Interval) (Estimate, error) {
	const who = "linear separability"
	for _, x := range [][]float32{a, b} {
		if d < 1 || len(x)%d != 0 || len(x)/d < 4 {
			return Estimate{}, fmt.Errorf("%s: %w: %d values are not at least 4 rows of %d columns", who, data.ErrShape, len(x), d)
		}
		if at := num.Finite(x); at >= 0 {
			return Estimate{}, fmt.Errorf("%s: %w: row %d, column %d is %v", who, data.ErrFinite, at/d+1, at%d+1, x[at])
		}
	}
	var scores [2][]float64
	for half := range 2 {
		plane, middle := discriminant(a, b, d, 1-half)
		for k, x := range [][]float32{a, b} {
			for at := half * d; at < len(x); at += 2 * d {
				sum := -middle
				for j, v := range x[at : at+d] {
					sum += plane[j] * float64(v)
				}
				scores[k] = append(scores[k], sum)
			}
		}
	}
	return AUROC(scores[0], scores[1], how...)
}

// discriminant is Fisher's, of every other row: the normal of the plane, as long as makes the scores' deviation one, and
// its product with the middle of the means.
func discriminant(a, b []float32, d, half int) (plane []float64, middle float64) {
	cov, means := make([]float64, d*d), [2][]float64{}
	for k, x := range [][]float32{a, b} {
		mean, rows := make([]float64, d), []float64{}
		for at := half * d; at < len(x); at += 2 * d {
			for j, v := range x[at : at+d] {
				rows = append(rows, float64(v))
				mean[j] += float64(v)
			}
		}
		n := len(rows) / d
		for j := range mean {
			mean[j] /= float64(n)
		}
		for i := range rows {
			rows[i] -= mean[i%d]
		}
		num.Syrk(true, d, n, 0.5/float64(n), rows, d, 1, cov, d)
		means[k] = mean
	}
	for i := range d {
		for j := range i {
			cov[i*d+j] = cov[j*d+i]
		}
	}
	plane = make([]float64, d)
	for j := range plane {
		plane[j] = means[1][j] - means[0][j]
	}
	if part.AddRidge(cov, d, separabilityRidge) { // else no column varies, and the way between the means is all there is
		if chol, ok := num.NewChol(cov, d); ok {
			chol.Solve(plane, 1)
		}
	}
	spread := 0.0
	for i := range d {
		for j := range d {
			spread += plane[i] * cov[i*d+j] * plane[j]
		}
	}
	for j := range plane {
		if spread > 0 {
			plane[j] /= math.Sqrt(spread)
		}
		middle += plane[j] * (means[0][j] + means[1][j]) / 2
	}
	return plane, middle
}
