package detect_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/method"
)

// stripes are images of 4×4 in two classes, bright above or bright on the left, with noise.
func stripes(seed uint64, n int) *data.Table {
	r := rand.New(rand.NewPCG(seed, 0))
	x, names := make([]float32, n*16), make([]string, n)
	for i := range n {
		names[i] = []string{"above", "left"}[i%2]
		for j := range 16 {
			v := 0.2 + 0.1*r.Float64()
			if i%2 == 0 && j < 8 || i%2 == 1 && j%4 < 2 {
				v += 0.5
			}
			x[i*16+j] = float32(v)
		}
	}
	x[0], x[1] = 0, 1 // pixels are in [0, 1]
	t, err := data.NewTable(n, 16, x)
	if err != nil {
		panic(err)
	}
	t, _ = t.WithClassNames(names)
	return t
}

// stripeEncoder is one linear layer whose first feature tells above from left, beside two that hardly vary.
func stripeEncoder() *data.Checkpoint {
	w := make([]float64, 3*16)
	for j := range 16 {
		if j < 8 {
			w[j]++
		}
		if j%4 < 2 {
			w[j]--
		}
		w[16+j], w[32+j] = 0.02, 0.01*float64(j%3)
	}
	return &data.Checkpoint{Tensors: map[string]data.Tensor{
		"weight": data.Float64Tensor(w, 3, 16),
		"bias":   data.Float64Tensor([]float64{0, 2, 0}, 3), // a constant feature: the other turns the direction of all together
	}}
}

func ExampleAdvEncoder() {
	r, err := detect.AdvEncoder{Radius: 0.3, Strategy: "direct", Steps: 60}.Audit(context.Background(), detect.AdvEncoderInput{Encoder: stripeEncoder(), Images: stripes(1, 200)})
	if err != nil {
		panic(err)
	}
	for _, row := range r.Rows[:2] {
		head := row.Heads[1]
		fmt.Printf("%s: right %.2f, perturbed %v\n", row.Defence, head.Before, head.After < 0.7)
	}
	// Output:
	// none: right 1.00, perturbed true
	// none, random noise: right 1.00, perturbed false
}

func TestAdvEncoderStaysWithinItsRadius(t *testing.T) {
	for _, strategy := range []string{"generator", "direct"} {
		for _, radius := range []float64{1e-6, 0.05, 1} {
			r, err := detect.AdvEncoder{Radius: radius, Strategy: strategy, Steps: 3}.Audit(t.Context(), detect.AdvEncoderInput{Encoder: stripeEncoder(), Images: stripes(2, 40)})
			if err != nil {
				t.Fatal(err)
			}
			most := 0.0
			for _, v := range r.Perturbation {
				most = max(most, math.Abs(float64(v)))
			}
			if most > radius*(1+1e-6) || most == 0 {
				t.Errorf("%s: a pixel is changed by %g, the radius is %g", strategy, most, radius)
			}
			if plain := r.Rows[detect.AdvEncoderPlain]; radius < 1e-5 && (plain.Shift > 1e-6 || plain.Heads[0].Fooled+plain.Heads[1].Fooled > 0 || plain.Heads[0].Before != plain.Heads[0].After) {
				t.Errorf("%s: next to no radius changes answers: %+v", strategy, plain)
			}
		}
	}
}

// TestAdvEncoderAgainstPlainSums measures the perturbation again, by nothing but the encoder's weights.
func TestAdvEncoderAgainstPlainSums(t *testing.T) {
	images := stripes(3, 60)
	c := detect.AdvEncoder{Radius: 0.2, Steps: 10}
	r, err := c.Audit(t.Context(), detect.AdvEncoderInput{Encoder: stripeEncoder(), Images: images})
	if err != nil {
		t.Fatal(err)
	}
	w, err := stripeEncoder().Tensors["weight"].Float64s()
	if err != nil {
		t.Fatal(err)
	}
	encode := func(row []float32, by []float32) (z [3]float64) {
		z[1] = 2
		for k := range z {
			for j, v := range row {
				p := float64(v)
				if by != nil {
					p = min(max(p+float64(by[j]), 0), 1)
				}
				z[k] += w[k*16+j] * p
			}
		}
		return z
	}
	var all []float64
	for i := range 60 {
		a, b := encode(images.Row(i), nil), encode(images.Row(i), r.Perturbation)
		dot, aa, bb := 0.0, 0.0, 0.0
		for k := range a {
			dot, aa, bb = dot+a[k]*b[k], aa+a[k]*a[k], bb+b[k]*b[k]
		}
		all = append(all, 1-dot/math.Sqrt(aa*bb))
	}
	// Which half is measured is the seed's choice: the mean over all lies within the halves' spread.
	low, high := 0.0, 0.0
	slices.Sort(all)
	for i := range 30 {
		low, high = low+all[i]/30, high+all[30+i]/30
	}
	if s := r.Rows[0].Shift; s < low-1e-5 || s > high+1e-5 {
		t.Errorf("features move by %g, between %g and %g by plain sums", s, low, high)
	}
	for _, row := range r.Rows {
		for h, head := range row.Heads {
			for _, v := range []float64{head.Before, head.After, head.Fooled} {
				if v < 0 || v > 1+1e-9 || math.Abs(v*30-math.Round(v*30)) > 1e-6 {
					t.Errorf("%s, head %d: %g is no share of 30 images", row.Defence, h, v)
				}
			}
			if math.Abs(head.Before-head.After) > head.Fooled+1e-9 {
				t.Errorf("%s, head %d: %+v: fewer answers changed than turned wrong", row.Defence, h, head)
			}
		}
	}
}

func TestAdvEncoderWritesItsReport(t *testing.T) {
	in := detect.AdvEncoderInput{Encoder: stripeEncoder(), Images: stripes(4, 40), Surrogate: stripes(5, 30)}
	c := detect.AdvEncoder{Steps: 2}
	r, err := c.Audit(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.Apply(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	v, _, err := out.Floats("perturbation", 16)
	if err != nil {
		t.Fatal(err)
	}
	for j, p := range r.Perturbation {
		if float64(p) != v[j] {
			t.Fatalf("pixel %d: %g, in the checkpoint %g", j, p, v[j])
		}
	}
	lines := 0
	for key, text := range out.Meta {
		if strings.HasPrefix(key, "advencoder.") && strings.Contains(text, "linear head") {
			lines++
		}
	}
	if lines != len(r.Rows) || lines != 6 {
		t.Errorf("%d lines for %d rows: %v", lines, len(r.Rows), out.Meta)
	}
	other, err := c.Audit(t.Context(), detect.AdvEncoderInput{Encoder: in.Encoder, Images: in.Images})
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(other.Perturbation, r.Perturbation) {
		t.Error("the surrogate images change nothing")
	}
}

// TestAdvEncoderPatch finds the encoder blind to all but the pixel under the patch: it is moved, and nothing else is.
func TestAdvEncoderPatch(t *testing.T) {
	images := stripes(7, 60)
	audit := func(pixel int) *detect.AdvEncoderReport {
		w := make([]float64, 2*16)
		w[pixel], w[16+(pixel+5)%15] = 1, 0.5 // 5 pixels on is outside the patch
		encoder := &data.Checkpoint{Tensors: map[string]data.Tensor{"weight": data.Float64Tensor(w, 2, 16), "bias": data.Float64Tensor([]float64{0, 0}, 2)}}
		r, err := detect.AdvEncoder{Strategy: "patch", Steps: 10}.Audit(t.Context(), detect.AdvEncoderInput{Encoder: encoder, Images: images})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	seen := audit(15)
	for j, m := range seen.Mask { // 3 % of 4×4 pixels are less than one: it is one
		if want := float32(0); j == 15 {
			want = 1
			if m != want {
				t.Errorf("the patch does not lie on pixel %d", j)
			}
		} else if m != want || seen.Perturbation[j] != 0 {
			t.Errorf("pixel %d: mask %g, value %g, want 0", j, m, seen.Perturbation[j])
		}
	}
	if v := seen.Perturbation[15]; v < 0 || v > 1 {
		t.Errorf("the patch has the value %g, pixels are in [0, 1]", v)
	}
	if seen.Rows[detect.AdvEncoderPlain].Shift < 0.001 {
		t.Errorf("features of the pixel under the patch move by %g", seen.Rows[0].Shift)
	}
	if r := audit(3); r.Rows[detect.AdvEncoderPlain].Shift > 1e-12 || r.Rows[0].Heads[0].Fooled > 0 {
		t.Errorf("features of pixels beside the patch: %+v", r.Rows[0])
	}
}

func TestAdvEncoderRefuses(t *testing.T) {
	good := stripes(6, 40)
	wide := mustTable(t, 20, 12, make([]float32, 240))
	wide, _ = wide.WithLabels(make([]int, 20), []string{"a"})
	flat := mustTable(t, 20, 16, make([]float32, 320))
	flat, _ = flat.WithLabels(make([]int, 20), []string{"a"})
	rare, _ := good.WithLabels(append([]int{1}, make([]int, 39)...), []string{"a", "once"})
	odd := stripeEncoder()
	delete(odd.Tensors, "bias")
	cases := []struct {
		name string
		in   detect.AdvEncoderInput
		want error
		word string
	}{
		{"no square", detect.AdvEncoderInput{Encoder: stripeEncoder(), Images: wide.Slice(0, 7)}, data.ErrShape, "7×12"},
		{"another size than the encoder's", detect.AdvEncoderInput{Encoder: stripeEncoder(), Images: columns(t, good, 0, 9)}, data.ErrFormat, "9"},
		{"no labels", detect.AdvEncoderInput{Encoder: stripeEncoder(), Images: mustTable(t, 40, 16, good.X())}, data.ErrLabels, ""},
		{"a class of one image", detect.AdvEncoderInput{Encoder: stripeEncoder(), Images: rare}, data.ErrLabels, "once"},
		{"black images", detect.AdvEncoderInput{Encoder: stripeEncoder(), Images: flat}, method.ErrDegenerate, "all pixels"},
		{"no encoder", detect.AdvEncoderInput{Images: good}, method.ErrInput, "encoder"},
		{"half an encoder", detect.AdvEncoderInput{Encoder: odd, Images: good}, data.ErrFormat, "bias"},
		{"surrogate of another size", detect.AdvEncoderInput{Encoder: stripeEncoder(), Images: good, Surrogate: wide}, data.ErrShape, "20×12"},
	}
	for _, k := range cases {
		if _, err := (detect.AdvEncoder{Steps: 1}).Audit(t.Context(), k.in); !errors.Is(err, k.want) || !strings.Contains(fmt.Sprint(err), k.word) {
			t.Errorf("%s: %v, want %v that says %q", k.name, err, k.want, k.word)
		}
	}
}
