package weights

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "matrices as whole numbers of eight bits, with a scale for each row",
	Paper: "dettmers2022llm",
}, Quantize.Apply))

// quantizeSuffix names the scales of a tensor, and quantizeKey its former type in the metadata.
const quantizeSuffix, quantizeKey = ".scale", "quantize."

// Quantize stores matrices as whole numbers from −127 to 127 with one scale a row: a quarter of float32's size.
//
// An element is off by at most half a scale, which is the largest magnitude of its row over 254. Rows with single large elements lose
// most; inspect shows outliers. Nothing is calibrated: for four bits that would be needed, for eight it hardly is.
//
// Takes:   in, a checkpoint.
// Apply:   a checkpoint in which every floating-point tensor of two or more dimensions is I8, round(x / scale), with F32 scales [rows] beside it as NAME.scale; a row is the first dimension. Metadata quantize.NAME keeps the type, for Dequantize. Other tensors stay as they are. Computed as it is written, row by row.
// Errors:  ErrInput when a name for scales is taken; ErrFinite naming tensor and element, when that tensor is asked for.
// Differs: the paper also quantises activations and keeps outlier columns in 16 bits; this is its row-wise absmax quantisation of weights.
// Source:  dettmers2022llm, section 2.
// Claim:   none: it is a file format's arithmetic, with a bound that its tests hold it to.
type Quantize struct{}

// Apply quantises.
func (c Quantize) Apply(ctx context.Context, in *data.Checkpoint) (*data.Checkpoint, error) {
	s, err := sources{data.Checkpoints{in}, []string{"the checkpoint"}}.align()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := &data.Checkpoint{Meta: s.meta(), Tensors: map[string]data.Tensor{}}
	for name, tensor := range in.Tensors {
		if !tensor.DType.Float() || len(tensor.Shape) < 2 {
			out.Tensors[name] = tensor
			continue
		}
		if _, taken := in.Tensors[name+quantizeSuffix]; taken {
			return nil, fmt.Errorf("%w: tensor %q is where the scales of %q would be", method.ErrInput, name+quantizeSuffix, name)
		}
		t := &strand{name: name, dtype: tensor.DType, shape: tensor.Shape, from: []data.Tensor{tensor}, who: s.who}
		t.byRows()
		q, err := data.StreamTensor(data.I8, tensor.Shape, func(dst []byte, lo int) error {
			return t.each(lo, lo+len(dst), func(_, from int, src [][]float64, _ []float64) {
				scale := quantizeScale(src[0])
				for i, x := range src[0] {
					if at := from + i - lo; at >= 0 && at < len(dst) {
						dst[at] = byte(quantizeOne(x, scale))
					}
				}
			})
		})
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		scales, err := data.StreamTensor(data.F32, []int{tensor.Shape[0]}, func(dst []byte, lo int) error {
			return t.each(lo*t.unit, min((lo+len(dst)/4)*t.unit, t.len()), func(row, _ int, src [][]float64, _ []float64) {
				data.F32.Narrow(dst[4*(row-lo):], []float64{quantizeScale(src[0])})
			})
		})
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		out.Tensors[name], out.Tensors[name+quantizeSuffix] = q, scales
		out.Meta[quantizeKey+name] = string(tensor.DType)
	}
	return out, nil
}

// quantizeScale is that of a row, as float32 stores it; 1 for a row of zeros, and not below float32's smallest normal number.
func quantizeScale(row []float64) float64 {
	top := 0.0
	for _, x := range row {
		top = max(top, math.Abs(x))
	}
	if top == 0 {
		return 1
	}
	return max(float64(float32(min(top/127, math.MaxFloat32))), 0x1p-126)
}

// quantizeOne rounds half to even, within the range.
func quantizeOne(x, scale float64) int8 {
	return int8(max(-127, min(127, math.RoundToEven(x/scale))))
}
