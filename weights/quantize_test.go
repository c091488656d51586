package weights_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/weights"
)

// matrix is one tensor of two dimensions in a checkpoint.
func matrix(name string, rows, columns int, v ...float64) *data.Checkpoint {
	return &data.Checkpoint{Tensors: map[string]data.Tensor{name: data.CastTensor(data.F32, v, rows, columns)}}
}

func ExampleQuantize() {
	out, err := weights.Quantize{}.Apply(context.Background(), matrix("w", 2, 3, 1.27, -0.5, 0.004, 0, 25.4, -0.3))
	if err != nil {
		panic(err)
	}
	q, _ := out.Tensors["w"].Float64s()
	scale, _, _ := out.Floats("w.scale", 2)
	fmt.Printf("%v times %.2f\n", q, scale)
	// Output:
	// [127 -50 0 0 127 -2] times [0.01 0.20]
}

// Half a scale, and the type's rounding, bound the error of the way there and back; integers and vectors stay.
func TestQuantizeAndBack(t *testing.T) {
	all := many(9, 1)
	in := &data.Checkpoint{Meta: all[0].Meta, Tensors: map[string]data.Tensor{"vector": all[0].Tensors["F32"], "steps": all[0].Tensors["steps"], "zero": data.CastTensor(data.F32, make([]float64, 6), 2, 3)}}
	for _, name := range []string{"F64", "F32", "F16", "BF16"} {
		v, _ := all[0].Tensors[name].Float64s()
		in.Tensors[name] = data.CastTensor(all[0].Tensors[name].DType, v[:9000], 30, 20, 15)
	}
	q, err := weights.Quantize{}.Apply(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	back, err := weights.Dequantize{}.Apply(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "what is no matrix", back, &data.Checkpoint{Tensors: map[string]data.Tensor{"vector": in.Tensors["vector"], "steps": in.Tensors["steps"], "zero": in.Tensors["zero"]}})
	rounding := map[data.DType]float64{data.F64: 0, data.F32: 0x1p-24, data.F16: 0x1p-11, data.BF16: 0x1p-8}
	for name, want := range in.Tensors {
		have := back.Tensors[name]
		if have.DType != want.DType || fmt.Sprint(have.Shape) != fmt.Sprint(want.Shape) || len(back.Tensors) != len(in.Tensors) {
			t.Fatalf("%s is %s %v, was %s %v", name, have.DType, have.Shape, want.DType, want.Shape)
		}
		if len(want.Shape) != 3 {
			continue
		}
		x, _ := want.Float64s()
		y, err := have.Float64s()
		if err != nil {
			t.Fatal(err)
		}
		scale, _, err := q.Floats(name+".scale", 30)
		if err != nil {
			t.Fatal(err)
		}
		for i := range x {
			if off := math.Abs(x[i] - y[i]); off > scale[i/300]*(0.5+1e-5)+rounding[want.DType]*math.Abs(x[i]) { // 1e-5: scales are float32
				t.Fatalf("%s, element %d: %v became %v, scale %v", name, i, x[i], y[i], scale[i/300])
			}
		}
	}
	if _, ok := back.Meta["quantize.F32"]; ok || back.Meta["format"] != "pt" {
		t.Errorf("metadata %v", back.Meta)
	}
	// In pieces that end inside rows it is the same.
	for name := range q.Tensors {
		whole, _ := q.Tensors[name].Bytes()
		size := q.Tensors[name].DType.Size()
		part := make([]byte, len(whole)/size/3*size)
		at := len(whole) / size / 2
		if err := q.Tensors[name].Fill(part, at); err != nil || string(part) != string(whole[at*size:at*size+len(part)]) {
			t.Errorf("%s from element %d on differs (%v)", name, at, err)
		}
	}
	in.Tensors["F32.scale"] = in.Tensors["vector"]
	if _, err := (weights.Quantize{}).Apply(t.Context(), in); !isInput(err) {
		t.Errorf("a name that is taken: %v", err)
	}
}

func isInput(err error) bool { return errors.Is(err, method.ErrInput) }
