package weights

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
)

// Difference is how one tensor of a checkpoint differs from the same tensor of another.
type Difference struct {
	Name  string
	DType data.DType
	Shape []int
	// Why says in words what keeps the two from being compared element by element: a tensor that one lacks, another shape, or elements
	// that are no numbers. All that follows is then zero.
	Why string
	// Cosine is that of the angle between the two as vectors; 1 where both are zero, 0 where one is.
	Cosine float64
	// First and Second are the lengths of the two, Change that of their difference.
	First, Second, Change float64
	// Largest is the largest absolute difference of an element.
	Largest float64
	// Changed is the share of elements that differ.
	Changed float64
	// Outliers is the share of elements that changed by more than six times the root mean square change.
	Outliers float64
	// Rank is the effective rank of a matrix's change: e to the entropy of the shares that its squared singular values have of their
	// sum. 0 for what is no matrix, too large, or unchanged.
	Rank float64
}

// Compare says how b differs from a, tensor by tensor, in order of names. The rank of changes is found for matrices whose smaller
// side is at most rankLimit; it takes the cube of that side.
// Errors: what a tensor fails with, with its name; ctx's.
func Compare(ctx context.Context, a, b *data.Checkpoint, rankLimit int) ([]Difference, error) {
	both := data.Checkpoints{a, b}.Resolved()
	names := slices.Concat(both[0].Names(), both[1].Names())
	slices.Sort(names)
	var list []Difference
	for _, name := range slices.Compact(names) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		x, first := both[0].Tensors[name]
		y, second := both[1].Tensors[name]
		d := Difference{Name: name, DType: x.DType, Shape: x.Shape}
		switch {
		case !first:
			d.DType, d.Shape, d.Why = y.DType, y.Shape, "only the second checkpoint has it"
		case !second:
			d.Why = "only the first checkpoint has it"
		case !slices.Equal(x.Shape, y.Shape):
			d.Why = fmt.Sprintf("the second one is %v", y.Shape)
		default:
			if err := d.measure(x, y, rankLimit); err != nil {
				return nil, err
			}
		}
		list = append(list, d)
	}
	return list, nil
}

// measure fills in the numbers.
func (d *Difference) measure(x, y data.Tensor, rankLimit int) error {
	t := &strand{name: d.Name, dtype: x.DType, shape: x.Shape, from: []data.Tensor{x, y}, who: []string{"the first checkpoint", "the second checkpoint"}, unit: max(1, min(stretch, x.Len()))}
	if y.DType != x.DType { // of another type: compared as numbers
		t.dtype, t.from = data.F64, []data.Tensor{x.As(data.F64), y.As(data.F64)}
	}
	bad := make([]bool, t.units())
	largest := make([]float64, t.units())
	sums := make([]float64, 5*t.units())
	err := t.widened(func(number int, a, b []float64) {
		s := sums[5*number : 5*number+5]
		for i, v := range a {
			w := b[i]
			if bad[number] = bad[number] || v-v != 0 || w-w != 0; bad[number] {
				return
			}
			s[0] += v * v
			s[1] += w * w
			s[2] += v * w
			s[3] += (w - v) * (w - v)
			if w != v {
				s[4]++
			}
			largest[number] = max(largest[number], math.Abs(w-v))
		}
	})
	if err != nil {
		return err
	}
	if slices.Contains(bad, true) {
		d.Why = "it holds elements that are no finite numbers"
		return nil
	}
	var total [5]float64
	for i, v := range sums {
		total[i%5] += v
	}
	n := float64(max(x.Len(), 1))
	d.First, d.Second, d.Change, d.Changed = math.Sqrt(total[0]), math.Sqrt(total[1]), math.Sqrt(total[3]), total[4]/n
	d.Cosine = 1
	if norms := d.First * d.Second; norms > 0 {
		d.Cosine = max(-1, min(1, total[2]/norms))
	} else if d.First+d.Second > 0 {
		d.Cosine = 0
	}
	for _, v := range largest {
		d.Largest = max(d.Largest, v)
	}
	if limit := outlying * d.Change / math.Sqrt(n); d.Largest > limit {
		counts := make([]int, t.units())
		if err := t.widened(func(number int, a, b []float64) {
			for i, v := range a {
				if math.Abs(b[i]-v) > limit {
					counts[number]++
				}
			}
		}); err != nil {
			return err
		}
		for _, c := range counts {
			d.Outliers += float64(c) / n
		}
	}
	if len(x.Shape) == 2 && min(x.Shape[0], x.Shape[1]) <= rankLimit && d.Change > 0 {
		return d.rank(x, y)
	}
	return nil
}

// widened hands over both tensors' units, whatever they hold.
func (t *strand) widened(use func(number int, a, b []float64)) error {
	errs := make([]error, t.units())
	num.Parallel(t.units(), 4, func(lo, hi int) {
		raw := make([]byte, t.unit*t.dtype.Size())
		v := [2][]float64{make([]float64, t.unit), make([]float64, t.unit)}
		for u := lo; u < hi; u++ {
			n := min(t.unit, t.len()-u*t.unit)
			for i := range v {
				if err := t.from[i].Fill(raw[:n*t.dtype.Size()], u*t.unit); err != nil {
					errs[u] = fmt.Errorf("%s, tensor %q: %w", t.who[i], t.name, err)
					return
				}
				t.dtype.Widen(v[i][:n], raw)
			}
			use(u, v[0][:n], v[1][:n])
		}
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// rank finds the effective rank of a matrix's change.
func (d *Difference) rank(x, y data.Tensor) error {
	a, err := x.Float64s()
	if err != nil {
		return fmt.Errorf("the first checkpoint, tensor %q: %w", d.Name, err)
	}
	b, err := y.Float64s()
	if err != nil {
		return fmt.Errorf("the second checkpoint, tensor %q: %w", d.Name, err)
	}
	for i := range a {
		a[i] = (b[i] - a[i]) / d.Largest
	}
	m, n := x.Shape[0], x.Shape[1]
	k := min(m, n)
	gram := make([]float64, k*k)
	num.Syrk(m > n, k, max(m, n), 1, a, n, 0, gram, k)
	values, _, ok := num.SymEigen(gram, k)
	if !ok {
		return nil // no convergence: nothing is said of the rank
	}
	sum, entropy := 0.0, 0.0
	for _, v := range values {
		sum += max(v, 0)
	}
	for _, v := range values {
		if share := v / sum; share > 0 {
			entropy -= share * math.Log(share)
		}
	}
	d.Rank = math.Exp(entropy)
	return nil
}
