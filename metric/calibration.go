package metric

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Bins says how probabilities are binned. Its zero value is the field's default: 15 bins of equal width.
type Bins struct {
	// Count is the number of bins. More bins see finer miscalibration and add more noise.
	Count int `default:"15" range:"[1,1048576]"`
	// EqualMass gives every bin the same number of rows (within one) instead of the same width, so that no bin is almost empty.
	// Rows with equal probabilities stay in one bin, the one that their middle rank falls into: the result does not depend on the order of rows.
	EqualMass bool
}

const (
	defaultBins = 15
	mostBins    = 1 << 20
)

func (b Bins) settle(who string) (Bins, error) {
	if b.Count == 0 {
		b.Count = defaultBins
	}
	if b.Count < 1 || b.Count > mostBins {
		return b, fmt.Errorf("%s: %d bins are %w, want 1 to %d", who, b.Count, ErrRange, mostBins)
	}
	return b, nil
}

// ECE is the expected calibration error of the predicted class with 15 equal-width bins, the figure that papers report: [BinnedECE] with Bins{}.
func ECE[F Float](probabilities []F, classes int, labels []int, how ...Interval) (Estimate, error) {
	return calibration("ece", Bins{}, false, (*gaps).expected, probabilities, classes, labels, how)
}

// BinnedECE is the expected calibration error: each row's largest probability is its confidence; Σ_b rows_b/N·|accuracy_b − mean confidence_b| over bins b.
//
// Takes:    N×K probabilities, row-major, each row summing to 1 (within 0.01), and N labels in 0..K−1. Of equal largest probabilities the lowest class is predicted.
// Bins:     equal width: bin b of B is (b/B, (b+1)/B], as in the authors' code (a confidence on an edge belongs to the bin below it); equal mass: see [Bins].
// Interval: bootstrap over rows, equal-mass bins cut anew in each resample, tails mirrored at the value: noise pushes a calibration error up, and
// resamples are noisier than the sample. The low end is 0 unless the value is larger than 1 − (1−Level)/2 of those that perfectly calibrated labels, drawn
// from the rows' own probabilities, would give: so an interval that excludes 0 rejects calibration. Where no resample moves the value: ± q as at
// [Interval] with k = N. The value itself lies above the true error by its noise, about √(B/N); compare only equal N and bins.
// Errors:   data.ErrShape, data.ErrFinite, data.ErrLabels; ErrRange for probabilities, Bins or the Interval.
// Source:   Naeini et al. (2015); Guo et al. (2017), eq. (3); equal mass: Nguyen and O'Connor (2015); calibrated labels: Bröcker and Smith (2007).
func BinnedECE[F Float](bins Bins, probabilities []F, classes int, labels []int, how ...Interval) (Estimate, error) {
	return calibration("ece", bins, false, (*gaps).expected, probabilities, classes, labels, how)
}

// ClasswiseECE is the static calibration error: [BinnedECE] of every class's own probability p_k against "the label is k", over all rows, averaged over the
// K classes. It also sees miscalibrated runners-up. With many classes most probabilities are near 0, and so is the average.
// With equal-mass bins it is the adaptive calibration error.
//
// Takes, errors: as [BinnedECE]. Interval: as [BinnedECE]; it costs O(Resamples·N·K) time and 12·N·K bytes.
// Source: Nixon et al. (2019), section 3 (SCE, ACE); Kull et al. (2019), eq. (2).
func ClasswiseECE[F Float](bins Bins, probabilities []F, classes int, labels []int, how ...Interval) (Estimate, error) {
	return calibration("class-wise ece", bins, true, (*gaps).expected, probabilities, classes, labels, how)
}

// MaximumCalibrationError is the largest |accuracy_b − mean confidence_b| over the non-empty bins of [BinnedECE]. A bin of one row counts as much as
// a bin of a thousand, so with equal-width bins it is mostly noise; equal-mass bins serve it better.
//
// Takes, errors: as [BinnedECE]. Interval: as [BinnedECE]; where no resample moves the value, k is the number of rows in the smallest bin.
// Source: Naeini et al. (2015); Guo et al. (2017), eq. (5).
func MaximumCalibrationError[F Float](bins Bins, probabilities []F, classes int, labels []int, how ...Interval) (Estimate, error) {
	return calibration("maximum calibration error", bins, false, (*gaps).maximum, probabilities, classes, labels, how)
}

func calibration[F Float](who string, bins Bins, classwise bool, statistic func(*gaps) float64, probabilities []F, classes int, labels []int, how []Interval) (Estimate, error) {
	h, err := settle(who, how)
	if err != nil {
		return Estimate{}, err
	}
	if bins, err = bins.settle(who); err != nil {
		return Estimate{}, err
	}
	if err := checkProbabilities(who, probabilities, classes, labels); err != nil {
		return Estimate{}, err
	}
	n := len(labels)
	outcome := make([]int32, n)
	var columns []forecasts
	if classwise {
		for i, y := range labels {
			outcome[i] = int32(y)
		}
		for k := range classes {
			f := forecasts{probability: make([]float64, n), event: int32(k)}
			for i := range n {
				f.probability[i] = float64(probabilities[i*classes+k])
			}
			columns = append(columns, f.binned(bins))
		}
	} else {
		f := forecasts{probability: make([]float64, n), event: 1}
		for i, y := range labels {
			top, p := largest(probabilities[i*classes : (i+1)*classes])
			f.probability[i] = p
			if top == y {
				outcome[i] = 1
			}
		}
		columns = append(columns, f.binned(bins))
	}
	over := func(times, outcome []int32, g *gaps) float64 {
		sum := 0.0
		for _, c := range columns {
			c.fill(g, times, outcome, bins)
			sum += statistic(g)
		}
		return sum / float64(len(columns))
	}
	once := make([]int32, n)
	for i := range once {
		once[i] = 1
	}
	g := newGaps(bins, n)
	value := over(once, outcome, g)
	if h.ValueOnly {
		return h.alone(value), nil
	}
	smallest := g.smallest()
	replicas := h.replicate(func() func(draws) float64 {
		times, g := make([]int32, n), newGaps(bins, n)
		return func(d draws) float64 {
			clear(times)
			for range n {
				times[d.index(n)]++
			}
			return over(times, outcome, g)
		}
	})
	if unvaried(value, replicas) {
		q := h.unseen(smallest)
		return h.between(value, value-q, value+q, 0, 1), nil
	}
	e := h.pivotal(value, replicas, 0, 1)
	calibrated := h.replicate(func() func(draws) float64 {
		outcome, g := make([]int32, n), newGaps(bins, n)
		return func(d draws) float64 {
			for i := range outcome {
				if classwise {
					outcome[i] = drawClass(d, probabilities[i*classes:(i+1)*classes])
				} else {
					outcome[i] = drawEvent(d, columns[0].probability[i])
				}
			}
			return over(once, outcome, g)
		}
	})
	if _, most := h.tails(calibrated); value <= most {
		e.Low = 0
	}
	return e, nil
}

// largest returns the first class with the largest probability.
func largest[F Float](row []F) (class int, p float64) {
	for k, v := range row {
		if v > row[class] {
			class = k
		}
	}
	return class, float64(row[class])
}

// drawEvent is 1 with probability p, else 0.
func drawEvent(d draws, p float64) int32 {
	if d.uniform() < p {
		return 1
	}
	return 0
}

// drawClass draws a class from a row of probabilities; what its sum lacks to 1 goes to the last class.
func drawClass[F Float](d draws, row []F) int32 {
	u := d.uniform()
	for k, p := range row[:len(row)-1] {
		if u -= float64(p); u < 0 {
			return int32(k)
		}
	}
	return int32(len(row) - 1)
}

// forecasts are N probabilities of an event: that a row's outcome is this number.
type forecasts struct {
	probability []float64
	event       int32
	bin         []int32 // each row's bin, for equal width
	order       []int32 // rows by ascending probability, for equal mass
}

// binned prepares what the binning needs of all resamples.
func (f forecasts) binned(b Bins) forecasts {
	n := len(f.probability)
	if b.EqualMass {
		f.order = make([]int32, n)
		for i := range f.order {
			f.order[i] = int32(i)
		}
		slices.SortFunc(f.order, func(i, j int32) int {
			return cmp.Or(cmp.Compare(f.probability[i], f.probability[j]), cmp.Compare(i, j))
		})
		return f
	}
	f.bin = make([]int32, n)
	for i, p := range f.probability {
		f.bin[i] = int32(max(0, math.Ceil(p*float64(b.Count))-1)) // p ≤ 1, so at most Count − 1
	}
	return f
}

// gaps are sums by bin.
type gaps struct {
	n           int
	rows        []int32
	probability []float64 // sum
	happened    []int32   // count
}

func newGaps(b Bins, n int) *gaps {
	return &gaps{n: n, rows: make([]int32, b.Count), probability: make([]float64, b.Count), happened: make([]int32, b.Count)}
}

// fill sums over the rows, each taken as often as times says (n in total), with the outcomes given.
func (f forecasts) fill(g *gaps, times, outcome []int32, b Bins) {
	clear(g.rows)
	clear(g.probability)
	clear(g.happened)
	add := func(bin int, row int32) {
		t := times[row]
		g.rows[bin] += t
		g.probability[bin] += float64(t) * f.probability[row]
		if outcome[row] == f.event {
			g.happened[bin] += t
		}
	}
	if !b.EqualMass {
		for i, bin := range f.bin {
			add(int(bin), int32(i))
		}
		return
	}
	below := 0
	for from := 0; from < len(f.order); {
		// Rows from..to−1 share a probability and therefore a bin.
		p, to, tied := f.probability[f.order[from]], from, 0
		for to < len(f.order) && f.probability[f.order[to]] == p {
			tied += int(times[f.order[to]])
			to++
		}
		if tied > 0 {
			bin := int(int64(b.Count) * int64(2*below+tied) / int64(2*g.n))
			for _, row := range f.order[from:to] {
				add(bin, row)
			}
		}
		below += tied
		from = to
	}
}

func (g *gaps) expected() float64 {
	sum := 0.0
	for b, p := range g.probability {
		sum += math.Abs(float64(g.happened[b]) - p)
	}
	return sum / float64(g.n)
}

func (g *gaps) maximum() float64 {
	most := 0.0
	for b, rows := range g.rows {
		if rows > 0 {
			most = max(most, math.Abs(float64(g.happened[b])-g.probability[b])/float64(rows))
		}
	}
	return most
}

// smallest is the number of rows in the smallest bin that has any.
func (g *gaps) smallest() int {
	least := g.n
	for _, rows := range g.rows {
		if rows > 0 {
			least = min(least, int(rows))
		}
	}
	return least
}
