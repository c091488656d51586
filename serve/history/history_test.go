package history

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/serve/live"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// clock is one that tests set.
type clock struct {
	mutex sync.Mutex
	at    time.Time
}

func (c *clock) now() time.Time {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.at = c.at.Add(d)
}

// both runs a test on SQLite and, where there is one, on PostgreSQL.
func both(t *testing.T, c Config, test func(t *testing.T, h *History, at *clock, dsn string)) {
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			dsn := filepath.Join(t.TempDir(), "it is ? 100% #1.db")
			if name == "postgres" {
				started = true
				if dsn, _ = postgres(); dsn == "" {
					t.Skip("no PostgreSQL here: install one, or set GIMBAL_POSTGRES to the URL of a database that may be emptied")
				}
			}
			at := &clock{at: time.Date(2026, 11, 25, 10, 0, 30, 0, time.UTC)}
			c := c
			c.Now = at.now
			h := must(Open(t.Context(), dsn, c))
			defer h.Close()
			if name == "postgres" {
				must(h.db.Exec("TRUNCATE scores, decisions, feedback, alarms, replicas RESTART IDENTITY"))
			}
			test(t, h, at, dsn)
		})
	}
}

func table(rows ...[]float32) *data.Table {
	var x []float32
	for _, r := range rows {
		x = append(x, r...)
	}
	return must(data.NewTable(len(rows), len(rows[0]), x))
}

func flush(t *testing.T, h *History) {
	t.Helper()
	if err := h.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasDecidedIsFound(t *testing.T) {
	both(t, Config{}, func(t *testing.T, h *History, at *clock, dsn string) {
		ctx := t.Context()
		rows := table([]float32{1, 2}, []float32{3, 4}, []float32{5, 6})
		ds := []guard.Decision{
			{Label: "cat", Probability: 0.9, Score: 1.5, PValue: 0.7, Accept: true}, // familiar: counted, not kept
			{Label: "dog", Probability: 0.4, Score: 9, PValue: 0.001},
			{Label: "dog", Probability: 0.5, Score: 4, PValue: 0.04, Accept: true},
		}
		h.Decisions("m", "r1", rows, ds)
		h.Decisions("other", "r2", rows, ds[:1])
		at.move(2 * time.Minute)
		h.Decisions("m", "r3", table([]float32{7, 8}), []guard.Decision{{Label: "cat", Score: -3, PValue: 0, Accept: false}})
		h.Alarm(Alarm{Model: "m", Stream: 3, Row: 17, Evidence: 2.5, Threshold: 2})
		h.Feedback(Feedback{Model: "m", Verb: "teach", Class: "owl", Rows: 5, Who: "ann", Note: "it's \"quoted\"; DROP TABLE scores"})
		flush(t, h)

		found := must(h.Unfamiliar(ctx, "m", 100, 2))
		if len(found) != 2 || found[0].Score != 9 || found[1].Score != 4 || found[0].Row != 2 || found[0].Request != "r1" || found[0].X[1] != 4 || found[0].Accept || !found[1].Accept {
			t.Errorf("most unfamiliar: %+v", found)
		}
		if last := must(h.Unfamiliar(ctx, "m", 1, 5)); len(last) != 1 || last[0].Score != -3 {
			t.Errorf("among the last one: %+v", last)
		}
		queue := must(h.Queue(ctx, "m", 0, 10))
		if len(queue) != 3 || queue[0].Score != -3 {
			t.Fatalf("queue: %+v", queue)
		}
		if err := h.Label(ctx, queue[0].ID, "owl", "ann"); err != nil {
			t.Fatal(err)
		}
		if rest := must(h.Queue(ctx, "m", 0, 10)); len(rest) != 2 {
			t.Errorf("a labelled row is in the queue still: %+v", rest)
		}
		if older := must(h.Queue(ctx, "m", queue[1].ID, 10)); len(older) != 1 || older[0].ID != queue[2].ID {
			t.Errorf("next page: %+v", older)
		}
		done := must(h.Labelled(ctx, "m", 10))
		if len(done) != 1 || done[0].Given != "owl" || done[0].GivenBy != "ann" || !done[0].GivenAt.Equal(at.now()) {
			t.Errorf("labelled: %+v", done)
		}
		if one := must(h.Find(ctx, queue[0].ID)); one.Given != "owl" || one.X[0] != 7 {
			t.Errorf("found %+v", one)
		}
		if _, err := h.Find(ctx, 999); !errors.Is(err, ErrNotFound) {
			t.Errorf("no such decision: %v", err)
		}
		if err := h.Label(ctx, 999, "owl", ""); !errors.Is(err, ErrNotFound) {
			t.Errorf("no such decision: %v", err)
		}
		if a := must(h.Alarms(ctx, "m", 5)); len(a) != 1 || a[0].Row != 17 || a[0].Stream != 3 || a[0].Evidence != 2.5 {
			t.Errorf("alarms: %+v", a)
		}
		if f := must(h.Told(ctx, "m", 5)); len(f) != 1 || f[0].Note != "it's \"quoted\"; DROP TABLE scores" || f[0].Rows != 5 {
			t.Errorf("feedback: %+v", f)
		}

		slices := must(h.Scores(ctx, "m", at.now().Add(-time.Hour), at.now().Add(time.Minute), time.Minute))
		if len(slices) != 2 || len(slices[0].Bins) != 3 || len(slices[1].Bins) != 1 {
			t.Fatalf("by the minute: %+v", slices)
		}
		if b := slices[0].Bins[2]; !(b.Low <= 9 && 9 < b.High) || b.Rows != 1 || b.Refused != 1 {
			t.Errorf("bin of 9: %+v", b)
		}
		whole := must(h.PValues(ctx, "m", at.now().Add(-time.Hour), at.now().Add(time.Minute), time.Hour))
		if len(whole) != 1 || whole[0].Bins[0].Rows != 3 || whole[0].Bins[0].Refused != 2 || whole[0].Bins[1].Low != 0.7 || !whole[0].From.Equal(at.now().Truncate(time.Hour)) {
			t.Errorf("by the hour: %+v", whole)
		}
		if _, err := h.Scores(ctx, "m", at.now(), at.now(), time.Second); err == nil {
			t.Error("a step of a second")
		}
		if !strings.HasPrefix(dsn, "postgres") { // after a restart it is all there
			h.Close()
			h = must(Open(ctx, dsn, Config{}))
			if done := must(h.Labelled(ctx, "m", 10)); len(done) != 1 {
				t.Error("lost over a restart")
			}
			h.Close()
		}
	})
}

func TestBoundsHold(t *testing.T) {
	both(t, Config{Keep: 50, Age: 10 * 24 * time.Hour}, func(t *testing.T, h *History, at *clock, _ string) {
		ctx := t.Context()
		strange := []guard.Decision{{Score: 5}}
		say := func() {
			h.Decisions("m", "", table([]float32{1}), strange)
			h.Alarm(Alarm{Model: "m"})
			h.Feedback(Feedback{Model: "m"})
			flush(t, h)
		}
		say()
		if err := h.Label(ctx, 1, "owl", "ann"); err != nil {
			t.Fatal(err)
		}
		begin := at.now()
		for range 5 { // within one hour, minute by minute
			at.move(3 * time.Minute)
			say()
		}
		at.move(3 * 24 * time.Hour)
		for range 100 {
			h.Decisions("m", "", table([]float32{1}), strange)
		}
		say()
		slices := must(h.Scores(ctx, "m", begin.Add(-time.Hour), at.now().Add(time.Hour), time.Minute))
		if len(slices) != 2 || slices[0].Bins[0].Rows != 6 || !slices[0].From.Equal(begin.Truncate(time.Hour)) {
			t.Errorf("old minutes must be one hour: %+v", slices)
		}
		if queue := must(h.Queue(ctx, "m", 0, 1000)); len(queue) != 50 {
			t.Errorf("%d decisions are kept, want 50", len(queue))
		}
		if labelled := must(h.Labelled(ctx, "m", 10)); len(labelled) != 1 {
			t.Error("a labelled row went with the rest")
		}
		at.move(11 * 24 * time.Hour)
		say()
		if a, f := must(h.Alarms(ctx, "m", 100)), must(h.Told(ctx, "m", 100)); len(a) != 1 || len(f) != 1 {
			t.Errorf("%d alarms and %d messages, the old ones must go", len(a), len(f))
		}
		if labelled := must(h.Labelled(ctx, "m", 10)); len(labelled) != 0 {
			t.Error("a labelled row stays for ever")
		}
		if slices := must(h.Scores(ctx, "m", begin.Add(-time.Hour), at.now().Add(time.Hour), time.Minute)); len(slices) != 1 {
			t.Errorf("old histograms stay: %+v", slices)
		}
		at.move(-100 * 24 * time.Hour) // a clock that jumps back loses nothing
		say()
		if a := must(h.Alarms(ctx, "m", 100)); len(a) != 2 {
			t.Errorf("%d alarms after the clock jumped back", len(a))
		}
	})
}

// What clients sent is for the owner of the file alone.
func TestFileIsPrivate(t *testing.T) {
	dir := t.TempDir()
	h := must(Open(t.Context(), filepath.Join(dir, "h.db"), Config{}))
	defer h.Close()
	h.Feedback(Feedback{Model: "m", Verb: "teach", Rows: 1})
	if err := h.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	files := must(os.ReadDir(dir))
	for _, f := range files {
		if info := must(f.Info()); info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %v", f.Name(), info.Mode())
		}
	}
	if len(files) == 0 {
		t.Error("no file")
	}
}

func TestScoringNeverWaits(t *testing.T) {
	h := must(Open(t.Context(), filepath.Join(t.TempDir(), "h.db"), Config{Queue: 100}))
	defer h.Close()
	h.db.Close() // the database went away
	in, ds := table([]float32{1}), []guard.Decision{{Score: 5}}
	begin := time.Now()
	for range 10_000 {
		h.Decisions("m", "", in, ds)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("10,000 calls took %s", took)
	}
	if err := h.Flush(t.Context()); err == nil || h.Failed() == nil {
		t.Error("it says that all is well")
	}
	if n := h.Dropped(); n < 9000 || n > 10_000 {
		t.Errorf("%d dropped", n)
	}
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if n := len(h.pending.decisions); n > 100 {
		t.Errorf("%d wait, at most 100", n)
	}
	total := int64(0)
	for c, n := range h.pending.counts {
		if c.kind == scoreKind {
			total += n.n
		}
	}
	if total != 10_000 {
		t.Errorf("histograms count %d of 10,000", total)
	}
}

func TestManyWriters(t *testing.T) {
	both(t, Config{}, func(t *testing.T, h *History, at *clock, dsn string) {
		second := must(Open(t.Context(), dsn, Config{Now: at.now})) // another replica, or a tool beside the server
		defer second.Close()
		var wait sync.WaitGroup
		for k := range 8 {
			wait.Go(func() {
				to := []*History{h, second}[k%2]
				for i := range 50 {
					to.Decisions("m", fmt.Sprint(k), table([]float32{float32(i)}), []guard.Decision{{Score: float64(i)}})
					if i%10 == 0 {
						if err := to.Flush(context.Background()); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wait.Wait()
		flush(t, h)
		flush(t, second)
		rows := int64(0)
		for _, s := range must(h.Scores(t.Context(), "m", at.now().Add(-time.Hour), at.now().Add(time.Hour), time.Hour)) {
			for _, b := range s.Bins {
				rows += b.Rows
			}
		}
		if queue := must(h.Queue(t.Context(), "m", 0, 1000)); rows != 400 || len(queue) != 400 {
			t.Errorf("%d rows counted and %d kept, want 400", rows, len(queue))
		}
	})
}

func TestScoreBins(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	values := []float64{0, 1, -1, 0.5, 2, math.MaxFloat64, math.SmallestNonzeroFloat64, -math.MaxFloat64, math.Inf(1), math.Inf(-1), math.Nextafter(1, 0)}
	for range 2000 {
		values = append(values, math.Ldexp(random.Float64()-0.5, random.IntN(400)-200))
	}
	for _, v := range values {
		low, high := scoreEdges(scoreBin(v))
		inside := low <= v && v < high || v < 0 && low < v && v <= high || math.Abs(v) < 1e-300 && low == 0 && high == 0
		if math.IsInf(v, 0) {
			inside = math.IsInf(high, 1) || math.IsInf(low, -1)
		}
		if !inside {
			t.Errorf("%g is in the bin of %g to %g", v, low, high)
		}
		if !math.IsInf(v, 0) && v != 0 && !math.IsInf(high, 0) && !math.IsInf(low, 0) && math.Abs(v) > 1e-300 && math.Max(math.Abs(low), math.Abs(high)) > 1.13*math.Min(math.Abs(low), math.Abs(high)) {
			t.Errorf("the bin of %g reaches from %g to %g", v, low, high)
		}
		for _, w := range values[:60] {
			if v < w && scoreBin(v) > scoreBin(w) {
				t.Errorf("bins do not ascend from %g to %g", v, w)
			}
		}
	}
	for _, p := range []float64{0, 0.05, 0.0499999, 1, 0.999} {
		low, high := edges(pValueKind, pBin(p))
		if !(low <= p && (p < high || p == 1)) {
			t.Errorf("p %g is in the bin of %g to %g", p, low, high)
		}
	}
}

func TestExchange(t *testing.T) {
	both(t, Config{}, func(t *testing.T, h *History, _ *clock, _ string) {
		ctx := t.Context()
		first := must(guard.Fit(ctx, detect.Methods(), guard.Config{Alpha: 0.1}, rows(1, 300, "a", "b")))
		var replicas []*live.Guard
		known := []map[string]string{{}, {}, {}}
		for i := range known {
			g := must(live.Open(t.TempDir(), detect.Methods(), first, live.Config{}))
			defer g.Close()
			replicas = append(replicas, g)
			if err := g.Learn(ctx, rows(uint64(10+i), 6+i, "owl", "a"), true); err != nil {
				t.Fatal(err)
			}
		}
		round := func() {
			for i, g := range replicas {
				if err := h.Exchange(ctx, g, detect.Methods(), "m", fmt.Sprint("replica ", i), known[i]); err != nil {
					t.Fatal(err)
				}
			}
		}
		round()
		if err := replicas[2].Learn(ctx, rows(40, 3, "b"), true); err != nil {
			t.Fatal(err)
		}
		round()
		round()
		one := first
		for _, r := range []*data.Table{rows(10, 6, "owl", "a"), rows(11, 7, "owl", "a"), rows(12, 8, "owl", "a"), rows(40, 3, "b")} {
			one = must(one.Update(ctx, r, true))
		}
		for i, g := range replicas {
			if g.Guard().Hash() != one.Hash() {
				t.Errorf("replica %d differs from one guard that saw everything", i)
			}
		}
		before := replicas[0].Status().Commands
		round()
		if replicas[0].Status().Commands != before {
			t.Error("nothing changed, and it was taken in again")
		}
	})
}

// rows draws n rows of 3 Gaussian columns, the classes in turn.
func rows(seed uint64, n int, classes ...string) *data.Table {
	r := rand.New(rand.NewPCG(seed, 7))
	x, names := make([]float32, 3*n), make([]string, n)
	for i := range x {
		names[i/3] = classes[i/3%len(classes)]
		x[i] = float32(r.NormFloat64() + 5*math.Sin(float64(names[i/3][0])*float64(i%3+1)))
	}
	return must(must(data.NewTable(n, 3, x)).WithClassNames(names))
}

func TestRefusesWhatIsNoDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	os.WriteFile(path, []byte(strings.Repeat("not a database ", 100)), 0o600)
	if _, err := Open(t.Context(), path, Config{}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
	defer stop()
	if _, err := Open(ctx, "postgres://u:secret@127.0.0.1:1/x?connect_timeout=1", Config{}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
	if _, err := Open(ctx, "postgres://u:secret@%zz", Config{}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
}

func BenchmarkDecisions(b *testing.B) {
	h := must(Open(b.Context(), filepath.Join(b.TempDir(), "h.db"), Config{}))
	defer h.Close()
	in, ds := table(make([]float32, 512)), []guard.Decision{{Score: 5, PValue: 0.5, Accept: true}}
	for b.Loop() {
		h.Decisions("m", "", in, ds)
	}
}
