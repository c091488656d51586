package decimal

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// check compares one string with strconv: a number taken whole must be the same float32, bit for bit.
func check(t *testing.T, s string) {
	t.Helper()
	v, n := Float32([]byte(s))
	for _, tail := range []string{",", ",1234567890123456789012345678901234567890", strings.Repeat("\xff", 48)} { // read eight bytes at a time
		if u, m := Float32([]byte(s + tail)); m != n && m > 0 && m <= len(s) || m > 0 && m == n && math.Float32bits(u) != math.Float32bits(v) {
			t.Fatalf("%q alone: %v in %d bytes, with %q behind it %v in %d", s, v, n, tail, u, m)
		}
	}
	if n == 0 || n != len(s) {
		return
	}
	want, err := strconv.ParseFloat(s, 32)
	if err != nil {
		t.Fatalf("%q read as %v, strconv: %v", s, v, err)
	}
	if math.Float32bits(v) != math.Float32bits(float32(want)) {
		t.Fatalf("%q read as %v (%x), strconv %v (%x)", s, v, math.Float32bits(v), want, math.Float32bits(float32(want)))
	}
}

func TestFloat32AgainstStrconv(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		f := math.Float32frombits(r.Uint32())
		if f != f || math.IsInf(float64(f), 0) {
			continue
		}
		check(t, strconv.FormatFloat(float64(f), 'g', -1, 32))
		check(t, strconv.FormatFloat(float64(f), 'e', r.IntN(25), 64))
		// Half-way between two neighbours, and a hair beside it, in decimals: where double rounding would show.
		next := math.Float32frombits(math.Float32bits(f) ^ 1)
		half := (float64(f) + float64(next)) / 2
		check(t, strconv.FormatFloat(half, 'e', -1, 64))
		check(t, strconv.FormatFloat(half, 'e', 18, 64)+"")
		check(t, strconv.FormatFloat(math.Nextafter(half, 0), 'e', 30, 64))
		check(t, strconv.FormatFloat(r.NormFloat64(), 'g', -1, 64))
		check(t, strconv.FormatFloat(r.NormFloat64(), 'f', r.IntN(30), 64))
		check(t, fmt.Sprintf("%de%d", r.Uint64(), r.IntN(120)-70))
		check(t, strconv.FormatUint(1<<24+r.Uint64N(1<<30), 10))
	}
}

func TestFloat32TakesTheFastPath(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	slow, all := 0, 20_000
	for range all {
		s := strconv.FormatFloat(r.NormFloat64(), 'g', 17, 64)
		if _, n := Float32([]byte(s)); n != len(s) {
			slow++
		}
	}
	if slow > all/1000 {
		t.Errorf("%d of %d usual numbers take the slow path", slow, all)
	}
	for _, s := range []string{"0", "-0", "1", "255", "-17", "0.5", ".5", "1e3", "1E+3", "1e-3", "00012", "3.4028234e38", "16777216", "0.1"} {
		if _, n := Float32([]byte(s)); n != len(s) {
			t.Errorf("%q takes the slow path", s)
		}
	}
}

func TestFloat32LeavesTheRest(t *testing.T) {
	for s, want := range map[string]int{"": 0, "-": 0, ".": 0, "5.": 0, "1.e3": 0, "e5": 0, "1e": 0, "1e+": 0, "nan": 0, "inf": 0, "1,2": 1, "12 ": 2, "1.5.5": 3, "1e-99": 0, "0e99": 4, "1e999": 0, "3.5e38": 0, "1e-40": 0} {
		if _, n := Float32([]byte(s)); n != want {
			t.Errorf("%q took %d bytes, want %d", s, n, want)
		}
	}
}

func FuzzFloat32(f *testing.F) {
	for _, s := range []string{"1", "-0.5e-7", "340282356779733661637539395458142568447.9999", "00000000000000000000001.5", "1.00000017881393421514957253748434595763683319091796875001", "9007199254740993"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		check(t, s)
		for i := range s { // a prefix that it takes must be a number too
			check(t, s[:i])
		}
	})
}

var sink float32

func BenchmarkFloat32(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 6))
	var cells, rest [1024][]byte
	for i := range cells {
		cells[i] = []byte(strconv.FormatFloat(r.NormFloat64(), 'g', -1, 32))
		rest[i] = append(bytes.Clone(cells[i]), strings.Repeat(",", 50)...)
	}
	b.Run("ahead", func(b *testing.B) {
		for i := range b.N {
			v, _ := Float32(rest[i%1024])
			sink += v
		}
	})
	b.Run("fast", func(b *testing.B) {
		for i := range b.N {
			v, _ := Float32(cells[i%1024])
			sink += v
		}
	})
	b.Run("strconv", func(b *testing.B) {
		for i := range b.N {
			v, _ := strconv.ParseFloat(string(cells[i%1024]), 32)
			sink += float32(v)
		}
	})
}
