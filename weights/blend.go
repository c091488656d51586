package weights

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

// listed is how many differences an error spells out; the rest is counted.
const listed = 4

// align refuses checkpoints that do not hold the same tensors: names, shapes, element types, and the values of those that
// are no floating-point numbers, for which arithmetic has no meaning. One error lists the differences from the first one.
func align(in data.Checkpoints) error {
	if len(in) == 0 {
		return fmt.Errorf("%w: no checkpoints", method.ErrInput)
	}
	var found []string
	for i, c := range in {
		if c == nil {
			return fmt.Errorf("%w: checkpoint %d is missing", method.ErrInput, i+1)
		}
		names := map[string]bool{}
		maps.Insert(names, maps.All(present(c)))
		maps.Insert(names, maps.All(present(in[0])))
		for _, name := range slices.Sorted(maps.Keys(names)) {
			have, ok := c.Tensors[name]
			want, known := in[0].Tensors[name]
			switch {
			case !ok:
				found = append(found, fmt.Sprintf("checkpoint %d lacks %q", i+1, name))
			case !known:
				found = append(found, fmt.Sprintf("only checkpoint %d has %q", i+1, name))
			case have.DType != want.DType || !slices.Equal(have.Shape, want.Shape):
				found = append(found, fmt.Sprintf("%q is %s %v in checkpoint %d, %s %v in 1", name, have.DType, have.Shape, i+1, want.DType, want.Shape))
			case i > 0 && !want.DType.Float():
				same, err := equalBytes(want, have)
				if err != nil {
					return fmt.Errorf("checkpoint %d, tensor %q: %w", i+1, name, err)
				}
				if !same {
					found = append(found, fmt.Sprintf("%q is %s, which cannot be blended, and has other values in checkpoint %d than in 1", name, want.DType, i+1))
				}
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	more := ""
	if rest := len(found) - listed; rest > 0 {
		more = fmt.Sprintf("; and %d more", rest)
	}
	return fmt.Errorf("%w: the %d checkpoints are not of one architecture, %d differences: %s%s", data.ErrShape, len(in), len(found), strings.Join(found[:min(len(found), listed)], "; "), more)
}

func present(c *data.Checkpoint) map[string]bool {
	names := make(map[string]bool, len(c.Tensors))
	for name := range c.Tensors {
		names[name] = true
	}
	return names
}

func equalBytes(a, b data.Tensor) (bool, error) {
	x, err := a.Bytes()
	if err != nil {
		return false, err
	}
	y, err := b.Bytes()
	return bytes.Equal(x, y), err
}

// blend returns a checkpoint whose every floating-point tensor is f of the same tensor in each of in, element by element,
// computed in float64, rounded once, and only when the tensor is asked for. Other tensors are the first checkpoint's, and
// so is the metadata that all share, without a seal. f gets dst and src[i] of equal length and must treat each element
// apart. number(i) is what errors call checkpoint i.
func blend(in data.Checkpoints, number func(i int) int, f func(name string, dst []float64, src [][]float64)) (*data.Checkpoint, error) {
	out := &data.Checkpoint{Meta: map[string]string{}, Tensors: make(map[string]data.Tensor, len(in[0].Tensors))}
	for key, text := range in[0].Meta {
		if !slices.ContainsFunc(in, func(c *data.Checkpoint) bool { other, ok := c.Meta[key]; return !ok || other != text }) {
			out.Meta[key] = text
		}
	}
	delete(out.Meta, "sha256")
	for name, first := range in[0].Tensors {
		if !first.DType.Float() {
			out.Tensors[name] = first
			continue
		}
		b := blender{name: name, number: number, f: f}
		for _, c := range in {
			b.from = append(b.from, c.Tensors[name])
		}
		t, err := data.LazyTensor(first.DType, first.Shape, b.compute)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		out.Tensors[name] = t
	}
	return out, nil
}

// blender computes one tensor of a blend.
type blender struct {
	name   string
	from   []data.Tensor
	number func(i int) int
	f      func(name string, dst []float64, src [][]float64)
}

// stretch is how many elements are widened to float64 at a time: few enough to stay in the second-level cache.
const stretch = 4096

func (b blender) compute() ([]byte, error) {
	dtype, size, n := b.from[0].DType, b.from[0].DType.Size(), b.from[0].Len()
	raw := make([][]byte, len(b.from))
	for i, t := range b.from {
		var err error
		if raw[i], err = t.Bytes(); err != nil {
			return nil, fmt.Errorf("checkpoint %d, tensor %q: %w", b.number(i), b.name, err)
		}
	}
	out := make([]byte, n*size)
	pieces := (n + stretch - 1) / stretch
	errs := make([]error, pieces)
	num.Parallel(pieces, 8, func(from, to int) {
		dst, src, memory := make([]float64, stretch), make([][]float64, len(raw)), make([]float64, stretch*len(raw))
		for p := from; p < to; p++ {
			lo, hi := p*stretch, min((p+1)*stretch, n)
			for i := range raw {
				src[i] = memory[i*stretch : i*stretch+hi-lo]
				if errs[p] = b.widen(src[i], i, raw[i][lo*size:hi*size], lo); errs[p] != nil {
					return
				}
			}
			b.f(b.name, dst[:hi-lo], src)
			narrow, err := data.CastTensor(dtype, dst[:hi-lo], hi-lo).Bytes()
			if err != nil {
				errs[p] = err
				return
			}
			copy(out[lo*size:], narrow)
		}
	})
	for _, err := range errs {
		if err != nil { // the first in the tensor's order, whichever thread was faster
			return nil, err
		}
	}
	return out, nil
}

// widen turns part of checkpoint i's tensor, from element lo, into float64.
func (b blender) widen(dst []float64, i int, raw []byte, lo int) error {
	le := binary.LittleEndian
	switch dtype := b.from[i].DType; dtype { // the usual types without a detour
	case data.F32:
		for k := range dst {
			dst[k] = float64(math.Float32frombits(le.Uint32(raw[4*k:])))
		}
	case data.BF16:
		for k := range dst {
			dst[k] = float64(math.Float32frombits(uint32(le.Uint16(raw[2*k:])) << 16))
		}
	default:
		t, err := data.NewTensor(dtype, []int{len(dst)}, raw)
		if err != nil {
			return err
		}
		v, err := t.Float64s()
		if err != nil {
			return err
		}
		copy(dst, v)
	}
	nothing := 0.0
	for _, x := range dst {
		nothing += 0 * x
	}
	if nothing == 0 {
		return nil
	}
	k := slices.IndexFunc(dst, func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) })
	return fmt.Errorf("checkpoint %d, tensor %q: element %d is %v, %w", b.number(i), b.name, lo+k, dst[k], data.ErrFinite)
}

// mean writes the mean of src to dst, and gives the same bits in whatever order the sources come, for sums are exact:
// most of them as they are, for neighbouring float32 values leave room in float64; the others in two or more parts.
func mean(dst []float64, src [][]float64) {
	m := float64(len(src))
	lost := make([]float64, len(dst))
	copy(dst, src[0])
	for _, s := range src[1:] {
		for i, x := range s {
			sum, e := twoSum(dst[i], x)
			dst[i] = sum
			lost[i] += math.Abs(e)
		}
	}
	for i, sum := range dst {
		if lost[i] == 0 {
			dst[i] = sum / m
		} else { // or NaN, after an overflow
			dst[i] = meanInParts(src, i)
		}
	}
}

// meanInParts returns the mean of element i over all sources from the exact sum's nearest float64 and the nearest one to
// the rest. A second chain sums the first one's errors; where it errs as well, big numbers take over.
func meanInParts(src [][]float64, i int) float64 {
	m := float64(len(src))
	sum, errors, lost := src[0][i], 0.0, 0.0
	for _, s := range src[1:] {
		var e, e2 float64
		sum, e = twoSum(sum, s[i])
		errors, e2 = twoSum(errors, e)
		lost += math.Abs(e2)
	}
	high, low := twoSum(sum, errors)
	if lost != 0 {
		exact := exactFloat(0)
		for _, s := range src {
			exact.Add(exact, exactFloat(s[i]))
		}
		if high, _ = exact.Float64(); math.IsInf(high, 0) { // no mean is
			v, _ := exact.Quo(exact, exactFloat(m)).Float64()
			return v
		}
		low, _ = exact.Sub(exact, exactFloat(high)).Float64()
	}
	q := high / m
	return q + (math.FMA(-q, m, high)+low)/m
}

// twoSum returns a+b rounded, and exactly what rounding took away.
func twoSum(a, b float64) (sum, lost float64) {
	sum = a + b
	v := sum - a
	return sum, (a - (sum - v)) + (b - v)
}

// exactFloat returns x in a precision in which sums of float64 are exact: from 2^1024 times their number down to 2^-1074.
func exactFloat(x float64) *big.Float { return new(big.Float).SetPrec(2200).SetFloat64(x) }

// mix writes Σ weights[i]·src[i] to dst; a source of weight zero leaves no trace.
func mix(dst []float64, src [][]float64, weights []float64) {
	first := true
	for m, w := range weights {
		switch {
		case w == 0:
		case first:
			for i, x := range src[m] {
				dst[i] = w * x
			}
			first = false
		default:
			for i, x := range src[m] {
				dst[i] += w * x
			}
		}
	}
	if first {
		clear(dst)
	}
}
