package continual_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
)

// layer is a last layer of two columns.
func layer(weight ...float64) *data.Checkpoint {
	return &data.Checkpoint{Tensors: map[string]data.Tensor{"weight": data.CastTensor(data.F32, weight, len(weight)/2, 2)}}
}

func ExampleT3A() {
	head := layer(1, 0, 0, 1) // class 0 along the first axis, class 1 along the second
	// The features have turned by 40 degrees: rows of class 0 now lie at 40, those of class 1 at 130 degrees.
	var x []float32
	for i := range 20 {
		angle := (40 + 90*float64(i%2)) / 180 * math.Pi
		x = append(x, float32(9*math.Cos(angle)), float32(9*math.Sin(angle)))
	}
	// A row of class 0 at 46 degrees lies on the wrong side of the old border.
	in, _ := data.NewTable(21, 2, append(x, float32(9*math.Cos(0.8)), float32(9*math.Sin(0.8))))
	p, err := continual.T3A{Capacity: 5}.Apply(context.Background(), continual.T3AInput{In: in, Head: head})
	if err != nil {
		panic(err)
	}
	fmt.Println("class 0:", p.Row(20)[0] > 0.5)
	// Output:
	// class 0: true
}

// TestT3AFirstRowByHand: the first row has joined its class's support; the other template is the layer's own direction.
func TestT3AFirstRowByHand(t *testing.T) {
	in := table(t, []string{"a"}, 0.6, 0.8)
	p, err := continual.T3A{Capacity: 1}.Apply(t.Context(), continual.T3AInput{In: in, Head: layer(10, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	// Logits 6 and 0.8: class 0, entropy of (0.9945, 0.0055) = 0.034 nats. The weights (10, 0) have logits 100 and 0: entropy 0, so they stay.
	want := 1 / (1 + math.Exp(0.8-0.6))
	if math.Abs(float64(p.Row(0)[0])-want) > 1e-6 {
		t.Errorf("probability %.6f, want %.6f", p.Row(0)[0], want)
	}
	if p, err = (continual.T3A{Capacity: 2}).Apply(t.Context(), continual.T3AInput{In: in, Head: layer(10, 0, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	// With room for both the template is (1.6, 0.8) of length one, and the row's product with it (0.96+0.64)/√3.2.
	want = 1 / (1 + math.Exp(0.8-1.6/math.Sqrt(3.2)))
	if math.Abs(float64(p.Row(0)[0])-want) > 1e-6 {
		t.Errorf("probability %.6f, want %.6f", p.Row(0)[0], want)
	}
}

func TestT3ARefuses(t *testing.T) {
	in := table(t, []string{"a"}, 1, 2, 3)
	if _, err := (continual.T3A{}).Apply(t.Context(), continual.T3AInput{In: in, Head: layer(1, 0, 0, 1)}); !errors.Is(err, data.ErrShape) {
		t.Errorf("another width: %v", err)
	}
}
