package weights_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/weights"
)

func ExampleDequantize() {
	q, err := weights.Quantize{}.Apply(context.Background(), matrix("w", 1, 3, 1.27, -0.5, 0.004))
	if err != nil {
		panic(err)
	}
	out, err := weights.Dequantize{}.Apply(context.Background(), q)
	if err != nil {
		panic(err)
	}
	w, _, _ := out.Floats("w", 1, 3)
	fmt.Printf("%.2f\n", w)
	// Output:
	// [1.27 -0.50 0.00]
}

func TestDequantizeRefuses(t *testing.T) {
	q, err := weights.Quantize{}.Apply(t.Context(), matrix("w", 2, 2, 1, 2, 3, 4))
	if err != nil {
		t.Fatal(err)
	}
	scales := q.Tensors["w.scale"]
	delete(q.Tensors, "w.scale")
	if _, err := (weights.Dequantize{}).Apply(t.Context(), q); !errors.Is(err, data.ErrFormat) {
		t.Errorf("without scales: %v", err)
	}
	q.Tensors["w.scale"] = data.Float32Tensor([]float32{1}, 1)
	if _, err := (weights.Dequantize{}).Apply(t.Context(), q); !errors.Is(err, data.ErrShape) {
		t.Errorf("too few scales: %v", err)
	}
	q.Tensors["w.scale"] = scales
	q.Meta["quantize.w"] = "I32"
	if _, err := (weights.Dequantize{}).Apply(t.Context(), q); !errors.Is(err, data.ErrFormat) {
		t.Errorf("another type: %v", err)
	}
}
