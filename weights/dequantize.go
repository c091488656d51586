package weights

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "what Quantize stored, as floating-point numbers again",
	Paper: "dettmers2022llm",
}, Dequantize.Apply))

// Dequantize multiplies quantised matrices by their rows' scales and gives them the types that they had.
//
// Takes:   in, a checkpoint that Quantize made. One without quantised tensors passes unchanged.
// Apply:   a checkpoint with the names, shapes and types from before; every element within half a scale of its former value, and one rounding to its type. Computed as it is written.
// Errors:  ErrFormat when a quantised tensor or its scales are missing or of another type; ErrShape when their sizes do not fit.
// Source:  dettmers2022llm, section 2.
// Claim:   none: it undoes Quantize.
type Dequantize struct{}

// Apply restores.
func (c Dequantize) Apply(ctx context.Context, in *data.Checkpoint) (*data.Checkpoint, error) {
	if in == nil {
		return nil, fmt.Errorf("%w: no checkpoint", method.ErrInput)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := sources{data.Checkpoints{in}, []string{"the checkpoint"}}
	out := &data.Checkpoint{Meta: s.meta(), Tensors: map[string]data.Tensor{}}
	for name, t := range in.Tensors {
		out.Tensors[name] = t
	}
	for key, text := range in.Meta {
		name, ok := strings.CutPrefix(key, quantizeKey)
		if !ok {
			continue
		}
		delete(out.Meta, key)
		delete(out.Tensors, name+quantizeSuffix)
		dtype := data.DType(text)
		q, scales := in.Tensors[name], in.Tensors[name+quantizeSuffix]
		switch {
		case !dtype.Float() || q.DType != data.I8 || scales.DType != data.F32:
			return nil, fmt.Errorf("tensor %q was %q, is %q with scales %q; want a floating-point type, I8 and F32: %w", name, text, q.DType, scales.DType, data.ErrFormat)
		case len(q.Shape) < 2 || !slices.Equal(scales.Shape, q.Shape[:1]):
			return nil, fmt.Errorf("tensor %q: %w: scales %v for %v, want one a row", name, data.ErrShape, scales.Shape, q.Shape)
		}
		row := max(q.Len()/max(q.Shape[0], 1), 1)
		t, err := data.StreamTensor(dtype, q.Shape, func(dst []byte, lo int) error {
			n := len(dst) / dtype.Size()
			if n == 0 {
				return nil
			}
			first := lo / row
			whole, factor := make([]byte, n), make([]byte, 4*((lo+n-1)/row-first+1))
			if err := q.Fill(whole, lo); err != nil {
				return err
			}
			if err := scales.Fill(factor, first); err != nil {
				return err
			}
			v := make([]float64, n)
			for i := range v {
				scale := math.Float32frombits(binary.LittleEndian.Uint32(factor[4*((lo+i)/row-first):]))
				v[i] = float64(int8(whole[i])) * float64(scale)
			}
			dtype.Narrow(dst, v)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		out.Tensors[name] = t
	}
	return out, nil
}
