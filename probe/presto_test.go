package probe_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/probe"
)

func ExamplePRESTO() {
	// Visits that end with a look, a click or a purchase, by the seconds spent.
	train, _ := data.NewTable(10, 1, []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	train, _ = train.WithClassNames([]string{"view", "view", "view", "click", "view", "click", "view", "click", "buy", "click"})
	m, err := probe.PRESTO{Order: "view,click,buy"}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(2, 1, []float32{2, 9})
	p, _ := m.Predict(query)
	for i := range 2 {
		fmt.Printf("%s %.2f, %s %.2f, %s %.2f\n", p.Columns()[0], p.Row(i)[0], p.Columns()[1], p.Row(i)[1], p.Columns()[2], p.Row(i)[2])
	}
	// Output:
	// view 0.90, click 0.09, buy 0.00
	// view 0.09, click 0.66, buy 0.25
}

func fitPRESTO(t testing.TB, c probe.PRESTO, train *data.Table) *probe.PRESTOModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func predicted(t testing.TB, m method.Predictor, in *data.Table) []float64 {
	t.Helper()
	p, err := m.Predict(in)
	if err != nil {
		t.Fatal(err)
	}
	return wide(p.X())
}

// standard returns a fit's thresholds for columns of deviation one.
func standard(m *probe.PRESTOModel, s summary) (weights, intercept []float64) {
	_, w, intercept := m.Thresholds()
	t := len(intercept)
	for i, v := range w {
		weights = append(weights, v*math.Sqrt(s.total[i/t]))
	}
	return weights, intercept
}

// TestPRESTOGolden holds fits to those of cvxpy 1.9.3 with Clarabel, given the objective as the documentation writes it, z the
// columns less their mean over their deviation:
//
//	cp.Problem(cp.Minimize(loss/n + first*cp.norm1(b[0]) + fusion*cp.norm1(b[1]-b[0]) + ridge/2*cp.sum_squares(b)))
//
// with gaps of 1e-11 asked for; weights come out good to about 1e-6.
func TestPRESTOGolden(t *testing.T) {
	train := waves(t)
	s := summarise(t, train)
	for _, c := range []struct {
		fit                probe.PRESTO
		objective          float64
		intercept, weights []float64 // D×2
	}{
		{probe.PRESTO{}, 0.8853598937437079, []float64{-0.8908413900961493, 0.8847211829744437},
			[]float64{1.1526605449847018, 0.9822067933730346, -0.40542990130680995, 0.06755332756481847, -0.478190041984448, -0.3887272333880753, 0.04177035979908109, 0.04177035980101116, 0.06502966705123508, 0.6192259054821792}},
		{probe.PRESTO{Fusion: 3e-2}, 0.9406677935450887, []float64{-0.7904638175089382, 0.8786990410928621},
			[]float64{0.9498364560895038, 0.9498364560892182, -0.1964648178696588, 0.06694414597351335, -0.3126497644425495, -0.31264976444234177, 0, 0, 0, 0.5288999567305377}},
		{probe.PRESTO{Fusion: 2e-2, FusionOnly: true}, 0.8749721295249895, []float64{-0.895858046095485, 0.8768087796299318},
			[]float64{1.1964833428198052, 1.028540241072052, -0.4775190393028159, 0.031013422300248093, -0.5670895296283697, -0.44616705477479557, 0.09525030856740334, 0.09525030856669622, 0.1776176172128511, 0.6564037589294175}},
	} {
		m := fitPRESTO(t, c.fit, train)
		r := m.Report()
		near(t, fmt.Sprintf("%+v: objective", c.fit), []float64{r["objective"]}, []float64{c.objective}, 1e-9)
		weights, intercept := standard(m, s)
		near(t, fmt.Sprintf("%+v: intercepts", c.fit), intercept, c.intercept, 1e-5)
		near(t, fmt.Sprintf("%+v: weights", c.fit), weights, c.weights, 1e-5)
		if r["kkt_residual"] > 1e-10 {
			t.Errorf("%+v: a condition is off by %g", c.fit, r["kkt_residual"])
		}
	}
}

// TestPRESTOLimitIsProportionalOdds holds the limit to statsmodels 0.15.0:
//
//	m = OrderedModel(y, z, distr="logit").fit(method="bfgs", gtol=1e-10, maxiter=10000)
//	m.mle_retvals["fopt"], m.params, m.model.predict(m.params, exog=z[:2])
//
// which ends at a gradient of about 1e-6. Its thresholds are those of threshold − z·params.
func TestPRESTOLimitIsProportionalOdds(t *testing.T) {
	train := waves(t)
	m := fitPRESTO(t, probe.PRESTO{Fusion: 1e3, FusionOnly: true, Ridge: 1e-9}, train)
	weights, intercept := standard(m, summarise(t, train))
	var want []float64
	for _, v := range []float64{-1.129725493393271, 0.2540203400405633, 0.5804716708177687, -0.12361470789079261, -0.4742081321222482} {
		want = append(want, -v, -v)
	}
	near(t, "weights", weights, want, 1e-4)
	near(t, "intercepts", intercept, []float64{-0.91892581, 0.97314954}, 1e-4)
	near(t, "probabilities", predicted(t, m, train.Slice(0, 2)), []float64{0.7857527216617377, 0.17476371518810352, 0.039483563150158774, 0.10918935576514202, 0.33925133191215584, 0.5515593123227021}, 1e-5)
	if m.Proportional() != 1 {
		t.Errorf("%g of the columns have one weight at all thresholds", m.Proportional())
	}
}

// TestPRESTOOfTwoClassesIsLogistic: with one threshold and no penalty it is logistic regression.
func TestPRESTOOfTwoClassesIsLogistic(t *testing.T) {
	train := toy(t, 11, 400, 3, 2)
	want, _ := asked(t, fitLogistic(t, probe.Logistic{Ridge: 1e-9}, train), train)
	near(t, "probabilities", predicted(t, fitPRESTO(t, probe.PRESTO{Fusion: 1, FusionOnly: true, Ridge: 1e-9}, train), train), want, 1e-5)
}

// rungs is a table whose classes are steps along a noisy slope, the weights changing a little from one to the next.
func rungs(t testing.TB, seed uint64, n, d, k int) *data.Table {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 7))
	x, names := make([]float32, n*d), make([]string, n)
	for i := range n {
		u := r.Float64()
		odds, c := math.Log(u/(1-u)), 0
		for j := range d {
			x[i*d+j] = float32(math.Round(r.NormFloat64()*1024) / 1024)
		}
		for th := range k - 1 {
			eta := 2 * (float64(th) - float64(k-2)/2)
			for j := range d {
				w := 1.0
				if j == th%d {
					w = 0.5
				}
				eta += w * float64(x[i*d+j])
			}
			if eta < odds {
				c = th + 1
			}
		}
		names[i] = fmt.Sprint(c)
	}
	tab, err := data.NewTable(n, d, x)
	if err != nil {
		t.Fatal(err)
	}
	if tab, err = tab.WithClassNames(names); err != nil {
		t.Fatal(err)
	}
	return tab
}

// TestPRESTOMirrored: with the order turned round and nothing but differences penalised, it is the same fit.
func TestPRESTOMirrored(t *testing.T) {
	train := rungs(t, 1, 500, 4, 4)
	n, _ := train.Dims()
	c := probe.PRESTO{Fusion: 5e-3, FusionOnly: true, Order: "0,1,2,3"}
	there := predicted(t, fitPRESTO(t, c, train), train)
	c.Order = "3, 2, 1, 0"
	m := fitPRESTO(t, c, train)
	if p, _ := m.Predict(train); !slices.Equal(p.Columns(), []string{"3", "2", "1", "0"}) {
		t.Errorf("columns %v", p.Columns())
	}
	back := predicted(t, m, train)
	for i := range n {
		slices.Reverse(back[4*i : 4*i+4])
	}
	near(t, "probabilities", back, there, 1e-6)
}

// TestPRESTOAgainstSearch: no step in any direction, along or off the kinks, lowers the objective by its definition.
func TestPRESTOAgainstSearch(t *testing.T) {
	train := rungs(t, 2, 40, 2, 4)
	s := summarise(t, train)
	for _, c := range []probe.PRESTO{{Fusion: 2e-2}, {Fusion: 5e-2, FusionOnly: true}, {Fusion: 1e-3}} {
		m := fitPRESTO(t, c, train)
		weights, intercept := standard(m, s)
		ridge := 1e-6
		value := func() float64 {
			sum := 0.0
			for i, l := range s.labels {
				before := 0.0
				for k := range s.k {
					f := 1.0
					if k < s.k-1 {
						eta := intercept[k]
						for j, v := range train.Row(i) {
							eta += weights[j*(s.k-1)+k] * (float64(v) - s.mean[j]) / math.Sqrt(s.total[j])
						}
						f = 1 / (1 + math.Exp(-eta))
					}
					w := 1e-6 / float64(s.k)
					if k == slices.Index([]string{"0", "1", "2", "3"}, train.Classes()[l]) {
						w += 1 - 1e-6
					}
					if f <= before {
						return math.Inf(1)
					}
					sum -= w * math.Log(f-before) / float64(s.n)
					before = f
				}
			}
			for i, w := range weights {
				sum += ridge / 2 * w * w
				switch {
				case i%(s.k-1) > 0:
					sum += c.Fusion * math.Abs(w-weights[i-1])
				case !c.FusionOnly:
					sum += c.Fusion * math.Abs(w)
				}
			}
			return sum
		}
		best := value()
		near(t, fmt.Sprintf("%+v: objective", c), []float64{m.Report()["objective"]}, []float64{best}, 1e-9)
		r := rand.New(rand.NewPCG(3, 3))
		for range 3000 {
			w, a := slices.Clone(weights), slices.Clone(intercept)
			size := math.Pow(10, -1-4*r.Float64())
			for i := range weights {
				switch {
				case r.IntN(2) == 0:
				case i%(s.k-1) > 0 && r.IntN(2) == 0:
					weights[i] += weights[i-1] - w[i-1] // moves with the one before, as when they are fused
				default:
					weights[i] += size * r.NormFloat64()
				}
			}
			for i := range intercept {
				intercept[i] += size * r.NormFloat64() * float64(r.IntN(2))
			}
			if v := value(); v < best-1e-12 {
				t.Fatalf("%+v: a step of %g lowers the objective from %.15g by %g", c, size, best, best-v)
			}
			copy(weights, w)
			copy(intercept, a)
		}
	}
}

func TestPRESTOPathAndFolds(t *testing.T) {
	train := rungs(t, 4, 600, 4, 4)
	fusions := []float64{1, 3e-2, 3e-3, 3e-4}
	path, err := (probe.PRESTO{}).Path(t.Context(), train, fusions)
	if err != nil {
		t.Fatal(err)
	}
	before := 2.0
	for i, m := range path {
		near(t, "objective on the path", []float64{m.Report()["objective"]}, []float64{fitPRESTO(t, probe.PRESTO{Fusion: fusions[i]}, train).Report()["objective"]}, 1e-12)
		if m.Proportional() > before {
			t.Errorf("fusion %g: the share of proportional columns grew to %g", fusions[i], m.Proportional())
		}
		before = m.Proportional()
	}
	// A huge penalty leaves the shares of the classes.
	s := summarise(t, train)
	shares := make([]float64, 4)
	for l, name := range train.Classes() {
		shares[int(name[0]-'0')] = s.counts[l] / 600
	}
	near(t, "shares", predicted(t, path[0], train.Slice(0, 1)), shares, 1e-5)
	if m := fitPRESTO(t, probe.PRESTO{Folds: 5}, train); m.Fusion() >= 0.1 || m.Fusion() < 1e-4 {
		t.Errorf("chosen fusion %g", m.Fusion())
	}
	names := make([]string, 600) // labels by chance
	for i, v := range rand.New(rand.NewPCG(1, 1)).Perm(600) {
		names[i] = fmt.Sprint(v % 3)
	}
	noise, _ := train.WithClassNames(names)
	if m := fitPRESTO(t, probe.PRESTO{Folds: 5}, noise); m.Fusion() < 1e-2 {
		t.Errorf("labels by chance: chosen fusion %g", m.Fusion())
	}
	if _, err := (probe.PRESTO{}).Path(t.Context(), train, []float64{-1}); !errors.Is(err, method.ErrConfig) {
		t.Errorf("a negative penalty: %v", err)
	}
}

func TestPRESTOCrossingThresholds(t *testing.T) {
	// Weights of opposite sign: far out the thresholds cross, and probabilities stay probabilities.
	r := rand.New(rand.NewPCG(5, 5))
	x, names := make([]float32, 300), make([]string, 300)
	for i := range x {
		x[i] = float32(r.NormFloat64())
		names[i] = "b"
		if u := r.Float64(); u < 1/(1+math.Exp(2-float64(x[i]))) {
			names[i] = "a"
		} else if u > 1/(1+math.Exp(-2-float64(-x[i]))) {
			names[i] = "c"
		}
	}
	train, _ := data.NewTable(300, 1, x)
	train, _ = train.WithClassNames(names)
	m := fitPRESTO(t, probe.PRESTO{Fusion: 1e-3}, train)
	for i, v := range predicted(t, m, train) {
		if v <= 0 {
			t.Errorf("training row %d, class %d: probability %g", i/3+1, i%3, v)
		}
	}
	far, _ := data.NewTable(2, 1, []float32{50, -50})
	p := predicted(t, m, far)
	for i := range 2 {
		if sum := p[3*i] + p[3*i+1] + p[3*i+2]; math.Abs(sum-1) > 1e-6 || slices.Min(p[3*i:3*i+3]) < 0 {
			t.Errorf("row %d: %v", i+1, p[3*i:3*i+3])
		}
	}
	if p[1] != 0 {
		t.Errorf("beyond the crossing the middle class has probability %g", p[1])
	}
}

func TestPRESTOBadRows(t *testing.T) {
	x, _ := data.NewTable(4, 1, []float32{1, 2, 8, 9})
	apart, _ := x.WithClassNames([]string{"low", "low", "high", "high"})
	// Rows that a threshold separates have a finite answer all the same, with free weights too.
	for _, c := range []probe.PRESTO{{}, {FusionOnly: true}} {
		if r := fitPRESTO(t, c, apart).Report(); r["kkt_residual"] > 1e-8 {
			t.Errorf("%+v: %v", c, r)
		}
	}
	_, err := probe.PRESTO{Order: "low,mid"}.Fit(t.Context(), apart)
	if !errors.Is(err, data.ErrLabels) || !strings.Contains(err.Error(), "row 3") || !strings.Contains(err.Error(), `"high"`) {
		t.Errorf("a label outside the order: %v", err)
	}
	if _, err := (probe.PRESTO{Order: "low,high,low"}).Fit(t.Context(), apart); !errors.Is(err, method.ErrConfig) {
		t.Errorf("a class named twice: %v", err)
	}
	// A class of the order without rows is left out; one row a class is enough; one class alone is certain.
	if p, err := fitPRESTO(t, probe.PRESTO{Order: "low,mid,high"}, apart).Predict(x); err != nil || fmt.Sprint(p.Columns()) != "[low high]" {
		t.Errorf("classes %v (%v)", p.Columns(), err)
	}
	each, _ := x.WithClassNames([]string{"1", "2", "3", "10"})
	if p, err := fitPRESTO(t, probe.PRESTO{}, each).Predict(x); err != nil || fmt.Sprint(p.Columns()) != "[1 2 3 10]" {
		t.Errorf("classes %v (%v)", p.Columns(), err)
	}
	one, _ := x.WithClassNames([]string{"a", "a", "a", "a"})
	if p := predicted(t, fitPRESTO(t, probe.PRESTO{}, one), x); p[0] != 1 || p[3] != 1 {
		t.Errorf("probabilities %v of the only class", p)
	}
	if _, err := (probe.PRESTO{Folds: 3}).Fit(t.Context(), apart); !errors.Is(err, method.ErrDegenerate) {
		t.Errorf("three folds of two rows: %v", err)
	}
}
