package method

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/moments"
)

// counted learns how many rows there are.
type Counted knobs

type countedModel struct{ rows int }

func (c Counted) fit(ctx context.Context, in *data.Table) (*countedModel, error) {
	k := knobs(c)
	if err := Ready(&k); err != nil {
		return nil, err
	}
	n, _ := in.Dims()
	if n == 0 {
		return nil, fmt.Errorf("%w: no rows", data.ErrShape)
	}
	Progress(ctx, n, n)
	return &countedModel{n}, nil
}

func (c Counted) fitMoments(st *moments.State) (*countedModel, error) {
	return &countedModel{st.Rows()}, nil
}

func (m *countedModel) State() *data.Checkpoint {
	return &data.Checkpoint{Tensors: map[string]data.Tensor{"rows": data.Int64Tensor([]int64{int64(m.rows)}, 1)}}
}

func (m *countedModel) Score(in *data.Table) ([]float64, error) {
	n, _ := in.Dims()
	return slices.Repeat([]float64{float64(m.rows)}, n), nil
}

func (m *countedModel) Forget(context.Context, *data.Table) (Model, error) { return m, nil }

func loadCounted(_ Counted, st *data.Checkpoint) (*countedModel, error) {
	v, _, err := st.Ints("rows", 1)
	if err != nil {
		return nil, err
	}
	return &countedModel{int(v[0])}, nil
}

// Joined maps two tables and, if given, a checkpoint.
type Joined struct{}

type joinedInput struct {
	Features, RawLogits *data.Table
	Base                *data.Checkpoint `optional:"true"`
}

func (Joined) apply(_ context.Context, in joinedInput) (data.Numbers, error) {
	n, _ := in.Features.Dims()
	_, k := in.RawLogits.Dims()
	out := data.Numbers{"rows": float64(n), "classes": float64(k)}
	if in.Base != nil {
		out["tensors"] = float64(len(in.Base.Tensors))
	}
	if n == 0 {
		return out, fmt.Errorf("%w: no rows", data.ErrShape)
	}
	return out, nil
}

func family() (set *Set, counted, streamed, joined Spec) {
	set = &Set{Family: "tests"}
	set.Add(Learned(Info{Title: "row count"}, Counted.fit, loadCounted))
	set.Add(Map(Info{}, Joined.apply))
	streamed = FromMoments(Info{}, moments.Classes, Counted.fitMoments, loadCounted)
	streamed.Family = "tests"
	return set, set.All()[0], streamed, set.All()[1]
}

func rows(t *testing.T, n, d int) *data.Table {
	t.Helper()
	x, err := data.NewTable(n, d, make([]float32, n*d))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestSpecsAreReadOffTheTypes(t *testing.T) {
	_, counted, streamed, joined := family()
	if counted.ID() != "tests/counted" || !counted.Learns() || counted.FitsMoments() || counted.Output != "" {
		t.Errorf("learner: %+v", counted)
	}
	if !slices.Equal(counted.Verbs, []string{"score", "forget"}) || !counted.Can("forget") || counted.Can("predict") || counted.Can("update") {
		t.Errorf("verbs %v", counted.Verbs)
	}
	if want := []Slot{{"in", data.KindTable, false}}; !slices.Equal(counted.Inputs, want) || !slices.Equal(streamed.Inputs, want) {
		t.Errorf("inputs %v, %v", counted.Inputs, streamed.Inputs)
	}
	if !streamed.FitsMoments() || streamed.Needs != moments.Classes {
		t.Errorf("from moments: %+v", streamed)
	}
	if joined.Learns() || joined.Output != data.KindNumbers || len(joined.Verbs) != 0 {
		t.Errorf("map: %+v", joined)
	}
	if want := []Slot{{"features", data.KindTable, false}, {"raw-logits", data.KindTable, false}, {"base", data.KindCheckpoint, true}}; !slices.Equal(joined.Inputs, want) {
		t.Errorf("inputs %v", joined.Inputs)
	}
	if cfg, ok := counted.Config().(*Counted); !ok || !reflect.DeepEqual(*cfg, Counted{}) {
		t.Errorf("Config is %#v", counted.Config())
	}
}

func TestSpecsRefuseForeignTypes(t *testing.T) {
	type wrongInput struct{ Rows []float64 }
	for want, build := range map[string]func(){
		"int is neither a noun nor a struct of nouns": func() { slots(reflect.TypeFor[int]()) },
		"wrongInput.Rows is not a noun":               func() { slots(reflect.TypeFor[wrongInput]()) },
		"joined returns no noun": func() {
			Map(Info{}, func(Joined, context.Context, *data.Table) (notNoun, error) { return notNoun{}, nil })
		},
	} {
		if have := panics(build); !strings.Contains(have, want) {
			t.Errorf("panic %q, want %q", have, want)
		}
	}
}

type notNoun struct{}

func (notNoun) Kind() data.Kind { return "secret" }

func TestSetRefusesTwins(t *testing.T) {
	set, counted, _, _ := family()
	if have := panics(func() { set.Add(counted) }); have != "method: tests/counted registered twice" {
		t.Errorf("panic %q", have)
	}
	list := set.All()
	list[0].Name = "changed"
	if set.All()[0].Name != "counted" {
		t.Error("All hands out the set's own list")
	}
}

func TestBind(t *testing.T) {
	_, counted, _, joined := family()
	in := rows(t, 3, 2)
	good := data.Bundle{"features": in, "raw-logits": rows(t, 3, 5)}
	if v, err := joined.Apply(t.Context(), joined.Config(), good); err != nil || !reflect.DeepEqual(v, data.Numbers{"rows": 3, "classes": 5}) {
		t.Errorf("%v, %v", v, err)
	}
	good["base"] = &data.Checkpoint{Tensors: map[string]data.Tensor{"w": data.Float64Tensor([]float64{1}, 1)}}
	if v, err := joined.Apply(t.Context(), joined.Config(), good); err != nil || v.(data.Numbers)["tensors"] != 1 {
		t.Errorf("with the optional input: %v, %v", v, err)
	}
	for want, b := range map[string]data.Bundle{
		`joined: wrong kind of input: input "features" (a table) is missing`:                 {"raw-logits": in},
		`joined: wrong kind of input: input "raw-logits" must be a table, have a checkpoint`: {"features": in, "raw-logits": &data.Checkpoint{}},
		`joined: wrong kind of input: input "base" must be a checkpoint, have a numbers`:     {"features": in, "raw-logits": in, "base": data.Numbers{}},
		`joined: wrong kind of input: no input is called "logits"`:                           {"features": in, "raw-logits": in, "logits": in},
		`joined: wrong kind of input: input "features" must be a table, have a checkpoints`:  {"features": data.Checkpoints{}, "raw-logits": in},
	} {
		if _, err := joined.Apply(t.Context(), joined.Config(), b); !errors.Is(err, ErrInput) || err.Error() != want {
			t.Errorf("have %v, want %s", err, want)
		}
	}
	if _, err := counted.Fit(t.Context(), counted.Config(), data.Bundle{"in": data.Numbers{}}); !errors.Is(err, ErrInput) {
		t.Errorf("a single noun of another kind: %v", err)
	}
}

func TestWrongVerbs(t *testing.T) {
	_, counted, _, joined := family()
	in := rows(t, 2, 2)
	_, applied := counted.Apply(t.Context(), counted.Config(), data.Bundle{"in": in})
	_, fitted := joined.Fit(t.Context(), joined.Config(), data.Bundle{})
	_, streamed := counted.FitMoments(counted.Config(), nil)
	_, mapped := joined.FitSource(t.Context(), joined.Config(), in)
	for want, err := range map[string]error{
		"tests/counted: wrong kind of input: it learns; fit it":                      applied,
		"tests/joined: wrong kind of input: it does not learn; apply it":             fitted,
		"tests/counted: wrong kind of input: it keeps more of the data than moments": streamed,
		"tests/joined: wrong kind of input: it does not learn; apply it ":            mapped,
	} {
		if !errors.Is(err, ErrInput) || err.Error() != strings.TrimSpace(want) {
			t.Errorf("have %v, want %s", err, want)
		}
	}
	if _, err := joined.Load(joined.Config(), &data.Checkpoint{}); !errors.Is(err, ErrState) {
		t.Errorf("load of a map: %v", err)
	}
}

func TestErrorsNameTheMethodOnce(t *testing.T) {
	_, counted, streamed, _ := family()
	_, err := counted.Fit(t.Context(), counted.Config(), data.Bundle{"in": rows(t, 0, 2)})
	if !errors.Is(err, data.ErrShape) || err.Error() != "counted: wrong shape: no rows" {
		t.Errorf("have %v", err)
	}
	st, err := moments.FromSource(t.Context(), rows(t, 3, 1), moments.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := streamed.FitMoments(streamed.Config(), st); !errors.Is(err, data.ErrLabels) || strings.Count(err.Error(), "counted: ") != 1 {
		t.Errorf("needs: %v", err)
	}
	if m, err := counted.Fit(t.Context(), counted.Config(), data.Bundle{"in": rows(t, 0, 2)}); m != nil || err == nil {
		t.Errorf("a failed fit returns %v: a nil model must be nil as an interface too", m)
	}
}

func TestFitSource(t *testing.T) {
	_, counted, streamed, _ := family()
	in, err := rows(t, 9, 2).WithClassNames(slices.Repeat([]string{"a", "b", "c"}, 3))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []Spec{counted, streamed} {
		m, err := s.FitSource(t.Context(), s.Config(), in)
		if err != nil || m.(*countedModel).rows != 9 {
			t.Errorf("%v, %v", m, err)
		}
	}
	bad, _ := streamed.Config().(*Counted)
	bad.Ridge = 7
	if _, err := streamed.FitSource(t.Context(), bad, in); !errors.Is(err, ErrConfig) {
		t.Errorf("a bad configuration is found after the data was read, or not at all: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := streamed.FitSource(gone, streamed.Config(), in); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestFitMomentsHelper(t *testing.T) {
	calls := 0
	fit := func(st *moments.State) (*countedModel, error) { calls++; return &countedModel{st.Rows()}, nil }
	if m, err := FitMoments(t.Context(), 0, rows(t, 4, 1), fit); err != nil || m.rows != 4 {
		t.Errorf("%v, %v", m, err)
	}
	if m, err := FitMoments(t.Context(), moments.Targets, rows(t, 4, 1), fit); !errors.Is(err, data.ErrShape) || m != nil {
		t.Errorf("without targets: %v, %v", m, err)
	}
	if calls != 1 {
		t.Errorf("fit was called %d times", calls)
	}
}

func TestConfigure(t *testing.T) {
	_, s, _, _ := family()
	cfg, err := s.Configure(map[string]string{"ridge": "0.5", "shift": "-1", "neighbors": "7", "seed": "18446744073709551615", "no-center": "true", "strategy": "greedy", "layers": "3, 1,2"})
	want := Counted{Ridge: 0.5, Shift: -1, Neighbors: 7, Seed: math.MaxUint64, NoCenter: true, Strategy: "greedy", Layers: []int{3, 1, 2}}
	if err != nil || !reflect.DeepEqual(*cfg.(*Counted), want) {
		t.Errorf("have %+v, %v", cfg, err)
	}
	if cfg, err := s.Configure(map[string]string{"shift": "0", "seed": "0", "no-center": "false"}); err != nil || !reflect.DeepEqual(*cfg.(*Counted), Counted{}) {
		t.Errorf("zeros that mean zero: %+v, %v", cfg, err)
	}
	if cfg, err := s.Configure(nil); err != nil || !reflect.DeepEqual(*cfg.(*Counted), Counted{}) {
		t.Errorf("no flags: %+v, %v: defaults stay zero until a fit", cfg, err)
	}
	for flag, text := range map[string]string{
		"ridge=x":           `--ridge "x" is not a finite number`,
		"ridge=inf":         `--ridge "inf" is not a finite number`,
		"ridge=0":           "--ridge = 0 lies outside (0,1]", // zero is the default, had by leaving it out
		"neighbors=0":       "--neighbors = 0 lies outside [1,100]",
		"ridge=2":           "--ridge = 2 lies outside (0,1]",
		"neighbors=1.5":     `--neighbors "1.5" is not a whole number`,
		"seed=-1":           `--seed "-1" is not a whole number ≥ 0`,
		"no-center=perhaps": `--no-center "perhaps" is not true or false`,
		"strategy=random":   "uniform, greedy",
		"layers=1,x":        `--layers "1,x" is not a list of whole numbers`,
		"layers=1,12":       "--layers = 12 lies outside [0,9]",
		"Ridge=1":           "no parameter is called --Ridge",
		"neighbours=3":      "no parameter is called --neighbours",
	} {
		name, value, _ := strings.Cut(flag, "=")
		if _, err := s.Configure(map[string]string{name: value}); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "counted") {
			t.Errorf("--%s: have %v, want %q", flag, err, text)
		}
	}
}

func TestConfigJSON(t *testing.T) {
	_, s, _, _ := family()
	for text, cfg := range map[string]Counted{
		`{}`: {},
		`{"layers":[3,1],"neighbors":7,"no-center":true,"ridge":0.1,"seed":18446744073709551615,"shift":-0.3333333333333333,"strategy":"greedy"}`: {Ridge: 0.1, Shift: -1.0 / 3, Neighbors: 7, Seed: math.MaxUint64, NoCenter: true, Strategy: "greedy", Layers: []int{3, 1}},
	} {
		have, err := s.MarshalConfig(&cfg)
		if err != nil || string(have) != text {
			t.Errorf("have %s, want %s (%v)", have, text, err)
		}
		back, err := s.UnmarshalConfig(have)
		if err != nil || !reflect.DeepEqual(*back.(*Counted), cfg) {
			t.Errorf("%s comes back as %+v, %v", have, back, err)
		}
	}
	for text, want := range map[string]string{
		``:                        "unexpected end",
		`[]`:                      "cannot unmarshal array",
		`{"ridge":"x"}`:           `"ridge"`,
		`{"ridge":0}`:             "--ridge = 0 lies outside (0,1]",
		`{"ridge":2}`:             "lies outside (0,1]",
		`{"Ridge":1}`:             `no parameter is called "Ridge"`,
		`{"seed":-1}`:             `"seed"`,
		`{"neighbors":1.5}`:       `"neighbors"`,
		`{"layers":[10]}`:         "lies outside [0,9]",
		`{"strategy":"random"}`:   "uniform, greedy",
		`{"strategy":{"a":[1]}}`:  `"strategy"`,
		`{"no-center":"true"}`:    `"no-center"`,
		`{"neighbors":1e400}`:     `"neighbors"`,
		`{"shift":1,"shift2":[]}`: `no parameter is called "shift2"`,
	} {
		if cfg, err := s.UnmarshalConfig([]byte(text)); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: have %v, %v, want %q", text, cfg, err, want)
		}
	}
}

func FuzzConfigJSON(f *testing.F) {
	_, s, _, _ := family()
	f.Add([]byte(`{"ridge":0.1,"layers":[1,2],"strategy":"greedy"}`))
	f.Add([]byte(`{"seed":18446744073709551615,"shift":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg, err := s.UnmarshalConfig(text)
		if err != nil {
			if !errors.Is(err, ErrConfig) {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := s.MarshalConfig(cfg)
		if err != nil || !json.Valid(again) {
			t.Fatalf("%s: %v", again, err)
		}
		back, err := s.UnmarshalConfig(again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if third, _ := s.MarshalConfig(back); string(third) != string(again) {
			t.Fatalf("%s comes back as %s", again, third)
		}
	})
}

func TestProgress(t *testing.T) {
	_, s, _, _ := family()
	var have []int
	ctx := WithProgress(t.Context(), func(done, total int) { have = append(have, done, total) })
	if _, err := s.Fit(ctx, s.Config(), data.Bundle{"in": rows(t, 5, 1)}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(have, []int{5, 5}) {
		t.Errorf("progress %v", have)
	}
}

func TestScaled(t *testing.T) {
	_, counted, _, _ := family()
	if s := counted.Scaled(); !reflect.DeepEqual(s.Config(), counted.Config()) {
		t.Errorf("without flags for short runs the configuration is %+v", s.Config())
	}
	counted.Small = map[string]string{"neighbors": "7"}
	s := counted.Scaled()
	if c := s.Config().(*Counted); c.Neighbors != 7 {
		t.Errorf("scaled down, the configuration is %+v", c)
	}
	i := slices.IndexFunc(s.Params, func(p Param) bool { return p.Name == "neighbors" })
	if s.Params[i].Default != "7" || counted.Params[i].Default == "7" {
		t.Errorf("defaults: %q scaled down, %q in full", s.Params[i].Default, counted.Params[i].Default)
	}
	counted.Small = map[string]string{"neighbors": "many"}
	if text := panics(func() { counted.Scaled().Config() }); !strings.Contains(text, "Small") {
		t.Errorf("flags that cannot be: %q", text)
	}
}
