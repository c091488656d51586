package weights_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/weights"
)

func ExampleSoup() {
	a := &data.Checkpoint{Tensors: map[string]data.Tensor{"w": data.CastTensor(data.F32, []float64{1, 2, 3}, 3)}}
	b := &data.Checkpoint{Tensors: map[string]data.Tensor{"w": data.CastTensor(data.F32, []float64{3, 2, 0}, 3)}}
	soup, err := weights.Soup{}.Apply(context.Background(), weights.SoupInput{In: data.Checkpoints{a, b}})
	if err != nil {
		panic(err)
	}
	w, _, _ := soup.Floats("w", 3)
	fmt.Println(w, "from", soup.Meta["soup.ingredients"])
	// Output:
	// [2 2 1.5] from ["1","2"]
}

func checkpoint(n *net.Net) *data.Checkpoint {
	c := &data.Checkpoint{Meta: map[string]string{}, Tensors: map[string]data.Tensor{}}
	for _, t := range n.Tensors() {
		var raw []byte
		for _, v := range t.Values {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
		tensor, err := data.NewTensor(data.F32, t.Shape, raw)
		if err != nil {
			panic(err)
		}
		c.Tensors[t.Name] = tensor
	}
	return c
}

// blobs is n rows of k classes in d columns.
func blobs(seed uint64, n, d, k int) *data.Table {
	r := rand.New(rand.NewPCG(seed, 0))
	centres := make([]float64, k*d)
	c := rand.New(rand.NewPCG(77, uint64(d)))
	for i := range centres {
		centres[i] = 1.2 * c.NormFloat64()
	}
	x, names := make([]float32, n*d), make([]string, n)
	for i := range n {
		label := i % k
		names[i] = strconv.Itoa(label)
		for j := range d {
			x[i*d+j] = float32(centres[label*d+j] + r.NormFloat64())
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

func holdout(t testing.TB, rows *data.Table) *weights.Holdout {
	t.Helper()
	h, err := weights.NewHoldout(rows)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func train(t testing.TB, n *net.Net, rows *data.Table, recipe net.Train) *net.Net {
	t.Helper()
	labels, err := rows.Labels()
	if err != nil {
		t.Fatal(err)
	}
	n = n.Clone()
	if _, err := recipe.Run(t.Context(), n, rows.X(), labels); err != nil {
		t.Fatal(err)
	}
	return n
}

// sweep fine-tunes one start m times: other seeds, rates and smoothing.
func sweep(t testing.TB, start *net.Net, rows *data.Table, m int) (nets []*net.Net, all data.Checkpoints) {
	t.Helper()
	for i := range m {
		n := train(t, start, rows, net.Train{Epochs: 2, Batch: 32, Rate: 0.02 * float64(1+i%3), Momentum: 0.9, Smoothing: 0.05 * float64(i%2), Seed: uint64(i)})
		nets, all = append(nets, n), append(all, checkpoint(n))
	}
	return nets, all
}

func soup(t testing.TB, c weights.Soup, in weights.SoupInput) *data.Checkpoint {
	t.Helper()
	out, err := c.Apply(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func list(t testing.TB, c *data.Checkpoint, key string) (values []float64) {
	t.Helper()
	var text []string
	if err := json.Unmarshal([]byte(c.Meta[key]), &text); err != nil {
		t.Fatalf("metadata %s = %q: %v", key, c.Meta[key], err)
	}
	for _, s := range text {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	return values
}

func hash(t testing.TB, c *data.Checkpoint) string {
	t.Helper()
	h, err := c.Hash()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestSoupOfLinearModelsIsTheirEnsemble(t *testing.T) {
	rows := blobs(1, 300, 12, 4)
	nets, all := sweep(t, net.New(1, 12, 4), rows, 5)
	out := soup(t, weights.Soup{}, weights.SoupInput{In: all})
	var ts []net.Tensor
	for _, name := range out.Names() {
		v, shape, err := out.Floats(name, out.Tensors[name].Shape...)
		if err != nil {
			t.Fatal(err)
		}
		f := make([]float32, len(v))
		for i := range v {
			f[i] = float32(v[i])
		}
		ts = append(ts, net.Tensor{Name: name, Shape: shape, Values: f})
	}
	mixed, err := net.FromTensors(ts)
	if err != nil {
		t.Fatal(err)
	}
	ensemble := make([]float64, 300*4)
	for _, n := range nets {
		for i, z := range n.Logits(rows.X(), 300) {
			ensemble[i] += float64(z) / 5
		}
	}
	for i, z := range mixed.Logits(rows.X(), 300) {
		if math.Abs(float64(z)-ensemble[i]) > 1e-5 { // 12 products of size ≤ 10 in float32, twice
			t.Fatalf("logit %d: soup %.8f, ensemble %.8f", i, z, ensemble[i])
		}
	}
}

// many makes m checkpoints with tensors of every floating-point type, hard to sum.
func many(seed uint64, m int) data.Checkpoints {
	r := rand.New(rand.NewPCG(seed, 5))
	var all data.Checkpoints
	for range m {
		c := &data.Checkpoint{Meta: map[string]string{"format": "pt"}, Tensors: map[string]data.Tensor{
			"steps": data.Int64Tensor([]int64{1 << 60, -3}, 2),
		}}
		for _, dtype := range []data.DType{data.F64, data.F32, data.F16, data.BF16} {
			v := make([]float64, 9001) // more than two stretches
			for i := range v {
				v[i] = math.Ldexp(r.NormFloat64(), (i*7)%26-13) * math.Ldexp(1, r.IntN(3))
			}
			v[0], v[1] = math.Copysign(0, -1), 0
			c.Tensors[string(dtype)] = data.CastTensor(dtype, v, 9001)
		}
		all = append(all, c)
	}
	return all
}

func TestSoupUniformIsTheSameInAnyOrder(t *testing.T) {
	all := many(1, 7)
	want := hash(t, soup(t, weights.Soup{}, weights.SoupInput{In: all}))
	r := rand.New(rand.NewPCG(2, 2))
	for range 5 {
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		if hash(t, soup(t, weights.Soup{}, weights.SoupInput{In: all})) != want {
			t.Fatal("another order gives other bytes")
		}
	}
}

func TestSoupOfCopiesIsTheCopy(t *testing.T) {
	one := many(3, 1)[0]
	for _, m := range []int{1, 2, 3, 11, 49} {
		out := soup(t, weights.Soup{}, weights.SoupInput{In: slices.Repeat(data.Checkpoints{one}, m)})
		for _, name := range one.Names() {
			want, err := one.Tensors[name].Bytes()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := out.Tensors[name].Bytes(); err != nil || !slices.Equal(got, want) {
				t.Errorf("%d copies: tensor %s is not the copy's (%v)", m, name, err)
			}
		}
	}
}

func TestSoupReadsOneTensorAtATime(t *testing.T) {
	var loads [3]atomic.Int64
	var all data.Checkpoints
	for i := range loads {
		c := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
		for _, name := range []string{"a", "b"} {
			lazy, err := data.LazyTensor(data.F32, []int{2}, func() ([]byte, error) {
				loads[i].Add(1)
				return make([]byte, 8), nil
			})
			if err != nil {
				t.Fatal(err)
			}
			c.Tensors[name] = lazy
		}
		all = append(all, c)
	}
	out := soup(t, weights.Soup{}, weights.SoupInput{In: all})
	for i := range loads {
		if n := loads[i].Load(); n != 0 {
			t.Errorf("checkpoint %d was read %d times before anybody asked", i+1, n)
		}
	}
	if _, err := out.Tensors["b"].Bytes(); err != nil {
		t.Fatal(err)
	}
	for i := range loads {
		if n := loads[i].Load(); n != 1 {
			t.Errorf("one tensor of the soup reads %d tensors of checkpoint %d", n, i+1)
		}
	}
}

func TestSoupMetadata(t *testing.T) {
	all := many(4, 2)
	all[0].Meta["note"], all[1].Meta["note"] = "x", "y"
	all[0].Meta["soup.path"], all[1].Meta["soup.path"] = "old", "old"
	for _, c := range all {
		c.Meta["sha256"] = "seal of something else"
	}
	out := soup(t, weights.Soup{}, weights.SoupInput{In: all})
	want := map[string]string{"format": "pt", "soup.strategy": "uniform", "soup.ingredients": `["1","2"]`}
	if fmt.Sprint(out.Meta) != fmt.Sprint(want) {
		t.Errorf("metadata %v, want %v", out.Meta, want)
	}
}

// table scores a soup of one-number checkpoints by that number.
type table func(w float64) float64

func (table) Kind() data.Kind { return data.KindEvaluator }

func (f table) Evaluate(_ context.Context, c *data.Checkpoint) (float64, error) {
	w, _, err := c.Floats("w", 1)
	if err != nil {
		return 0, err
	}
	return f(w[0]), nil
}

func numbers(values ...float64) (all data.Checkpoints) {
	for _, v := range values {
		all = append(all, &data.Checkpoint{Tensors: map[string]data.Tensor{"w": data.Float64Tensor([]float64{v}, 1)}})
	}
	return all
}

func TestSoupGreedyByHand(t *testing.T) {
	// Scores −|w−10|. Order: 9 (−1), 12 (−2), 8 (−2, later in the input), 30.
	// 9 alone −1; with 12: mean 10.5, −0.5, in; with 8: mean 29/3, −0.33, in; with 30: mean 14.75, out.
	out := soup(t, weights.Soup{Strategy: "greedy"}, weights.SoupInput{In: numbers(30, 12, 9, 8), Evaluate: table(func(w float64) float64 { return -math.Abs(w - 10) })})
	if got := list(t, out, "soup.ingredients"); !slices.Equal(got, []float64{3, 2, 4}) {
		t.Errorf("ingredients %v, want 3, 2, 4", got)
	}
	if got := list(t, out, "soup.scores"); !slices.Equal(got, []float64{-20, -2, -1, -2}) {
		t.Errorf("scores %v", got)
	}
	path := list(t, out, "soup.path")
	if len(path) != 3 || path[0] != -1 || path[1] != -0.5 || math.Abs(path[2]+1.0/3) > 1e-12 {
		t.Errorf("path %v, want −1, −0.5, −1/3", path)
	}
	if w, _, _ := out.Floats("w", 1); math.Abs(w[0]-29.0/3) > 1e-15 {
		t.Errorf("soup %v, want 29/3", w)
	}
}

func TestSoupGreedyTakesEqualScores(t *testing.T) {
	out := soup(t, weights.Soup{Strategy: "greedy"}, weights.SoupInput{In: numbers(1, 2, 3), Evaluate: table(func(float64) float64 { return 7 })})
	if got := list(t, out, "soup.ingredients"); !slices.Equal(got, []float64{1, 2, 3}) {
		t.Errorf("ingredients %v: a candidate that does not lower the score must go in, in input order", got)
	}
}

func TestSoupGreedyNeverFallsBelowTheBest(t *testing.T) {
	for seed := range uint64(8) {
		rows, held := blobs(seed, 200, 8, 4), holdout(t, blobs(seed+100, 120, 8, 4))
		_, all := sweep(t, train(t, net.New(seed, 8, 16, 4), rows, net.Train{Epochs: 1, Batch: 32, Rate: 0.05}), rows, 6)
		out := soup(t, weights.Soup{Strategy: "greedy"}, weights.SoupInput{In: all, Evaluate: held})
		path, scores := list(t, out, "soup.path"), list(t, out, "soup.scores")
		if path[0] != slices.Max(scores) || !slices.IsSorted(path) {
			t.Errorf("seed %d: scores %v, path %v", seed, scores, path)
		}
		if again, err := held.Evaluate(t.Context(), out); err != nil || again != path[len(path)-1] {
			t.Errorf("seed %d: the soup scores %v (%v), its metadata says %v", seed, again, err, path[len(path)-1])
		}
	}
}

func TestSoupNeedsACommonStart(t *testing.T) {
	rows, held := blobs(1, 600, 8, 4), holdout(t, blobs(2, 600, 8, 4))
	score := func(c *data.Checkpoint) float64 {
		v, err := held.Evaluate(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	recipe := net.Train{Epochs: 5, Batch: 32, Rate: 0.05, Momentum: 0.9}
	_, same := sweep(t, train(t, net.New(1, 8, 32, 32, 4), rows, recipe), rows, 4)
	var other data.Checkpoints
	for seed := range uint64(4) {
		other = append(other, checkpoint(train(t, net.New(10+seed, 8, 32, 32, 4), rows, recipe)))
	}
	together := score(soup(t, weights.Soup{}, weights.SoupInput{In: same}))
	apart := score(soup(t, weights.Soup{}, weights.SoupInput{In: other}))
	if single := score(same[0]); together < single-0.02 || apart > single-0.1 {
		t.Errorf("one model %.3f, soup from one start %.3f, from several %.3f", single, together, apart)
	}
}

// bowl has the loss ½·Σ(scale·θ − target)², whose gradients are exact.
type bowl map[string][]float64

func (bowl) Kind() data.Kind { return data.KindEvaluator }

func (bowl) Evaluate(context.Context, *data.Checkpoint) (float64, error) { return 0, nil }

func (b bowl) Loss(_ context.Context, c *data.Checkpoint, scale float64) (loss, byScale float64, gradient map[string][]float64, err error) {
	gradient = map[string][]float64{}
	for name, target := range b {
		theta, _, err := c.Floats(name, len(target))
		if err != nil {
			return 0, 0, nil, err
		}
		g := make([]float64, len(theta))
		for i, w := range theta {
			d := scale*w - target[i]
			loss, byScale, g[i] = loss+d*d/2, byScale+d*w, scale*d
		}
		gradient[name] = g
	}
	return loss, byScale, gradient, nil
}

func vectors(tensors ...map[string][]float64) (all data.Checkpoints) {
	for _, m := range tensors {
		c := &data.Checkpoint{Tensors: map[string]data.Tensor{"count": data.Int64Tensor([]int64{4}, 1)}}
		for name, v := range m {
			c.Tensors[name] = data.Float64Tensor(v, len(v))
		}
		all = append(all, c)
	}
	return all
}

func TestSoupLearnedFindsTheOptimum(t *testing.T) {
	// target = 2·(0.6·a + 0.3·b + 0.1·c): scale and weights are unique, for a, b, c are independent.
	a, b, c := []float64{1, 0, 0.5, 0}, []float64{0, 1, 0, 0.5}, []float64{0.3, 0.3, 1, 1}
	target := make([]float64, 4)
	for i := range target {
		target[i] = 2 * (0.6*a[i] + 0.3*b[i] + 0.1*c[i])
	}
	in := vectors(map[string][]float64{"x.weight": a}, map[string][]float64{"x.weight": b}, map[string][]float64{"x.weight": c})
	out := soup(t, weights.Soup{Strategy: "learned", Steps: 2000}, weights.SoupInput{In: in, Evaluate: bowl{"x.weight": target}})
	// It stops at derivatives of 1e-5 by the logarithms; curvature here is above 0.05.
	for i, want := range []float64{0.6, 0.3, 0.1} {
		if got := list(t, out, "soup.weights")[i]; math.Abs(got-want) > 1e-3 {
			t.Errorf("weight %d is %.6f, want %g", i+1, got, want)
		}
	}
	if got := list(t, out, "soup.scale")[0]; math.Abs(got-2) > 1e-3 {
		t.Errorf("scale %.6f, want 2", got)
	}
	if loss := list(t, out, "soup.loss"); loss[1] > 1e-6 || loss[0] < loss[1] {
		t.Errorf("loss from %g to %g", loss[0], loss[1])
	}
	if steps, err := strconv.Atoi(out.Meta["soup.steps"]); err != nil || steps >= 2000 {
		t.Errorf("%q steps: the derivatives never got small", out.Meta["soup.steps"])
	}
}

func TestSoupLearnedPerLayer(t *testing.T) {
	// Layer p wants the first checkpoint, layer q the second: one weighting for all cannot have both.
	in := vectors(
		map[string][]float64{"p.weight": {1, 0}, "p.bias": {1}, "q.weight": {5, 1}},
		map[string][]float64{"p.weight": {0, 1}, "p.bias": {-1}, "q.weight": {0, 2}},
	)
	want := bowl{"p.weight": {1, 0}, "p.bias": {1}, "q.weight": {0, 2}}
	global := soup(t, weights.Soup{Strategy: "learned", Steps: 300}, weights.SoupInput{In: in, Evaluate: want})
	layers := soup(t, weights.Soup{Strategy: "learned", Steps: 300, PerLayer: true}, weights.SoupInput{In: in, Evaluate: want})
	if a, b := list(t, global, "soup.loss")[1], list(t, layers, "soup.loss")[1]; b > 0.01*a {
		t.Errorf("loss %g with weights for each layer, %g without", b, a)
	}
	p, q := list(t, layers, "soup.weights.p"), list(t, layers, "soup.weights.q")
	if p[0] < 0.95 || q[1] < 0.95 {
		t.Errorf("weights %v and %v", p, q)
	}
}

func TestSoupLearnedOnANetwork(t *testing.T) {
	// No recipe in the convex hull may beat it, so least of all a single checkpoint or the uniform soup.
	rows, held := blobs(5, 200, 8, 4), holdout(t, blobs(6, 400, 8, 4))
	start := train(t, net.New(3, 8, 16, 4), rows, net.Train{Epochs: 1, Batch: 32, Rate: 0.05})
	_, all := sweep(t, start, rows, 3)
	all = append(all, checkpoint(net.New(9, 8, 16, 4))) // untrained
	out := soup(t, weights.Soup{Strategy: "learned"}, weights.SoupInput{In: all, Evaluate: held})
	w := list(t, out, "soup.weights")
	if sum := w[0] + w[1] + w[2] + w[3]; math.Abs(sum-1) > 1e-12 || slices.Min(w) < 0 {
		t.Errorf("weights %v are no shares of one", w)
	}
	long := soup(t, weights.Soup{Strategy: "learned", Steps: 2000}, weights.SoupInput{In: all, Evaluate: held})
	if a, b := list(t, out, "soup.loss")[1], list(t, long, "soup.loss")[1]; a > b+1e-5 {
		t.Errorf("loss %g after the default steps, %g after 2000", a, b)
	}
	loss, scale := list(t, out, "soup.loss"), list(t, out, "soup.scale")[0]
	got, _, _, err := held.Loss(t.Context(), out, scale)
	if err != nil || math.Abs(got-loss[1]) > 1e-6 {
		t.Errorf("loss of the soup %g (%v), its metadata says %g", got, err, loss[1])
	}
	for i, c := range append(all, soup(t, weights.Soup{}, weights.SoupInput{In: all})) {
		if single, _, _, _ := held.Loss(t.Context(), c, 1); single < loss[1] {
			t.Errorf("checkpoint %d alone has loss %g, the soup %g", i+1, single, loss[1])
		}
	}
}

func TestSoupErrors(t *testing.T) {
	w := func(dtype data.DType, v ...float64) *data.Checkpoint {
		return &data.Checkpoint{Tensors: map[string]data.Tensor{"w": data.CastTensor(dtype, v, len(v))}}
	}
	ints := func(v int64) *data.Checkpoint {
		return &data.Checkpoint{Tensors: map[string]data.Tensor{"bn.seen": data.Int64Tensor([]int64{v}, 1)}}
	}
	other := w(data.F32, 1)
	other.Tensors["v"] = other.Tensors["w"]
	score := table(func(w float64) float64 { return w })
	for name, test := range map[string]struct {
		c    weights.Soup
		in   weights.SoupInput
		kind error
		says string
	}{
		"none":        {in: weights.SoupInput{}, kind: method.ErrInput, says: "no checkpoints"},
		"nil":         {in: weights.SoupInput{In: data.Checkpoints{w(data.F32, 1), nil}}, kind: method.ErrInput, says: "checkpoint 2 is missing"},
		"shape":       {in: weights.SoupInput{In: data.Checkpoints{w(data.F32, 1), w(data.F32, 1, 2)}}, kind: data.ErrShape, says: `"w" is [2] in checkpoint 2, [1] in checkpoint 1`},
		"type":        {in: weights.SoupInput{In: data.Checkpoints{w(data.F32, 1), w(data.BF16, 1)}}, kind: data.ErrShape, says: `"w" is BF16 [1]`},
		"left over":   {in: weights.SoupInput{In: data.Checkpoints{w(data.F32, 1), other}}, kind: data.ErrShape, says: `only checkpoint 2 has "v"`},
		"lacking":     {in: weights.SoupInput{In: data.Checkpoints{other, w(data.F32, 1)}}, kind: data.ErrShape, says: `checkpoint 2 lacks "v"`},
		"integers":    {in: weights.SoupInput{In: data.Checkpoints{ints(3), ints(4)}}, kind: data.ErrShape, says: `"bn.seen" is I64, which cannot be blended`},
		"strategy":    {c: weights.Soup{Strategy: "best"}, in: weights.SoupInput{In: numbers(1)}, kind: method.ErrConfig, says: "best"},
		"no scores":   {c: weights.Soup{Strategy: "greedy"}, in: weights.SoupInput{In: numbers(1)}, kind: method.ErrInput, says: "--evaluate"},
		"no slopes":   {c: weights.Soup{Strategy: "learned"}, in: weights.SoupInput{In: numbers(1), Evaluate: score}, kind: method.ErrInput, says: "gradients"},
		"NaN score":   {c: weights.Soup{Strategy: "greedy"}, in: weights.SoupInput{In: numbers(1, 2), Evaluate: table(func(float64) float64 { return math.NaN() })}, kind: data.ErrFinite, says: "checkpoint 1"},
		"no gradient": {c: weights.Soup{Strategy: "learned"}, in: weights.SoupInput{In: numbers(1, 2), Evaluate: bowl{}}, kind: data.ErrShape, says: `0 values for tensor "w" of 1`},
		"no floats":   {c: weights.Soup{Strategy: "learned"}, in: weights.SoupInput{In: data.Checkpoints{ints(3)}, Evaluate: bowl{}}, kind: method.ErrInput, says: "no floating-point"},
	} {
		if _, err := test.c.Apply(t.Context(), test.in); !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want %v and %q", name, err, test.kind, test.says)
		}
	}
	var wide data.Checkpoints
	for i := range 3 {
		c := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
		for k := range 10 {
			c.Tensors[fmt.Sprint(i, k)] = data.Float64Tensor(nil, 0)
		}
		wide = append(wide, c)
	}
	if _, err := (weights.Soup{}).Apply(t.Context(), weights.SoupInput{In: wide}); err == nil || !strings.Contains(err.Error(), "40 differences") || !strings.Contains(err.Error(), "and 36 more") {
		t.Errorf("error %v does not count 40 differences", err)
	}
	out := soup(t, weights.Soup{}, weights.SoupInput{In: data.Checkpoints{w(data.F32, 1, 2, 3), w(data.F32, 1, 2, math.NaN())}})
	if _, err := out.Tensors["w"].Bytes(); !errors.Is(err, data.ErrFinite) || !strings.Contains(err.Error(), `checkpoint 2, tensor "w": element 2 is NaN`) {
		t.Errorf("error %v does not name the NaN", err)
	}
}

func TestSoupThroughTheRegistry(t *testing.T) {
	s := weights.Methods()[slices.IndexFunc(weights.Methods(), func(s method.Spec) bool { return s.Name == "soup" })]
	cfg, err := s.Configure(map[string]string{"strategy": "greedy"})
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Apply(t.Context(), cfg, data.Bundle{"in": numbers(1, 3), "evaluate": table(func(w float64) float64 { return w })})
	if err != nil {
		t.Fatal(err)
	}
	if w, _, _ := out.(*data.Checkpoint).Floats("w", 1); w[0] != 3 {
		t.Errorf("soup %v, want the second checkpoint alone", w)
	}
	help, err := s.Help()
	if err != nil || help.Doc == "" || len(help.Fields) != len(s.Params) {
		t.Errorf("help of %d fields for %d parameters: %v", len(help.Fields), len(s.Params), err)
	}
}

func BenchmarkSoupUniform(b *testing.B) {
	const m, n = 8, 1 << 20
	r := rand.New(rand.NewPCG(1, 1))
	var all data.Checkpoints
	for range m {
		v := make([]float64, n)
		for i := range v {
			v[i] = 0.02 * r.NormFloat64()
		}
		all = append(all, &data.Checkpoint{Tensors: map[string]data.Tensor{"w": data.CastTensor(data.F32, v, n)}})
	}
	b.SetBytes(m * n * 4)
	for b.Loop() {
		out := soup(b, weights.Soup{}, weights.SoupInput{In: all})
		if _, err := out.Tensors["w"].Bytes(); err != nil {
			b.Fatal(err)
		}
	}
}
