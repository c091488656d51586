package method

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestKebab(t *testing.T) {
	for name, want := range map[string]string{
		"Ridge": "ridge", "MaxShare": "max-share", "OOD": "ood", "OODShare": "ood-share", "MaxOOD": "max-ood",
		"K": "k", "KNearest": "k-nearest", "NoNormalize": "no-normalize", "PerLayer2": "per-layer2", "A1B": "a1b", "": "",
	} {
		if have := kebab(name); have != want {
			t.Errorf("%q: %q, want %q", name, have, want)
		}
	}
}

func TestIntervals(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		text    string
		in, out []float64
	}{
		{"", []float64{-1e300, -1, 0, 1e300}, nil},
		{"(0,1]", []float64{1e-300, 0.5, 1}, []float64{0, -1, 1.0000001, -inf, inf}},
		{"[0,1)", []float64{0, 0.99}, []float64{1, -1e-300}},
		{"[1,)", []float64{1, 1e300}, []float64{0, 0.999}},
		{"(,-2]", []float64{-1e300, -2}, []float64{-1.9, 0}},
		{"(0,1e6]", []float64{1e6}, []float64{1e6 + 1}},
		{"[3,3]", []float64{3}, []float64{2.9, 3.1}},
		{"(,)", []float64{-1e300, 0, 1e300}, nil},
	} {
		p := Param{Range: c.text}
		iv, err := p.parseRange()
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		for _, x := range c.in {
			if !iv.holds(x) {
				t.Errorf("%q does not hold %g", c.text, x)
			}
		}
		for _, x := range c.out {
			if iv.holds(x) {
				t.Errorf("%q holds %g", c.text, x)
			}
		}
		if p.AllowsZero() != iv.holds(0) {
			t.Errorf("%q: AllowsZero is %v", c.text, p.AllowsZero())
		}
	}
	for _, text := range []string{"0,1", "(0;1)", "{0,1}", "(a,1)", "(0,b]", "(0,1", "[]"} {
		if iv, err := (Param{Range: text}).parseRange(); err == nil {
			t.Errorf("%q is read as %v", text, iv)
		}
	}
}

// knobs has one field of every type.
type knobs struct {
	Ridge     float64 `default:"1e-3" range:"(0,1]" unit:"share"`
	Shift     float64 `range:"[-1,1]"`
	Neighbors int     `default:"5" range:"[1,100]"`
	Seed      uint64
	NoCenter  bool
	Strategy  string `default:"uniform" enum:"uniform,greedy"`
	Layers    []int  `range:"[0,9]"`
}

func TestParams(t *testing.T) {
	ps := params(reflect.TypeFor[knobs]())
	want := []Param{
		{Field: "Ridge", Name: "ridge", Type: "float64", Default: "1e-3", Range: "(0,1]", Unit: "share"},
		{Field: "Shift", Name: "shift", Type: "float64", Range: "[-1,1]"},
		{Field: "Neighbors", Name: "neighbors", Type: "int", Default: "5", Range: "[1,100]"},
		{Field: "Seed", Name: "seed", Type: "uint64"},
		{Field: "NoCenter", Name: "no-center", Type: "bool"},
		{Field: "Strategy", Name: "strategy", Type: "string", Default: "uniform", Enum: []string{"uniform", "greedy"}},
		{Field: "Layers", Name: "layers", Type: "[]int", Range: "[0,9]"},
	}
	if !reflect.DeepEqual(ps, want) {
		t.Errorf("have %+v\nwant %+v", ps, want)
	}
}

func panics(f func()) (text string) {
	defer func() {
		if r := recover(); r != nil {
			text = r.(string)
		}
	}()
	f()
	return ""
}

func TestParamsRefuseWhatNoFlagCanSet(t *testing.T) {
	type badType struct{ Weights []string }
	type badRange struct {
		Ridge float64 `range:"0 to 1"`
	}
	for want, typ := range map[string]reflect.Type{
		"badType.Weights has a type that no flag can set": reflect.TypeFor[badType](),
		"badRange.Ridge: range":                           reflect.TypeFor[badRange](),
	} {
		if have := panics(func() { params(typ) }); !strings.Contains(have, want) {
			t.Errorf("panic %q, want %q", have, want)
		}
	}
}

func TestReady(t *testing.T) {
	c := knobs{}
	if err := Ready(&c); err != nil {
		t.Fatal(err)
	}
	if want := (knobs{Ridge: 1e-3, Neighbors: 5, Strategy: "uniform"}); !reflect.DeepEqual(c, want) {
		t.Errorf("defaults: %+v, want %+v", c, want)
	}
	full := knobs{Ridge: 1, Shift: -1, Neighbors: 100, Seed: math.MaxUint64, NoCenter: true, Strategy: "greedy", Layers: []int{0, 9}}
	c = full
	if err := Ready(&c); err != nil || !reflect.DeepEqual(c, full) {
		t.Errorf("what is set changes: %+v, %v", c, err)
	}
	for want, c := range map[string]knobs{
		"--ridge = 2 lies outside (0,1]":              {Ridge: 2},
		"--ridge = -1 lies outside (0,1]":             {Ridge: -1},
		"--ridge = NaN is not a finite number":        {Ridge: math.NaN()},
		"--shift = +Inf is not a finite number":       {Shift: math.Inf(1)},
		"--neighbors = -3 lies outside [1,100]":       {Neighbors: -3},
		`--strategy = "random", have uniform, greedy`: {Strategy: "random"},
		"--layers = 10 lies outside [0,9]":            {Layers: []int{3, 10}},
		"--layers = -1 lies outside [0,9]":            {Layers: []int{-1}},
	} {
		if err := Ready(&c); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
	}
}

func TestReadyDoesNotShareDefaults(t *testing.T) {
	type lists struct {
		Layers []int `default:"1,2"`
	}
	a, b := lists{}, lists{}
	if err := errors.Join(Ready(&a), Ready(&b)); err != nil {
		t.Fatal(err)
	}
	a.Layers[0] = 7
	if !slices.Equal(b.Layers, []int{1, 2}) {
		t.Errorf("two configurations share their default list: %v", b.Layers)
	}
}

func TestListsOfNumbers(t *testing.T) {
	type lists struct {
		Weights []float64 `default:"1" range:"[0,2]"`
	}
	p := params(reflect.TypeFor[lists]())[0]
	if p.Type != "[]float64" {
		t.Fatalf("type %q", p.Type)
	}
	var c lists
	if err := Ready(&c); err != nil || !slices.Equal(c.Weights, []float64{1}) {
		t.Errorf("the default: %v (%v)", c.Weights, err)
	}
	set := func(text string) ([]float64, error) {
		c := lists{}
		if err := p.set(reflect.ValueOf(&c).Elem().Field(0), text); err != nil {
			return nil, err
		}
		return c.Weights, Ready(&c)
	}
	if have, err := set("0, 0.5,2"); err != nil || !slices.Equal(have, []float64{0, 0.5, 2}) {
		t.Errorf("%v (%v)", have, err)
	}
	for text, want := range map[string]string{"1,x": "a list of finite numbers", "NaN": "a list of finite numbers", "": "a list of finite numbers", "1,2.5": "--weights = 2.5 lies outside [0,2]"} {
		if _, err := set(text); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if err := Ready(&lists{[]float64{math.Inf(1)}}); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "not a finite number") {
		t.Errorf("infinity: %v", err)
	}
}
