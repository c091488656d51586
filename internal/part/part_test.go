package part

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestConformalAgainstDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		n := 1 + r.IntN(30)
		scores := make([]float64, n)
		for i := range scores {
			scores[i] = float64(r.IntN(8)) // many ties
		}
		c := NewConformal(scores)
		for s := -1.0; s < 9; s += 0.5 {
			above := 0
			for _, v := range scores {
				if v >= s {
					above++
				}
			}
			want := float64(1+above) / float64(n+1)
			if got := c.PValue(s); got != want {
				t.Fatalf("p(%g) = %g, want %g", s, got, want)
			}
			for _, alpha := range []float64{0.05, 0.1, 0.25, 0.5, 0.9} {
				if accept := c.PValue(s) > alpha; accept != (s <= c.Threshold(alpha)) {
					t.Fatalf("α %g, score %g: p-value accepts %v, threshold %g does not agree", alpha, s, accept, c.Threshold(alpha))
				}
			}
		}
	}
}

func TestConformalRefusesTooFewRows(t *testing.T) {
	for _, c := range []struct {
		rows  int
		alpha float64
		ok    bool
	}{{19, 0.05, true}, {18, 0.05, false}, {99, 0.01, true}, {98, 0.01, false}, {1000, 0, false}, {1000, 1, false}, {1000, math.NaN(), false}} {
		if err := NewConformal(make([]float64, c.rows)).Check(c.alpha); (err == nil) != c.ok {
			t.Errorf("%d rows at %g: %v", c.rows, c.alpha, err)
		}
	}
}

func TestConformalFalseAlarmRate(t *testing.T) {
	// Marginal over calibration samples: 4000 trials at 0.1 have a standard error of 0.005.
	r := rand.New(rand.NewPCG(2, 2))
	alarms := 0
	for range 4000 {
		cal := make([]float64, 29)
		for i := range cal {
			cal[i] = r.ExpFloat64()
		}
		if NewConformal(cal).PValue(r.ExpFloat64()) <= 0.1 {
			alarms++
		}
	}
	if rate := float64(alarms) / 4000; math.Abs(rate-0.1) > 0.02 {
		t.Errorf("false-alarm rate %.4f at level 0.1", rate)
	}
}

// The bets must have expectation one under the urn: summing the next evidence over all bins, weighted by the urn, gives the present one.
func TestExchangeabilityIsAMartingale(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	cal := make([]float64, 57)
	for i := range cal {
		cal[i] = r.NormFloat64()
	}
	e := NewExchangeability(cal, 0.01, 1)
	for range 300 {
		before := math.Exp(e.LogEvidence())
		total, mean := 0.0, 0.0
		for _, w := range e.state.Weight {
			total += w
		}
		for b, w := range e.state.Weight {
			f := *e
			f.state.Weight, f.state.Log, f.state.Recent = slices.Clone(e.state.Weight), slices.Clone(e.state.Log), slices.Clone(e.state.Recent)
			var inside float64 // a score in bin b
			switch {
			case b == 0:
				inside = e.cut[0].Score - 1
			case b == len(e.cut):
				inside = e.cut[b-1].Score + 1
			default:
				inside = (e.cut[b-1].Score + e.cut[b].Score) / 2
			}
			f.Observe(inside)
			mean += w / total * math.Exp(f.LogEvidence())
		}
		if math.Abs(mean-before) > 1e-10*before {
			t.Fatalf("row %d: expected next evidence %.12g, present %.12g", e.Rows(), mean, before)
		}
		e.Observe(r.NormFloat64()*1.3 + 0.4)
	}
}

func TestExchangeabilityAlarms(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	sample := func(n int, shift float64, discrete bool) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = r.NormFloat64() + shift
			if discrete {
				x[i] = math.Round(2 * x[i])
			}
		}
		return x
	}
	for _, discrete := range []bool{false, true} {
		false_, caught, delay := 0, 0, 0
		const streams = 300
		for s := range streams {
			e := NewExchangeability(sample(200, 0, discrete), 0.05, uint64(s))
			for _, x := range sample(1500, 0, discrete) {
				e.Observe(x)
			}
			if e.AlarmAt() > 0 {
				false_++
				continue
			}
			for _, x := range sample(400, 1, discrete) {
				e.Observe(x)
			}
			if e.AlarmAt() > 0 {
				caught++
				delay += e.AlarmAt() - 1500
			}
		}
		// At most 5 % in expectation: 300 streams with mean 15 exceed 27 with probability 0.002.
		if false_ > 27 {
			t.Errorf("discrete %v: %d of %d unchanged streams alarmed at 0.05", discrete, false_, streams)
		}
		if caught < (streams-false_)*95/100 || delay/max(caught, 1) > 150 {
			t.Errorf("discrete %v: a shift of one standard deviation was caught in %d of %d streams, after %d rows on average", discrete, caught, streams-false_, delay/max(caught, 1))
		}
	}
}

func TestExchangeabilityResumes(t *testing.T) {
	cal := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9}
	whole, first := NewExchangeability(cal, 0.01, 7), NewExchangeability(cal, 0.01, 7)
	for _, cut := range []int{0, 5} {
		for i := range cut {
			whole.Observe(float64(i * 3 % 10))
			first.Observe(float64(i * 3 % 10))
		}
		saved, err := json.Marshal(first)
		if err != nil {
			t.Fatal(err)
		}
		second := NewExchangeability(cal, 0.01, 7)
		if err := second.Resume(saved); err != nil {
			t.Fatal(err)
		}
		for i := range 9 {
			whole.Observe(float64(i))
			second.Observe(float64(i))
		}
		if whole.LogEvidence() != second.LogEvidence() {
			t.Errorf("cut %d: evidence %v resumed, %v whole", cut, second.LogEvidence(), whole.LogEvidence())
		}
		first = second
	}
	if NewExchangeability(cal[:3], 0.01, 7).Resume([]byte(`{"Weight":[1]}`)) == nil {
		t.Error("a foreign state was taken")
	}
}

// TestTemperatureOfSeparatedRows: rows at one distance get just the doubt as their wrong classes' probability; rows at different
// ones in the mean weighted by distance. Without doubt the temperature goes to its bound.
func TestTemperatureOfSeparatedRows(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 5))
	for _, k := range []int{2, 5} {
		for _, n := range []int{5, 300} {
			doubt := 1 / float64(n+2)
			gaps := func(draw func() float64) (logits []float64, labels []int) {
				logits, labels = make([]float64, n*k), make([]int, n)
				for i := range n {
					labels[i] = i % k
					logits[i*k+labels[i]] = draw()
				}
				return logits, labels
			}
			logits, labels := gaps(func() float64 { return 0.7 })
			want := 0.7 / math.Log((1-doubt)*float64(k-1)/doubt)
			if got := Temperature(logits, labels, k, doubt); math.Abs(got-want) > 1e-9*want {
				t.Errorf("%d rows of %d classes at one distance: %.12g, want %.12g", n, k, got, want)
			}
			logits, labels = gaps(func() float64 { return 0.2 + r.Float64() })
			got := Temperature(logits, labels, k, doubt)
			wrong, all := 0.0, 0.0
			for i, y := range labels {
				g := logits[i*k+y]
				others := float64(k-1) * math.Exp(-g/got)
				wrong, all = wrong+g*others/(1+others), all+g
			}
			if math.Abs(wrong/all-doubt) > 1e-9 {
				t.Errorf("%d rows of %d classes: the wrong classes get %.12g, want %.12g", n, k, wrong/all, doubt)
			}
			if sure := Temperature(logits, labels, k, 0); sure > 0.01 {
				t.Errorf("without doubt %g, want next to none", sure)
			}
		}
	}
}

func TestTemperatureRecovers(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	n, k := 20000, 4
	logits, labels := make([]float64, n*k), make([]int, n)
	for i := range n {
		p := make([]float64, k)
		sum := 0.0
		for c := range p {
			logits[i*k+c] = 2 * r.NormFloat64()
			p[c] = math.Exp(logits[i*k+c] / 3) // the labels follow T = 3
			sum += p[c]
		}
		u := r.Float64() * sum
		for u > p[labels[i]] && labels[i] < k-1 {
			u -= p[labels[i]]
			labels[i]++
		}
	}
	if got := Temperature(logits, labels, k, 0); math.Abs(got-3) > 0.15 {
		t.Errorf("temperature %.3f, want 3", got)
	}
	for i := range labels {
		labels[i] = -1
	}
	if got := Temperature(logits, labels, k, 0); got != 1 {
		t.Errorf("without labels %g, want 1", got)
	}
}
