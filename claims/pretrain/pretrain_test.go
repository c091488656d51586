package pretrain

import (
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/pretrain"
)

// images are n of noise, a band of which says the class.
func images(t *testing.T, n, k int) *data.Table {
	t.Helper()
	r := claim.Random(1, 1)
	x, labels := make([]float32, n*side*side), make([]int, n)
	for i := range labels {
		labels[i] = i % k
		for j := range side * side {
			x[i*side*side+j] = r.Float32() / 2
			if j/side/4 == labels[i] {
				x[i*side*side+j] += 0.5
			}
		}
	}
	in, err := data.NewTable(n, side*side, x)
	if err == nil {
		in, err = in.WithLabels(labels, claim.Numbers(k))
	}
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// TestTrainStartsFromTheCheckpoint: at a rate of zero the weights stay what they were, those of the method's own network.
func TestTrainStartsFromTheCheckpoint(t *testing.T) {
	start, err := pretrain.Fractal{Steps: 1, Batch: 2, Systems: 2}.Apply(t.Context(), struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	loop := net.Loop{Epochs: 1, Batch: 4, Seed: 9, Optimiser: net.Optimiser{Rule: net.Adam}}
	ps, err := train(t.Context(), start, images(t, 8, 3), loop)
	if err != nil {
		t.Fatal(err)
	}
	kept := encoderOf(ps)
	if !slices.Equal(kept.Names(), start.Names()) {
		t.Fatalf("the network has %v, the checkpoint %v", kept.Names(), start.Names())
	}
	scratch, err := train(t.Context(), nil, images(t, 8, 3), loop)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"encoder.0.conv.weight", "encoder.2.conv.weight", "encoder.features.weight"} {
		want := start.Read().Float32s(name, start.Tensors[name].Shape...)
		if !slices.Equal(ps.Get(name).Values, want) || slices.Equal(scratch.Get(name).Values, want) {
			t.Errorf("%s: training from a checkpoint, or from scratch, does not start there", name)
		}
	}
}

func TestAccuracy(t *testing.T) {
	in := images(t, 150, 3) // more than a batch, and the last one shorter
	ps, err := train(t.Context(), nil, in, net.Loop{Epochs: 6, Batch: 15, Seed: 1, Optimiser: net.Optimiser{Rule: net.Adam, Rate: 2e-3}})
	if err != nil {
		t.Fatal(err)
	}
	if a, err := accuracy(ps, in); err != nil || a != 1 {
		t.Errorf("bands told apart: %v (%v)", a, err)
	}
	for _, name := range []string{"head.weight", "head.bias"} {
		clear(ps.Get(name).Values)
	}
	if a, err := accuracy(ps, in); err != nil || a != 1.0/3 {
		t.Errorf("a head of zeros always says the first class: %v (%v)", a, err)
	}
}
