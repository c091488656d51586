package live_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/serve/journal"
	"github.com/gimbal-ml/gimbal/serve/live"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("GIMBAL_LIVE_CHILD"); dir != "" {
		child(dir)
		return
	}
	os.Exit(m.Run())
}

// rows draws n rows of 4 Gaussian columns, the classes in turn; a class's mean depends on its name alone.
func rows(seed uint64, n int, classes ...string) *data.Table {
	const d = 4
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

var first = sync.OnceValue(func() *guard.Guard {
	g, err := guard.Fit(context.Background(), detect.Methods(), guard.Config{Alpha: 0.1}, rows(1, 400, "a", "b"))
	if err != nil {
		panic(err)
	}
	return g
})

func open(t *testing.T, dir string, c live.Config) *live.Guard {
	t.Helper()
	g, err := live.Open(dir, detect.Methods(), first(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

// must ends the test at once where it cannot go on.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func Example() {
	dir, err := os.MkdirTemp("", "live")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	g, err := live.Open(dir, detect.Methods(), first(), live.Config{})
	if err != nil {
		panic(err)
	}
	seen, _ := g.Observe(rows(3, 1, "owl")) // a class never taught
	fmt.Println("new:     ", seen.Decisions[0].Accept)
	if err := g.Learn(ctx, rows(4, 5, "owl"), true); err != nil { // on disk when it returns
		panic(err)
	}
	seen, _ = g.Observe(rows(5, 1, "owl"))
	fmt.Println("taught:  ", seen.Decisions[0].Label)
	g.Close()

	g, err = live.Open(dir, detect.Methods(), nil, live.Config{}) // or after kill -9
	if err != nil {
		panic(err)
	}
	defer g.Close()
	seen, _ = g.Observe(rows(6, 1, "owl"))
	fmt.Println("restarted:", seen.Decisions[0].Label, seen.Status.Rows)
	// Output:
	// new:      false
	// taught:   owl
	// restarted: owl 3
}

func TestRestartIsTheSame(t *testing.T) {
	dir := t.TempDir()
	g := open(t, dir, live.Config{})
	ctx := t.Context()
	must(g.Observe(rows(2, 40, "a", "b")))
	for _, err := range []error{g.Learn(ctx, rows(3, 30, "a", "owl"), false), g.SetAlpha(ctx, 0.2), g.Forget(ctx, rows(3, 3, "a", "owl")), g.Rearm(ctx)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	seen := must(g.Observe(rows(4, 25, "a", "fox")))
	if s := seen.Status; s.Commands != 6 || s.Generation != 4 || s.Rows != 65 || s.Stream != 5 || s.StreamRows != 25 {
		t.Errorf("status %+v", s)
	}
	want := must(g.Hash(ctx))
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if err := g.Learn(ctx, rows(3, 1, "a"), false); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("learning after Close: %v", err)
	}
	h := open(t, dir, live.Config{})
	if have := must(h.Hash(ctx)); have != want {
		t.Error("a restart changes the state")
	}
	if h.Status() != seen.Status {
		t.Errorf("status %+v, before %+v", h.Status(), seen.Status)
	}
}

func TestRefusedChangesLeaveNoTrace(t *testing.T) {
	dir := t.TempDir()
	g := open(t, dir, live.Config{})
	want := must(g.Hash(t.Context()))
	narrow, _ := data.NewTable(1, 2, make([]float32, 2))
	for _, err := range []error{g.Learn(t.Context(), narrow, true), g.Forget(t.Context(), rows(8, 50, "zebra")), g.SetAlpha(t.Context(), 0.0001), g.SetAlpha(t.Context(), 0)} {
		if err == nil {
			t.Error("accepted")
		}
	}
	if _, err := g.Observe(narrow); !errors.Is(err, data.ErrShape) {
		t.Errorf("another width: %v", err)
	}
	if must(g.Hash(t.Context())) != want {
		t.Error("a refused change changed the state")
	}
	if _, err := live.Open(dir, detect.Methods(), first(), live.Config{}); !errors.Is(err, journal.ErrLocked) {
		t.Errorf("a second server: %v", err)
	}
	g.Close()
	other := must(first().WithAlpha(0.3))
	if _, err := live.Open(dir, detect.Methods(), other, live.Config{}); !errors.Is(err, live.ErrBase) {
		t.Errorf("another guard: %v", err)
	}
	if _, err := live.Open(t.TempDir(), detect.Methods(), nil, live.Config{}); err == nil {
		t.Error("an empty folder and no guard")
	}
}

func TestManyClients(t *testing.T) {
	dir := t.TempDir()
	g := open(t, dir, live.Config{SnapshotBytes: 20000})
	var wait sync.WaitGroup
	var asked atomic.Int64
	stop := make(chan struct{})
	for c := range 4 { // who only asks is never kept waiting by who teaches
		wait.Go(func() {
			in := rows(uint64(100+c), 3, "a", "b")
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := g.Decide(in); err != nil {
					t.Error(err)
				}
				if _, err := g.Observe(in); err != nil {
					t.Error(err)
				}
				asked.Add(1)
			}
		})
	}
	var feeders sync.WaitGroup
	for c := range 12 {
		feeders.Go(func() {
			for i := range 8 {
				if err := g.Learn(t.Context(), rows(uint64(1000+10*c+i), 4, "a", "owl"), true); err != nil {
					t.Error(err)
				}
			}
			if err := g.Forget(t.Context(), rows(uint64(1000+10*c), 4, "a", "owl")); err != nil {
				t.Error(err)
			}
		})
	}
	feeders.Wait()
	close(stop)
	wait.Wait()
	one := first() // the same feedback, in another order
	for c := range 12 {
		for i := 1; i < 8; i++ {
			one = must(one.Update(t.Context(), rows(uint64(1000+10*c+i), 4, "a", "owl"), true))
		}
	}
	if g.Guard().Hash() != one.Hash() {
		t.Error("feedback of twelve clients differs from the same in one go")
	}
	if asked.Load() == 0 {
		t.Error("nobody was answered meanwhile")
	}
	want := must(g.Hash(t.Context()))
	g.Close()
	if h := open(t, dir, live.Config{}); must(h.Hash(t.Context())) != want {
		t.Error("a restart changes the state")
	}
}

func TestDriftAlarmRingsOnce(t *testing.T) {
	dir := t.TempDir()
	g := open(t, dir, live.Config{})
	rang := 0
	for i := range 60 {
		in := rows(uint64(50+i), 20, "a", "b")
		if i >= 20 {
			for k := range in.X() {
				in.X()[k] += 1
			}
		}
		seen := must(g.Observe(in))
		if seen.Rang {
			if rang++; i < 20 {
				t.Errorf("rang at batch %d, the shift began at 20", i)
			}
		}
	}
	s := g.Status()
	if rang != 1 || s.Alarms != 1 || s.AlarmRow <= 400 || s.Threshold != -math.Log10(0.01/2) {
		t.Errorf("rang %d times, %+v", rang, s)
	}
	if err := g.Rearm(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := g.Status(); s.AlarmRow != 0 || s.Stream != 2 || s.Alarms != 1 {
		t.Errorf("rearmed: %+v", s)
	}
}

func TestReplicasAgreeToTheBit(t *testing.T) {
	ctx := t.Context()
	replicas := map[string]*live.Guard{}
	dirs := map[string]string{}
	for i, name := range []string{"x", "y", "z"} {
		dirs[name] = t.TempDir()
		replicas[name] = open(t, dirs[name], live.Config{})
		if err := replicas[name].Learn(ctx, rows(uint64(20+i), 10+i, "a", "owl", name), true); err != nil {
			t.Fatal(err)
		}
	}
	exchange := func(to string, from ...string) {
		for _, name := range from {
			if err := replicas[to].Join(ctx, name, replicas[name].Own()); err != nil {
				t.Fatal(err)
			}
		}
	}
	exchange("x", "y", "z")
	exchange("y", "z", "x")
	if err := replicas["z"].Learn(ctx, rows(40, 6, "b"), true); err != nil {
		t.Fatal(err)
	}
	exchange("z", "x", "y")
	exchange("x", "z")
	exchange("y", "z")
	one := first()
	for _, r := range []*data.Table{rows(20, 10, "a", "owl", "x"), rows(21, 11, "a", "owl", "y"), rows(22, 12, "a", "owl", "z"), rows(40, 6, "b")} {
		one = must(one.Update(ctx, r, true))
	}
	for name, r := range replicas {
		if r.Guard().Hash() != one.Hash() {
			t.Errorf("replica %s differs from one guard that saw everything", name)
		}
		want := must(r.Hash(ctx))
		r.Close()
		again := open(t, dirs[name], live.Config{})
		if must(again.Hash(ctx)) != want || again.Guard().Hash() != one.Hash() {
			t.Errorf("replica %s differs after a restart", name)
		}
		if err := again.Replace(ctx, one); err != nil {
			t.Fatal(err)
		}
		if again.Own().Hash() != one.Hash() || again.Base().Hash() != one.Hash() {
			t.Error("replaced by another guard")
		}
		again.Close()
		if _, err := live.Open(dirs[name], detect.Methods(), first(), live.Config{}); !errors.Is(err, live.ErrBase) || !strings.Contains(err.Error(), dirs[name]) {
			t.Errorf("the first guard after a replacement: %v", err)
		}
	}
}
