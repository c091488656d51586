// Package guard is the main job: a detector, a head, a threshold with a guaranteed false-alarm rate and a drift alarm over
// one exact state, which learns, forgets and is saved as one file. It is composed from the registry and knows no method by name.
package guard

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

// Config says how a guard is made. The zero value is a good one.
type Config struct {
	// Alpha is the false-alarm rate: at most this share of familiar rows is refused, in expectation and for any
	// distribution and sample size. Default 0.05; it can be changed after fitting.
	Alpha float64
	// Detector is the ID of a method that scores unfamiliarity and is fitted from moments. Default: the first family's choice that can.
	Detector string
	// DetectorConfig and HeadConfig set the methods' parameters by flag name.
	DetectorConfig, HeadConfig map[string]string
	// Head is the ID of a method that predicts classes and is fitted from moments. Default: the detector when it can predict.
	Head string
	// Calibration is the share of rows, drawn by a hash of their content, that are kept aside to calibrate the threshold:
	// default 0.2, and no more than about 5,000 rows.
	Calibration float64
	// DriftLevel bounds the probability that the drift alarm ever rings over a whole unchanged stream. Default 0.01.
	DriftLevel float64
	// Seed moves the choice of calibration rows and the breaking of ties.
	Seed uint64
	// Like takes grid, calibration share, seed and methods from another guard, so that the results can be compared by hash:
	// a guard fitted like g on what is left equals g after forgetting the rest.
	Like *Guard
}

// Guard is a fitted guard. It is immutable and safe for concurrent use; what changes it returns a new one.
type Guard struct {
	frame       frame
	specs       []method.Spec
	state       *moments.State
	kept        *calibration
	detector    method.Model
	head        method.Model // nil without labels
	temperature float64
	conformal   *part.Conformal
	classes     []string // of the head's columns
}

// frame is what does not depend on the rows seen: all of it is saved, and Like copies it.
type frame struct {
	Alpha          float64         `json:"alpha"`
	DriftLevel     float64         `json:"drift_level"`
	Rate           float64         `json:"calibration"`
	Seed           uint64          `json:"seed"`
	Detector       string          `json:"detector"`
	DetectorConfig json.RawMessage `json:"detector_config"`
	Head           string          `json:"head,omitempty"`
	HeadConfig     json.RawMessage `json:"head_config,omitempty"`
	PerClass       bool            `json:"per_class,omitempty"`
}

const (
	defaultAlpha       = 0.05
	defaultDriftLevel  = 0.01
	defaultCalibration = 0.2
	calibrationAim     = 5000  // rows; the standard error of a 5 % threshold is then 0.3 %
	calibrationMost    = 20000 // beyond it, half of them go to the model
	taughtBelow        = 20    // a class with fewer rows than this spares none for calibration
)

// Fit makes a guard from labelled rows, or from rows of one kind without labels, in two passes.
// Errors: ErrConfig for an unknown or unsuitable method or a level out of range, and with the number of rows missing when
// there are too few calibration rows for Alpha; those of the source and of the methods.
func Fit(ctx context.Context, specs []method.Spec, c Config, src data.Source) (*Guard, error) {
	g := &Guard{specs: specs}
	if !src.Replayable() {
		t, err := data.Collect(ctx, src)
		if err != nil {
			return nil, err
		}
		src = t
	}
	if c.Like != nil {
		g.frame = c.Like.frame
		g.state = c.Like.state.Empty()
	} else if err := g.setFrame(ctx, c, src); err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	g.kept = newCalibration(g.frame.Seed, g.frame.Rate)
	for b, err := range src.Blocks(ctx) {
		if err != nil {
			return nil, err
		}
		if err := g.learn(b, nil); err != nil {
			return nil, fmt.Errorf("guard: %w", err)
		}
	}
	if err := g.finish(); err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	return g, nil
}

func (g *Guard) setFrame(ctx context.Context, c Config, src data.Source) error {
	f := frame{Alpha: c.Alpha, DriftLevel: c.DriftLevel, Rate: c.Calibration, Seed: c.Seed, Head: c.Head}
	for _, v := range []struct {
		name   string
		value  *float64
		normal float64
	}{{"false-alarm rate", &f.Alpha, defaultAlpha}, {"drift level", &f.DriftLevel, defaultDriftLevel}, {"calibration share", &f.Rate, defaultCalibration}} {
		if *v.value == 0 {
			*v.value = v.normal
		}
		if !(*v.value > 0 && *v.value < 1) {
			return fmt.Errorf("%w: a %s of %v is not between 0 and 1", method.ErrConfig, v.name, *v.value)
		}
	}
	detector, err := choose(g.specs, c.Detector, "score")
	if err != nil {
		return err
	}
	f.Detector = detector.ID()
	if f.DetectorConfig, err = configure(detector, c.DetectorConfig); err != nil {
		return err
	}
	head := detector
	if c.Head != "" || !detector.Can("predict") {
		if head, err = choose(g.specs, c.Head, "predict"); err != nil {
			return err
		}
	}
	if c.HeadConfig != nil && head.ID() == detector.ID() {
		return fmt.Errorf("%w: the head is the detector %s; set its parameters there, or name another head", method.ErrConfig, detector.ID())
	}
	if f.Head = head.ID(); f.Head != f.Detector {
		if f.HeadConfig, err = configure(head, c.HeadConfig); err != nil {
			return err
		}
	}
	f.PerClass = (detector.Needs|head.Needs)&moments.ClassScatter != 0
	var rows int
	if g.state, rows, err = moments.Frame(ctx, src, f.PerClass); err != nil {
		return err
	}
	if c.Calibration == 0 {
		f.Rate = min(f.Rate, calibrationAim/float64(rows))
	}
	g.frame = f
	return nil
}

// choose finds the method with the ID, or the first family's default, that has the verb and is fitted from moments.
func choose(specs []method.Spec, id, verb string) (method.Spec, error) {
	for _, s := range specs {
		switch {
		case id == "" && s.Default && s.Can(verb) && s.FitsMoments(), id == s.ID() && s.Can(verb) && s.FitsMoments():
			return s, nil
		case id == s.ID() && !s.Can(verb):
			return s, fmt.Errorf("%w: %s cannot %s", method.ErrConfig, id, verb)
		case id == s.ID():
			return s, fmt.Errorf("%w: %s is not fitted from moments, so a guard could neither update nor forget with it", method.ErrConfig, id)
		}
	}
	if id == "" {
		return method.Spec{}, fmt.Errorf("%w: no registered method can %s from moments", method.ErrConfig, verb)
	}
	return method.Spec{}, fmt.Errorf("%w: there is no method %q (see gimbal methods)", method.ErrConfig, id)
}

func configure(s method.Spec, flags map[string]string) (json.RawMessage, error) {
	cfg, err := s.Configure(flags)
	if err != nil {
		return nil, err
	}
	return s.MarshalConfig(cfg)
}

// learn adds rows: each to the model or to the calibration sample, by its hash. Rows of the classes named in taught all go to the model.
func (g *Guard) learn(t *data.Table, taught map[string]bool) error {
	n, _ := t.Dims()
	var model []int
	for i := range n {
		name := t.ClassName(i)
		if taught[name] || !g.kept.wants(t.Row(i), name) {
			model = append(model, i)
		}
	}
	if err := g.state.Observe(t.Pick(model)); err != nil { // checks the width before anything is kept
		return err
	}
	at := 0
	for i := range n {
		if at < len(model) && model[at] == i {
			at++
			continue
		}
		g.kept.add(t.Row(i), t.ClassName(i))
	}
	return nil
}

// finish brings the calibration sample to its size, fits the methods from the state and calibrates them.
func (g *Guard) finish() error {
	if err := g.settle(); err != nil {
		return err
	}
	return g.refit()
}

// settle moves rows to the model while too many calibrate. It is a pure function of the rows: those whose hash is too large move.
func (g *Guard) settle() error {
	for g.kept.rows() > calibrationMost {
		before := g.kept.rows()
		if err := g.halve(); err != nil {
			return err
		}
		if g.kept.rows() == before {
			return fmt.Errorf("%w: %d calibration rows are copies of one another", data.ErrShape, before)
		}
	}
	return nil
}

// halve keeps half the share of rows for calibration from now on.
func (g *Guard) halve() error {
	moved := g.kept.halve()
	g.frame.Rate = g.kept.rate
	if moved == nil {
		return nil
	}
	return g.state.Observe(moved)
}

func (g *Guard) refit() error {
	var err error
	if g.detector, err = g.fit(g.frame.Detector, g.frame.DetectorConfig); err != nil {
		return err
	}
	g.head = nil
	if len(g.state.Classes()) > 0 {
		g.head = g.detector
		if g.frame.Head != g.frame.Detector {
			if g.head, err = g.fit(g.frame.Head, g.frame.HeadConfig); err != nil {
				return err
			}
		}
	}
	return g.calibrate()
}

func (g *Guard) spec(id string) (method.Spec, error) {
	i := slices.IndexFunc(g.specs, func(s method.Spec) bool { return s.ID() == id })
	if i < 0 {
		return method.Spec{}, fmt.Errorf("%w: it uses method %q, which this program does not have", method.ErrState, id)
	}
	return g.specs[i], nil
}

func (g *Guard) fit(id string, text json.RawMessage) (method.Model, error) {
	s, err := g.spec(id)
	if err != nil {
		return nil, err
	}
	cfg, err := s.UnmarshalConfig(text)
	if err != nil {
		return nil, err
	}
	return s.FitMoments(cfg, g.state)
}

// enough refuses a false-alarm rate that so many calibration rows cannot promise.
func enough(rows int, alpha float64) error {
	if err := part.NewConformal(make([]float64, rows)).Check(alpha); err != nil {
		return fmt.Errorf("%w: %w", method.ErrConfig, err)
	}
	return nil
}

func (g *Guard) calibrate() error {
	if err := enough(g.kept.rows(), g.frame.Alpha); err != nil {
		return err
	}
	rows := g.kept.table()
	scores, err := g.detector.(method.Scorer).Score(rows)
	if err != nil {
		return err
	}
	g.conformal = part.NewConformal(scores)
	g.temperature, g.classes = 1, nil
	if g.head == nil {
		return nil
	}
	logits, err := logits(g.head, rows)
	if err != nil {
		return err
	}
	g.classes = logits.Columns()
	n, k := logits.Dims()
	labels := make([]int, n)
	for i := range labels {
		labels[i] = slices.Index(g.classes, rows.ClassName(i))
	}
	wide := make([]float64, n*k)
	for i, v := range logits.X() {
		wide[i] = float64(v)
	}
	g.temperature = part.Temperature(wide, labels, k, 0)
	return nil
}

// logits are a head's own, or the logarithms of its probabilities.
func logits(m method.Model, in *data.Table) (*data.Table, error) {
	if l, ok := m.(method.Logiter); ok {
		return l.Logits(in)
	}
	p, err := m.(method.Predictor).Predict(in)
	if err != nil {
		return nil, err
	}
	n, _ := p.Dims()
	x := make([]float32, len(p.X()))
	for i, v := range p.X() {
		x[i] = float32(math.Log(max(float64(v), 1e-30)))
	}
	return data.NewNamed(n, p.Columns(), x)
}

// clone copies what learning and forgetting change.
func (g *Guard) clone() *Guard {
	c := *g
	c.state, c.kept = g.state.Clone(), g.kept.clone()
	return &c
}

// WithAlpha returns the guard at another false-alarm rate. Errors: ErrConfig with the reason when the calibration sample is too small for it.
func (g *Guard) WithAlpha(alpha float64) (*Guard, error) {
	if err := enough(g.kept.rows(), alpha); err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	u := *g
	u.frame.Alpha = alpha
	return &u, nil
}

// Alpha returns the false-alarm rate.
func (g *Guard) Alpha() float64 { return g.frame.Alpha }

// Threshold returns the largest score that is accepted.
func (g *Guard) Threshold() float64 { return g.conformal.Threshold(g.frame.Alpha) }

// Classes returns the known classes, in the order of the head's columns; none without labels.
func (g *Guard) Classes() []string { return g.classes }

// Count returns how many rows of a class the model learned from; "" counts rows without a label.
func (g *Guard) Count(class string) int { return g.state.Count(class) }

// Rows returns how many rows the model learned from and how many calibrate it.
func (g *Guard) Rows() (model, calibration int) { return g.state.Rows(), g.kept.rows() }

// Dim returns the number of feature columns.
func (g *Guard) Dim() int { d, _ := g.state.Dims(); return d }

// Columns returns the names of the feature columns, or nil.
func (g *Guard) Columns() []string { return g.state.Columns() }

// Detector and Head return the IDs of the methods at work; Head is empty without labels.
func (g *Guard) Detector() string { return g.frame.Detector }

// Head returns the ID of the method that predicts classes, empty without labels.
func (g *Guard) Head() string {
	if g.head == nil {
		return ""
	}
	return g.frame.Head
}

// CalibrationScores returns the calibration sample's scores, ascending. The caller must not change them.
func (g *Guard) CalibrationScores() []float64 { return g.conformal.Sorted() }

// Decision is what a guard says of one row.
type Decision struct {
	Label       string  `json:"label,omitempty"`       // the most probable known class; empty without labels
	Probability float64 `json:"probability,omitempty"` // of that class, calibrated by temperature
	Score       float64 `json:"ood_score"`             // higher = more unfamiliar
	PValue      float64 `json:"p_value"`               // how often a familiar row scores as high
	Accept      bool    `json:"accept"`                // p-value above alpha
}

// Decide judges each row by itself.
func (g *Guard) Decide(in *data.Table) ([]Decision, error) {
	out, err := g.Judge(in)
	if err != nil || g.head == nil {
		return out, err
	}
	l, err := logits(g.head, in)
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	for i := range out {
		out[i].Label, out[i].Probability = g.best(l.Row(i))
	}
	return out, nil
}

// Judge is [Guard.Decide] without labels and their probabilities, which cost as much as the scores.
func (g *Guard) Judge(in *data.Table) ([]Decision, error) {
	scores, err := g.detector.(method.Scorer).Score(in)
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	out := make([]Decision, len(scores))
	for i, s := range scores {
		p := g.conformal.PValue(s)
		out[i] = Decision{Score: s, PValue: p, Accept: p > g.frame.Alpha}
	}
	return out, nil
}

// Probabilities returns each row's probability of every known class, N×K with the classes as column names; the largest of a row is
// that of its [Decision]. Errors: ErrLabels for a guard without classes; those of Decide.
func (g *Guard) Probabilities(in *data.Table) (*data.Table, error) {
	if g.head == nil {
		return nil, fmt.Errorf("guard: %w: it was fitted on rows without any", data.ErrLabels)
	}
	l, err := logits(g.head, in)
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	n, k := l.Dims()
	x := make([]float32, n*k)
	for i := range n {
		row := l.Row(i)
		top := slices.Max(row)
		_, best := g.best(row)
		for c, v := range row {
			x[i*k+c] = float32(best * math.Exp((float64(v)-float64(top))/g.temperature))
		}
	}
	return data.NewNamed(n, g.classes, x)
}

// best returns the most probable class and its probability.
func (g *Guard) best(logits []float32) (string, float64) {
	top := 0
	for c, v := range logits {
		if v > logits[top] {
			top = c
		}
	}
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp((float64(v) - float64(logits[top])) / g.temperature)
	}
	return g.classes[top], 1 / sum
}
