package weights_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/weights"
)

func ExampleKIND() {
	rows := blobs(1, 240, 6, 4)
	parts, err := weights.KIND{Rank: 4, ClassRank: 1}.Apply(context.Background(), weights.KINDInput{Encoder: checkpoint(net.New(1, 6, 16, 16)), Rows: rows})
	if err != nil {
		panic(err)
	}
	fmt.Println("classes", parts.Meta["kind.classes"], "parameters shared and of a class", parts.Meta["kind.parameters"])
	// A class that was not seen gets an add-on to the same shared part.
	more, err := weights.KIND{Strategy: "divert", Rank: 4, ClassRank: 1}.Apply(context.Background(), weights.KINDInput{Encoder: parts, Rows: only(rows, 2, "new")})
	if err != nil {
		panic(err)
	}
	fmt.Println("classes", more.Meta["kind.classes"])
	// Output:
	// classes ["0","1","2","3"] parameters shared and of a class ["370","79"]
	// classes ["new"]
}

// only is the rows of one class, under another name.
func only(t *data.Table, class int, name string) *data.Table {
	labels, _ := t.Labels()
	var rows []int
	for i, l := range labels {
		if l == class {
			rows = append(rows, i)
		}
	}
	out, err := t.Pick(rows).WithLabels(make([]int, len(rows)), []string{name})
	if err != nil {
		panic(err)
	}
	return out
}

func kind(t testing.TB, c weights.KIND, in *data.Checkpoint, rows *data.Table) *data.Checkpoint {
	t.Helper()
	out, err := c.Apply(t.Context(), weights.KINDInput{Encoder: in, Rows: rows})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestKINDPartsAddUp(t *testing.T) {
	rows, plain := blobs(2, 60, 6, 3), net.New(3, 6, 8, 5)
	// One step of next to nothing leaves the decomposition as it is, but for float32's rounding.
	still := weights.KIND{Rank: 4, ClassRank: 1, Steps: 1, Rate: 1e-12}
	parts := kind(t, still, checkpoint(plain), rows)
	for layer, tensor := range plain.Tensors() {
		if layer%2 == 1 {
			continue
		}
		out, in := tensor.Shape[0], tensor.Shape[1]
		wide := make([]float64, out*in)
		for i, v := range tensor.Values {
			wide[i] = float64(v)
		}
		_, s, _, ok := num.SVD(wide, out, in)
		if !ok {
			t.Fatal("no decomposition")
		}
		for class := range 2 { // with 4 shared ones, classes have one component each while they last
			if 4+class >= len(s) {
				continue
			}
			whole := kind(t, weights.KIND{Strategy: "assemble"}, parts, only(rows, class, fmt.Sprint(class)))
			w, _ := whole.Tensors[tensor.Name].Float64s()
			miss, want := 0.0, 0.0
			for i, v := range w {
				miss += (v - wide[i]) * (v - wide[i])
			}
			for r, v := range s { // Eckart and Young (1936), but for the class's own component
				if r >= 4 && r != 4+class {
					want += v * v
				}
			}
			if math.Abs(math.Sqrt(miss)-math.Sqrt(want)) > 1e-5 {
				t.Errorf("%s, class %d: off by %g, the components left out by %g", tensor.Name, class, math.Sqrt(miss), math.Sqrt(want))
			}
		}
	}
	still.Rank = 100
	full := kind(t, still, checkpoint(plain), only(rows, 0, "x"))
	full.Tensors["0.class.x.s"] = data.Float32Tensor([]float32{0}, 1)
	whole := kind(t, weights.KIND{Strategy: "assemble"}, full, only(rows, 0, "x"))
	w, _ := whole.Tensors["0.weight"].Float64s()
	for i, v := range plain.Tensors()[0].Values {
		if math.Abs(w[i]-float64(v)) > 1e-6 {
			t.Errorf("all components: weight %d is %g, want %g", i, w[i], v)
		}
	}
}

func TestKINDDivertsTheClassesAlone(t *testing.T) {
	rows := blobs(2, 200, 6, 4)
	parts := kind(t, weights.KIND{Rank: 4}, checkpoint(net.New(3, 6, 12, 12)), rows)
	more := kind(t, weights.KIND{Strategy: "divert", Rank: 4, Steps: 5}, parts, only(rows, 1, "one"))
	for _, name := range parts.Names() {
		if strings.Contains(name, ".class.") {
			if _, kept := more.Tensors[name]; kept {
				t.Errorf("%s was not dropped", name)
			}
			continue
		}
		a, _ := parts.Tensors[name].Bytes()
		if b, _ := more.Tensors[name].Bytes(); string(a) != string(b) {
			t.Errorf("%s is shared and changed", name)
		}
	}
	// Swapping two classes' components swaps what is assembled.
	swapped := &data.Checkpoint{Meta: parts.Meta, Tensors: map[string]data.Tensor{}}
	for name, tensor := range parts.Tensors {
		other := strings.NewReplacer(".class.0.", ".class.1.", ".class.1.", ".class.0.").Replace(name)
		swapped.Tensors[other] = tensor
	}
	a := kind(t, weights.KIND{Strategy: "assemble"}, parts, only(rows, 0, "0"))
	b := kind(t, weights.KIND{Strategy: "assemble"}, swapped, only(rows, 1, "1"))
	c := kind(t, weights.KIND{Strategy: "assemble"}, parts, only(rows, 1, "1"))
	x, _ := a.Tensors["0.weight"].Float64s()
	y, _ := b.Tensors["0.weight"].Float64s()
	z, _ := c.Tensors["0.weight"].Float64s()
	if !slices.Equal(x, y) || slices.Equal(x, z) {
		t.Error("swapped components must give the other class's weights, and classes must differ")
	}
}

func TestKINDLearnsToDenoise(t *testing.T) {
	rows := blobs(4, 400, 6, 4)
	loss := func(c weights.KIND) float64 {
		out := kind(t, c, checkpoint(net.New(3, 6, 32, 32)), rows)
		var v float64
		fmt.Sscan(out.Meta["kind.loss"], &v)
		return v
	}
	short, long := loss(weights.KIND{Steps: 1}), loss(weights.KIND{Steps: 60})
	if long > 0.8*short || long > 0.9 { // guessing zero leaves an error of one
		t.Errorf("loss %g after a pass, %g after 60", short, long)
	}
}

func TestKINDErrors(t *testing.T) {
	rows, start := blobs(1, 40, 6, 4), checkpoint(net.New(1, 6, 8))
	parts := kind(t, weights.KIND{Steps: 1}, start, rows)
	missing := &data.Checkpoint{Meta: parts.Meta, Tensors: map[string]data.Tensor{}}
	for name, tensor := range parts.Tensors {
		if name != "0.class.2.u" {
			missing.Tensors[name] = tensor
		}
	}
	for name, test := range map[string]struct {
		c    weights.KIND
		in   weights.KINDInput
		kind error
		says string
	}{
		"nothing":      {in: weights.KINDInput{}, kind: method.ErrInput, says: "network"},
		"width":        {in: weights.KINDInput{Encoder: checkpoint(net.New(1, 5, 8)), Rows: rows}, kind: data.ErrShape, says: "6 columns, the network is for 5"},
		"not in parts": {c: weights.KIND{Strategy: "divert"}, in: weights.KINDInput{Encoder: start, Rows: rows}, kind: data.ErrFormat, says: "condense it first"},
		"unknown":      {c: weights.KIND{Strategy: "assemble"}, in: weights.KINDInput{Encoder: parts, Rows: only(rows, 0, "dog")}, kind: data.ErrLabels, says: "dog"},
		"two classes":  {c: weights.KIND{Strategy: "assemble"}, in: weights.KINDInput{Encoder: parts, Rows: rows}, kind: data.ErrLabels, says: "want one of"},
		"a part lacks": {c: weights.KIND{Strategy: "divert"}, in: weights.KINDInput{Encoder: missing, Rows: rows}, kind: data.ErrFormat, says: "0.class.2.u"},
		"no rows":      {in: weights.KINDInput{Encoder: start, Rows: rows.Slice(0, 0)}, kind: data.ErrShape, says: "0×6"},
	} {
		if _, err := test.c.Apply(t.Context(), test.in); !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want %v and %q", name, err, test.kind, test.says)
		}
	}
}
