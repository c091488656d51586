package net

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Batch is the rows of a step.
type Batch struct {
	Rows  []int
	Epoch int // counted from 0; −1 outside training
	// Seed is a function of the run's seed and the epoch. What is drawn for a row should be a function of it and the row's
	// number, so that it does not depend on the batch size.
	Seed uint64
}

// Task is what a loop trains on.
type Task struct {
	Rows int
	// Build adds the network and its loss for a number of rows to a graph, and returns what sets the graph's inputs to a batch.
	// It is called for every batch size that occurs, and for validation.
	Build func(g *Graph, rows int) (loss *Node, feed func(Batch))
}

// Loop is a recipe for mini-batch training.
type Loop struct {
	Epochs    int // passes over the rows
	Batch     int // rows a step; the last of an epoch may have fewer
	Optimiser Optimiser
	Schedule  Schedule
	Seed      uint64 // of the order of rows, of the split and of noise
	// Holdout is the share of rows, [0, 1), that are not trained on but measured after every epoch.
	Holdout float64
	// Patience is how many epochs in a row may bring no lower loss on the held-out rows; then training ends. The parameters of
	// the best epoch are kept. 0: never, and the last ones are kept.
	Patience int
	Average  *Average            // of the parameters after each step, if any
	Progress func(Progress) bool // called after every epoch; false ends training
	// Gradients, when set, is called in every step between the gradients and the optimiser, and may change them, as a projection
	// does; Stepped after the optimiser, and may change the weights, as a proximal map does. Steps count from 1 over the whole
	// run. An error ends training with it. A run that is taken up again needs what they keep, which no checkpoint holds.
	Gradients, Stepped func(step int, params *Params) error
}

// Progress is where training stands.
type Progress struct {
	Epoch, Epochs int     // of which how many are done
	Steps         int     // done in all
	Loss          float64 // mean over the epoch's steps
	Held          float64 // on the held-out rows; NaN without any
	Best          bool    // the lowest on the held-out rows so far
}

// Trainer is a run of a loop, which may be broken off between steps and taken up again from a checkpoint.
type Trainer struct {
	loop           Loop
	params         *Params
	task           Task
	train, held    []int
	steps, measure map[int]*trainerStep
	order          []int
	state          trainerState
	best           map[*Param][]float32
}

// trainerState is the numbers of a run that a checkpoint needs.
type trainerState struct {
	step, wait int
	stopped    bool
	sum        float64 // of the epoch's losses so far
	lowest     float64 // on held-out rows
}

type trainerStep struct {
	*Program
	loss *Node
	feed func(Batch)
}

// NewTrainer prepares a run. Errors: settings that make no sense, and those of Build.
func NewTrainer(loop Loop, params *Params, task Task) (*Trainer, error) {
	if err := loop.Optimiser.Check(); err != nil {
		return nil, err
	}
	held := int(math.Round(loop.Holdout * float64(task.Rows)))
	switch {
	case loop.Epochs < 1 || loop.Batch < 1:
		return nil, fmt.Errorf("net: %d epochs in batches of %d rows: want at least one of each", loop.Epochs, loop.Batch)
	case !(loop.Holdout >= 0 && loop.Holdout < 1) || task.Rows-held < 1:
		return nil, fmt.Errorf("net: no rows to train on: %d, of which a share of %g is held out", task.Rows, loop.Holdout)
	case loop.Patience > 0 && held == 0:
		return nil, fmt.Errorf("net: patience of %d epochs, but no rows are held out of %d", loop.Patience, task.Rows)
	}
	order := rand.New(rand.NewPCG(hash(loop.Seed, 9), 0)).Perm(task.Rows)
	slices.Sort(order[held:])
	t := &Trainer{loop: loop, params: params, task: task, train: order[held:], held: order[:held], steps: map[int]*trainerStep{}, measure: map[int]*trainerStep{}}
	t.state.lowest = math.Inf(1)
	t.loop.Optimiser.forget()
	_, err := t.at(min(loop.Batch, len(t.train)))
	return t, err
}

// at returns the training program for a number of rows.
func (t *Trainer) at(rows int) (*trainerStep, error) {
	if s := t.steps[rows]; s != nil {
		return s, nil
	}
	return t.build(t.steps, rows, true)
}

func (t *Trainer) build(programs map[int]*trainerStep, rows int, training bool) (*trainerStep, error) {
	g := NewGraph(t.params)
	g.Training = training
	s := &trainerStep{}
	s.loss, s.feed = t.task.Build(g, rows)
	var err error
	if training {
		s.Program, err = g.Train(s.loss)
	} else {
		s.Program, err = g.Infer(s.loss)
	}
	if err != nil {
		return nil, err
	}
	programs[rows] = s
	return s, nil
}

// perEpoch is the steps of an epoch.
func (t *Trainer) perEpoch() int {
	return (len(t.train) + t.loop.Batch - 1) / t.loop.Batch
}

// Run trains to the end, or until ctx is done: then the error is its, and the run can be taken up again by another call
// or from a checkpoint. A loss that is not finite ends it with an error that names the step and the tensor where it began.
func (t *Trainer) Run(ctx context.Context) (last Progress, err error) {
	total := t.loop.Epochs * t.perEpoch()
	last.Held = math.NaN()
	for t.state.step < total && !t.state.stopped {
		if err := ctx.Err(); err != nil {
			return last, err
		}
		if err := t.step(total); err != nil {
			return last, err
		}
		if t.state.step%t.perEpoch() > 0 {
			continue
		}
		if last, err = t.epoch(); err != nil {
			return last, err
		}
	}
	for p, v := range t.best {
		copy(p.Values, v)
	}
	return last, nil
}

// step trains on one batch.
func (t *Trainer) step(total int) error {
	epoch, at := t.state.step/t.perEpoch(), t.state.step%t.perEpoch()
	if at == 0 || t.order == nil {
		t.order = rand.New(rand.NewPCG(hash(t.loop.Seed, 2, uint64(epoch)), 0)).Perm(len(t.train))
		for i, at := range t.order {
			t.order[i] = t.train[at]
		}
	}
	rows := t.order[at*t.loop.Batch : min((at+1)*t.loop.Batch, len(t.order))]
	s, err := t.at(len(rows))
	if err != nil {
		return err
	}
	seed := hash(t.loop.Seed, 3, uint64(epoch))
	s.feed(Batch{rows, epoch, seed})
	s.SetNoise(seed, rows)
	s.Forward()
	loss := s.Loss()
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("net: the loss is %v at step %d in epoch %d; the first tensor that is not finite: %s; lower the learning rate %g", loss, t.state.step+1, epoch+1, s.FirstNonFinite(), t.loop.Optimiser.Rate)
	}
	t.params.ZeroGradients()
	s.Backward()
	if t.loop.Gradients != nil {
		if err := t.loop.Gradients(t.state.step+1, t.params); err != nil {
			return err
		}
	}
	t.loop.Optimiser.Step(t.params, t.loop.Schedule.At(t.state.step, total))
	if t.loop.Stepped != nil {
		if err := t.loop.Stepped(t.state.step+1, t.params); err != nil {
			return err
		}
	}
	if t.loop.Average != nil {
		t.loop.Average.Update(t.params)
	}
	t.state.sum += loss
	t.state.step++
	return nil
}

// epoch ends one: the held-out rows are measured.
func (t *Trainer) epoch() (Progress, error) {
	p := Progress{Epoch: t.state.step / t.perEpoch(), Epochs: t.loop.Epochs, Steps: t.state.step, Loss: t.state.sum / float64(t.perEpoch()), Held: math.NaN()}
	t.state.sum = 0
	if len(t.held) > 0 {
		held, err := t.Measure(t.held)
		if err != nil {
			return p, err
		}
		p.Held, p.Best = held, held < t.state.lowest
		if math.IsNaN(held) {
			return p, fmt.Errorf("net: the loss on held-out rows is %v after epoch %d", held, p.Epoch)
		}
		t.state.wait++
		if p.Best {
			t.state.lowest, t.state.wait = held, 0
			if t.loop.Patience > 0 {
				t.keep()
			}
		}
		t.state.stopped = t.loop.Patience > 0 && t.state.wait >= t.loop.Patience
	}
	if t.loop.Progress != nil && !t.loop.Progress(p) {
		t.state.stopped = true
	}
	return p, nil
}

// keep copies the parameters as the best so far.
func (t *Trainer) keep() {
	if t.best == nil {
		t.best = map[*Param][]float32{}
	}
	for _, p := range t.params.list {
		t.best[p] = append(t.best[p][:0], p.Values...)
	}
}

// Measure returns the mean loss over rows, outside training.
func (t *Trainer) Measure(rows []int) (float64, error) {
	sum := 0.0
	for lo := 0; lo < len(rows); lo += t.loop.Batch {
		part := rows[lo:min(lo+t.loop.Batch, len(rows))]
		s := t.measure[len(part)]
		if s == nil {
			var err error
			if s, err = t.build(t.measure, len(part), false); err != nil {
				return 0, err
			}
		}
		s.feed(Batch{part, -1, 0})
		s.Forward()
		sum += float64(s.loss.Value()[0]) * float64(len(part))
	}
	return sum / float64(len(rows)), nil
}
