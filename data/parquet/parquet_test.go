package parquet

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/internal/num"
)

var files = []string{"none_v1", "none_v2", "none_dict_v2", "snappy_dict_v1", "gzip_v1", "zstd_v1"}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".parquet"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// all reads a file's named columns, three rows at a time: pages hold four and cross row groups of four.
func all(b []byte, features, text string) (*rows.Block, int, error) {
	r, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, 0, err
	}
	find := func(names string) (at []int) {
		for _, name := range strings.Fields(names) {
			j := slices.IndexFunc(r.columns, func(c rows.Column) bool { return c.Name == name })
			if j < 0 { // damage to the name
				return nil
			}
			at = append(at, j)
		}
		return at
	}
	d, err := r.Select(find(features), find(text))
	if err != nil {
		return nil, 0, err
	}
	block := &rows.Block{}
	for {
		if err := r.Read(block, 3); err == io.EOF {
			return block, d, nil
		} else if err != nil {
			return nil, d, err
		}
	}
}

func TestNumbersOfPyarrow(t *testing.T) {
	for _, file := range files {
		b := read(t, file)
		for _, name := range []string{"float16", "float32", "float64"} {
			got, _, err := all(b, name, "")
			if err != nil {
				t.Errorf("%s %s: %v", file, name, err)
				continue
			}
			for i, v := range got.X {
				if v != float32(4*i-7)/4 {
					t.Errorf("%s %s: row %d is %v", file, name, i+1, v)
				}
			}
		}
		for _, name := range []string{"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"} {
			got, _, err := all(b, name, name)
			if err != nil {
				t.Errorf("%s %s: %v", file, name, err)
				continue
			}
			for i, v := range got.X {
				want := 3 * i
				if name[0] == 'i' {
					want -= 5
				}
				if v != float32(want) || got.Text[0][i] != strconv.Itoa(want) {
					t.Errorf("%s %s: row %d is %v and %q", file, name, i+1, v, got.Text[0][i])
				}
			}
		}
		got, _, err := all(b, "uint64", "uint64 bool")
		if err != nil || got.X[3] != 0x1p63+0x1p40 || got.Text[0][9] != "9223373136366403584" || strings.Join(got.Text[1], " ") != "true false false true false false true false false true" {
			t.Errorf("%s: %v %v", file, got, err)
		}
	}
}

func TestListsOfPyarrow(t *testing.T) {
	for _, file := range files {
		b := read(t, file)
		for _, name := range []string{"fixed", "list32", "list64"} {
			got, d, err := all(b, name, "")
			if err != nil || d != 4 || got.N != 10 {
				t.Errorf("%s %s: %v", file, name, err)
				continue
			}
			for i, v := range got.X {
				if v != float32(i-7)/4 {
					t.Errorf("%s %s: value %d is %v", file, name, i, v)
				}
			}
		}
		// Lists between single columns: 1 + 4 + 1 + 2 + 2 columns.
		got, d, err := all(b, "float32 list64 int8 listint uint8 bool", "name")
		if err != nil || d != 10 {
			t.Errorf("%s: %v", file, err)
			continue
		}
		for i := range 10 {
			f := float32(4*i-7) / 4
			isThird := float32(0)
			if i%3 == 0 {
				isThird = 1
			}
			want := []float32{f, f, f + .25, f + .5, f + .75, float32(3*i - 5), float32(i), float32(-i), float32(3 * i), isThird}
			if !slices.Equal(got.X[10*i:10*i+10], want) {
				t.Errorf("%s: row %d is %v, want %v", file, i+1, got.X[10*i:10*i+10], want)
			}
		}
	}
}

func TestNamesOfPyarrow(t *testing.T) {
	want := []string{"cat", "dog", "", "zebra é", "cat", "", "cat", "dog", "dog", "cat"}
	for _, file := range files {
		got, _, err := all(read(t, file), "float32", "name categorical label_float")
		if err != nil || !slices.Equal(got.Text[0], want) || !slices.Equal(got.Text[1], want) {
			t.Errorf("%s: %v %v", file, got, err)
			continue
		}
		if labels := []string{"1", "2.5", "", "3", "4", "5", "6", "7", "8", "9"}; !slices.Equal(got.Text[2], labels) {
			t.Errorf("%s: %q", file, got.Text[2])
		}
	}
}

func TestRefuses(t *testing.T) {
	for _, file := range files {
		b := read(t, file)
		for _, c := range []struct {
			column string
			want   error
			words  string
		}{
			{"null_at_4", data.ErrFormat, `row 4, column "null_at_4": is null`},
			{"nan_at_6", data.ErrFinite, `row 6, column "nan_at_6": NaN`},
			{"big_at_2", data.ErrFinite, `row 2, column "big_at_2": 1e+300 is beyond float32`},
			{"ragged_at_3", data.ErrShape, `row 3, column "ragged_at_3": wrong shape: 1 numbers, want 2`},
			{"long_at_3", data.ErrShape, `row 3, column "long_at_3": wrong shape: more than 2 numbers`},
			{"empty_at_2", data.ErrFormat, `row 2, column "empty_at_2": is null`},
			{"nulllist_at_2", data.ErrFormat, `row 2, column "nulllist_at_2": is null`},
			{"nullinlist_at_2", data.ErrFormat, `row 2, column "nullinlist_at_2": is null`},
			{"name", data.ErrFormat, `column "name" holds STRING, want numbers (--ignore name`},
			{"when", data.ErrFormat, `column "when" holds TIMESTAMP`},
			{"nested", data.ErrFormat, "nested lists"},
			{"struct", data.ErrFormat, "a nested group"},
		} {
			_, _, err := all(b, c.column, "")
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%s %s: %v, want %v with %q", file, c.column, err, c.want, c.words)
			}
		}
		if _, _, err := all(b, "", "list32"); !errors.Is(err, data.ErrFormat) {
			t.Errorf("lists as text: %v", err)
		}
	}
}

func TestDamage(t *testing.T) {
	b := read(t, "none_v1")
	for _, cut := range []int{0, 3, 8, len(b) / 2, len(b) - 1} {
		if _, _, err := all(b[:cut], "float32", ""); !errors.Is(err, data.ErrFormat) {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
	// Bytes flipped, one at a time: an answer or ErrFormat, never a panic.
	for _, file := range []string{"none_v2", "snappy_dict_v1"} {
		b := read(t, file)
		for at := 0; at < len(b); at += 41 {
			b[at] ^= 0x55
			_, _, err := all(b, "float32 list32", "name")
			if err != nil && !errors.Is(err, data.ErrFormat) && !errors.Is(err, data.ErrFinite) && !errors.Is(err, data.ErrShape) {
				t.Errorf("%s, byte %d: %v", file, at, err)
			}
			b[at] ^= 0x55
		}
	}
	if got, _, err := all(read(t, "no_rows"), "a", ""); err != nil || got.N != 0 {
		t.Errorf("no rows: %v %v", got, err)
	}
}

func TestPandasIndexIsNoFeature(t *testing.T) {
	b := read(t, "pandas")
	r, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Columns() {
		if c.Index != (c.Name == "__index_level_0__") {
			t.Errorf("%+v", c)
		}
	}
}

func TestWriteRoundTrip(t *testing.T) {
	n := 5000
	names, f, ints, bools, x := make([]string, n), make([]float64, n), make([]int, n), make([]bool, n), make([]float32, 3*n)
	for i := range n {
		names[i], f[i], ints[i], bools[i] = []string{"", "é", "cat"}[i%3], float64(i)/3, i-7, i%2 == 0
		x[3*i], x[3*i+1], x[3*i+2] = float32(i), float32(i)/7, -float32(i)
	}
	write := func() []byte {
		var out bytes.Buffer
		w := NewWriter(&out)
		for at := 0; at < n; at += 999 {
			to := min(at+999, n)
			err := w.Write(rows.Strings("z", names[at:to]), rows.Vectors("v", x[3*at:3*to], 3), rows.Floats("f", f[at:to]), rows.Ints("n", ints[at:to]), rows.Bools("b", bools[at:to]), rows.Matrix([]string{"q", "p", "a"}, x[3*at:3*to]))
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	b := write()
	if !bytes.Equal(b, write()) {
		t.Error("the same table gave other bytes")
	}
	r, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, c := range r.Columns() {
		order = append(order, c.Name)
	}
	if strings.Join(order, " ") != "z v f n b q p a" {
		t.Errorf("columns %v", order)
	}
	got, d, err := all(b, "v q p a", "z f n b")
	if err != nil || d != 6 || got.N != n {
		t.Fatalf("%d columns, %v", d, err)
	}
	for i := range n {
		if !slices.Equal(got.X[6*i:6*i+3], x[3*i:3*i+3]) || !slices.Equal(got.X[6*i+3:6*i+6], x[3*i:3*i+3]) {
			t.Fatalf("row %d: %v", i, got.X[6*i:6*i+6])
		}
		v, _ := strconv.ParseFloat(got.Text[1][i], 64)
		if got.Text[0][i] != names[i] || v != f[i] || got.Text[2][i] != strconv.Itoa(ints[i]) || got.Text[3][i] != strconv.FormatBool(bools[i]) {
			t.Fatalf("row %d: %q", i, got.Text)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	if err := NewWriter(io.Discard).Close(); !errors.Is(err, data.ErrShape) {
		t.Errorf("nothing written: %v", err)
	}
	if err := NewWriter(io.Discard).Write(rows.Floats("a", []float64{math.NaN()})); !errors.Is(err, data.ErrFinite) {
		t.Errorf("NaN: %v", err)
	}
	full := errors.New("no space")
	w := NewWriter(writer(func([]byte) (int, error) { return 0, full }))
	err := w.Write(rows.Floats("a", make([]float64, 100_000)))
	if err = errors.Join(err, w.Close()); !errors.Is(err, full) {
		t.Errorf("a full disk: %v", err)
	}
	var out bytes.Buffer
	w = NewWriter(&out)
	if err := errors.Join(w.Write(rows.Floats("a", nil), rows.Vectors("v", nil, 2)), w.Close()); err != nil {
		t.Errorf("no rows: %v", err)
	}
	if got, _, err := all(out.Bytes(), "a", ""); err != nil || got.N != 0 {
		t.Errorf("no rows: %v %v", got, err)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// FuzzRead is for the glue: the format's parser is the library's. Nothing may panic, and what is read is finite.
func FuzzRead(f *testing.F) {
	f.Add(read(f, "pandas"))
	f.Add(read(f, "no_rows"))
	var out bytes.Buffer
	w := NewWriter(&out)
	if err := errors.Join(w.Write(rows.Vectors("v", []float32{1, 2, 3, 4}, 2), rows.Strings("s", []string{"a", "b"}), rows.Bools("b", []bool{true, false})), w.Close()); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for j, c := range r.Columns() {
			for _, as := range [][2]string{{c.Name, ""}, {"", c.Name}} {
				if strings.ContainsAny(c.Name, " \t\n\v\f\r\u0085\u00a0") || c.Name == "" {
					continue
				}
				got, d, err := all(b, as[0], as[1])
				if err == nil && (len(got.X) != got.N*d || num.Finite(got.X) >= 0) {
					t.Fatalf("column %d: %d rows of %d: %v", j, got.N, d, got.X)
				}
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	const n, d = 20_000, 128
	x := make([]float32, n*d)
	for i := range x {
		x[i] = float32(i) * 1.1
	}
	names := make([]string, d)
	for j := range names {
		names[j] = "c" + strconv.Itoa(j)
	}
	for _, c := range []struct {
		name   string
		values rows.Values
	}{{"list", rows.Vectors("v", x, d)}, {"columns", rows.Matrix(names, x)}} {
		var out bytes.Buffer
		w := NewWriter(&out)
		if err := errors.Join(w.Write(c.values), w.Close()); err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(n * d * 4)
			for range b.N {
				r, err := Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
				if err != nil {
					b.Fatal(err)
				}
				features := make([]int, len(r.Columns()))
				for j := range features {
					features[j] = j
				}
				r.Select(features, nil)
				var block rows.Block
				for err == nil {
					block.Reset()
					err = r.Read(&block, data.BlockRows)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
