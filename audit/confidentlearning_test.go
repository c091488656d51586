package audit_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/audit"
	"github.com/gimbal-ml/gimbal/data"
)

func ExampleConfidentLearning() {
	p, _ := data.NewNamed(5, []string{"cat", "dog"}, []float32{0.9, 0.1, 0.8, 0.2, 0.3, 0.7, 0.4, 0.6, 0.95, 0.05})
	p, _ = p.WithClassNames([]string{"cat", "cat", "dog", "dog", "dog"})
	m, err := audit.ConfidentLearning{Probabilities: true}.Fit(context.Background(), audit.LogitsInput{Logits: p})
	if err != nil {
		panic(err)
	}
	found, _ := m.Audit(p)
	for i, f := range found {
		if f.Suspect {
			fmt.Printf("row %d, a %s, may be a %s (%.2f): %s\n", i+1, p.ClassName(i), f.Suggested, f.Score, f.Reason)
		}
	}
	// Output: row 5, a dog, may be a cat (0.90): 0.950 for cat, where rows of that class get 0.850 on average; 0.050 for its own
}

func fitPeer(t testing.TB, in *data.Table) *audit.ConfidentLearningModel {
	t.Helper()
	m, err := audit.ConfidentLearning{Probabilities: true}.Fit(context.Background(), audit.LogitsInput{Logits: in})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestConfidentLearningPeer: cleanlab 2.9.0 on the rows of peerRows:
//
//	get_confident_thresholds(given, p); compute_confident_joint(given, p, calibrate=False)
//	np.flatnonzero(find_label_issues(given, p, filter_by="confident_learning")); get_normalized_margin_for_each_label(given, p)
//
// Its margin is (1 + p_label − p_other)/2 and float32.
func TestConfidentLearningPeer(t *testing.T) {
	in := peerRows(t)
	m := fitPeer(t, in)
	for c, want := range []float64{0.40882203, 0.44076848, 0.42923543, 0.41397884} {
		if have := m.Thresholds()[c]; math.Abs(have-want) > 1e-6 {
			t.Errorf("threshold %d: %.8f, want %.8f", c, have, want)
		}
	}
	if want := []int64{42, 1, 0, 3, 3, 27, 0, 0, 0, 3, 40, 0, 0, 0, 5, 45}; !slices.Equal(m.Joint(), want) {
		t.Errorf("joint %v, want %v", m.Joint(), want)
	}
	var rows []int
	found := findings(t, m, in)
	for i, f := range found {
		if f.Suspect {
			rows = append(rows, i)
		}
	}
	if want := []int{0, 3, 25, 36, 58, 69, 102, 113, 146, 168, 179, 190}; len(rows) != 15 || !slices.Equal(rows[:12], want) {
		t.Errorf("%d suspect rows, the first %v", len(rows), rows)
	}
	for i, want := range []float64{0.41275167, 0.5769231, 0.5212355, 0.3880814, 0.5165441, 0.70384616} {
		if have := (1 - found[i].Score) / 2; math.Abs(have-want) > 1e-6 {
			t.Errorf("margin %d: %.8f, want %.8f", i, have, want)
		}
	}
}

// TestConfidentLearningBruteForce: the definition, in memory, on random rows; and the same bits from blocks of any size and from
// rows in any order.
func TestConfidentLearningBruteForce(t *testing.T) {
	const n, k = 500, 5
	names := []string{"a", "b", "c", "d", "e"}
	for seed := range uint64(5) {
		r := rand.New(rand.NewPCG(seed, 4))
		x, labels := make([]float32, n*k), make([]int, n)
		for i := range labels {
			labels[i] = r.IntN(k)
			for c := range k {
				x[i*k+c] = float32(1.5 * r.NormFloat64())
			}
			x[i*k+(labels[i]+r.IntN(10)/9)%k] += 3
		}
		in := table(t, names, x, labels)
		p, sums, rows := make([][]float64, n), make([]float64, k), make([]float64, k)
		for i := range p {
			sum := 0.0
			for _, v := range in.Row(i) {
				sum += math.Exp(float64(v))
			}
			for _, v := range in.Row(i) {
				p[i] = append(p[i], math.Exp(float64(v))/sum)
			}
			sums[labels[i]] += p[i][labels[i]]
			rows[labels[i]]++
		}
		joint := make([]int64, k*k)
		for i, y := range labels {
			best := -1
			for c, v := range p[i] {
				if v >= sums[c]/rows[c]-1e-6 && (best < 0 || v > p[i][best]) {
					best = c
				}
			}
			if best >= 0 {
				joint[y*k+best]++
			}
		}
		m, err := audit.ConfidentLearning{}.Fit(context.Background(), audit.LogitsInput{Logits: in})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(m.Joint(), joint) {
			t.Errorf("seed %d: joint %v, want %v", seed, m.Joint(), joint)
		}
		rate := 0.0 // eq. (3), off the diagonal
		for y := range k {
			sum := int64(0)
			for _, v := range joint[y*k : (y+1)*k] {
				sum += v
			}
			rate += rows[y] / n * (1 - float64(joint[y*k+y])/float64(sum))
		}
		if have := m.NoiseRate(); math.Abs(have-rate) > 1e-12 {
			t.Errorf("seed %d: noise rate %.6f, want %.6f", seed, have, rate)
		}
		want, err := m.State().Hash()
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range []blocks{{in, 1}, {in, 7}, {in, 499}, {in.Pick(r.Perm(n)), 64}} {
			o, err := audit.ConfidentLearning{}.FitSource(context.Background(), other)
			if err != nil {
				t.Fatal(err)
			}
			if have, _ := o.State().Hash(); have != want {
				t.Errorf("seed %d: blocks of %d rows give another state", seed, other.rows)
			}
		}
	}
}

// TestConfidentLearningMissingClass: a class without rows has no threshold and is suggested for none.
func TestConfidentLearningMissingClass(t *testing.T) {
	m := fitPeer(t, table(t, []string{"a", "b", "c"}, []float32{0.6, 0.2, 0.2, 0.1, 0.1, 0.8, 0.2, 0.7, 0.1}, []int{0, 0, 1}))
	if th := m.Thresholds(); th[2] != 2 || m.Joint()[2] != 0 {
		t.Errorf("thresholds %v, joint %v", th, m.Joint())
	}
}

// BenchmarkConfidentLearningFit: rows of 100 probabilities, as a stream of blocks.
func BenchmarkConfidentLearningFit(b *testing.B) {
	const n, k = 20000, 100
	r := rand.New(rand.NewPCG(1, 1))
	x, labels := make([]float32, n*k), make([]int, n)
	classes := make([]string, k)
	for c := range classes {
		classes[c] = fmt.Sprint(c)
	}
	for i := range labels {
		labels[i] = r.IntN(k)
		for c := range k {
			x[i*k+c] = 0.005
		}
		x[i*k+labels[i]] = 0.505
	}
	in := table(b, classes, x, labels)
	b.ResetTimer()
	for range b.N {
		fitPeer(b, in)
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
