package guard_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/method"
)

func Example() {
	ctx := context.Background()
	train := rows(1, 2000, "cat", "dog", "fox") // features of a frozen model, with labels
	g, err := guard.Fit(ctx, detect.Methods(), guard.Config{Alpha: 0.05}, train)
	if err != nil {
		panic(err)
	}
	decisions, _ := g.Decide(rows(2, 1, "dog"))
	fmt.Println("familiar:", decisions[0].Label, decisions[0].Accept)
	decisions, _ = g.Decide(rows(3, 1, "owl")) // never taught
	fmt.Println("new:     ", decisions[0].Accept)
	g, _ = g.Update(ctx, rows(4, 5, "owl"), false) // five labels
	decisions, _ = g.Decide(rows(5, 1, "owl"))
	fmt.Println("taught:  ", decisions[0].Label)
	// Output:
	// familiar: dog true
	// new:      false
	// taught:   owl
}

// rows draws n rows of 8 Gaussian columns, the classes in turn; a class's mean depends on its name alone.
func rows(seed uint64, n int, classes ...string) *data.Table {
	const d = 8
	r := rand.New(rand.NewPCG(seed, 77))
	x, names := make([]float32, n*d), make([]string, n)
	for i := range n {
		names[i] = classes[i%len(classes)]
		for j := range d {
			c := names[i]
			x[i*d+j] = float32(r.NormFloat64() + 6*math.Sin(float64(7*j)+float64(c[0])+3*float64(c[len(c)-1])))
		}
	}
	t, err := data.NewTable(n, d, x)
	if err == nil {
		t, err = t.WithClassNames(names)
	}
	if err != nil {
		panic(err)
	}
	return t
}

func fit(t *testing.T, c guard.Config, train data.Source) *guard.Guard {
	t.Helper()
	g, err := guard.Fit(t.Context(), detect.Methods(), c, train)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func share(t *testing.T, g *guard.Guard, in *data.Table) (refused, right float64) {
	t.Helper()
	ds, err := g.Decide(in)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range ds {
		if !d.Accept {
			refused++
		}
		if d.Label == in.ClassName(i) {
			right++
		}
	}
	return refused / float64(len(ds)), right / float64(len(ds))
}

func TestFalseAlarmRateHolds(t *testing.T) {
	// Over 60 guards of about 120 calibration rows, judging 200 rows each: the mean's standard error is below 0.006.
	for _, alpha := range []float64{0.05, 0.2} {
		mean := 0.0
		for s := range uint64(60) {
			g := fit(t, guard.Config{Alpha: alpha, Seed: s}, rows(100+s, 600, "a", "b"))
			refused, _ := share(t, g, rows(1000+s, 200, "a", "b"))
			mean += refused / 60
		}
		if mean > alpha+0.02 || mean < alpha/2 {
			t.Errorf("mean false-alarm rate %.4f at level %g", mean, alpha)
		}
	}
}

func TestForgettingLeavesNoTrace(t *testing.T) {
	whole := rows(1, 3000, "a", "b", "c")
	var customer, rest []int
	for i := range 3000 {
		if i%7 == 3 {
			customer = append(customer, i)
		} else {
			rest = append(rest, i)
		}
	}
	g := fit(t, guard.Config{}, whole)
	before := g.Hash()
	forgot, err := g.Forget(t.Context(), whole.Pick(customer))
	if err != nil {
		t.Fatal(err)
	}
	never := fit(t, guard.Config{Like: g}, whole.Pick(rest))
	if forgot.Hash() != never.Hash() {
		t.Error("forgetting differs from never having seen")
	}
	if g.Hash() != before || forgot.Hash() == before {
		t.Error("the old guard changed, or the new one did not")
	}
	if _, err := forgot.Forget(t.Context(), rows(9, 40, "z")); !errors.Is(err, data.ErrShape) {
		t.Errorf("forgetting a class never seen: %v", err)
	}
	updated, err := never.Update(t.Context(), whole.Pick(customer), false)
	if err != nil {
		t.Fatal(err)
	}
	if updated.Hash() != before {
		t.Error("learning in two parts differs from learning at once")
	}
	taught, err := g.Update(t.Context(), rows(5, 5, "owl"), false)
	if err != nil {
		t.Fatal(err)
	}
	if taught.Count("owl") != 5 {
		t.Errorf("%d of 5 rows taught", taught.Count("owl"))
	}
	back, err := taught.Forget(t.Context(), rows(5, 5, "owl"))
	if err != nil || back.Hash() != before {
		t.Errorf("a forgotten lesson leaves a trace: %v", err)
	}
}

func TestLargeCalibrationMovesToTheModel(t *testing.T) {
	whole := rows(1, 30000, "a", "b")
	g := fit(t, guard.Config{Calibration: 0.8}, whole)
	model, kept := g.Rows()
	if kept > 20000 || model+kept != 30000 {
		t.Errorf("%d + %d rows", model, kept)
	}
	var some, rest []int
	for i := range 30000 {
		if i < 500 {
			some = append(some, i)
		} else {
			rest = append(rest, i)
		}
	}
	forgot, err := g.Forget(t.Context(), whole.Pick(some))
	if err != nil {
		t.Fatal(err)
	}
	if forgot.Hash() != fit(t, guard.Config{Like: g}, whole.Pick(rest)).Hash() {
		t.Error("forgetting after halving differs from never having seen")
	}
}

func TestSaveLoad(t *testing.T) {
	for _, train := range []*data.Table{rows(1, 900, "a", "b"), unlabelled(rows(1, 900, "a"))} {
		g := fit(t, guard.Config{}, train)
		c, err := g.Checkpoint()
		if err != nil {
			t.Fatal(err)
		}
		l, err := guard.Load(detect.Methods(), c)
		if err != nil {
			t.Fatal(err)
		}
		if l.Hash() != g.Hash() {
			t.Error("loading changes the hash")
		}
		a, _ := g.Decide(rows(2, 50, "a", "b", "c"))
		b, _ := l.Decide(rows(2, 50, "a", "b", "c"))
		for i := range a {
			if a[i] != b[i] {
				t.Fatalf("row %d: %v, loaded %v", i, a[i], b[i])
			}
		}
		more, err := l.Update(t.Context(), train.Slice(0, 10), false)
		if err != nil {
			t.Fatal(err)
		}
		same, _ := g.Update(t.Context(), train.Slice(0, 10), false)
		if more.Hash() != same.Hash() {
			t.Error("a loaded guard learns otherwise")
		}
		c.Meta["frame"] = strings.Replace(c.Meta["frame"], "0.05", "0.06", 1)
		if _, err := guard.Load(detect.Methods(), c); !errors.Is(err, method.ErrState) {
			t.Errorf("a changed file: %v", err)
		}
	}
	if _, err := guard.Load(detect.Methods(), &data.Checkpoint{}); !errors.Is(err, method.ErrState) || !strings.Contains(err.Error(), "no Gimbal state") {
		t.Errorf("a foreign file: %v", err)
	}
}

func unlabelled(in *data.Table) *data.Table {
	n, d := in.Dims()
	t, err := data.NewTable(n, d, in.X())
	if err != nil {
		panic(err)
	}
	return t
}

func TestRefusals(t *testing.T) {
	train := rows(1, 300, "a", "b")
	for _, c := range []struct {
		cfg  guard.Config
		src  data.Source
		want error
		word string
	}{
		{guard.Config{Alpha: 0.0001}, train, method.ErrConfig, "calibration rows"},
		{guard.Config{Alpha: 1.5}, train, method.ErrConfig, "not between 0 and 1"},
		{guard.Config{Detector: "detect/nothing"}, train, method.ErrConfig, "no method"},
		{guard.Config{DetectorConfig: map[string]string{"ridge": "-1"}}, train, method.ErrConfig, "--ridge"},
		{guard.Config{}, train.Slice(0, 0), data.ErrFormat, "no rows"},
		{guard.Config{}, rows(1, 12, "a", "b"), method.ErrConfig, "at least 19 calibration rows"},
	} {
		if _, err := guard.Fit(t.Context(), detect.Methods(), c.cfg, c.src); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%+v: %v, want %v with %q", c.cfg, err, c.want, c.word)
		}
	}
	g := fit(t, guard.Config{}, train)
	if _, err := g.WithAlpha(0.001); !errors.Is(err, method.ErrConfig) {
		t.Errorf("alpha beyond the sample: %v", err)
	}
	if h, err := g.WithAlpha(0.1); err != nil || h.Threshold() >= g.Threshold() {
		t.Errorf("a larger false-alarm rate must lower the threshold: %v", err)
	}
	narrow, _ := data.NewTable(1, 3, make([]float32, 3))
	if _, err := g.Decide(narrow); !errors.Is(err, data.ErrShape) {
		t.Errorf("other width: %v", err)
	}
}

func TestStreamAlarmsOnDriftOnly(t *testing.T) {
	g := fit(t, guard.Config{}, rows(1, 4000, "a", "b", "c"))
	s, err := g.NewStream(250)
	if err != nil {
		t.Fatal(err)
	}
	_, windows, err := s.Observe(rows(2, 5000, "a", "b", "c"))
	if err != nil {
		t.Fatal(err)
	}
	if len(windows) != 20 || windows[3].First != 751 || s.AlarmRow() != 0 {
		t.Fatalf("%d windows, alarm at row %d of an unchanged stream", len(windows), s.AlarmRow())
	}
	saved, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := g.NewStream(250)
	if err := r.Resume(saved); err != nil {
		t.Fatal(err)
	}
	shifted := rows(3, 500, "a", "b", "c")
	for i := range shifted.X() {
		shifted.X()[i] += 0.7
	}
	if _, _, err := r.Observe(shifted); err != nil {
		t.Fatal(err)
	}
	if at := r.AlarmRow(); at <= 5000 || at > 5300 {
		t.Errorf("alarm at row %d, the drift began at 5001", at)
	}
	other := fit(t, guard.Config{Seed: 5}, rows(8, 4000, "a", "b", "c"))
	o, _ := other.NewStream(250)
	if err := o.Resume(saved); !errors.Is(err, method.ErrState) {
		t.Errorf("another guard's stream: %v", err)
	}
}
