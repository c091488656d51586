package detect

import (
	"context"
	"fmt"
	"math"
	"sort"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "how rare a row's values are in the training columns' histograms",
	Paper: "goldstein2012hbos",
}, HBOS.Fit, loadHBOS))

// HBOS scores how rare a row's values are in the histograms of the training columns, added up over columns.
//
// It is the detector of Goldstein and Dengel (2012): the fastest of all, O(N·D) to fit (O(D·N·log N) with Strategy dynamic),
// O(D·log Bins) a row to score, and it keeps D histograms whatever N is. Prefer it for a first look at wide tables; columns are
// taken to be independent, so it is blind to odd combinations of usual values: prefer [Mahalanobis] or [KNN] for those.
//
// Fits on: Table N×D with N ≥ 2, D ≥ 1; labels are ignored. A constant column says nothing until a row differs from it.
// Score:   N values ≥ 0, natural logarithms, the sum over columns of log of the highest bin's density over the row's bin's, higher = rarer. A value outside a column's training range lies in an empty bin, however far it is.
// Errors:  ErrShape without rows or columns and on another width; ErrDegenerate when all rows are equal, or when every bin is as high as the others of its column.
// Differs: Smoothing is ours; the paper does not say what an empty bin scores. Densities are relative to the column's range, so units do not matter, as they do in PyOD, whose outside values also count as in the lowest bin. Bins of Strategy dynamic meet half-way between values, so none has width zero.
// Source:  goldstein2012hbos, section 3.
// Claim:   claims/detect/hbos.go.
type HBOS struct {
	// Bins is the number of bins of a column, the paper's k; 0 takes the root of N, the paper's rule of thumb.
	Bins int `range:"[0,65536]"`
	// Strategy says how bins are cut: static ones are equally wide; dynamic ones hold equally many rows and suit columns with long tails or gaps. Rows of equal values stay together.
	Strategy string `default:"static" enum:"static,dynamic"`
	// Smoothing is added to every density, so that an empty bin is rare and not impossible. Lower values punish single odd values more.
	Smoothing float64 `default:"0.1" range:"(0,1e6]" unit:"share of the column's mean density"`
}

// Fit counts the rows in each column's bins.
func (c HBOS) Fit(ctx context.Context, train *data.Table) (*HBOSModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := readyRows(ctx, train, 1); err != nil {
		return nil, err
	}
	n, d := train.Dims()
	bins := c.Bins
	if bins == 0 {
		bins = int(math.Ceil(math.Sqrt(float64(n))))
	}
	m := &HBOSModel{columns: make([]hbosColumn, d)}
	num.Parallel(d, 1+4096/n, func(lo, hi int) {
		column := make([]float32, n)
		for j := lo; j < hi; j++ {
			for i := range column {
				column[i] = train.X()[i*d+j] + 0 // no negative zero
			}
			m.columns[j] = c.column(column, bins)
		}
	})
	for _, h := range m.columns {
		for _, s := range h.scores {
			if s != h.scores[0] {
				return m, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: every column's %d rows lie in bins of one height, so they would all score the same; change --bins or give more rows", method.ErrDegenerate, n)
}

// column makes one column's histogram.
func (c HBOS) column(x []float32, bins int) hbosColumn {
	low, high := x[0], x[0]
	for _, v := range x {
		low, high = min(low, v), max(high, v)
	}
	span := float64(high) - float64(low)
	h := hbosColumn{low: float64(low), edges: []float64{0}}
	var counts []float64
	switch {
	case span == 0:
		h.edges, counts = append(h.edges, 0), []float64{float64(len(x))}
	case c.Strategy == "dynamic":
		sortColumn(x)
		size := (len(x) + bins - 1) / bins
		for from := 0; from < len(x); {
			to := min(from+size, len(x))
			for to < len(x) && x[to] == x[to-1] {
				to++
			}
			edge := span
			if to < len(x) {
				edge = (float64(x[to-1]) - h.low + (float64(x[to]) - h.low)) / 2
			}
			h.edges, counts = append(h.edges, edge), append(counts, float64(to-from))
			from = to
		}
	default:
		for k := range bins {
			h.edges = append(h.edges, span*float64(k+1)/float64(bins))
		}
		counts = make([]float64, bins)
		for _, v := range x {
			b, _ := h.bin(v)
			counts[b]++
		}
	}
	h.scores = make([]float64, len(counts))
	top := 0.0
	for b, count := range counts { // densities relative to that of rows spread evenly over the range
		h.scores[b] = count / float64(len(x))
		if span > 0 {
			h.scores[b] *= span / (h.edges[b+1] - h.edges[b])
		}
		top = max(top, h.scores[b])
	}
	h.outside = math.Log((top + c.Smoothing) / c.Smoothing)
	for b, density := range h.scores {
		h.scores[b] = math.Log((top + c.Smoothing) / (density + c.Smoothing))
	}
	return h
}

// hbosColumn is one column's histogram.
type hbosColumn struct {
	low     float64
	edges   []float64 // bins+1, less low
	scores  []float64 // one a bin
	outside float64
}

// bin returns the bin of a value; false when it lies outside. The last bin holds its upper edge.
func (h *hbosColumn) bin(v float32) (int, bool) {
	at, last := float64(v)-h.low, len(h.scores)
	if last == 0 {
		last = len(h.edges) - 1 // still counting
	}
	if at < 0 || at > h.edges[last] {
		return 0, false
	}
	b := sort.Search(last, func(k int) bool { return h.edges[k+1] > at })
	return min(b, last-1), true
}

// HBOSModel is a fitted [HBOS].
type HBOSModel struct{ columns []hbosColumn }

// Score returns how rare each row's values are.
func (m *HBOSModel) Score(in *data.Table) ([]float64, error) {
	d := len(m.columns)
	if err := method.Width("hbos", in, d); err != nil {
		return nil, err
	}
	n, _ := in.Dims()
	out := make([]float64, n)
	num.Parallel(n, 1+(1<<14)/d, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			for j, v := range in.Row(i) {
				h := &m.columns[j]
				if b, ok := h.bin(v); ok {
					out[i] += h.scores[b]
				} else {
					out[i] += h.outside
				}
			}
		}
	})
	return out, nil
}

// State returns the model as tensors: the columns' bins behind one another.
func (m *HBOSModel) State() *data.Checkpoint {
	d := len(m.columns)
	var edges, scores, low, outside []float64
	var bins []int64
	for _, h := range m.columns {
		bins, low, outside = append(bins, int64(len(h.scores))), append(low, h.low), append(outside, h.outside)
		edges, scores = append(edges, h.edges...), append(scores, h.scores...)
	}
	return &data.Checkpoint{Tensors: map[string]data.Tensor{
		"bins":    data.Int64Tensor(bins, d),
		"low":     data.Float64Tensor(low, d),
		"edges":   data.Float64Tensor(edges, len(edges)),
		"scores":  data.Float64Tensor(scores, len(scores)),
		"outside": data.Float64Tensor(outside, d),
	}}
}

func loadHBOS(_ HBOS, st *data.Checkpoint) (*HBOSModel, error) {
	bins, _, err := st.Ints("bins", -1)
	if err != nil {
		return nil, err
	}
	d := len(bins)
	r := st.Read()
	low, outside := r.Floats("low", d), r.Floats("outside", d)
	edges, scores := r.Floats("edges", -1), r.Floats("scores", -1)
	if err := r.Err(); err != nil {
		return nil, err
	}
	m := &HBOSModel{}
	for j, b := range bins {
		if b < 1 || b > int64(len(scores)) || b+1 > int64(len(edges)) {
			return nil, fmt.Errorf("%w: column %d has %d bins, and %d scores and %d edges are left", data.ErrShape, j+1, b, len(scores), len(edges))
		}
		m.columns = append(m.columns, hbosColumn{low[j], edges[:b+1], scores[:b], outside[j]})
		edges, scores = edges[b+1:], scores[b:]
	}
	if d == 0 || len(edges) > 0 || len(scores) > 0 {
		return nil, fmt.Errorf("%w: %d columns leave %d scores and %d edges over", data.ErrShape, d, len(scores), len(edges))
	}
	return m, nil
}
