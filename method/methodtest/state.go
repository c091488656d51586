package methodtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// saved is the toy model as a file's content.
func (t *T) saved(cfg any, in data.Bundle) (method.Model, *data.Checkpoint) {
	m := t.mustFitWith(cfg, in)
	c, err := method.Save(t.Spec, cfg, m)
	if err != nil {
		t.Fatalf("save: %v", err)
	}
	return m, c
}

// configurations are the default and one for every knob, with that knob moved.
func (t *T) configurations() (all []any) {
	all = append(all, t.Spec.Config())
	for _, p := range t.Spec.Params {
		if texts := alternatives(t.Spec, p); len(texts) > 0 {
			all = append(all, must(t.Spec.Configure(map[string]string{p.Name: texts[0]})))
		}
	}
	return all
}

// checkSaveLoad: a model that went through a file is the same model: its state, what it says, what it becomes by update
// and forget.
func checkSaveLoad(t *T) {
	for _, cfg := range t.configurations() {
		for _, y := range toys(t.Spec) {
			if _, err := t.Spec.Fit(t.ctx, cfg, y.in); err != nil {
				continue
			}
			m, c := t.saved(cfg, y.in)
			file, err := fileBytes(c)
			if err != nil {
				t.Fatalf("%s: write: %v", y.name, err)
			}
			read, err := fromBytes(file)
			if err != nil {
				t.Fatalf("%s: read: %v", y.name, err)
			}
			s, back, loaded, err := method.Load([]method.Spec{t.Spec}, read)
			if err != nil {
				t.Errorf("%s: load: %v", y.name, err)
				continue
			}
			if s.ID() != t.Spec.ID() || string(must(s.MarshalConfig(back))) != string(must(s.MarshalConfig(cfg))) {
				t.Errorf("%s: saved %s with %s, loaded %s with %s", y.name, t.Spec.ID(), must(s.MarshalConfig(cfg)), s.ID(), must(s.MarshalConfig(back)))
			}
			if d := difference(t.use(loaded, y), t.use(m, y), 0); d != "" {
				t.Errorf("%s, %s: after save and load: %s", y.name, must(s.MarshalConfig(cfg)), d)
			}
		}
	}
}

// checkDamage: a file of another kind, version or method, and a state with something missing or impossible in it, is ErrState.
// Other states that no fit made may load, but never panic, then or in use.
func checkDamage(t *T) {
	y := toys(t.Spec)[0]
	_, good := t.saved(t.Spec.Config(), y.in)
	refused := func(what string, change func(c *data.Checkpoint), seal bool) {
		c := cloneCheckpoint(good)
		change(c)
		if seal {
			if err := c.Seal(); err != nil {
				return
			}
		}
		t.try(what, func() {
			if _, _, _, err := method.Load([]method.Spec{t.Spec}, c); !errors.Is(err, method.ErrState) {
				t.Errorf("%s: have error %v, want one that wraps %q", what, err, method.ErrState)
			}
		})
	}
	meta := func(key, value string) func(c *data.Checkpoint) {
		return func(c *data.Checkpoint) { c.Meta[key] = value }
	}
	refused("another kind of file", meta("gimbal", "moments"), true)
	refused("no Gimbal file", func(c *data.Checkpoint) { c.Meta = nil }, false)
	refused("another version", meta("version", "999"), true)
	refused("another method", meta("method", t.Spec.Family+"/nosuchmethod"), true)
	refused("a configuration with an unknown knob", meta("config", `{"no-such-knob":1}`), true)
	refused("a broken configuration", meta("config", `{`), true)
	refused("an empty file", func(c *data.Checkpoint) { *c = data.Checkpoint{} }, false)
	refused("no seal", func(c *data.Checkpoint) { delete(c.Meta, "sha256") }, false)
	refused("nothing of the state", func(c *data.Checkpoint) {
		clear(c.Tensors)
		maps.DeleteFunc(c.Meta, func(key, _ string) bool { return len(key) > 6 && key[:6] == "state/" })
	}, true)
	for _, name := range good.Names() {
		x := good.Tensors[name]
		refused(fmt.Sprintf("without tensor %q", name), func(c *data.Checkpoint) { delete(c.Tensors, name) }, true)
		refused(fmt.Sprintf("tensor %q lost and unnoticed", name), func(c *data.Checkpoint) { delete(c.Tensors, name) }, false)
		short := func() ([]byte, error) { return []byte{1}, nil }
		refused(fmt.Sprintf("tensor %q cut off", name), func(c *data.Checkpoint) {
			c.Tensors[name] = must(data.LazyTensor(x.DType, append([]int{7}, x.Shape...), short))
		}, false)
		if x.DType.Float() && x.Len() > 0 {
			refused(fmt.Sprintf("a NaN in tensor %q", name), func(c *data.Checkpoint) {
				v := must(x.Float64s())
				v[len(v)-1] = math.NaN()
				c.Tensors[name] = data.CastTensor(x.DType, v, x.Shape...)
			}, true)
		}
	}
	random := rand.New(rand.NewPCG(1, 1))
	t.damagedFiles(good, random)
	for range 300 {
		program := make([]byte, 3+random.IntN(12))
		for i := range program {
			program[i] = byte(random.UintN(256))
		}
		t.survives(good, y, program)
	}
}

// damagedFiles cuts the file off and flips bits in it. The reader may refuse it already; what it lets through, the seal must not.
func (t *T) damagedFiles(good *data.Checkpoint, random *rand.Rand) {
	file, err := fileBytes(good)
	if err != nil {
		t.Fatalf("write: %v", err)
	}
	for k := range 200 {
		bad := slices.Clone(file)
		what := fmt.Sprintf("the file cut off after %d of %d bytes", k*len(file)/200, len(file))
		if k%2 == 0 {
			bad = bad[:k*len(file)/200]
		} else {
			at, bit := random.IntN(len(file)), random.IntN(8)
			bad[at] ^= 1 << bit
			what = fmt.Sprintf("the file with bit %d of byte %d flipped", bit, at)
		}
		t.try(what, func() {
			c, err := fromBytes(bad)
			if err != nil {
				return
			}
			same := must(good.Hash())
			if h, err := c.Hash(); err == nil && h == same && c.Meta["sha256"] == good.Meta["sha256"] {
				return // white space, say
			}
			if _, _, _, err := method.Load([]method.Spec{t.Spec}, c); !errors.Is(err, method.ErrState) {
				t.Errorf("%s: have error %v, want one that wraps %q", what, err, method.ErrState)
			}
		})
	}
}

// survives loads a state changed by a program and uses whatever comes of it: an error or a model, never a panic.
func (t *T) survives(good *data.Checkpoint, y toy, program []byte) {
	c := mutate(good, program)
	if c.Seal() != nil {
		return
	}
	inner := newT(t.Spec)
	inner.guard(func(t *T) {
		_, _, m, err := method.Load([]method.Spec{t.Spec}, c)
		switch {
		case err == nil:
			t.use(m, y) // what a false state answers does not matter
		case !errors.Is(err, method.ErrState):
			t.Errorf("have %q, want an error that wraps %q", err, method.ErrState)
		}
	})
	for _, text := range inner.failures {
		t.Errorf("a state changed by the program %q: %s", program, text)
	}
}

// mutate changes a saved model in a few places, three bytes a change: what, where, how.
func mutate(good *data.Checkpoint, program []byte) *data.Checkpoint {
	c := cloneCheckpoint(good)
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(c.Meta)), func(key string) bool { return key == "gimbal" || key == "version" || key == "method" })
	for ; len(program) >= 3 && len(c.Tensors) > 0; program = program[3:] {
		what, where, how := program[0], int(program[1]), int(program[2])
		name := c.Names()[where%len(c.Tensors)]
		x := c.Tensors[name]
		raw := slices.Clone(must(x.Bytes()))
		shape := slices.Clone(x.Shape)
		size := x.DType.Size()
		switch what % 10 {
		case 0: // one byte
			if len(raw) > 0 {
				raw[how%len(raw)] ^= byte(1 << (how % 8))
			}
		case 1: // one value
			if v := []float64{0, -1, 1e308, -1e308, 1e-308, 3, -0.5, 1 << 53}[how%8]; len(raw) >= 8 && size == 8 {
				at := how * 8 % (len(raw) / 8 * 8)
				if x.DType == data.F64 {
					binary.LittleEndian.PutUint64(raw[at:], math.Float64bits(v))
				} else {
					binary.LittleEndian.PutUint64(raw[at:], uint64(int64(v)))
				}
			}
		case 2: // one dimension more
			shape = append(shape, 1)
		case 3: // flat
			shape = []int{x.Len()}
		case 4: // turned round
			slices.Reverse(shape)
		case 5: // shorter or longer along one dimension
			if len(shape) > 0 {
				old := shape[how%len(shape)]
				shape[how%len(shape)] = max(old+how%3-1, 0)
				raw = append(raw, make([]byte, product(shape)*size)...)[:product(shape)*size]
			}
		case 6: // empty
			shape, raw = []int{0}, nil
		case 7: // another type of the same size
			if y, ok := map[data.DType]data.DType{data.F64: data.I64, data.I64: data.F64, data.U64: data.I64, data.F32: data.I32, data.U8: data.I8}[x.DType]; ok {
				x.DType = y
			}
		case 8: // metadata
			words := []string{"", "null", "[]", "{}", `[""]`, `["a","a"]`, "-1", "99999999999999999999", `["x","y","z"]`, "\xff"}
			c.Meta[keys[where%len(keys)]] = words[how%len(words)]
		case 9: // the content of another tensor
			x = c.Tensors[c.Names()[how%len(c.Tensors)]]
			raw, shape = slices.Clone(must(x.Bytes())), slices.Clone(x.Shape)
		}
		if y, err := data.NewTensor(x.DType, shape, raw); err == nil {
			c.Tensors[name] = y
		}
	}
	return c
}

// Fuzz is the body of a fuzz target over damaged states of all methods that learn: loading one gives an error or a model,
// never a panic.
func Fuzz(f *testing.F, specs []method.Spec) {
	type target struct {
		spec method.Spec
		good *data.Checkpoint
		y    toy
	}
	var targets []target
	for _, s := range specs {
		if !s.Learns() {
			continue
		}
		t := newT(s)
		y := toys(s)[0]
		if m, err := s.Fit(t.ctx, s.Config(), y.in); err == nil {
			c, err := method.Save(s, s.Config(), m)
			if err != nil {
				f.Fatal(err)
			}
			targets = append(targets, target{s, c, y})
		}
	}
	if len(targets) == 0 {
		f.Skip("no method learns")
	}
	for what := range byte(10) {
		f.Add(byte(0), []byte{what, 0, 1, what, 1, 2, 8, 2, 3})
	}
	f.Fuzz(func(ft *testing.T, which byte, program []byte) {
		x := targets[int(which)%len(targets)]
		t := newT(x.spec)
		t.survives(x.good, x.y, program[:min(len(program), 60)])
		for _, text := range t.failures {
			ft.Error(text)
		}
	})
}
