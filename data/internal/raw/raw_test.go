package raw

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
)

func TestTypesThereAndBack(t *testing.T) {
	for _, d := range []data.DType{data.F64, data.F32, data.F16, data.BF16, data.I64, data.I32, data.I16, data.I8, data.U64, data.U32, data.U16, data.U8, data.Bool} {
		e, ok := Of(d)
		if back, also := e.Type(); !ok || !also || back != d {
			t.Errorf("%s → %+v → %s", d, e, back)
		}
	}
	for _, e := range []Element{{Class: Float}, {Class: Float, Size: 3}, {Class: Brain, Size: 4}, {Class: Unicode, Size: 4}, {Class: Bool, Size: 2}} {
		if d, ok := e.Type(); ok {
			t.Errorf("%+v is %s", e, d)
		}
	}
	if e, ok := Of("F8"); ok {
		t.Errorf("F8 is %+v", e)
	}
}

// TestNumbersAgainstTensors: each type's values are those of data.Tensor, in both byte orders.
func TestNumbersAgainstTensors(t *testing.T) {
	b := make([]byte, 0, 8*64)
	for i := range 64 {
		b = binary.LittleEndian.AppendUint64(b, 0x9e3779b97f4a7c15*uint64(i))
	}
	for _, d := range []data.DType{data.F64, data.F32, data.F16, data.BF16, data.I64, data.I32, data.I16, data.I8, data.U64, data.U32, data.U16, data.U8} {
		n := len(b) / d.Size()
		tensor, err := data.NewTensor(d, []int{n}, b)
		if err != nil {
			t.Fatal(err)
		}
		want, err := tensor.Float64s()
		if err != nil {
			t.Fatal(err)
		}
		for _, big := range []bool{false, true} {
			e, _ := Of(d)
			e.Big = big
			src := slices.Clone(b)
			if big {
				src = e.Little(src) // its own inverse
			}
			got := make([]float32, n)
			finite := e.Float32s(got, src)
			if finite != (num.Finite(got) < 0) {
				t.Errorf("%s big %v: finite %v of %v", d, big, finite, got)
			}
			for i, v := range got {
				if w := float32(want[i]); v != w && !(v != v && w != w) {
					t.Errorf("%s big %v: element %d is %v, want %v", d, big, i, v, w)
				}
			}
		}
	}
}

func TestFortranOrder(t *testing.T) {
	shape := []int{2, 3, 4}
	order := FortranOrder(shape)
	for i := range 2 {
		for j := range 3 {
			for k := range 4 {
				if got := order[i*12+j*4+k]; got != i+2*(j+3*k) {
					t.Errorf("(%d, %d, %d) lies at %d", i, j, k, got)
				}
			}
		}
	}
}

func TestText(t *testing.T) {
	f := binary.LittleEndian.AppendUint64(nil, math.Float64bits(1e20))
	for _, c := range []struct {
		e    Element
		b    []byte
		want string
	}{
		{Element{Class: Int, Size: 2}, []byte{0xfe, 0xff}, "-2"},
		{Element{Class: Uint, Size: 8}, []byte{255, 255, 255, 255, 255, 255, 255, 255}, "18446744073709551615"},
		{Element{Class: Bool, Size: 1}, []byte{1}, "true"},
		{Element{Class: Float, Size: 8}, f, "1e+20"},
		{Element{Class: Bytes, Size: 3}, []byte("ab\x00"), "ab"},
		{Element{Class: Unicode, Size: 8, Big: true}, []byte{0, 0, 0, 'a', 0, 0, 0, 0}, "a"},
	} {
		if got, err := c.e.Text(c.b); err != nil || got != c.want {
			t.Errorf("%+v: %q %v, want %q", c.e, got, err, c.want)
		}
	}
	if _, err := (Element{Class: Unicode, Size: 4}).Text([]byte{0, 0xd8, 0, 0}); err == nil {
		t.Error("a surrogate passed")
	}
}
