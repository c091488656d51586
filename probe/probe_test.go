package probe_test

import (
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// toy draws n rows of k classes that lie some four standard deviations apart, in correlated columns around 10.
func toy(t testing.TB, seed uint64, n, d, k int, shares ...float64) *data.Table {
	t.Helper()
	g := rand.New(rand.NewPCG(99, uint64(d)<<16|uint64(k))) // means and mixing are the same for all seeds
	means, mix := make([]float64, k*d), make([]float64, d*d)
	for i := range means {
		means[i] = 3*g.NormFloat64()/math.Sqrt(float64(d)) + 10
	}
	for i := range mix {
		mix[i] = 0.3 * g.NormFloat64()
		if i%(d+1) == 0 {
			mix[i]++
		}
	}
	r := rand.New(rand.NewPCG(seed, 1))
	x, names, z := make([]float32, n*d), make([]string, n), make([]float64, d)
	for i := range n {
		c := r.IntN(k)
		if shares != nil {
			c = 0
			for u := r.Float64(); c < k-1 && u > shares[c]; c++ {
				u -= shares[c]
			}
		}
		names[i] = fmt.Sprint(c)
		for j := range z {
			z[j] = r.NormFloat64()
		}
		for j := range d {
			v := means[c*d+j]
			for l := range d {
				v += z[l] * mix[l*d+j]
			}
			x[i*d+j] = float32(math.Round(v*1024) / 1024)
		}
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

// summary is what the formulas need, summed up naively.
type summary struct {
	n, d, k            int
	labels             []int
	mean, total        []float64 // D
	means              [][]float64
	counts             []float64
	within, covariance *mat.SymDense
}

func summarise(t testing.TB, in *data.Table) summary {
	t.Helper()
	n, d := in.Dims()
	k := len(in.Classes())
	labels, err := in.Labels()
	if err != nil {
		t.Fatal(err)
	}
	s := summary{n: n, d: d, k: k, labels: labels, mean: make([]float64, d), total: make([]float64, d), counts: make([]float64, k),
		within: mat.NewSymDense(d, nil), covariance: mat.NewSymDense(d, nil)}
	for range k {
		s.means = append(s.means, make([]float64, d))
	}
	for i, c := range labels {
		s.counts[c]++
		for j, v := range in.Row(i) {
			s.mean[j] += float64(v) / float64(n)
			s.means[c][j] += float64(v)
		}
	}
	for c := range k {
		for j := range d {
			s.means[c][j] /= s.counts[c]
		}
	}
	add := func(to *mat.SymDense, row []float32, from []float64) {
		for a := range d {
			for b := a; b < d; b++ {
				to.SetSym(a, b, to.At(a, b)+(float64(row[a])-from[a])*(float64(row[b])-from[b])/float64(n))
			}
		}
	}
	for i, c := range labels {
		add(s.within, in.Row(i), s.means[c])
		add(s.covariance, in.Row(i), s.mean)
	}
	for j := range d {
		s.total[j] = s.covariance.At(j, j)
	}
	return s
}

func near(t *testing.T, what string, have, want []float64, tolerance float64) {
	t.Helper()
	if len(have) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(have), len(want))
	}
	for i, w := range want {
		if !(math.Abs(have[i]-w) <= tolerance*math.Max(1, math.Abs(w))) {
			t.Fatalf("%s: value %d is %.15g, want %.15g", what, i, have[i], w)
		}
	}
}

func wide(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

// asked returns what a head predicts of a table, and its logits, checking that the one is the softmax of the other.
func asked(t testing.TB, m method.Logiter, in *data.Table) (p, logits []float64) {
	t.Helper()
	a, err := m.Predict(in)
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.Logits(in)
	if err != nil {
		t.Fatal(err)
	}
	p, logits = wide(a.X()), wide(b.X())
	n, k := b.Dims()
	for i := range n {
		row := logits[i*k : (i+1)*k]
		top, sum := slices.Max(row), 0.0
		for _, v := range row {
			sum += math.Exp(v - top)
		}
		for c, v := range row {
			// Logits are rounded to float32, up to 2^-24 of their size.
			if want := math.Exp(v-top) / sum; math.Abs(p[i*k+c]-want) > 1e-6+math.Abs(v)*0x1p-23 {
				t.Fatalf("row %d, class %d: probability %.9g, softmax of the logits %.9g", i+1, c, p[i*k+c], want)
			}
		}
	}
	return p, logits
}

// digits is a real table: 8×8 images of handwritten digits.
func digits(t testing.TB) *data.Table {
	t.Helper()
	root := os.Getenv("GIMBAL_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "data")
	}
	f, err := os.Open(filepath.Join(root, "pmlb", "class", "optdigits.tsv.gz"))
	if err != nil {
		t.Skipf("no real data here: %v", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	r := csv.NewReader(z)
	r.Comma = '\t'
	lines, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	lines = lines[1:]
	d := len(lines[0]) - 1
	var x []float32
	var names []string
	for _, l := range lines {
		for _, w := range l[:d] {
			v, err := strconv.ParseFloat(w, 32)
			if err != nil {
				t.Fatal(err)
			}
			x = append(x, float32(v))
		}
		names = append(names, l[d])
	}
	tab, err := data.NewTable(len(lines), d, x)
	if err != nil {
		t.Fatal(err)
	}
	if tab, err = tab.WithClassNames(names); err != nil {
		t.Fatal(err)
	}
	return tab
}
