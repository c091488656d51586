package weights_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/weights"
)

func TestInspectByHand(t *testing.T) {
	v := []float64{1, 2, 3, 0, 0, 0, math.NaN(), math.Inf(1), -6}
	c := &data.Checkpoint{Tensors: map[string]data.Tensor{
		"w": data.CastTensor(data.F32, v, 3, 3), "i": data.Int64Tensor([]int64{2, 4}, 2), "empty": data.CastTensor(data.F32, nil, 0, 3),
		"bad": data.CastTensor(data.F32, []float64{math.NaN()}, 1),
	}}
	list, err := weights.Inspect(t.Context(), c)
	if err != nil || len(list) != 4 {
		t.Fatalf("%v %v", list, err)
	}
	want := weights.Summary{Name: "w", DType: data.F32, Shape: []int{3, 3}, Mean: 0, Deviation: math.Sqrt(50. / 7), Low: -6, High: 3, Zeros: 3. / 7, NonFinite: 2}
	if have := list[3]; have.Mean != want.Mean || have.Deviation != want.Deviation || have.Low != want.Low || have.High != want.High || have.Zeros != want.Zeros || have.NonFinite != 2 || have.Outliers != 0 {
		t.Errorf("%+v, want %+v", have, want)
	}
	if s := list[2]; s.Mean != 3 || s.Deviation != 1 {
		t.Errorf("integers: %+v", s)
	}
	if s := list[0]; s.NonFinite != 1 || s.Mean != 0 || s.Low != 0 || s.High != 0 {
		t.Errorf("nothing finite: %+v", s)
	}
}

func TestInspectFindsOutliersInLargeTensors(t *testing.T) {
	const n = 200000
	r := rand.New(rand.NewPCG(1, 1))
	v := make([]float64, n)
	sum, sq := 0.0, 0.0
	for i := range v {
		v[i] = 5 + r.Float64()
		if i%10000 == 0 {
			v[i] = 50
		}
		sum += v[i]
	}
	for _, x := range v {
		sq += (x - sum/n) * (x - sum/n)
	}
	list, err := weights.Inspect(t.Context(), &data.Checkpoint{Tensors: map[string]data.Tensor{"w": data.CastTensor(data.F64, v, n)}})
	if err != nil {
		t.Fatal(err)
	}
	if s := list[0]; math.Abs(s.Mean-sum/n) > 1e-12 || math.Abs(s.Deviation-math.Sqrt(sq/n)) > 1e-12 || s.Outliers != 20./n {
		t.Errorf("%+v, want mean %v, deviation %v, 20 outliers", s, sum/n, math.Sqrt(sq/n))
	}
}

func TestCompareByHand(t *testing.T) {
	matrix := func(v ...float64) data.Tensor { return data.CastTensor(data.F32, v, 2, 3) }
	a := &data.Checkpoint{Tensors: map[string]data.Tensor{"w": matrix(3, 0, 4, 0, 0, 0), "same": matrix(1, 2, 3, 4, 5, 6), "gone": matrix(0, 0, 0, 0, 0, 0), "shape": matrix(0, 0, 0, 0, 0, 0), "zero": matrix(0, 0, 0, 0, 0, 0), "full": matrix(0, 0, 0, 0, 0, 0), "type": matrix(1, 1, 1, 1, 1, 1)}}
	b := &data.Checkpoint{Tensors: map[string]data.Tensor{"w": matrix(3, 0, 0, 0, 0, 0), "same": matrix(1, 2, 3, 4, 5, 6), "new": matrix(0, 0, 0, 0, 0, 0), "shape": data.CastTensor(data.F32, []float64{1}, 1), "zero": matrix(0, 0, 0, 0, 0, 0), "full": matrix(2, 0, 0, 0, 2, 0), "type": data.CastTensor(data.BF16, []float64{1, 1, 1, 1, 1, 2}, 2, 3)}}
	list, err := weights.Compare(t.Context(), a, b, 512)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]weights.Difference{}
	for _, d := range list {
		by[d.Name] = d
	}
	if d := by["w"]; d.Cosine != 0.6 || d.First != 5 || d.Second != 3 || d.Change != 4 || d.Largest != 4 || math.Abs(d.Changed-1./6) > 1e-15 || math.Abs(d.Rank-1) > 1e-12 {
		t.Errorf("w: %+v", d)
	}
	if d := by["same"]; math.Abs(d.Cosine-1) > 1e-15 || d.Change != 0 || d.Changed != 0 || d.Rank != 0 {
		t.Errorf("same: %+v", d)
	}
	if d := by["zero"]; d.Cosine != 1 || d.Why != "" {
		t.Errorf("zero: %+v", d)
	}
	if d := by["full"]; d.Cosine != 0 || math.Abs(d.Rank-2) > 1e-12 { // two equal singular values
		t.Errorf("full: %+v", d)
	}
	if d := by["type"]; d.Largest != 1 || d.Changed != 1./6 {
		t.Errorf("type: %+v", d)
	}
	for name, why := range map[string]string{"gone": "only the first", "new": "only the second", "shape": "the second one is [1]"} {
		if !strings.Contains(by[name].Why, why) {
			t.Errorf("%s: %+v", name, by[name])
		}
	}
	b.Tensors["w"] = matrix(3, 0, math.NaN(), 0, 0, 0)
	if list, err = weights.Compare(t.Context(), a, b, 0); err != nil || !slices.ContainsFunc(list, func(d weights.Difference) bool { return d.Name == "w" && strings.Contains(d.Why, "no finite numbers") }) {
		t.Errorf("NaN: %v %v", list, err)
	}
}

func TestLineage(t *testing.T) {
	all := many(4, 2)
	inputs := map[string]*data.Checkpoint{"a": all[0], "b": all[1]}
	l, err := weights.NewLineage("recipe", inputs, all[0])
	if err != nil {
		t.Fatal(err)
	}
	text, err := l.Text()
	if err != nil {
		t.Fatal(err)
	}
	read, err := weights.ParseLineage(text)
	if err != nil {
		t.Fatal(err)
	}
	if bad, err := read.Check(all[0]); err != nil || len(bad) > 0 {
		t.Errorf("the result itself: %v %v", bad, err)
	}
	other := &data.Checkpoint{Tensors: map[string]data.Tensor{"F32": all[0].Tensors["F32"], "F16": all[1].Tensors["F16"], "more": all[0].Tensors["F32"]}}
	bad, err := read.Check(other)
	if err != nil || len(bad) != 5 || !strings.Contains(strings.Join(bad, "; "), `tensor "F16" has another hash`) || !strings.Contains(strings.Join(bad, "; "), `tensor "more" is not in the manifest`) {
		t.Errorf("another checkpoint: %q %v", bad, err)
	}
	again, err := weights.NewLineage("recipe", inputs, all[0])
	if err != nil || again.SHA256 != l.SHA256 {
		t.Errorf("the same merge again: %v", err)
	}
	for name, change := range map[string]func() (*weights.Lineage, error){
		"recipe": func() (*weights.Lineage, error) { return weights.NewLineage("recipe 2", inputs, all[0]) },
		"inputs": func() (*weights.Lineage, error) {
			return weights.NewLineage("recipe", map[string]*data.Checkpoint{"a": all[0], "b": all[0]}, all[0])
		},
		"result": func() (*weights.Lineage, error) { return weights.NewLineage("recipe", inputs, all[1]) },
	} {
		if other, err := change(); err != nil || other.SHA256 == l.SHA256 {
			t.Errorf("another %s has the same hash (%v)", name, err)
		}
	}
	for _, text := range []string{"", "{}", strings.Replace(string(text), "recipe", "receipt", 2), strings.Replace(string(text), `"a"`, `"z"`, 1)} {
		if _, err := weights.ParseLineage([]byte(text)); err == nil {
			t.Errorf("%.60s… is accepted", text)
		}
	}
}
