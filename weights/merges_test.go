package weights_test

import (
	"bufio"
	"bytes"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/weights"
)

// dialect finds the method that mergekit's recipes know by a name.
func dialect(t *testing.T, name string) (method.Spec, weights.Dialect) {
	t.Helper()
	for _, s := range weights.Methods() {
		if c, ok := s.Config().(weights.Dialected); ok {
			for _, d := range c.Dialects() {
				if d.Name == name {
					return s, d
				}
			}
		}
	}
	t.Fatalf("no method speaks of %s", name)
	return method.Spec{}, weights.Dialect{}
}

// flagsOf translates mergekit's parameters, written name=value, with their defaults.
func flagsOf(t *testing.T, d weights.Dialect, words []string) map[string]string {
	t.Helper()
	given := map[string]string{}
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		given[name] = value
	}
	flags := map[string]string{}
	for flag, value := range d.Flags {
		flags[flag] = value
	}
	for _, p := range d.Parameters {
		value, ok := given[p.Name]
		delete(given, p.Name)
		if !ok {
			value = p.Default
		}
		if p.Words != nil {
			value = p.Words[value]
		}
		if p.Flag != "" && value != "" {
			flags[p.Flag] = value
		}
	}
	if len(given) > 0 {
		t.Fatalf("%s: parameters %v are unknown", d.Name, given)
	}
	return flags
}

// TestMergesAgainstMergekit holds every merge to what mergekit 0.1.5 gives, by the words of its recipes. In F32 both differ by rounding.
// In 16 bits mergekit rounds differences, products and sums, we the result alone: the methods that select elements may then select
// others, so they are not compared; the rest is off by a few steps of the type.
func TestMergesAgainstMergekit(t *testing.T) {
	f, err := os.Open("testdata/merges.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// Steps at size 2 are 2^-22, 2^-6 and 2^-9; a handful of roundings for each.
	tolerance := map[data.DType]float64{data.F32: 2e-6, data.BF16: 0x1p-5, data.F16: 0x1p-8}
	selecting := []string{"ties", "breadcrumbs", "breadcrumbs_ties", "dare_ties", "della"}
	inputs := map[data.DType]data.Checkpoints{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	cases, worst := 0, map[data.DType]float64{}
	for lines.Scan() {
		head, numbers, ok := strings.Cut(lines.Text(), ":")
		if !ok || strings.HasPrefix(head, "#") {
			continue
		}
		var want []float64
		for _, w := range strings.Fields(numbers) {
			v, err := strconv.ParseFloat(w, 64)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, v)
		}
		words := strings.Fields(head)
		dtype := data.DType(words[0])
		if words[1] == "input" {
			inputs[dtype] = append(inputs[dtype], &data.Checkpoint{Tensors: map[string]data.Tensor{"w": data.CastTensor(dtype, want, 5, 8)}})
			continue
		}
		if dtype != data.F32 && slices.Contains(selecting, words[1]) {
			continue
		}
		s, d := dialect(t, words[1])
		flags := flagsOf(t, d, words[2:])
		cfg, err := s.Configure(flags)
		if err != nil {
			t.Fatalf("%s: %v", head, err)
		}
		in := data.Bundle{}
		switch {
		case d.Base == "":
			in[d.Others] = inputs[dtype]
		case d.Others == "in":
			in[d.Base], in[d.Others] = inputs[dtype][0], inputs[dtype][1:]
		default:
			in[d.Base], in[d.Others] = inputs[dtype][0], inputs[dtype][1]
		}
		out, err := s.Apply(t.Context(), cfg, in)
		if err != nil {
			t.Fatalf("%s: %v", head, err)
		}
		have, _, err := out.(*data.Checkpoint).Floats("w", 5, 8)
		if err != nil {
			t.Fatalf("%s: %v", head, err)
		}
		cases++
		for i := range want {
			off := math.Abs(have[i] - want[i])
			worst[dtype] = max(worst[dtype], off)
			if off > tolerance[dtype] {
				t.Errorf("%s, flags %v: element %d is %v, mergekit has %v", head, flags, i, have[i], want[i])
				break
			}
		}
	}
	if cases != 18+2*10 {
		t.Errorf("%d cases were compared", cases)
	}
	t.Logf("largest absolute differences: %v", worst)
}

// pair is one tensor in a checkpoint.
func pair(v ...float64) *data.Checkpoint {
	return &data.Checkpoint{Tensors: map[string]data.Tensor{"w": data.CastTensor(data.F64, v, len(v))}}
}

// apply runs a method by its ID's name with flags.
func apply(t *testing.T, name string, flags map[string]string, in data.Bundle) *data.Checkpoint {
	t.Helper()
	out, err := tryApply(t, name, flags, in)
	if err != nil {
		t.Fatalf("%s %v: %v", name, flags, err)
	}
	return out
}

func tryApply(t *testing.T, name string, flags map[string]string, in data.Bundle) (*data.Checkpoint, error) {
	t.Helper()
	all := weights.Methods()
	s := all[slices.IndexFunc(all, func(s method.Spec) bool { return s.Name == name })]
	cfg, err := s.Configure(flags)
	if err != nil {
		return nil, err
	}
	out, err := s.Apply(t.Context(), cfg, in)
	if err != nil {
		return nil, err
	}
	return out.(*data.Checkpoint), nil
}

// near compares all floating-point tensors; tolerance is relative to the largest element.
func near(t *testing.T, what string, have, want *data.Checkpoint, tolerance float64) {
	t.Helper()
	if !slices.Equal(have.Names(), want.Names()) {
		t.Fatalf("%s: tensors %v, want %v", what, have.Names(), want.Names())
	}
	for _, name := range want.Names() {
		a, errA := have.Tensors[name].Float64s()
		b, errB := want.Tensors[name].Float64s()
		if errA != nil || errB != nil {
			t.Fatalf("%s: %v %v", what, errA, errB)
		}
		top := 0.0
		for _, v := range b {
			top = max(top, math.Abs(v))
		}
		for i := range b {
			if math.Abs(a[i]-b[i]) > tolerance*top {
				t.Errorf("%s: tensor %s, element %d: %v, want %v", what, name, i, a[i], b[i])
				break
			}
		}
	}
}

// same holds all tensors to be equal to the byte.
func same(t *testing.T, what string, have, want *data.Checkpoint) {
	t.Helper()
	for _, name := range want.Names() {
		a, errA := have.Tensors[name].Bytes()
		b, errB := want.Tensors[name].Bytes()
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: tensor %s differs (%v %v)", what, name, errA, errB)
		}
	}
}

// vectorMethods are the merges onto a base, with flags under which they keep everything as it is.
var vectorMethods = map[string]map[string]string{
	"taskarithmetic": {},
	"ties":           {"density": "1"},
	"dare":           {"density": "1"},
	"della":          {"density": "1"},
	"breadcrumbs":    {"density": "1"},
	"modelstock":     {},
}

func TestMergesOfEqualsAndOfOne(t *testing.T) {
	all := many(5, 3)
	for _, name := range []string{"linear", "karcher"} {
		near(t, name+" of equals", apply(t, name, nil, data.Bundle{"in": data.Checkpoints{all[0], all[0], all[0]}}), all[0], 1e-15)
		near(t, name+" of one", apply(t, name, nil, data.Bundle{"in": all[:1]}), all[0], 1e-15)
		near(t, name+", one weight", apply(t, name, map[string]string{"weights": "0,1,0"}, data.Bundle{"in": all}), all[1], 1e-15)
	}
	for name, flags := range vectorMethods {
		near(t, name+" of the base itself", apply(t, name, flags, data.Bundle{"base": all[0], "in": data.Checkpoints{all[0], all[0]}}), all[0], 0)
		if name != "modelstock" {
			near(t, name+" of one", apply(t, name, flags, data.Bundle{"base": all[0], "in": all[1:2]}), all[1], 1e-15)
		}
	}
	for _, share := range []string{"0", "1"} {
		i, _ := strconv.Atoi(share)
		same(t, "slerp to "+share, apply(t, "slerp", map[string]string{"share": share}, data.Bundle{"from": all[0], "to": all[1]}), all[i])
	}
}

// Stretches, threads and the way of asking change no bit.
func TestMergesAreTheSameInPieces(t *testing.T) {
	all := many(6, 3)
	for name := range vectorMethods {
		out := apply(t, name, nil, data.Bundle{"base": all[0], "in": all[1:]})
		for _, tensor := range out.Names() {
			whole, err := out.Tensors[tensor].Bytes()
			if err != nil {
				t.Fatal(err)
			}
			size := out.Tensors[tensor].DType.Size()
			n := out.Tensors[tensor].Len()
			for _, at := range []int{0, n / 3, n - 1} {
				some := make([]byte, min(n-at, 777)*size)
				if err := out.Tensors[tensor].Fill(some, at); err != nil || !bytes.Equal(some, whole[at*size:at*size+len(some)]) {
					t.Errorf("%s: tensor %s from element %d on differs (%v)", name, tensor, at, err)
				}
			}
		}
	}
}

func TestMergesRefuse(t *testing.T) {
	base, a, b := pair(0, 0), pair(1, 2), pair(3, 4)
	in := data.Bundle{"base": base, "in": data.Checkpoints{a, b}}
	for name := range vectorMethods {
		if name == "modelstock" {
			continue
		}
		if _, err := tryApply(t, name, map[string]string{"weights": "1,2,3"}, in); err == nil || !strings.Contains(err.Error(), "--weights has 3 numbers for 2 checkpoints") {
			t.Errorf("%s: three weights for two: %v", name, err)
		}
		if name == "taskarithmetic" {
			continue
		}
		if _, err := tryApply(t, name, map[string]string{"density": "0.5,0.5,0.6"}, in); err == nil || !strings.Contains(err.Error(), "--density has 3 numbers for 2 checkpoints") {
			t.Errorf("%s: three densities for two: %v", name, err)
		}
	}
	for name, flags := range map[string]map[string]string{"linear": {"weights": "1,-1"}, "karcher": {"weights": "0"}} {
		if _, err := tryApply(t, name, flags, data.Bundle{"in": data.Checkpoints{a, b}}); err == nil || !strings.Contains(err.Error(), "--weights") {
			t.Errorf("%s %v: %v", name, flags, err)
		}
	}
	nan := pair(1, math.NaN())
	for name := range vectorMethods {
		out, err := tryApply(t, name, nil, data.Bundle{"base": base, "in": data.Checkpoints{a, nan}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Tensors["w"].Bytes(); err == nil || !strings.Contains(err.Error(), `checkpoint 2, tensor "w": element 1 is NaN`) {
			t.Errorf("%s with NaN: %v", name, err)
		}
	}
}
