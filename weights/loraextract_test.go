package weights_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/weights"
)

func ExampleLoRAExtract() {
	base := matrix("fc.weight", 2, 3, 1, 0, 0, 0, 1, 0)
	tuned := matrix("fc.weight", 2, 3, 1, 2, 4, 0, 2, 2)
	adapter, err := weights.LoRAExtract{Rank: 1}.Apply(context.Background(), weights.LoRAExtractInput{From: base, To: tuned})
	if err != nil {
		panic(err)
	}
	out, err := weights.LoRAMerge{}.Apply(context.Background(), weights.LoRAMergeInput{In: base, Adapter: adapter})
	if err != nil {
		panic(err)
	}
	w, _, _ := out.Floats("fc.weight", 2, 3)
	fmt.Println(adapter.Names())
	fmt.Printf("%.3f\n", w) // the change has rank one: nothing is lost
	// Output:
	// [base_model.model.fc.lora_A.weight base_model.model.fc.lora_B.weight]
	// [1.000 2.000 4.000 0.000 2.000 2.000]
}

// normals is a checkpoint with a matrix of normal numbers.
func normals(seed uint64, name string, rows, columns int) *data.Checkpoint {
	r := rand.New(rand.NewPCG(seed, 3))
	v := make([]float64, rows*columns)
	for i := range v {
		v[i] = float64(float32(r.NormFloat64()))
	}
	return matrix(name, rows, columns, v...)
}

// The change that an adapter makes to a matrix of zeros.
func product(t *testing.T, adapter *data.Checkpoint, name string, rows, columns int) []float64 {
	t.Helper()
	zero := &data.Checkpoint{Tensors: map[string]data.Tensor{name: data.CastTensor(data.F64, make([]float64, rows*columns), rows, columns)}}
	out := apply(t, "loramerge", nil, data.Bundle{"in": zero, "adapter": adapter})
	v, _, err := out.Floats(name, rows, columns)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// What is lost is the singular values beyond the rank: by Eckart and Young none does better.
func TestLoRAExtractLosesTheTail(t *testing.T) {
	const m, n = 12, 30
	base, tuned := normals(1, "a.weight", m, n), normals(2, "a.weight", m, n)
	x, _, _ := base.Floats("a.weight", m, n)
	y, _, _ := tuned.Floats("a.weight", m, n)
	change := make([]float64, m*n)
	for i := range change {
		change[i] = y[i] - x[i]
	}
	_, s, _, ok := num.SVD(change, m, n)
	if !ok {
		t.Fatal("no singular values")
	}
	for _, rank := range []int{1, 5, 12, 99} {
		adapter := apply(t, "loraextract", map[string]string{"rank": fmt.Sprint(rank)}, data.Bundle{"from": base, "to": tuned})
		have := product(t, adapter, "a.weight", m, n)
		lost, want := 0.0, 0.0
		for i := range have {
			lost += (change[i] - have[i]) * (change[i] - have[i])
		}
		for _, v := range s[min(rank, len(s)):] {
			want += v * v
		}
		if math.Abs(lost-want) > 1e-5*(s[0]*s[0]) { // factors are float32
			t.Errorf("rank %d: squared loss %v, the tail has %v", rank, lost, want)
		}
	}
	base.Tensors["a.bias"], tuned.Tensors["a.bias"] = data.Float64Tensor([]float64{1}, 1), data.Float64Tensor([]float64{2}, 1)
	if out := apply(t, "loraextract", nil, data.Bundle{"from": base, "to": tuned}); out.Meta["lora.left"] != "1" || out.Meta["lora.rank"] != "16" {
		t.Errorf("metadata %v", out.Meta)
	}
	if _, err := tryApply(t, "loraextract", nil, data.Bundle{"from": pair(1), "to": pair(2)}); !isInput(err) {
		t.Errorf("no matrices: %v", err)
	}
}
