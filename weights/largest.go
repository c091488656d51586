package weights

import (
	"cmp"
	"math"
	"slices"
	"sync"
)

// border parts a tensor's elements by magnitude into k that are largest and the rest. Among elements of the border's own
// magnitude those before element cut are with the largest.
type border struct {
	magnitude float64
	cut       int
}

// within reports whether element i, of magnitude a, is one of the largest.
func (b border) within(a float64, i int) bool {
	return a > b.magnitude || a == b.magnitude && i < b.cut
}

// The borders of none and of all elements.
var (
	none = border{math.Inf(1), 0}
	all  = border{-1, 0}
)

// gathered is the most elements that a search for a border holds in memory.
const gathered = 1 << 16

// largest finds the border of the k largest magnitudes of what value makes of a unit's sources, exactly, without holding the tensor: it
// counts elements by 16 bits of their magnitudes at a time, until few enough are left to be sorted.
func (t *strand) largest(k int, value func(src [][]float64) []float64) (border, error) {
	n := t.len()
	switch {
	case k <= 0:
		return none, nil
	case k >= n:
		return all, nil
	}
	var prefix uint64 // the bits of the border found so far, of which there are known
	known, inside := 0, n
	for known < 64 && inside > gathered {
		found, err := t.census(prefix, known, value)
		if err != nil {
			return none, err
		}
		if found.low == found.high {
			prefix, known = found.low, 64
			break
		}
		digit := len(found.counts) - 1
		for k > found.counts[digit] {
			k -= found.counts[digit]
			digit--
		}
		prefix, known, inside = prefix<<16|uint64(digit), known+16, found.counts[digit]
	}
	if known < 64 {
		return t.sortInside(prefix, known, k, value)
	}
	return t.cutAmongEqual(prefix, k, value)
}

// matches reports whether a magnitude's leading bits are those of prefix.
func matches(bits, prefix uint64, known int) bool { return known == 0 || bits>>(64-known) == prefix }

// tally counts elements by 16 bits of their magnitudes.
type tally struct {
	counts    [1 << 16]int
	low, high uint64 // magnitudes
}

// tallies are lent to threads; whole numbers add up to the same in any order.
type tallies struct {
	mutex     sync.Mutex
	free, all []*tally
}

func (l *tallies) take() *tally {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if len(l.free) == 0 {
		t := &tally{low: math.MaxUint64}
		l.all = append(l.all, t)
		return t
	}
	t := l.free[len(l.free)-1]
	l.free = l.free[:len(l.free)-1]
	return t
}

func (l *tallies) give(t *tally) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.free = append(l.free, t)
}

// census counts the elements whose magnitudes begin with the known bits by their next 16 bits, and finds the lowest and the highest.
func (t *strand) census(prefix uint64, known int, value func(src [][]float64) []float64) (*tally, error) {
	var lent tallies
	err := t.all(func(_, _ int, src [][]float64) {
		own := lent.take()
		for _, v := range value(src) {
			bits := magnitudeBits(v)
			if matches(bits, prefix, known) {
				own.counts[uint16(bits>>(48-known))]++
				own.low, own.high = min(own.low, bits), max(own.high, bits)
			}
		}
		lent.give(own)
	})
	if err != nil {
		return nil, err
	}
	sum := lent.all[0]
	for _, other := range lent.all[1:] {
		for digit, c := range other.counts {
			sum.counts[digit] += c
		}
		sum.low, sum.high = min(sum.low, other.low), max(sum.high, other.high)
	}
	return sum, nil
}

// magnitudeBits are bits that order numbers by magnitude.
func magnitudeBits(v float64) uint64 { return math.Float64bits(v) &^ (1 << 63) }

// sortInside finds the border among the few elements that share its known bits, the k-th largest of them.
func (t *strand) sortInside(prefix uint64, known, k int, value func(src [][]float64) []float64) (border, error) {
	type element struct {
		bits  uint64
		index int
	}
	var mutex sync.Mutex
	var inside []element
	err := t.all(func(_, from int, src [][]float64) {
		var own []element
		for i, v := range value(src) {
			if bits := magnitudeBits(v); matches(bits, prefix, known) {
				own = append(own, element{bits, from + i})
			}
		}
		mutex.Lock()
		defer mutex.Unlock()
		inside = append(inside, own...)
	})
	if err != nil {
		return none, err
	}
	slices.SortFunc(inside, func(a, b element) int { return cmp.Or(cmp.Compare(b.bits, a.bits), cmp.Compare(a.index, b.index)) })
	last := inside[k-1]
	return border{math.Float64frombits(last.bits), last.index + 1}, nil
}

// cutAmongEqual finds where the k-th element of a known magnitude stands.
func (t *strand) cutAmongEqual(bits uint64, k int, value func(src [][]float64) []float64) (border, error) {
	equal := make([]int, t.units())
	count := func(src [][]float64) (c int) {
		for _, v := range value(src) {
			if magnitudeBits(v) == bits {
				c++
			}
		}
		return c
	}
	if err := t.all(func(number, _ int, src [][]float64) { equal[number] = count(src) }); err != nil {
		return none, err
	}
	unit := 0
	for k > equal[unit] {
		k -= equal[unit]
		unit++
	}
	b := border{magnitude: math.Float64frombits(bits)}
	err := t.each(unit*t.unit, min((unit+1)*t.unit, t.len()), func(_, from int, src [][]float64, _ []float64) {
		for i, v := range value(src) {
			if magnitudeBits(v) != bits {
				continue
			}
			if k--; k == 0 {
				b.cut = from + i + 1
			}
		}
	})
	return b, err
}
