// Package demo runs the main job from end to end on data that the project makes itself, and tells the story with the numbers
// it measured on the way.
package demo

import (
	"context"
	"fmt"
	"iter"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/encode"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/internal/world"
	"github.com/gimbal-ml/gimbal/method"
)

// The plot: how many rows play which part.
const (
	known, novel = 8, 2 // classes
	trainRows    = 6000
	cleanRows    = 4000
	damagedRows  = 500 // for each severity, 1 to 5
	novelRows    = 500
	lessonRows   = 5 // labels for each new class
	testRows     = 250
	customers    = 50
	forgetful    = 17 // the customer who withdraws
	window       = 250
	imageSide    = 20
	falseAlarms  = 0.05
	corruption   = "noise"
	network      = "fractal"
)

// Phase is a stretch of the stream.
type Phase struct {
	Name             string
	First, Rows      int
	Accepted, Right  int // Right counts accepted rows whose label was right
	severity         float64
	familiar, drifts bool
}

// Story is what happened.
type Story struct {
	Seed         uint64
	Guard        *guard.Guard
	Run          *guard.Run
	Phases       []Phase
	Alarm        int // row of the stream, 0 = never
	QuietRows    int // rows of a second, unchanged stream
	QuietAlarm   int
	NewBefore    float64 // share of new-class rows accepted before the lesson
	NewAfter     float64 // share of new-class rows labelled right after it
	OldBefore    float64 // accuracy on known classes before the lesson
	OldAfter     float64
	Withdrawn    int // rows of the customer who withdrew
	HashForgot   string
	HashNeverSaw string
	features     int
	sample       []float32 // images for the report
}

// stage makes the rows.
type stage struct {
	glyphs  world.Glyphs
	encoder *encode.Model
	seed    uint64
}

// rows draws n rows of the given classes in turn, damaged by the given severity; salt keeps draws apart.
func (s stage) rows(ctx context.Context, n, firstClass, classes int, severity float64, salt uint64) (*data.Table, error) {
	pixels := s.glyphs.Pixels()
	images := make([]float32, n*pixels)
	labels, groups := make([]string, n), make([]string, n)
	for c := range classes {
		drawn := s.glyphs.Draw(firstClass+c, (n+classes-1)/classes, s.seed*1000+salt)
		for i := c; i < n; i += classes {
			copy(images[i*pixels:(i+1)*pixels], drawn[i/classes*pixels:])
			labels[i] = className(firstClass + c)
			groups[i] = fmt.Sprintf("customer %d", (i/classes)%customers)
		}
	}
	damaged, err := world.Corrupt(corruption, severity, s.seed*1000+salt, images, imageSide)
	if err != nil {
		return nil, err
	}
	t, err := data.Collect(ctx, s.encoder.Source(pictures(damaged, labels), true))
	if err != nil {
		return nil, err
	}
	return t.WithGroups(groups)
}

// pictures makes samples of square images: bytes, as a camera gives them.
func pictures(images []float32, labels []string) iter.Seq2[encode.Sample, error] {
	return func(yield func(encode.Sample, error) bool) {
		for i, label := range labels {
			p := &encode.Picture{H: imageSide, W: imageSide, C: 1, Pixels: make([]byte, imageSide*imageSide)}
			for k, v := range images[i*len(p.Pixels) : (i+1)*len(p.Pixels)] {
				p.Pixels[k] = byte(255*v + 0.5)
			}
			name := fmt.Sprintf("image %d", i+1)
			if !yield(encode.Sample{Name: name, ID: name, Label: label, Picture: p}, nil) {
				return
			}
		}
	}
}

// className names the signs of the script by Greek letters.
func className(c int) string {
	return []string{"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"}[c]
}

// Play runs the story; chapter is called as each begins.
func Play(ctx context.Context, specs []method.Spec, seed uint64, chapter func(title string, done, total int)) (*Story, error) {
	encoder, err := encode.Load(network, encode.Options{})
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	s := &Story{Seed: seed, features: encoder.Dim}
	st := stage{world.Glyphs{Seed: seed, Size: imageSide}, encoder, seed}
	for c := range known + novel {
		s.sample = append(s.sample, st.glyphs.Draw(c, 1, seed)...)
	}
	for k, part := range []struct {
		title string
		play  func(context.Context, []method.Spec, stage) error
	}{
		{"learning the known classes", s.learn},
		{"watching the stream", s.watch},
		{"watching an unchanged stream", s.watchQuiet},
		{"teaching the new classes", s.teach},
		{"forgetting a customer", s.forget},
	} {
		chapter(part.title, k, 5)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := part.play(ctx, specs, st); err != nil {
			return nil, fmt.Errorf("demo: %s: %w", part.title, err)
		}
	}
	chapter("done", 5, 5)
	return s, nil
}

func (s *Story) learn(ctx context.Context, specs []method.Spec, st stage) error {
	train, err := st.rows(ctx, trainRows, 0, known, 0, 1)
	if err != nil {
		return err
	}
	s.Guard, err = guard.Fit(ctx, specs, guard.Config{Alpha: falseAlarms, Seed: s.Seed}, train)
	return err
}

func (s *Story) watch(ctx context.Context, _ []method.Spec, st stage) error {
	s.Phases = []Phase{{Name: "clean", Rows: cleanRows, familiar: true}}
	for severity := 1; severity <= 5; severity++ {
		s.Phases = append(s.Phases, Phase{Name: fmt.Sprintf("%s %d", corruption, severity), Rows: damagedRows, severity: float64(severity), familiar: true, drifts: true})
	}
	s.Phases = append(s.Phases, Phase{Name: "new classes", Rows: novelRows, drifts: true})
	var err error
	if s.Run, err = s.Guard.NewRun(window); err != nil {
		return err
	}
	at := 1
	for k := range s.Phases {
		p := &s.Phases[k]
		p.First = at
		at += p.Rows
		first, classes := 0, known
		if !p.familiar {
			first, classes = known, novel
		}
		rows, err := st.rows(ctx, p.Rows, first, classes, p.severity, uint64(10+k))
		if err != nil {
			return err
		}
		ds, _, err := s.Run.Observe(rows)
		if err != nil {
			return err
		}
		for i, d := range ds {
			if d.Accept {
				p.Accepted++
				if d.Label == rows.ClassName(i) {
					p.Right++
				}
			}
		}
	}
	s.Run.Flush()
	s.Alarm = s.Run.Stream().AlarmRow()
	return nil
}

func (s *Story) watchQuiet(ctx context.Context, _ []method.Spec, st stage) error {
	s.QuietRows = cleanRows
	rows, err := st.rows(ctx, s.QuietRows, 0, known, 0, 2)
	if err != nil {
		return err
	}
	quiet, err := s.Guard.NewStream(window)
	if err != nil {
		return err
	}
	_, _, err = quiet.Observe(rows)
	s.QuietAlarm = quiet.AlarmRow()
	return err
}

func (s *Story) teach(ctx context.Context, _ []method.Spec, st stage) error {
	lesson, err := st.rows(ctx, lessonRows*novel, known, novel, 0, 3)
	if err != nil {
		return err
	}
	fresh, err := st.rows(ctx, testRows*novel, known, novel, 0, 4)
	if err != nil {
		return err
	}
	old, err := st.rows(ctx, testRows*known, 0, known, 0, 5)
	if err != nil {
		return err
	}
	taught, err := s.Guard.Update(ctx, lesson, true)
	if err != nil {
		return err
	}
	for _, m := range []struct {
		g        *guard.Guard
		rows     *data.Table
		accepted bool
		to       *float64
	}{
		{s.Guard, fresh, true, &s.NewBefore}, {taught, fresh, false, &s.NewAfter},
		{s.Guard, old, false, &s.OldBefore}, {taught, old, false, &s.OldAfter},
	} {
		ds, err := m.g.Decide(m.rows)
		if err != nil {
			return err
		}
		for i, d := range ds {
			if m.accepted && d.Accept || !m.accepted && d.Label == m.rows.ClassName(i) {
				*m.to += 1 / float64(len(ds))
			}
		}
	}
	return nil
}

func (s *Story) forget(ctx context.Context, specs []method.Spec, st stage) error {
	train, err := st.rows(ctx, trainRows, 0, known, 0, 1)
	if err != nil {
		return err
	}
	var gone, left []int
	for i, g := range train.Groups() {
		if g == fmt.Sprintf("customer %d", forgetful) {
			gone = append(gone, i)
		} else {
			left = append(left, i)
		}
	}
	s.Withdrawn = len(gone)
	forgot, err := s.Guard.Forget(ctx, train.Pick(gone))
	if err != nil {
		return err
	}
	never, err := guard.Fit(ctx, specs, guard.Config{Like: s.Guard}, train.Pick(left))
	if err != nil {
		return err
	}
	s.HashForgot, s.HashNeverSaw = forgot.Hash(), never.Hash()
	return nil
}

// Promise is something that a guard says will happen, and whether it did.
type Promise struct {
	Text string
	Kept bool
}

// Promises checks the story against what was promised.
func (s *Story) Promises() []Promise {
	clean := s.Phases[0]
	refused := 1 - float64(clean.Accepted)/float64(clean.Rows)
	shift := s.Phases[1].First
	right, accepted := 0, 0
	for _, p := range s.Phases {
		if p.familiar {
			right, accepted = right+p.Right, accepted+p.Accepted
		}
	}
	alarm := fmt.Sprintf("the drift alarm rang at row %d; the damage began at row %d", s.Alarm, shift)
	if s.Alarm == 0 {
		alarm = fmt.Sprintf("the drift alarm never rang; the damage began at row %d", shift)
	}
	last := s.Phases[len(s.Phases)-1]
	strange := 1 - float64(last.Accepted)/float64(last.Rows)
	return []Promise{
		// What is promised is the expectation over guards; one guard and one stream scatter around it.
		{fmt.Sprintf("%.2f %% of clean rows were refused; %.0f %% were allowed, give or take %.1f for a sample of this size", 100*refused, 100*falseAlarms, 100*s.scatter()), refused <= falseAlarms+s.scatter()},
		{fmt.Sprintf("%.2f %% of the accepted rows of known classes were labelled right, clean and damaged together", 100*float64(right)/float64(max(accepted, 1))), float64(right) >= 0.95*float64(accepted)},
		{alarm, s.Alarm >= shift && s.Alarm < shift+damagedRows*5},
		{fmt.Sprintf("over %d further unchanged rows it stayed silent", s.QuietRows), s.QuietAlarm == 0},
		{fmt.Sprintf("%.1f %% of rows of never-seen classes were refused, %.0f times the share of familiar rows", 100*strange, strange/max(refused, 1e-9)), strange >= 5*falseAlarms},
		{fmt.Sprintf("after %d labels each, %.1f %% of fresh rows of the new classes were labelled right", lessonRows, 100*s.NewAfter), s.NewAfter >= 0.7},
		{fmt.Sprintf("the old classes stayed at %.2f %% (%.2f %% before)", 100*s.OldAfter, 100*s.OldBefore), s.OldAfter >= s.OldBefore-0.02},
		{fmt.Sprintf("after one customer's %d rows were forgotten, the state's hash is %.12s…; that of a fit that never saw them is %.12s…", s.Withdrawn, s.HashForgot, s.HashNeverSaw), s.HashForgot == s.HashNeverSaw},
	}
}

// scatter is three standard deviations of one guard's refusal rate on the clean rows, around the rate asked for: those of the
// calibration sample and of the stream together.
func (s *Story) scatter() float64 {
	_, kept := s.Guard.Rows()
	return 3 * math.Sqrt(falseAlarms*(1-falseAlarms)*(1/float64(kept)+1/float64(cleanRows)))
}
