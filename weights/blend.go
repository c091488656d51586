package weights

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
)

// kernel computes elements of a tensor, from number lo on: dst of the same elements in each source. It must treat each element
// apart, or each row where the strand goes by rows. It may use src as it likes, which is widened anew for each call.
type kernel func(dst []float64, src [][]float64, lo int)

// plan says how a tensor's elements are computed, after looking at all of them as often as it must.
type plan func(t *strand) (kernel, error)

// strand is one tensor in all sources.
type strand struct {
	name  string
	dtype data.DType // of the result
	shape []int
	from  []data.Tensor
	who   []string
	unit  int // elements that are looked at together
	// direct, which a plan may set, computes elements from the sources' bytes without widening them; where it cannot, it says so
	// and the kernel does it.
	direct func(dst []byte, src [][]byte) bool
}

// stretch is how many elements are widened to float64 at a time: few enough to stay in the second-level cache, enough for a file
// to be read at full speed.
const stretch = 1 << 14

// byRows makes a strand go by the rows of a tensor: its first dimension, what is behind it flat. A tensor with one dimension or none
// is one row.
func (t *strand) byRows() {
	if len(t.shape) > 1 && t.shape[0] > 0 {
		t.unit = max(t.len()/t.shape[0], 1)
		return
	}
	t.unit = max(t.len(), 1)
}

func (t *strand) len() int { return t.from[0].Len() }

// blend returns a checkpoint whose every floating-point tensor is computed by what plan makes of it, in float64, rounded once, and
// only when it is asked for, any stretch by itself. Other tensors are the first source's.
func (s sources) blend(how plan) (*data.Checkpoint, error) {
	out := &data.Checkpoint{Meta: s.meta(), Tensors: make(map[string]data.Tensor, len(s.list[0].Tensors))}
	for name, first := range s.list[0].Tensors {
		if !first.DType.Float() {
			out.Tensors[name] = first
			continue
		}
		t := &strand{name: name, dtype: first.DType, shape: first.Shape, who: s.who, unit: max(1, min(stretch, first.Len()))}
		for _, c := range s.list {
			t.from = append(t.from, c.Tensors[name])
		}
		made, err := data.StreamTensor(first.DType, first.Shape, t.computed(how))
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		out.Tensors[name] = made
	}
	return out, nil
}

// computed makes the function that fills stretches of the tensor. The plan is made when the first one is asked for.
func (t *strand) computed(how plan) func(dst []byte, lo int) error {
	planned := sync.OnceValues(func() (kernel, error) { return how(t) })
	return func(dst []byte, lo int) error {
		if len(dst) == 0 {
			return nil
		}
		k, err := planned()
		if err != nil {
			return err
		}
		size := t.dtype.Size()
		hi := lo + len(dst)/size
		wide := func(lo, hi int, dst []byte) error {
			return t.each(lo, hi, func(_, from int, src [][]float64, room []float64) {
				out := room[:len(src[0])]
				k(out, src, from)
				a, b := max(from, lo), min(from+len(out), hi) // a unit may reach beyond what was asked for
				t.dtype.Narrow(dst[(a-lo)*size:(b-lo)*size], out[a-from:b-from])
			})
		}
		if t.direct == nil {
			return wide(lo, hi, dst)
		}
		for _, at := range t.directly(dst, lo) {
			to := min(at+stretch, hi)
			if err := wide(at, to, dst[(at-lo)*size:(to-lo)*size]); err != nil {
				return err
			}
		}
		return nil
	}
}

// directly computes elements from lo on from the sources' bytes, and returns where the stretches begin that it could not do, which
// include those that could not be read.
func (t *strand) directly(dst []byte, lo int) (left []int) {
	size := t.dtype.Size()
	done := make([]bool, (len(dst)/size+stretch-1)/stretch)
	num.Parallel(len(done), 4, func(a, b int) {
		memory, src := make([]byte, len(t.from)*stretch*size), make([][]byte, len(t.from))
		for u := a; u < b; u++ {
			out := dst[u*stretch*size : min((u+1)*stretch*size, len(dst))]
			done[u] = true
			for i := range src {
				src[i] = memory[i*stretch*size:][:len(out)]
				done[u] = done[u] && t.from[i].Fill(src[i], lo+u*stretch) == nil
			}
			done[u] = done[u] && t.direct(out, src)
		}
	})
	for u, ok := range done {
		if !ok {
			left = append(left, lo+u*stretch)
		}
	}
	return left
}

// each widens the units that hold elements lo to hi, and hands each over with its number, its first element and a unit's room to
// write in, on several threads. The first error in the tensor's order is returned, whichever thread was faster.
func (t *strand) each(lo, hi int, use func(number, from int, src [][]float64, room []float64)) error {
	first, last := lo/t.unit, (hi+t.unit-1)/t.unit
	errs := make([]error, last-first)
	num.Parallel(last-first, max(1, 4*stretch/t.unit), func(a, b int) {
		m := len(t.from)
		memory, src := make([]float64, t.unit*(m+1)), make([][]float64, m)
		raw := make([]byte, t.unit*8)
		for u := first + a; u < first+b; u++ {
			from := u * t.unit
			n := min(t.unit, t.len()-from)
			for i := range src {
				src[i] = memory[i*t.unit : i*t.unit+n]
				if errs[u-first] = t.widen(src[i], i, raw[:n*t.from[i].DType.Size()], from); errs[u-first] != nil {
					return
				}
			}
			use(u, from, src, memory[m*t.unit:])
		}
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// all is each over the whole tensor.
func (t *strand) all(use func(number, from int, src [][]float64)) error {
	return t.each(0, t.len(), func(number, from int, src [][]float64, _ []float64) { use(number, from, src) })
}

// units is how many units the tensor has.
func (t *strand) units() int { return (t.len() + t.unit - 1) / t.unit }

// sums returns k sums over the whole tensor: add adds one unit's share to the numbers that it is given. Units are joined in their
// order, so that threads change no bit.
func (t *strand) sums(k int, add func(sum []float64, src [][]float64, from int)) ([]float64, error) {
	parts := make([]float64, t.units()*k)
	err := t.all(func(number, from int, src [][]float64) { add(parts[number*k:(number+1)*k], src, from) })
	if err != nil {
		return nil, err
	}
	total := make([]float64, k)
	for part := range slices.Chunk(parts, k) {
		for i, v := range part {
			total[i] += v
		}
	}
	return total, nil
}

// grams returns all inner products of the sources' tensors after prepare, if any, has changed them: m×m.
func (t *strand) grams(prepare func(src [][]float64) [][]float64) ([]float64, error) {
	m := len(t.from)
	if prepare != nil {
		m--
	}
	return t.sums(m*m, func(sum []float64, src [][]float64, _ int) {
		if prepare != nil {
			src = prepare(src)
		}
		addGrams(sum, src)
	})
}

// addGrams adds the inner products of m vectors to an m×m matrix.
func addGrams(sum []float64, src [][]float64) {
	m := len(src)
	for i := range m {
		for j := range i + 1 {
			dot := inner(src[i], src[j])
			sum[i*m+j] += dot
			if i != j {
				sum[j*m+i] += dot
			}
		}
	}
}

// inner is the inner product, in four chains.
func inner(x, y []float64) float64 {
	var a, b, c, d float64
	for len(x) >= 4 && len(y) >= 4 {
		a += x[0] * y[0]
		b += x[1] * y[1]
		c += x[2] * y[2]
		d += x[3] * y[3]
		x, y = x[4:], y[4:]
	}
	for i, v := range x {
		a += v * y[i]
	}
	return (a + b) + (c + d)
}

// lessBase turns the sources' tensors into their differences from the first, and returns those.
func lessBase(src [][]float64) [][]float64 {
	base := src[0]
	for _, s := range src[1:] {
		for i := range s {
			s[i] -= base[i]
		}
	}
	return src[1:]
}

// widen turns part of source i's tensor, from element lo on, into float64.
func (t *strand) widen(dst []float64, i int, raw []byte, lo int) error {
	if err := t.from[i].Fill(raw, lo); err != nil {
		return fmt.Errorf("%s, tensor %q: %w", t.who[i], t.name, err)
	}
	t.from[i].DType.Widen(dst, raw)
	var nothing [4]float64 // four chains: a sum waits for the one before
	rest := dst
	for ; len(rest) >= 4; rest = rest[4:] {
		nothing[0] += 0 * rest[0]
		nothing[1] += 0 * rest[1]
		nothing[2] += 0 * rest[2]
		nothing[3] += 0 * rest[3]
	}
	for _, x := range rest {
		nothing[0] += 0 * x
	}
	if nothing[0]+nothing[1]+nothing[2]+nothing[3] == 0 {
		return nil
	}
	k := slices.IndexFunc(dst, func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) })
	return fmt.Errorf("%s, tensor %q: element %d is %v, %w", t.who[i], t.name, lo+k, dst[k], data.ErrFinite)
}
