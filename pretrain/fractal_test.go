package pretrain

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleFractal() {
	short := Fractal{Steps: 5, Batch: 8, Systems: 4} // the zero value takes about half a minute
	encoder, err := short.Apply(context.Background(), struct{}{})
	if err != nil {
		fmt.Println(err)
		return
	}
	again, _ := short.Apply(context.Background(), struct{}{})
	one, _ := encoder.Hash()
	other, _ := again.Hash()
	fmt.Println(encoder.Tensors["encoder.features.weight"].Shape, encoder.Meta["fractal.strategy"], one == other)
	// Output: [64 1024] multiple true
}

// hashOf trains and returns the checkpoint's hash.
func hashOf(t *testing.T, c Fractal) string {
	t.Helper()
	out, err := c.Apply(t.Context(), struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := out.Hash()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestFractalIsTheSameOnAnyThreads(t *testing.T) {
	c := Fractal{Steps: 3, Batch: 32}
	want := hashOf(t, c)
	for _, threads := range []int{1, 2, 5} {
		old := runtime.GOMAXPROCS(threads)
		have := hashOf(t, c)
		runtime.GOMAXPROCS(old)
		if have != want {
			t.Errorf("on %d threads the hash is %s, else %s", threads, have, want)
		}
	}
	c.Seed = 1
	if hashOf(t, c) == want {
		t.Error("the seed changes nothing")
	}
}

// TestFractalLearns: of three systems alone in an image, a network that learned nothing has a loss of log 3.
func TestFractalLearns(t *testing.T) {
	out, err := Fractal{Steps: 60, Batch: 24, Systems: 3, Strategy: "single"}.Apply(t.Context(), struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	loss, err := strconv.ParseFloat(out.Meta["fractal.loss"], 64)
	t.Logf("loss %.3f", loss)
	if err != nil || !(loss < math.Log(3)/2) {
		t.Errorf("loss %v after 60 steps, %.3f before (%v)", loss, math.Log(3), err)
	}
}

func TestFractalRefuses(t *testing.T) {
	for _, c := range []Fractal{{Steps: -1}, {Batch: 1}, {Systems: 1}, {Strategy: "both"}, {Rate: math.NaN()}} {
		if _, err := c.Apply(t.Context(), struct{}{}); !errors.Is(err, method.ErrConfig) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// shipped is the checkpoint that package encode carries.
func shipped(t *testing.T) *data.Checkpoint {
	t.Helper()
	c, file, err := open.Checkpoint("../encode/fractal.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return c
}

// vectors skips the test where training rounds otherwise than on the machine that made the shipped weights.
func vectors(t *testing.T) {
	t.Helper()
	if runtime.GOARCH != "amd64" || num.Path() == "portable" {
		t.Skipf("the shipped weights are those of amd64 with AVX2, here are %s and %s kernels", runtime.GOARCH, num.Path())
	}
}

// TestFractalShipped: the weights in the program are those that the defaults make. GIMBAL_SLOW=1 makes them again, in half a
// minute of processor time; without it a few steps of the same settings must have the hash that they had when the weights were made.
func TestFractalShipped(t *testing.T) {
	c := shipped(t)
	var defaults Fractal
	if err := method.Ready(&defaults); err != nil {
		t.Fatal(err)
	}
	if have, want := fmt.Sprintln(c.Meta["fractal.steps"], c.Meta["fractal.systems"], c.Meta["fractal.strategy"], c.Meta["fractal.seed"]), fmt.Sprintln(defaults.Steps, defaults.Systems, defaults.Strategy, defaults.Seed); have != want {
		t.Errorf("the shipped weights were made with %sand the defaults are %s", have, want)
	}
	vectors(t)
	if have := hashOf(t, Fractal{Steps: 10}); have != fractalTenSteps {
		t.Errorf("after 10 steps the hash is %s, want %s: make the shipped weights again (gimbal apply pretrain/fractal -o encode/fractal.safetensors)", have, fractalTenSteps)
	}
	if os.Getenv("GIMBAL_SLOW") == "" {
		t.Log("set GIMBAL_SLOW=1 to train to the end")
		return
	}
	want, err := c.Hash()
	if err != nil {
		t.Fatal(err)
	}
	if have := hashOf(t, Fractal{}); have != want {
		t.Errorf("retrained the weights have hash %s, the shipped ones %s", have, want)
	}
}

// fractalTenSteps is the hash of what ten steps of the defaults make.
const fractalTenSteps = "5082f754bbb112db54e9dcc001c8414275555a22e92a7a2ea35dec87fea22fb4"
