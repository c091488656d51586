package protocol_test

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
	"github.com/gimbal-ml/gimbal/protocol"
)

// run takes a method through two tasks, saved and loaded in between if wanted.
func run(t testing.TB, name string, saved bool, o protocol.Options) *protocol.Run {
	t.Helper()
	train, test := stars(t, 1, 60, 4, "a", "b", "c"), stars(t, 2, 40, 4)
	s := spec(t, name)
	tasks := split(t, protocol.Scenario{Increment: 2, Order: protocol.Horizontal}, train, test)
	r, err := protocol.Begin(t.Context(), s, s.Config(), o, "", tasks[0].Train, tasks[0].Test)
	if err != nil {
		t.Fatal(err)
	}
	if saved {
		r = reloaded(t, r)
	}
	if r, err = r.Add(t.Context(), "", "second", tasks[1].Train, tasks[1].Test, false); err != nil {
		t.Fatal(err)
	}
	return r
}

func checkpoint(t testing.TB, r *protocol.Run) *data.Checkpoint {
	t.Helper()
	c, err := r.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func reloaded(t testing.TB, r *protocol.Run) *protocol.Run {
	t.Helper()
	back, err := protocol.Load(continual.Methods(), checkpoint(t, r))
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// TestRunIsTheSameAfterAFile, for every learner of the family.
func TestRunIsTheSameAfterAFile(t *testing.T) {
	for _, s := range continual.Methods() {
		if protocol.Learner(s) != nil {
			continue
		}
		calm, paused := checkpoint(t, run(t, s.Name, false, protocol.Options{})), checkpoint(t, reloaded(t, run(t, s.Name, true, protocol.Options{})))
		if calm.Meta["sha256"] != paused.Meta["sha256"] {
			t.Errorf("%s: saved between tasks it becomes another run", s.ID())
		}
	}
}

func TestRunMatrix(t *testing.T) {
	r := run(t, "prototypes", true, protocol.Options{})
	m, tasks, ok := r.Matrix()
	if !ok || len(tasks) != 2 || tasks[1].Name != "second" || !slices.Equal(m.Rows, []int{20, 20}) {
		t.Fatalf("%v %v %v", m, tasks, ok)
	}
	if e, err := metric.LastAccuracy([]metric.ContinualRun{m}); err != nil || e.Value != 1 {
		t.Errorf("%v, %v", e, err)
	}
	gone, err := r.ForgetRows(t.Context(), stars(t, 1, 60, 4).Pick([]int{0, 4, 8}))
	if err != nil {
		t.Fatal(err)
	}
	if h := gone.History(); len(h) != 3 || !h[2].Forgot || h[2].Rows != 3 || len(r.History()) != 2 {
		t.Errorf("history %+v; that of the run before has %d stages", h, len(r.History()))
	}
}

// TestRunLedgerIsHeldToTheModel: a ledger by class and group adds up, forgets rows with the model, and a false one is refused.
func TestRunLedgerIsHeldToTheModel(t *testing.T) {
	r := run(t, "acil", true, protocol.Options{Ledger: []string{"class", "group"}})
	rows := stars(t, 1, 60, 4, "a", "b", "c").Pick([]int{1, 2})
	gone, err := r.ForgetRows(t.Context(), rows)
	if err != nil {
		t.Fatal(err)
	}
	gone = reloaded(t, gone)
	if gone, err = gone.ForgetGroup(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	reloaded(t, gone)
	if _, err := gone.ForgetGroup(t.Context(), "a"); !errors.Is(err, data.ErrShape) {
		t.Errorf("a group that is gone: %v", err)
	}
	c := checkpoint(t, r)
	for _, name := range c.Names() {
		if len(name) > 9 && name[:9] == "ledger.0/" {
			delete(c.Tensors, name)
		}
	}
	if err := c.Seal(); err != nil {
		t.Fatal(err)
	}
	if _, err := protocol.Load(continual.Methods(), c); !errors.Is(err, method.ErrState) {
		t.Errorf("a ledger with a hole: %v", err)
	}
	s := spec(t, "joint")
	if _, err := protocol.Begin(t.Context(), s, s.Config(), protocol.Options{Ledger: []string{"class"}}, "", rows, nil); !errors.Is(err, method.ErrConfig) {
		t.Errorf("a ledger of a model without sums: %v", err)
	}
}

// TestRunDamaged: whatever is changed or missing in a file, there is an error or a run, never a panic.
func TestRunDamaged(t *testing.T) {
	good := checkpoint(t, run(t, "streaminglda", false, protocol.Options{Ledger: []string{"class"}}))
	copied := func() *data.Checkpoint {
		return &data.Checkpoint{Meta: maps.Clone(good.Meta), Tensors: maps.Clone(good.Tensors)}
	}
	refused := func(what string, c *data.Checkpoint) {
		t.Helper()
		if _, err := protocol.Load(continual.Methods(), c); !errors.Is(err, method.ErrState) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, name := range good.Names() {
		c := copied()
		delete(c.Tensors, name)
		refused("unsealed, without "+name, c)
		if err := c.Seal(); err != nil {
			t.Fatal(err)
		}
		if _, err := protocol.Load(continual.Methods(), c); err == nil && name[:5] != "test." { // without its test rows a task is one that came without
			t.Errorf("without %s: accepted", name)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	words := []string{"", "null", "[]", "{}", "-1", `[{"measured":[{"stage":9}]}]`, `["a"]`, "1e99", `[{"class":"0"},{"class":"0"}]`}
	keys := slices.Sorted(maps.Keys(good.Meta))
	for range 400 {
		c := copied()
		c.Meta[keys[r.IntN(len(keys))]] = words[r.IntN(len(words))]
		if c.Seal() == nil {
			if back, err := protocol.Load(continual.Methods(), c); err == nil {
				back.Matrix()
			} else if !errors.Is(err, method.ErrState) {
				t.Fatalf("%v", err)
			}
		}
	}
}
