package net

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Checkpoint is all that a run needs to go on to the same bits: named tensors, and whole numbers by name. Whoever holds
// one writes it to a file.
type Checkpoint struct {
	Tensors  []Tensor
	Counters map[string]int64
}

// Names of a checkpoint's tensors beside the parameters' own.
const (
	firstPrefix   = "optimiser.first."
	secondPrefix  = "optimiser.second."
	averagePrefix = "average."
	bestPrefix    = "best."
)

// Checkpoint copies the state of a run.
func (t *Trainer) Checkpoint() Checkpoint {
	o := &t.loop.Optimiser
	o.prepare(t.params)
	c := Checkpoint{Counters: map[string]int64{
		"step": int64(t.state.step), "wait": int64(t.state.wait), "optimiser.steps": int64(o.steps),
		"sum": int64(math.Float64bits(t.state.sum)), "lowest": int64(math.Float64bits(t.state.lowest)),
	}}
	if t.state.stopped {
		c.Counters["stopped"] = 1
	}
	put := func(prefix string, p *Param, v []float32) {
		if v != nil {
			c.Tensors = append(c.Tensors, Tensor{prefix + p.Name, slices.Clone(p.Shape), slices.Clone(v)})
		}
	}
	for _, p := range t.params.list {
		put("", p, p.Values)
		if s := o.byParam[p]; s != nil {
			put(firstPrefix, p, s.first)
			put(secondPrefix, p, s.second)
		}
		put(bestPrefix, p, t.best[p])
		if a := t.loop.Average; a != nil {
			put(averagePrefix, p, a.mean[p])
		}
	}
	if a := t.loop.Average; a != nil {
		c.Counters["average.seen"], c.Counters["average.counted"] = int64(a.seen), int64(a.counted)
	}
	return c
}

// Restore takes up a run of the same loop and task from a checkpoint. Errors: tensors or counters that are missing or do
// not fit; then the trainer is as it was.
func (t *Trainer) Restore(c Checkpoint) error {
	o := &t.loop.Optimiser
	o.prepare(t.params)
	byName := map[string]Tensor{}
	for _, x := range c.Tensors {
		byName[x.Name] = x
	}
	type copying struct{ to, from []float32 }
	var all []copying
	take := func(prefix string, p *Param, to []float32) error {
		x, ok := byName[prefix+p.Name]
		switch {
		case to == nil:
			return nil
		case !ok:
			return fmt.Errorf("net: the checkpoint has no tensor %q", prefix+p.Name)
		case !slices.Equal(x.Shape, p.Shape) || len(x.Values) != len(p.Values):
			return fmt.Errorf("net: the checkpoint's tensor %q is %v, the parameter %v", x.Name, x.Shape, p.Shape)
		}
		all = append(all, copying{to, x.Values})
		return nil
	}
	best, mean := map[*Param][]float32{}, map[*Param][]float32{}
	for _, p := range t.params.list {
		err := take("", p, p.Values)
		if s := o.byParam[p]; s != nil && err == nil {
			if err = take(firstPrefix, p, s.first); err == nil {
				err = take(secondPrefix, p, s.second)
			}
		}
		for prefix, to := range map[string]map[*Param][]float32{bestPrefix: best, averagePrefix: mean} {
			if _, ok := byName[prefix+p.Name]; ok && err == nil {
				to[p] = make([]float32, len(p.Values))
				err = take(prefix, p, to[p])
			}
		}
		if err != nil {
			return err
		}
	}
	for _, name := range []string{"step", "wait", "optimiser.steps", "sum", "lowest"} {
		if _, ok := c.Counters[name]; !ok {
			return fmt.Errorf("net: the checkpoint has no counter %q; it has %s", name, strings.Join(slices.Sorted(maps.Keys(c.Counters)), ", "))
		}
	}
	for _, x := range all {
		copy(x.to, x.from)
	}
	t.state = trainerState{
		step: int(c.Counters["step"]), wait: int(c.Counters["wait"]), stopped: c.Counters["stopped"] == 1,
		sum: math.Float64frombits(uint64(c.Counters["sum"])), lowest: math.Float64frombits(uint64(c.Counters["lowest"])),
	}
	o.steps, t.order, t.best = int(c.Counters["optimiser.steps"]), nil, best
	if a := t.loop.Average; a != nil {
		a.seen, a.counted, a.mean = int(c.Counters["average.seen"]), int(c.Counters["average.counted"]), mean
	}
	return nil
}
