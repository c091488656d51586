package data

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestNewTableRefuses(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		n, d int
		x    []float32
		want error
		word string
	}{
		{2, 2, []float32{1, 2, 3}, ErrShape, "3 values for 2 rows × 2 columns"},
		{2, 2, []float32{1, 2, 3, nan}, ErrFinite, "row 2, column 2"},
		{1, 2, []float32{float32(math.Inf(1)), 0}, ErrFinite, "row 1, column 1"},
		{-1, -1, []float32{1}, ErrShape, "-1"},
	} {
		_, err := NewTable(c.n, c.d, c.x)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.word) {
			t.Errorf("NewTable(%d, %d): %v, want %v with %q", c.n, c.d, err, c.want, c.word)
		}
	}
}

func TestClassOrder(t *testing.T) {
	names := []string{"cat", "10", "9", "-1", "09", "ant"}
	slices.SortFunc(names, CompareClasses)
	if got := strings.Join(names, " "); got != "-1 09 9 10 ant cat" {
		t.Errorf("order %s", got)
	}
}

func TestCollectRoundTrip(t *testing.T) {
	n := BlockRows + 3
	x := make([]float32, 2*n)
	names := make([]string, n)
	for i := range n {
		x[2*i] = float32(i)
		names[i] = fmt.Sprint(i % 3)
	}
	names[5] = ""
	tab, _ := NewTable(n, 2, x)
	tab, err := tab.WithClassNames(names)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Collect(t.Context(), replay{tab})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.x, tab.x) || !slices.Equal(got.labels, tab.labels) || !slices.Equal(got.classes, tab.classes) {
		t.Error("collected table differs")
	}
	if got.ClassName(5) != "" || got.ClassName(7) != "1" {
		t.Errorf("names %q %q", got.ClassName(5), got.ClassName(7))
	}
}

// replay hides that a table is already whole.
type replay struct{ *Table }

func TestHalfPrecisionAgainstDefinition(t *testing.T) {
	for h := range 1 << 16 {
		f := float64(halfToFloat(uint16(h)))
		if math.IsNaN(f) {
			continue
		}
		if back := roundHalf(f); back != uint16(h) {
			t.Fatalf("half %#x → %g → %#x", h, f, back)
		}
		b := float64(math.Float32frombits(uint32(h) << 16))
		if back := roundBrain(b); !math.IsNaN(b) && back != uint16(h) {
			t.Fatalf("brain %#x → %g → %#x", h, b, back)
		}
	}
	// Between neighbours: nearest wins, and a tie goes to the even one.
	for h := range 0x7bff {
		lo, hi := float64(halfToFloat(uint16(h))), float64(halfToFloat(uint16(h+1)))
		mid := (lo + hi) / 2
		even := uint16(h + h&1)
		if roundHalf(mid) != even || roundHalf(math.Nextafter(mid, 0)) != uint16(h) || roundHalf(math.Nextafter(mid, hi)) != uint16(h+1) {
			t.Fatalf("half rounding around %#x", h)
		}
	}
	for h := range 0x7f7f {
		lo, hi := float64(math.Float32frombits(uint32(h)<<16)), float64(math.Float32frombits(uint32(h+1)<<16))
		mid := (lo + hi) / 2
		if roundBrain(mid) != uint16(h+h&1) || roundBrain(math.Nextafter(mid, hi)) != uint16(h+1) {
			t.Fatalf("brain rounding around %#x", h)
		}
	}
}

func TestTensorRefuses(t *testing.T) {
	if _, err := NewTensor(F32, []int{2}, make([]byte, 7)); !errors.Is(err, ErrShape) {
		t.Errorf("short bytes: %v", err)
	}
	if _, err := NewTensor("F8", []int{2}, make([]byte, 2)); !errors.Is(err, ErrFormat) {
		t.Errorf("unknown type: %v", err)
	}
	if _, err := NewTensor(F32, []int{math.MaxInt / 2, 8}, nil); !errors.Is(err, ErrShape) {
		t.Errorf("overflowing shape: %v", err)
	}
	c := &Checkpoint{Tensors: map[string]Tensor{"w": Float64Tensor([]float64{1, 2}, 1, 2)}}
	if _, _, err := c.Floats("w", 2, 2); !errors.Is(err, ErrShape) {
		t.Errorf("other shape: %v", err)
	}
	if v, _, err := c.Floats("w", -1, 2); err != nil || !slices.Equal(v, []float64{1, 2}) {
		t.Errorf("any rows: %v %v", v, err)
	}
}

func TestTensorsInPieces(t *testing.T) {
	n := 3*piece/2 + 1 // three and a half pieces of 16-bit elements
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(i%509) / 8
	}
	whole := CastTensor(F16, v, n)
	want, _ := whole.Bytes()
	fills := 0
	stream, err := StreamTensor(F16, []int{n}, func(dst []byte, lo int) error {
		fills++
		copy(dst, want[2*lo:])
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	lazy, err := LazyTensor(F16, []int{n}, func() ([]byte, error) { return want, nil })
	if err != nil {
		t.Fatal(err)
	}
	for name, tensor := range map[string]Tensor{"whole": whole, "lazy": lazy, "stream": stream} {
		var got []byte
		if err := tensor.Pieces(func(b []byte) error { got = append(got, b...); return nil }); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v, %d bytes of %d", name, err, len(got), len(want))
		}
		some := make([]byte, 10)
		if err := tensor.Fill(some, n-5); err != nil || !bytes.Equal(some, want[len(want)-10:]) {
			t.Errorf("%s: % x %v", name, some, err)
		}
		if err := tensor.Fill(some, n-4); !errors.Is(err, ErrShape) {
			t.Errorf("%s: beyond the end: %v", name, err)
		}
		if err := tensor.Fill(some[:3], 0); !errors.Is(err, ErrShape) {
			t.Errorf("%s: half an element: %v", name, err)
		}
		stop := errors.New("stop")
		if err := tensor.Pieces(func([]byte) error { return stop }); err != stop {
			t.Errorf("%s: %v, want the user's error", name, err)
		}
	}
	if fills < 6 {
		t.Errorf("the stream was filled %d times, want it in pieces", fills)
	}
	bad := errors.New("bad disk")
	broken, err := StreamTensor(F16, []int{n}, func(_ []byte, lo int) error {
		if lo > 0 {
			return bad
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	pieces := 0
	if err := broken.Pieces(func([]byte) error { pieces++; return nil }); err != bad || pieces != 1 {
		t.Errorf("%v after %d pieces, want the error after one", err, pieces)
	}
}

func TestAliases(t *testing.T) {
	c := &Checkpoint{Meta: map[string]string{"head": "embed", "format": "pt", "body": "embed"}, Tensors: map[string]Tensor{
		"embed": Float64Tensor([]float64{1}, 1), "body": Float64Tensor([]float64{2}, 1),
	}}
	if a := c.Aliases(); len(a) != 1 || a["head"] != "embed" {
		t.Errorf("aliases %v, want head of embed alone", a)
	}
}
