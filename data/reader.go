package data

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// Reader takes a model's state apart and remembers the first error, so that a loader reads in one go and checks once.
type Reader struct {
	c   *Checkpoint
	err error
}

// Read returns a reader of the checkpoint.
func (c *Checkpoint) Read() *Reader { return &Reader{c: c} }

// Err returns the first error of all reads.
func (r *Reader) Err() error { return r.err }

// Floats returns the named tensor's finite values; it must have the wanted shape, in which −1 stands for any size.
// After an error it returns nil.
func (r *Reader) Floats(name string, shape ...int) []float64 {
	v, _, err := r.c.Floats(name, shape...)
	for i := 0; err == nil && i < len(v); i++ {
		if math.IsNaN(v[i]) || math.IsInf(v[i], 0) {
			err = fmt.Errorf("tensor %q: value %d is %w", name, i, ErrFinite)
		}
	}
	if err != nil && r.err == nil {
		r.err = err
	}
	if r.err != nil {
		return nil
	}
	return v
}

// Float32s is Floats in single precision; values beyond it are not finite. A float32 tensor is read as it lies, for rows
// that a model keeps may fill most of the memory.
func (r *Reader) Float32s(name string, shape ...int) []float32 {
	t, err := r.c.tensor(name, shape)
	var out []float32
	switch {
	case err != nil:
	case t.DType == F32:
		var b []byte
		if b, err = t.Bytes(); err == nil {
			out = make([]float32, t.Len())
			for i := range out {
				out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
			}
		}
	default:
		for _, v := range r.Floats(name, shape...) {
			out = append(out, float32(v))
		}
	}
	if i := num.Finite(out); err == nil && i >= 0 {
		err = fmt.Errorf("tensor %q: value %d is %w", name, i, ErrFinite)
	}
	if err != nil && r.err == nil {
		r.err = err
	}
	if r.err != nil {
		return nil
	}
	return out
}

// Strings returns a metadata entry that [Checkpoint.SetStrings] wrote.
func (r *Reader) Strings(key string) []string {
	var s []string
	text, ok := r.c.Meta[key]
	if !ok && r.err == nil {
		r.err = fmt.Errorf("metadata %q is missing: %w", key, ErrFormat)
	}
	if err := json.Unmarshal([]byte(text), &s); ok && err != nil && r.err == nil {
		r.err = fmt.Errorf("metadata %q: %w: %v", key, ErrFormat, err)
	}
	return s
}

// SetStrings stores a list of strings as a metadata entry.
func (c *Checkpoint) SetStrings(key string, list []string) {
	text, err := json.Marshal(list)
	if err != nil {
		panic(err) // strings always marshal
	}
	if c.Meta == nil {
		c.Meta = map[string]string{}
	}
	c.Meta[key] = string(text)
}
