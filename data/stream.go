package data

import (
	"fmt"
	"weak"
)

// piece is how many bytes of a tensor are looked at together: enough for a disk's full speed, few enough to have several at hand.
const piece = 4 << 20

// Fill writes the elements from number lo on to dst, which holds a whole number of them. A tensor that was made by [LazyTensor]
// is fetched as a whole for it, and again once the garbage collector has taken it.
// Errors: ErrShape beyond the last element; what fetching fails with.
func (t Tensor) Fill(dst []byte, lo int) error {
	size := t.DType.Size()
	if size == 0 || len(dst)%size != 0 || lo < 0 || lo+len(dst)/size > t.Len() {
		return fmt.Errorf("tensor: %w: %d bytes from element %d on of %s %v", ErrShape, len(dst), lo, t.DType, t.Shape)
	}
	if t.fill != nil {
		return t.fill(dst, lo)
	}
	if t.load == nil {
		copy(dst, t.data[lo*size:])
		return nil
	}
	if p := t.last.Load(); p != nil {
		if b := p.Value(); b != nil {
			copy(dst, (*b)[lo*size:])
			return nil
		}
	}
	b, err := t.Bytes()
	if err != nil {
		return err
	}
	p := weak.Make(&b)
	t.last.Store(&p)
	copy(dst, b[lo*size:])
	return nil
}

// Pieces hands over a tensor's bytes in order, a few megabytes at a time, and fetches or computes the next ones meanwhile. What it
// hands over is used again: it must not be kept. It ends at the first error, of the tensor or of use.
func (t Tensor) Pieces(use func(b []byte) error) error {
	if t.fill == nil {
		b, err := t.Bytes()
		if err != nil {
			return err
		}
		return use(b)
	}
	size := t.DType.Size()
	n, each := t.Len(), piece/size
	if n <= each {
		b, err := t.Bytes()
		if err != nil {
			return err
		}
		return use(b)
	}
	type filled struct {
		b   []byte
		err error
	}
	full, free := make(chan filled), make(chan []byte, 2)
	free <- make([]byte, each*size)
	free <- make([]byte, each*size)
	go func() {
		defer close(full)
		for lo := 0; lo < n; lo += each {
			b, ok := <-free
			if !ok {
				return
			}
			b = b[:min(each, n-lo)*size]
			err := t.fill(b, lo)
			full <- filled{b, err}
			if err != nil {
				return
			}
		}
	}()
	var failed error
	for f := range full {
		if failed == nil {
			failed = f.err
		}
		if failed == nil {
			failed = use(f.b)
		}
		if failed != nil {
			break
		}
		free <- f.b[:each*size]
	}
	if failed != nil { // let the other side end: it holds at most one more piece
		close(free)
		for range full {
		}
	}
	return failed
}

// As is the tensor in another floating-point type, rounded to nearest as it is asked for.
func (t Tensor) As(to DType) Tensor {
	shape, from := t.Shape, t
	return must(StreamTensor(to, shape, func(dst []byte, lo int) error {
		n := len(dst) / to.Size()
		if n == 0 {
			return nil
		}
		const stretch = 1 << 14
		raw, wide := make([]byte, min(n, stretch)*from.DType.Size()), make([]float64, min(n, stretch))
		for at := 0; at < n; at += stretch {
			k := min(stretch, n-at)
			if err := from.Fill(raw[:k*from.DType.Size()], lo+at); err != nil {
				return err
			}
			from.DType.Widen(wide[:k], raw)
			to.Narrow(dst[at*to.Size():], wide[:k])
		}
		return nil
	}))
}
