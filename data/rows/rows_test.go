package rows

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

func TestName(t *testing.T) {
	for _, c := range []struct {
		v    float64
		bits int
		want string
	}{{3, 64, "3"}, {math.Copysign(0, -1), 64, "0"}, {1e6, 32, "1000000"}, {0.1, 64, "0.1"}, {float64(float32(0.1)), 32, "0.1"}, {1e300, 64, "1e+300"}, {-1 << 52, 64, "-4503599627370496"}} {
		if got := Name(c.v, c.bits); got != c.want {
			t.Errorf("%v: %s, want %s", c.v, got, c.want)
		}
	}
}

func TestBlockGrows(t *testing.T) {
	var b Block
	for k := range 5 {
		x := b.Grow(3, 2, 1)
		for i := range x {
			x[i] = float32(k)
		}
		for i := range 3 {
			b.Text[0][b.N-3+i] = strings.Repeat("x", k)
		}
	}
	if b.N != 15 || len(b.X) != 30 || b.X[6] != 1 || b.X[29] != 4 || b.Text[0][5] != "x" || len(b.Text[0]) != 15 {
		t.Errorf("%+v", b)
	}
	b.Reset()
	if b.N != 0 || len(b.X) != 0 || len(b.Text[0]) != 0 || cap(b.X) < 30 {
		t.Errorf("%+v", b)
	}
}

func TestSchema(t *testing.T) {
	var s Schema
	if n, err := s.Check([]Values{Vectors("v", make([]float32, 6), 3), Strings("s", []string{"a", "b"})}); err != nil || n != 2 || s.Rows() != 2 {
		t.Errorf("%d %v", n, err)
	}
	if _, err := s.Check([]Values{Vectors("v", make([]float32, 6), 2), Strings("s", []string{"a", "b", "c"})}); !errors.Is(err, data.ErrShape) {
		t.Errorf("another width: %v", err)
	}
	if got := Vectors("v", nil, 2).Flat(); !slices.Equal(got, []string{"v1", "v2"}) {
		t.Errorf("%v", got)
	}
	if got := Matrix([]string{"p", "q"}, nil).Flat(); !slices.Equal(got, []string{"p", "q"}) {
		t.Errorf("%v", got)
	}
	if err := NotFinite("row 3", "c", 1e300); !errors.Is(err, data.ErrFinite) || !strings.Contains(err.Error(), "beyond float32") {
		t.Error(err)
	}
}
