package weights

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
)

func TestComponentsThatAreOffGetNoGradient(t *testing.T) {
	c := KIND{Steps: 3, Rank: 3}
	if err := method.Ready(&c); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	x := make([]float32, 40*4)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	rows, _ := data.NewTable(40, 4, x)
	rows, _ = rows.WithLabels(make([]int, 40), []string{"on"})
	in := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
	for _, tensor := range net.New(1, 4, 6).Tensors() {
		in.Tensors[tensor.Name] = data.Float32Tensor(tensor.Values, tensor.Shape...)
	}
	classes := []string{"off", "on"}
	layers, level, _, err := c.read(in, 4, classes)
	if err != nil {
		t.Fatal(err)
	}
	before := layers[0].class
	if _, err := c.train(t.Context(), layers, level, classes, rows); err != nil {
		t.Fatal(err)
	}
	for _, name := range classes {
		a, b := before[name], layers[0].class[name]
		same := slices.Equal(a.u, b.u) && slices.Equal(a.s, b.s) && slices.Equal(a.v, b.v)
		if same != (name == "off") { // Adam moves whatever has had a gradient
			t.Errorf("components of class %q unchanged: %v", name, same)
		}
	}
}
