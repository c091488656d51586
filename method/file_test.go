package method

import (
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

func TestSaveLoad(t *testing.T) {
	set, s, _, _ := family()
	cfg := &Counted{Ridge: 0.25, Layers: []int{2, 1}}
	m, err := s.Fit(t.Context(), cfg, data.Bundle{"in": rows(t, 6, 1)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Save(s, cfg, m)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"gimbal": "method", "version": "1", "method": "tests/counted", "config": `{"layers":[2,1],"ridge":0.25}`}
	have := maps.Clone(c.Meta)
	delete(have, "sha256")
	if !reflect.DeepEqual(have, want) || len(c.Meta["sha256"]) != 64 {
		t.Errorf("metadata %v", c.Meta)
	}
	if names := c.Names(); len(names) != 1 || names[0] != "state/rows" {
		t.Errorf("tensors %v", names)
	}
	back, gotCfg, model, err := Load(set.All(), c)
	if err != nil || back.ID() != s.ID() || !reflect.DeepEqual(gotCfg, cfg) || !reflect.DeepEqual(model, m) {
		t.Errorf("loaded %s %+v %+v, %v", back.ID(), gotCfg, model, err)
	}
}

// A Go caller has a value, the command line a pointer; anything else is refused, not a panic.
func TestConfigurations(t *testing.T) {
	_, s, _, _ := family()
	in := data.Bundle{"in": rows(t, 6, 1)}
	for _, cfg := range []any{Counted{Ridge: 0.25}, &Counted{Ridge: 0.25}} {
		m, err := s.Fit(t.Context(), cfg, in)
		if err != nil {
			t.Fatalf("%T: %v", cfg, err)
		}
		if c, err := Save(s, cfg, m); err != nil || c.Meta["config"] != `{"ridge":0.25}` {
			t.Errorf("%T: saved with %q, %v", cfg, c.Meta["config"], err)
		}
	}
	m, err := s.Fit(t.Context(), s.Config(), in)
	if err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []any{nil, (*Counted)(nil), 7, struct{}{}, Counted{Ridge: -1}} {
		if _, err := s.Fit(t.Context(), cfg, in); !errors.Is(err, ErrConfig) {
			t.Errorf("fit with %#v: %v", cfg, err)
		}
		if _, err := Save(s, cfg, m); !errors.Is(err, ErrConfig) {
			t.Errorf("save with %#v: %v", cfg, err)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	set, s, _, joined := family()
	m, err := s.Fit(t.Context(), s.Config(), data.Bundle{"in": rows(t, 6, 1)})
	if err != nil {
		t.Fatal(err)
	}
	good, err := Save(s, s.Config(), m)
	if err != nil {
		t.Fatal(err)
	}
	meta := func(key, value string) func(c *data.Checkpoint) {
		return func(c *data.Checkpoint) { c.Meta[key] = value }
	}
	for _, c := range []struct {
		change func(c *data.Checkpoint)
		seal   bool
		says   string
	}{
		{func(c *data.Checkpoint) { *c = data.Checkpoint{} }, false, "the file holds no Gimbal state"},
		{meta("gimbal", "moments"), true, "the file holds moments"},
		{meta("version", "2"), true, `version "2", this program reads 1`},
		{func(c *data.Checkpoint) { delete(c.Meta, "version") }, true, `version ""`},
		{meta("method", "tests/gone"), true, `of method "tests/gone", which this program does not have`},
		{meta("method", joined.ID()), true, `of method "tests/joined", which`}, // a map keeps no state
		{meta("config", "{"), true, "bad configuration"},
		{meta("config", `{"ridge":5}`), true, "lies outside"},
		{func(c *data.Checkpoint) { delete(c.Meta, "sha256") }, false, "no content hash"},
		{meta("config", `{"ridge":0.5}`), false, "the file is damaged"},
		{func(c *data.Checkpoint) { c.Tensors["state/rows"] = data.Int64Tensor([]int64{7}, 1) }, false, "the file is damaged"},
		{func(c *data.Checkpoint) { delete(c.Tensors, "state/rows") }, true, `tensor "rows" is missing`},
		{func(c *data.Checkpoint) { c.Tensors["state/rows"] = data.Int64Tensor([]int64{7, 8}, 2) }, true, "[2], want [1]"},
		{func(c *data.Checkpoint) {
			c.Tensors["state/rows"], _ = data.LazyTensor(data.I64, []int{1}, func() ([]byte, error) { return nil, errors.New("disk gone") })
		}, false, "disk gone"},
	} {
		bad := &data.Checkpoint{Meta: maps.Clone(good.Meta), Tensors: maps.Clone(good.Tensors)}
		c.change(bad)
		if c.seal {
			if err := bad.Seal(); err != nil {
				t.Fatal(err)
			}
		}
		_, _, model, err := Load(set.All(), bad)
		if !errors.Is(err, ErrState) || !strings.Contains(err.Error(), c.says) || model != nil {
			t.Errorf("have %v, %v, want %q", model, err, c.says)
		}
	}
}
