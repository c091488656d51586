package weights

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
)

// cut is a place in the order of magnitudes: elements below key go, and the first ties of those that equal it, in the order
// of the tensors' names and then of their elements.
type cut struct {
	key  uint64
	ties int
}

// cuts finds, for each count, the place in the order of the magnitudes of all named tensors together below which so many
// elements lie: exactly, without sorting and without holding more than one tensor, in four passes over the tensors.
// counts are ≥ 0 and at most the number of elements; none at all cuts nothing.
func cuts(ctx context.Context, c *data.Checkpoint, names []string, counts []int) ([]cut, error) {
	const bits, passes = 16, 4 // of 64
	out, left := make([]cut, len(counts)), slices.Clone(counts)
	for pass := range passes {
		shift := bits * (passes - 1 - pass)
		var open []uint64 // the high digits found so far, of cuts that are not nothing
		for i := range out {
			if counts[i] > 0 {
				open = append(open, out[i].key>>shift>>bits)
			}
		}
		slices.Sort(open)
		open = slices.Compact(open)
		found := make([][]int, len(open)) // how many elements have each next digit
		for i := range found {
			found[i] = make([]int, 1<<bits)
		}
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			v, err := finiteTensor(name, c.Tensors[name])
			if err != nil {
				return nil, err
			}
			for _, x := range v {
				key := magnitudeBits(x) >> shift
				if i, ok := slices.BinarySearch(open, key>>bits); ok {
					found[i][key&(1<<bits-1)]++
				}
			}
		}
		for i := range out {
			if counts[i] == 0 {
				continue
			}
			at, _ := slices.BinarySearch(open, out[i].key>>shift>>bits)
			digit := uint64(0)
			for found[at][digit] < left[i] {
				left[i] -= found[at][digit]
				digit++
			}
			out[i].key |= digit << shift
		}
	}
	for i := range out {
		out[i].ties = left[i]
	}
	return out, nil
}

// tiesBefore says, for each cut, how many elements that equal its key lie in tensors before each of the named ones.
func tiesBefore(c *data.Checkpoint, names []string, all []cut) (map[string][]int, error) {
	before, sum := make(map[string][]int, len(names)), make([]int, len(all))
	for _, name := range names {
		before[name] = slices.Clone(sum)
		v, err := finiteTensor(name, c.Tensors[name])
		if err != nil {
			return nil, err
		}
		for _, x := range v {
			key := magnitudeBits(x)
			for i, a := range all {
				if key == a.key && a.ties > 0 {
					sum[i]++
				}
			}
		}
	}
	return before, nil
}

// zeroBelow sets what a cut takes away to zero; skip is how many equal elements lie in tensors before this one.
func zeroBelow(v []float64, a cut, skip int) {
	ties := a.ties - skip
	for i, x := range v {
		switch key := magnitudeBits(x); {
		case key < a.key && a.ties > 0:
			v[i] = 0
		case key == a.key && ties > 0:
			v[i] = 0
			ties--
		}
	}
}

// keepLargest keeps of every n consecutive elements of a row the k of the largest magnitude, of equal ones the first.
func keepLargest(v []float64, k, n int) {
	order := make([]int, n)
	for lo := 0; lo+n <= len(v); lo += n {
		group := v[lo : lo+n]
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int {
			switch x, y := math.Abs(group[a]), math.Abs(group[b]); {
			case x > y:
				return -1
			case x < y:
				return 1
			}
			return 0
		})
		for _, i := range order[k:] {
			group[i] = 0
		}
	}
}

// changed returns a tensor computed from another's values when somebody asks for it. f changes them in place.
func changed(name string, t data.Tensor, f func(v []float64)) (data.Tensor, error) {
	return data.LazyTensor(t.DType, t.Shape, func() ([]byte, error) {
		v, err := finiteTensor(name, t)
		if err != nil {
			return nil, err
		}
		f(v)
		return data.CastTensor(t.DType, v, t.Shape...).Bytes()
	})
}

// byMagnitude returns the places of v in the order of their magnitudes, of equal ones the later first. Rows of a checkpoint, with their
// thousands of elements, are sorted by digits, the lowest first: most have some that are zero for all.
func byMagnitude(v []float64) []int {
	const few, bits, passes = 300, 11, 6 // of 63 bits
	order := make([]int, len(v))
	if len(v) < few {
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(math.Abs(v[a]), math.Abs(v[b])), cmp.Compare(b, a)) })
		return order
	}
	type entry struct {
		key uint64
		at  int
	}
	list, other := make([]entry, len(v)), make([]entry, len(v))
	var counts [passes][1 << bits]uint32
	for i, x := range v {
		key := magnitudeBits(x)
		list[len(v)-1-i] = entry{key, i}
		for p := range passes {
			counts[p][key>>(bits*p)&(1<<bits-1)]++
		}
	}
	for p := range passes {
		count, shift := &counts[p], bits*p
		if int(count[list[0].key>>shift&(1<<bits-1)]) == len(v) {
			continue // one digit for all
		}
		from := uint32(0)
		for digit, n := range count {
			count[digit] = from
			from += n
		}
		for _, e := range list {
			at := &count[e.key>>shift&(1<<bits-1)]
			other[*at] = e
			*at++
		}
		list, other = other, list
	}
	for rank, e := range list {
		order[rank] = e.at
	}
	return order
}
