package detect_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleMemoryBank() {
	// Two clusters of a hundred rows; six rows cover them.
	var x []float32
	for i := range 100 {
		x = append(x, float32(i%10), float32(i/10), 100+float32(i%10), float32(i/10))
	}
	train, _ := data.NewTable(200, 2, x)
	m, err := detect.MemoryBank{Share: 0.03}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(3, 2, []float32{4, 4, 105, 5, 50, 5})
	scores, _ := m.Score(query)
	fmt.Printf("%d rows, radius %.1f: %.0f %.0f %.0f\n", m.Size(), m.Radius(), scores[0], scores[1], scores[2])
	// Output: 6 rows, radius 9.0: 5 6 41
}

func fitMemoryBank(t testing.TB, c detect.MemoryBank, train *data.Table) *detect.MemoryBankModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func bruteMemoryBankDistance(a, b []float32) float64 {
	s := 0.0
	for j := range a {
		s += math.Pow(float64(a[j])-float64(b[j]), 2)
	}
	return math.Sqrt(s)
}

// bruteMemoryBank chooses the bank by measuring every row against every one chosen, and scores by eq. (6) and (7).
func bruteMemoryBank(train, query *data.Table, size, b int) (out []float64, radius float64) {
	n, d := train.Dims()
	mean := make([]float64, d)
	for i := range n {
		for j, v := range train.Row(i) {
			mean[j] += float64(v) / float64(n)
		}
	}
	first, least := 0, math.Inf(1)
	for i := range n {
		s := 0.0
		for j, v := range train.Row(i) {
			s += math.Pow(float64(v)-mean[j], 2)
		}
		if s < least {
			first, least = i, s
		}
	}
	bank := [][]float32{train.Row(first)}
	for {
		far := 0
		radius = -1
		for i := range n {
			nearest := math.Inf(1)
			for _, m := range bank {
				nearest = min(nearest, bruteMemoryBankDistance(train.Row(i), m))
			}
			if nearest > radius {
				far, radius = i, nearest
			}
		}
		if len(bank) == size {
			break
		}
		bank = append(bank, train.Row(far))
	}
	q, _ := query.Dims()
	for i := range q {
		best := 0
		for k := range bank {
			if bruteMemoryBankDistance(query.Row(i), bank[k]) < bruteMemoryBankDistance(query.Row(i), bank[best]) {
				best = k
			}
		}
		around := slices.Clone(bank)
		slices.SortStableFunc(around, func(x, y []float32) int {
			if bruteMemoryBankDistance(bank[best], x) < bruteMemoryBankDistance(bank[best], y) {
				return -1
			}
			return 1
		})
		s, sum := bruteMemoryBankDistance(query.Row(i), bank[best]), 0.0
		for _, m := range around[:min(b, len(around))] {
			sum += math.Exp(bruteMemoryBankDistance(query.Row(i), m))
		}
		weight := 1 - math.Exp(s)/sum
		if b == 1 {
			weight = 1
		}
		out = append(out, weight*s)
	}
	return out, radius
}

func TestMemoryBankAgainstTheFormula(t *testing.T) {
	train, in := gaussianClasses(1, 150, 4, 3), gaussianClasses(2, 40, 4, 4)
	for _, c := range []detect.MemoryBank{{}, {Share: 0.1, Neighbors: 3}, {Share: 0.02}, {Share: 0.5, Neighbors: 1}, {Share: 1}} {
		share, b := c.Share, c.Neighbors
		if share == 0 {
			share = 0.25
		}
		if b == 0 {
			b = 9
		}
		m := fitMemoryBank(t, c, train)
		want, radius := bruteMemoryBank(train, in, int(math.Ceil(share*150)), b)
		near(t, fmt.Sprintf("%+v", c), scores(t, m, in), want, 1e-9)
		near(t, fmt.Sprintf("%+v: radius", c), []float64{m.Radius()}, []float64{radius}, 1e-12)
	}
}

// TestMemoryBankCovers: the greedy choice covers within twice the least radius that any choice of as many rows reaches.
func TestMemoryBankCovers(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	for range 20 {
		train := gaussian(t, r, 11, 2, nil)
		m := fitMemoryBank(t, detect.MemoryBank{Share: 3. / 11}, train)
		best := math.Inf(1)
		for a := range 11 {
			for b := range a {
				for c := range b {
					radius := 0.0
					for i := range 11 {
						radius = max(radius, min(bruteMemoryBankDistance(train.Row(i), train.Row(a)), bruteMemoryBankDistance(train.Row(i), train.Row(b)), bruteMemoryBankDistance(train.Row(i), train.Row(c))))
					}
					best = min(best, radius)
				}
			}
		}
		if m.Size() != 3 || m.Radius() > 2*best+1e-12 || m.Radius() < best-1e-12 {
			t.Fatalf("%d rows, radius %g; the best choice of three reaches %g", m.Size(), m.Radius(), best)
		}
	}
}

// TestMemoryBankGrowsAndShrinks: learning in parts is learning at once; what is forgotten was never seen; beyond the capacity the
// rows that are held depend on the rows alone.
func TestMemoryBankGrowsAndShrinks(t *testing.T) {
	all := gaussianClasses(3, 900, 3, 3)
	hash := func(m method.Model) string {
		h, err := m.State().Hash()
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	for _, capacity := range []int{0, 300} {
		c := detect.MemoryBank{Capacity: capacity, Share: 0.1}
		whole := fitMemoryBank(t, c, all)
		parts, err := fitMemoryBank(t, c, all.Slice(600, 900)).Update(t.Context(), all.Slice(0, 250))
		if err == nil {
			parts, err = parts.(*detect.MemoryBankModel).Update(t.Context(), all.Slice(250, 600))
		}
		if err != nil {
			t.Fatal(err)
		}
		if hash(parts) != hash(whole) {
			t.Errorf("capacity %d: learned in three parts it is another model", capacity)
		}
		if capacity > 0 && (whole.Held() > capacity || whole.Held() < capacity/3) {
			t.Errorf("%d rows held, want at most %d and not far fewer", whole.Held(), capacity)
		}
		less, err := whole.Forget(t.Context(), all.Slice(100, 200))
		if err != nil {
			t.Fatal(err)
		}
		never := fitMemoryBank(t, c, all.Pick(slices.Concat(memoryBankCount(0, 100), memoryBankCount(200, 900))))
		if capacity == 0 && hash(less) != hash(never) {
			t.Error("after forgetting it is not the model that never saw the rows")
		}
		if _, err := less.(*detect.MemoryBankModel).Forget(t.Context(), all.Slice(100, 200)); !errors.Is(err, data.ErrShape) {
			t.Errorf("capacity %d: forgotten twice: %v", capacity, err)
		}
		if _, err := whole.Forget(t.Context(), all); !errors.Is(err, data.ErrShape) {
			t.Errorf("capacity %d: everything forgotten: %v", capacity, err)
		}
	}
}

func memoryBankCount(from, to int) (list []int) {
	for i := from; i < to; i++ {
		list = append(list, i)
	}
	return list
}

// TestMemoryBankCopies: rows that repeat fill no place in the bank, and one copy is forgotten at a time.
func TestMemoryBankCopies(t *testing.T) {
	train := mustTable(t, 6, 1, []float32{1, 1, 1, 2, 2, 5})
	m := fitMemoryBank(t, detect.MemoryBank{Share: 1}, train)
	if m.Size() != 3 || m.Held() != 6 || m.Radius() != 0 {
		t.Errorf("%d rows in the bank, %d held, radius %g", m.Size(), m.Held(), m.Radius())
	}
	less, err := m.Forget(t.Context(), mustTable(t, 2, 1, []float32{2, 1}))
	if err != nil {
		t.Fatal(err)
	}
	if k := less.(*detect.MemoryBankModel); k.Held() != 4 || k.Size() != 3 {
		t.Errorf("%d held, %d in the bank, want 4 and 3", k.Held(), k.Size())
	}
	if _, err := m.Forget(t.Context(), mustTable(t, 2, 1, []float32{5, 5})); !errors.Is(err, data.ErrShape) {
		t.Errorf("one row forgotten twice: %v", err)
	}
	if _, err := (detect.MemoryBank{}).Fit(t.Context(), mustTable(t, 3, 2, []float32{1, 2, 1, 2, 1, 2})); !errors.Is(err, method.ErrDegenerate) {
		t.Errorf("equal rows: %v", err)
	}
}

func BenchmarkMemoryBankScore(b *testing.B) {
	train := gaussianClasses(7, 2000, 128, 10)
	m := fitMemoryBank(b, detect.MemoryBank{Share: 0.1}, train)
	for b.Loop() {
		if _, err := m.Score(train); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
