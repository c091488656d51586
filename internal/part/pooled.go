package part

import (
	"slices"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// Pooled is what class means under one shared covariance are learned from: sums over rows of D columns, divided by rows.
type Pooled struct {
	Classes []string  // K names, sorted; none when rows have no classes, which then are one
	Rows    []float64 // max(K,1)
	Center  []float64 // D: the mean of all rows
	Means   []float64 // max(K,1)×D
	Cov     []float64 // D×D: of rows about their own class's mean
}

// total is the number of rows.
func (p *Pooled) total() (n float64) {
	for _, r := range p.Rows {
		n += r
	}
	return n
}

// class finds a class's place, −1 for none.
func (p *Pooled) class(name string) int {
	if len(p.Classes) == 0 {
		return 0
	}
	return slices.Index(p.Classes, name)
}

// Merge returns what both sets of rows together give; compare orders class names. Either both have classes or neither.
func (p *Pooled) Merge(o *Pooled, compare func(a, b string) int) *Pooled {
	d, n, more := len(p.Center), p.total(), o.total()
	mixed := func(a, b []float64) []float64 {
		out := make([]float64, len(a))
		for j := range out {
			out[j] = (n*a[j] + more*b[j]) / (n + more)
		}
		return out
	}
	u := &Pooled{Center: mixed(p.Center, o.Center), Cov: mixed(p.Cov, o.Cov)}
	names := slices.Concat(p.Classes, o.Classes)
	slices.SortFunc(names, compare)
	u.Classes = slices.Compact(names)
	if names = u.Classes; len(names) == 0 {
		names = []string{""}
	}
	for _, name := range names {
		a, b := p.class(name), o.class(name)
		switch {
		case b < 0:
			u.Rows, u.Means = append(u.Rows, p.Rows[a]), append(u.Means, p.Means[a*d:(a+1)*d]...)
			continue
		case a < 0:
			u.Rows, u.Means = append(u.Rows, o.Rows[b]), append(u.Means, o.Means[b*d:(b+1)*d]...)
			continue
		}
		rows, share := p.Rows[a]+o.Rows[b], o.Rows[b]/(p.Rows[a]+o.Rows[b])
		apart := make([]float64, d)
		for j := range apart {
			apart[j] = o.Means[b*d+j] - p.Means[a*d+j]
			u.Means = append(u.Means, p.Means[a*d+j]+share*apart[j])
		}
		u.Rows = append(u.Rows, rows)
		// The rows of a class with two means lie about the mean of both.
		num.Gemm(true, false, d, d, 1, p.Rows[a]*share/(n+more), apart, d, apart, d, 1, u.Cov, d)
	}
	return u
}
