package weights

import (
	"math"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/weights"
)

func images(t *testing.T, n int) *data.Table {
	t.Helper()
	r := claim.Random(1, 1)
	x, labels := make([]float32, n*784), make([]int, n)
	for i := range x {
		x[i] = r.Float32()
	}
	for i := range labels {
		labels[i] = i % 10
	}
	in, err := data.NewTable(n, 784, x)
	if err == nil {
		in, err = in.WithLabels(labels, claim.Numbers(10))
	}
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestShiftKeepsLabelsAndRange(t *testing.T) {
	in := images(t, 12)
	out, err := soupShift(in, 5)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := in.Labels()
	b, _ := out.Labels()
	if !slices.Equal(a, b) || slices.Equal(in.X(), out.X()) || slices.Min(out.X()) < 0 || slices.Max(out.X()) > 1 {
		t.Error("noise must change pixels, keep them in [0, 1], and leave labels alone")
	}
}

func TestTuneMakesDifferentCopies(t *testing.T) {
	in := images(t, 40)
	start := claim.Perceptron{Net: net.New(1, 784, 4, 10)}
	tuned, err := soupTune(t.Context(), start, in, 3)
	if err != nil {
		t.Fatal(err)
	}
	again, err := soupTune(t.Context(), start, in, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i := range tuned {
		a, _ := tuned[i].Logits(in)
		if b, _ := again[i].Logits(in); !slices.Equal(a.X(), b.X()) {
			t.Errorf("copy %d differs from run to run", i)
		}
		for k := range i {
			if b, _ := tuned[k].Logits(in); slices.Equal(a.X(), b.X()) {
				t.Errorf("copies %d and %d are the same", k, i)
			}
		}
	}
}

func TestEnsembleOfOneAndOfOpposites(t *testing.T) {
	in := images(t, 50)
	p := claim.Perceptron{Net: net.New(1, 784, 10)}
	z, err := p.Logits(in)
	if err != nil {
		t.Fatal(err)
	}
	want, err := claim.Accuracy(z, in)
	if err != nil {
		t.Fatal(err)
	}
	for _, nets := range [][]claim.Perceptron{{p}, {p, p, p}} {
		if a, err := soupAccuracy(nets, in); err != nil || a != want {
			t.Errorf("%d equal networks: %v, one alone %v (%v)", len(nets), a, want, err)
		}
	}
	// A network and its opposite cancel: all logits are zero and the first class is always chosen.
	opposite := p.Clone()
	for _, tensor := range opposite.Tensors() {
		for i := range tensor.Values {
			tensor.Values[i] = -tensor.Values[i]
		}
	}
	if a, err := soupAccuracy([]claim.Perceptron{p, {Net: opposite}}, in); err != nil || a != 0.1 {
		t.Errorf("opposites: %v, want a tenth (%v)", a, err)
	}
}

func TestMaskedTuningKeepsZeros(t *testing.T) {
	in := images(t, 60)
	p := claim.Perceptron{Net: net.New(1, 784, 6, 10)}
	mask := maskOf(p)
	for name, m := range mask {
		for i := range m {
			if (i+len(name))%3 == 0 {
				m[i] = 0
			}
		}
	}
	loop := net.Loop{Epochs: 2, Batch: 20, Optimiser: net.Optimiser{Rule: net.SGD, Rate: 0.05, Momentum: 0.9}}
	tuned, err := tuneMasked(t.Context(), masked(p, mask), mask, in, loop)
	if err != nil {
		t.Fatal(err)
	}
	free, err := tuneMasked(t.Context(), p, nil, in, loop)
	if err != nil {
		t.Fatal(err)
	}
	for k, tensor := range tuned.Tensors() {
		moved := false
		for i, v := range tensor.Values {
			if m := mask[tensor.Name]; m != nil && m[i] == 0 && v != 0 {
				t.Fatalf("%s[%d] is %g under a mask of zero", tensor.Name, i, v)
			}
			moved = moved || v != 0 && v != p.Tensors()[k].Values[i]
		}
		if !moved || slices.Equal(free.Tensors()[k].Values, p.Tensors()[k].Values) {
			t.Errorf("%s did not learn", tensor.Name)
		}
	}
	if o := essSparsityOverlap(mask, mask); o < 0.999999 || o > 1.000001 {
		t.Errorf("overlap of a mask with itself %g", o)
	}
}

func TestPrunedCharactersStaySparse(t *testing.T) {
	params := net.NewParams(1)
	masks := map[string][]float32{"hidden": {1, 1, 1, 1}, "out": {1, 1, 1, 1}}
	for name, v := range map[string][]float32{"hidden.weight": {1, -2, 3, -4}, "out.weight": {0.5, 5, -6, 7}} {
		if err := params.Put(net.Tensor{Name: name, Shape: []int{4, 1}, Values: v}); err != nil {
			t.Fatal(err)
		}
	}
	pruneSmallest(params, masks, 0.25)
	copy(params.Get("out.weight").Values, []float32{9}) // a masked weight that grows stays masked
	pruneSmallest(params, masks, 0.5)
	if !slices.Equal(masks["hidden"], []float32{0, 0, 0, 1}) || !slices.Equal(masks["out"], []float32{0, 1, 1, 1}) {
		t.Errorf("masks %v", masks)
	}
	text := make([]byte, 2000)
	for i := range text {
		text[i] = byte(i % 3)
	}
	places := make([]int, 1500)
	for i := range places {
		places[i] = sparseLawContext + i
	}
	_, dense, err := pretrainCharacters(t.Context(), text, 3, places, places[:100], 16, 1, 0, 0.25, 0.75)
	if err != nil {
		t.Fatal(err)
	}
	_, sparse, err := pretrainCharacters(t.Context(), text, 3, places, places[:100], 16, 1, 0.999, 0.25, 0.75)
	if err != nil || dense > 0.2 || sparse < dense {
		t.Errorf("a text of period 3: loss %g dense, %g with nothing left (%v)", dense, sparse, err)
	}
}

func TestPatchesGoWithTheDigit(t *testing.T) {
	in := images(t, 50)
	maps := make([][]int, bangPatches)
	for k := range maps {
		maps[k] = claim.Random(3, uint64(k)).Perm(bangColours)
	}
	out, err := patched(in, maps, 4, 20, 0, claim.Random(1, 2))
	if err != nil {
		t.Fatal(err)
	}
	labels, _ := out.Labels()
	for i, label := range labels {
		for k := range bangPatches {
			colours := out.Row(i)[196+10*k : 206+10*k]
			for c, v := range colours {
				want := float32(0)
				if k >= 4 && k < 20 && c == maps[k][label] {
					want = 1
				}
				if v != want {
					t.Fatalf("image %d of class %d, patch %d: colours %v", i, label, k, colours)
				}
			}
		}
	}
}

func TestFrechetOfNormalRows(t *testing.T) {
	// Rows at ±a of each axis alone: mean m, covariance a²/d; the distance is |m−m'|² + d·(a−a')²/d.
	rows := func(shift, a float32) (x []float32) {
		const d = 3
		for j := range d {
			for _, sign := range []float32{-1, 1} {
				row := []float32{shift, shift, shift}
				row[j] += sign * a
				x = append(x, row...)
			}
		}
		return x
	}
	have, err := frechet(rows(0, 1), rows(2, 3), 3)
	if err != nil || math.Abs(have-(3*4+4)) > 1e-9 {
		t.Errorf("distance %g, want 16 (%v)", have, err)
	}
	if same, err := frechet(rows(1, 2), rows(1, 2), 3); err != nil || math.Abs(same) > 1e-9 {
		t.Errorf("distance to itself %g (%v)", same, err)
	}
}

func TestFoldedClassIsTheSameNetwork(t *testing.T) {
	in := images(t, 30)
	one, err := in.WithLabels(make([]int, 30), []string{"x"})
	if err != nil {
		t.Fatal(err)
	}
	start := claim.Perceptron{Net: net.New(1, 784, 5, 4)}.Checkpoint(nil)
	c, err := weights.KIND{Steps: 1, Rank: 3}.Apply(t.Context(), weights.KINDInput{Encoder: start, Rows: one})
	if err != nil {
		t.Fatal(err)
	}
	want, err := weights.KIND{Strategy: "assemble"}.Apply(t.Context(), weights.KINDInput{Encoder: c, Rows: one})
	if err != nil {
		t.Fatal(err)
	}
	folded, err := kindFold(c, "x")
	if err != nil {
		t.Fatal(err)
	}
	u, _ := folded.Tensors["0.shared.u"].Float64s()
	s, _ := folded.Tensors["0.shared.s"].Float64s()
	v, _ := folded.Tensors["0.shared.v"].Float64s()
	w, _ := want.Tensors["0.weight"].Float64s()
	for o := range 5 {
		sum := 0.0
		for r := range s {
			sum += u[o*len(s)+r] * s[r] * v[r*784+7]
		}
		if math.Abs(sum-w[o*784+7]) > 1e-5 {
			t.Errorf("weight %d: %g folded, %g", o, sum, w[o*784+7])
		}
	}
}
