package probe

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title:      "a plane between two classes from a few labels and many rows without, which may come from elsewhere",
	Paper:      "saberi2024out",
	TwoClasses: true,
}, RSS.Fit, loadRSS))

// RSS parts two classes by a plane that is right on the labelled rows and keeps clear of unlabelled ones, also when those are shifted.
//
// It is the robust self-supervised estimator of Saberi et al. (2024): each row may be moved at a cost before it is judged, which
// turns the error into a ramp of its distance from the plane; unlabelled rows are judged by the side on which they lie, so the plane
// moves to where rows are few. It starts from the difference of the class means. O(N·D) a step over all rows. Prefer it when labels
// are fewer than columns and unlabelled rows are many; with labels enough [Logistic] is better.
//
// Fits on: Train N×D with a label of one of two classes for every row; Unlabelled, optional, m×D from the same or a near source, whose labels are ignored. It holds a float64 copy of the rows. Columns should have like units.
// Predict: N×2 class probabilities: of a Gaussian for each class along the plane's normal, with the labelled rows' distances.
// Logits:  N×2, the log odds split evenly; their softmax is Predict.
// Errors:  ErrLabels when a row has no label, or there are not two classes; ErrShape without columns, when Unlabelled is of another width or empty, and on another width; ErrDegenerate when the two classes have one mean, or the rows no variance.
// Differs: the plane goes through the mean of the unlabelled rows, in which the classes should be about equally frequent, or without them through the middle of the class means: with an intercept to choose, all unlabelled rows on one side would be the cheapest plane; rows are counted in their mean standard deviation, so that costs have no unit; one cost serves both kinds of rows; steps shrink as 1/√t, and the plane with the least loss counts. Probabilities are ours.
// Source:  saberi2024out, the robust self-supervised loss for linear classifiers.
// Claim:   claims/probe/rss.go.
type RSS struct {
	// Cost is what moving a row by one standard deviation costs: rows farther than 1/Cost from the plane cost nothing when they are on the right side.
	Cost float64 `default:"0.3" range:"(0,100]" unit:"1 / standard deviation"`
	// Weight is what the unlabelled rows' mean loss is multiplied by before it joins that of the labelled ones.
	Weight float64 `default:"4" range:"(0,1e6]"`
	// Steps is how many steps are taken.
	Steps int `default:"300" range:"[1,1e6]"`
}

// RSSInput is what is learned from.
type RSSInput struct {
	// Train are the labelled rows, N×D.
	Train *data.Table
	// Unlabelled are further rows, D columns, of the same two classes.
	Unlabelled *data.Table `optional:"true"`
}

// rssRows are rows from the middle of the classes, in standard deviations. Their sides are −1 or 1, nil where the plane decides.
type rssRows struct {
	n, d int
	x    []float64
	side []float64
}

// Fit moves the plane.
func (c RSS) Fit(ctx context.Context, in RSSInput) (*RSSModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if in.Train == nil {
		return nil, fmt.Errorf("%w: no rows", method.ErrInput)
	}
	classes, labels, err := labelled(in.Train)
	if err != nil {
		return nil, err
	}
	n, d := in.Train.Dims()
	if len(classes) != 2 {
		return nil, fmt.Errorf("%w: have %d, want rows of two classes", data.ErrLabels, len(classes))
	}
	all := in.Train
	if in.Unlabelled != nil {
		m, width := in.Unlabelled.Dims()
		if m == 0 || width != d {
			return nil, fmt.Errorf("%w: unlabelled are %d rows of %d columns, the training rows have %d columns", data.ErrShape, m, width, d)
		}
		if m > 1 {
			all = in.Unlabelled
		}
	}
	mean, variance := centred(all)
	deviation := 0.0
	for _, v := range variance {
		deviation += v / float64(d)
	}
	if deviation = math.Sqrt(deviation); deviation == 0 {
		return nil, fmt.Errorf("%w: all rows are equal, so no feature tells classes apart", method.ErrDegenerate)
	}
	center, start := rssMeans(in.Train, labels, mean)
	middle := center // of few labels it is far from that of the rows
	if in.Unlabelled != nil && len(all.X()) > d {
		center = mean
	}
	length := 0.0
	for j := range start {
		start[j] /= deviation
		length = math.Hypot(length, start[j])
	}
	if length < 1e-9 {
		return nil, fmt.Errorf("%w: both classes have the same mean, so there is no direction to start from", method.ErrDegenerate)
	}
	for j := range start {
		start[j] /= length
	}
	known := rssScaled(in.Train, center, deviation)
	known.side = make([]float64, n)
	for i, l := range labels {
		known.side[i] = float64(2*l - 1)
	}
	var open rssRows
	if in.Unlabelled != nil {
		open = rssScaled(in.Unlabelled, center, deviation)
	}
	theta, losses, err := c.descend(ctx, start, known, open)
	if err != nil {
		return nil, err
	}
	// The classes' distances from the plane: a Gaussian each, of one variance.
	z := known.project(theta)
	separation, spread := 0.0, 0.0
	for i, v := range z {
		separation += known.side[i] * v / float64(n)
	}
	for i, v := range z {
		spread += (known.side[i]*v - separation) * (known.side[i]*v - separation) / float64(n)
	}
	odds := 2 * max(separation, 0) / max(spread, 1e-2) // a row a class has no spread: distances are in deviations
	weights := make([]float64, 2*d)
	for j, v := range theta {
		w := odds * v / deviation / 2
		weights[2*j], weights[2*j+1] = -w, w
	}
	shift := 0.0
	for j, v := range mean {
		shift = math.Hypot(shift, (v-middle[j])/deviation)
	}
	return &RSSModel{newHead(classes, center, weights, []float64{0, 0}), []float64{losses[0], losses[1], shift, float64(open.n)}}, nil
}

// rssMeans returns the middle of the two class means, and their difference from there.
func rssMeans(t *data.Table, labels []int, near []float64) (center, difference []float64) {
	n, d := t.Dims()
	var sums [2][]float64
	var counts [2]float64
	sums[0], sums[1] = make([]float64, d), make([]float64, d)
	for i := range n {
		counts[labels[i]]++
		for j, v := range t.Row(i) {
			sums[labels[i]][j] += float64(v) - near[j]
		}
	}
	center, difference = make([]float64, d), make([]float64, d)
	for j := range d {
		a, b := sums[0][j]/counts[0], sums[1][j]/counts[1]
		center[j], difference[j] = near[j]+(a+b)/2, (b-a)/2
	}
	return center, difference
}

func rssScaled(t *data.Table, center []float64, deviation float64) rssRows {
	n, d := t.Dims()
	r := rssRows{n: n, d: d, x: make([]float64, n*d)}
	for i := range n {
		for j, v := range t.Row(i) {
			r.x[i*d+j] = (float64(v) - center[j]) / deviation
		}
	}
	return r
}

// project returns the rows' distances from the plane, positive on the second class's side.
func (r rssRows) project(theta []float64) []float64 {
	z := make([]float64, r.n)
	num.Gemv(false, r.n, r.d, 1, r.x, r.d, theta, 0, z)
	return z
}

// loss returns the rows' mean ramp, and adds its gradient, times weight, to gradient. A row on the right side costs 1 − cost·distance,
// at least nothing; on the wrong side one, whatever its distance: it could not be moved there for less.
func (r rssRows) loss(theta []float64, cost, weight float64, gradient []float64) (mean float64) {
	if r.n == 0 {
		return 0
	}
	pull := r.project(theta)
	for i, z := range pull {
		side := 1.0
		if r.side != nil {
			side = r.side[i]
		} else if z < 0 {
			side = -1
		}
		ramp := 1 - cost*side*z
		pull[i] = 0
		switch {
		case ramp <= 0:
		case ramp >= 1:
			mean += 1 / float64(r.n)
		default:
			mean += ramp / float64(r.n)
			pull[i] = -cost * side
		}
	}
	num.Gemv(true, r.n, r.d, weight/float64(r.n), r.x, r.d, pull, 1, gradient)
	return mean
}

// descend takes the steps on the sphere and returns the plane with the least loss, and both parts of it.
func (c RSS) descend(ctx context.Context, start []float64, known, open rssRows) (best []float64, losses [2]float64, err error) {
	theta, gradient := slices.Clone(start), make([]float64, len(start))
	least := math.Inf(1)
	for step := 0; step <= c.Steps; step++ {
		if err := ctx.Err(); err != nil {
			return nil, losses, err
		}
		method.Progress(ctx, step, c.Steps)
		clear(gradient)
		a := known.loss(theta, c.Cost, 1, gradient)
		b := open.loss(theta, c.Cost, c.Weight, gradient)
		if v := a + c.Weight*b; v < least {
			least, losses, best = v, [2]float64{a, b}, slices.Clone(theta)
		}
		along, length := 0.0, 0.0
		for j, v := range theta {
			along += gradient[j] * v
		}
		rate := rssRate / math.Sqrt(float64(step+1))
		for j := range theta { // along the sphere
			theta[j] -= rate * (gradient[j] - along*theta[j])
			length = math.Hypot(length, theta[j])
		}
		for j := range theta {
			theta[j] /= length
		}
	}
	return best, losses, nil
}

// rssRate is the first step's length for a gradient of length one.
const rssRate = 1.0

// RSSModel is a fitted [RSS].
type RSSModel struct {
	head   *head
	report []float64
}

// Predict returns each row's class probabilities, N×2.
func (m *RSSModel) Predict(in *data.Table) (*data.Table, error) { return m.head.predict("rss", in) }

// Logits returns each row's logits, N×2.
func (m *RSSModel) Logits(in *data.Table) (*data.Table, error) { return m.head.logits("rss", in) }

// Linear returns the head itself: logits = (x − center)·weights + intercept, with D, D×2 and 2 values. The caller must not change them.
func (m *RSSModel) Linear() (center, weights, intercept []float64) {
	return m.head.linear.Center, m.head.linear.Matrix, m.head.intercept
}

// Report tells both parts of the loss, how far the mean of the unlabelled rows lies from the middle of the classes in standard
// deviations, and how many they are.
func (m *RSSModel) Report() data.Numbers {
	return data.Numbers{"labelled_loss": m.report[0], "unlabelled_loss": m.report[1], "shift": m.report[2], "unlabelled_rows": m.report[3]}
}

// State returns the model as tensors.
func (m *RSSModel) State() *data.Checkpoint {
	st := m.head.state()
	st.Tensors["report"] = data.Float64Tensor(m.report, 4)
	return st
}

func loadRSS(_ RSS, st *data.Checkpoint) (*RSSModel, error) {
	r := st.Read()
	report := r.Floats("report", 4)
	h, err := loadHead(r)
	if err != nil {
		return nil, err
	}
	return &RSSModel{h, report}, nil
}
