package npy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zip"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/internal/num"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// drain reads all rows, a few at a time.
func drain(r rows.Reader, features, text []int) (*rows.Block, int, error) {
	d, err := r.Select(features, text)
	if err != nil {
		return nil, 0, err
	}
	b := &rows.Block{}
	for {
		if err := r.Read(b, 2); err == io.EOF {
			return b, d, nil
		} else if err != nil {
			return nil, d, err
		}
	}
}

func open(t *testing.T, b []byte) rows.Reader {
	t.Helper()
	r, err := OpenArchive(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func column(t *testing.T, r rows.Reader, name string) int {
	t.Helper()
	j := slices.IndexFunc(r.Columns(), func(c rows.Column) bool { return c.Name == name })
	if j < 0 {
		t.Fatalf("no array %q in %v", name, r.Columns())
	}
	return j
}

// TestTypesOfNumpy reads arrays that numpy wrote: every type, byte order and layout holds (0 … 11), minus 5 where signed, a quarter of that in floats.
func TestTypesOfNumpy(t *testing.T) {
	b := read(t, "types.npz")
	seen := 0
	for _, c := range open(t, b).Columns() {
		r := open(t, b)
		j := column(t, r, c.Name)
		if c.Kind != rows.Vector || c.Width != 4 {
			continue
		}
		seen++
		got, d, err := drain(r, []int{j}, nil)
		if err != nil || d != 4 || got.N != 3 {
			t.Errorf("%s: %d columns, %v", c.Name, d, err)
			continue
		}
		for i, v := range got.X {
			want := float32(i)
			if c.Name[0] != 'u' {
				want -= 5
			}
			if c.Name[0] == 'f' {
				want /= 4
			}
			if v != want {
				t.Errorf("%s[%d] = %v, want %v", c.Name, i, v, want)
			}
		}
	}
	if seen != 11*2*2 {
		t.Errorf("%d arrays of numbers", seen)
	}
}

func TestOddArraysOfNumpy(t *testing.T) {
	b := read(t, "types.npz")
	numbers := func(name string) []float32 {
		r := open(t, b)
		got, _, err := drain(r, []int{column(t, r, name)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return got.X
	}
	if got := numbers("bool"); !slices.Equal(got, []float32{1, 0, 0, 1, 1, 1}) {
		t.Errorf("bool %v", got)
	}
	for _, name := range []string{"cube_C", "cube_F"} { // flattened in C order, whatever the layout
		for i, v := range numbers(name) {
			if v != float32(i) {
				t.Errorf("%s[%d] = %v", name, i, v)
			}
		}
	}
	for name, want := range map[string][]string{
		"names_U": {"cat", "", "zebra é"}, "names_Ube": {"cat", "", "zebra é"}, "names_S": {"cat", "", "dog"},
		"y_int": {"2", "-1", "10"}, "y_float": {"1", "0.5", ""}, "y_column": {"7", "8", "9"},
	} {
		r := open(t, b)
		got, _, err := drain(r, []int{column(t, r, "f4leF"), column(t, r, "u1leC")}, []int{column(t, r, name)})
		if err != nil || !slices.Equal(got.Text[0], want) {
			t.Errorf("%s: %v %v", name, got, err)
			continue
		}
		for i := range 3 { // two arrays side by side
			for j := range 4 {
				if got.X[8*i+j] != float32(4*i+j-5)/4 || got.X[8*i+4+j] != float32(4*i+j) {
					t.Errorf("row %d is %v", i, got.X[8*i:8*i+8])
				}
			}
		}
	}
	whole := read(t, "brain.npy")
	r, err := NewReader(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := drain(r, []int{0}, nil); err != nil || got.X[0] != 1.5 || got.X[1] != -2 || got.X[2] != 0.0078125 || got.X[3] != float32(math.Float32frombits(0x7f620000)) {
		t.Errorf("bfloat16: %v %v", got, err)
	}
}

func TestPlainFiles(t *testing.T) {
	for _, name := range []string{"version2.npy", "version3.npy", "fortran.npy"} {
		b := read(t, name)
		for how, f := range map[string]func() (rows.Reader, error){
			"seek": func() (rows.Reader, error) { return Open(bytes.NewReader(b), int64(len(b))) },
			"pipe": func() (rows.Reader, error) { return NewReader(io.MultiReader(bytes.NewReader(b))) },
		} {
			r, err := f()
			if err != nil || r.Rows() != 3 {
				t.Fatalf("%s %s: %v", name, how, err)
			}
			got, _, err := drain(r, []int{0}, nil)
			if err != nil || got.N != 3 || got.X[0] != -1.25 || got.X[1] != -1 || got.X[11] != 1.5 {
				t.Errorf("%s %s: %v %v", name, how, got, err)
			}
		}
	}
	b := read(t, "stored.npz")
	r := open(t, b)
	got, _, err := drain(r, []int{column(t, r, "X"), column(t, r, "F")}, []int{column(t, r, "y")})
	if err != nil || !slices.Equal(got.X[:4], got.X[4:8]) || got.X[23] != 1.5 || got.Text[0][2] != "zebra é" {
		t.Errorf("stored archive: %v %v", got, err)
	}
}

func make2(descr string, shape []int, body []byte) []byte {
	return append(writeHeader(descr, shape), body...)
}

func TestRefuses(t *testing.T) {
	nan := binary.LittleEndian.AppendUint32(make([]byte, 4*5), math.Float32bits(float32(math.NaN())))
	huge := binary.LittleEndian.AppendUint64(make([]byte, 8), math.Float64bits(1e300))
	good := make2("<f4", []int{2, 3}, make([]byte, 24))
	raw := func(dict string) []byte {
		b := append([]byte(magic), 1, 0)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(dict)))
		return append(b, dict...)
	}
	for _, c := range []struct {
		name  string
		b     []byte
		want  error
		words string
	}{
		{"empty", nil, data.ErrFormat, "ends inside the .npy header"},
		{"magic only", []byte(magic), data.ErrFormat, "ends inside"},
		{"header cut", good[:60], data.ErrFormat, "ends inside"},
		{"body cut", good[:len(good)-1], data.ErrFormat, "ends early"},
		{"other file", []byte("hello hello hello"), data.ErrFormat, "is no .npy file"},
		{"version", append([]byte(magic), 9, 0, 0, 0), data.ErrFormat, "version 9.0"},
		{"records", read(t, "records.npy"), data.ErrFormat, "array of records"},
		{"objects", read(t, "objects.npy"), data.ErrFormat, "pickled Python objects"},
		{"complex", read(t, "complex.npy"), data.ErrFormat, `"<c16"`},
		{"nan", make2("<f4", []int{2, 3}, nan), data.ErrFinite, "row 2, column 3: NaN"},
		{"double", make2("<f8", []int{2}, huge), data.ErrFinite, "row 2, column 1: infinite, or beyond float32"},
		{"scalar", make2("<f4", nil, make([]byte, 4)), data.ErrShape, "without dimensions"},
		{"no columns", make2("<f4", []int{3, 0}, nil), data.ErrShape, "has no columns"},
		{"text", make2("<U1", []int{1}, make([]byte, 4)), data.ErrFormat, "holds text"},
		{"overflow", raw("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9), }"), data.ErrShape, "9223372036854775807"},
		{"overflow beside zero", raw("{'descr': '<f4', 'fortran_order': True, 'shape': (0, 4294967296, 4294967296), }"), data.ErrShape, "4294967296"},
		{"wide", raw("{'descr': '<f4', 'fortran_order': True, 'shape': (0, 99999999), }"), data.ErrShape, "at most"},
		{"code", raw("{'descr': __import__('os').system('x'), 'fortran_order': False, 'shape': (1,), }"), data.ErrFormat, "records"},
		{"key", raw("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}"), data.ErrFormat, `key "x"`},
		{"twice", raw("{'descr': '<f4', 'descr': '<f4'}"), data.ErrFormat, "twice"},
		{"missing", raw("{'descr': '<f4', 'shape': (1,)}"), data.ErrFormat, `"fortran_order" is missing`},
		{"negative", raw("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"), data.ErrFormat, "want a size"},
		{"more", raw("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } + 1"), data.ErrFormat, "want nothing more"},
	} {
		for _, pipe := range []bool{false, true} {
			r, err := NewReader(bytes.NewReader(c.b))
			if !pipe {
				r, err = Open(bytes.NewReader(c.b), int64(len(c.b)))
			}
			if err == nil {
				_, _, err = drain(r, []int{0}, nil)
			}
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%s (pipe %v): %v, want %v with %q", c.name, pipe, err, c.want, c.words)
			}
		}
	}
}

func TestArchiveRefuses(t *testing.T) {
	b := read(t, "types.npz")
	if _, err := OpenArchive(bytes.NewReader(b[:len(b)/2]), int64(len(b)/2)); !errors.Is(err, data.ErrFormat) {
		t.Errorf("half an archive: %v", err)
	}
	var out bytes.Buffer
	w := NewArchiveWriter(&out, t.TempDir())
	if err := errors.Join(w.Write(rows.Ints("a", []int{1, 2})), w.Close()); err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(out.Bytes())
	flipped[bytes.Index(flipped, []byte(magic))+128] ^= 1 // an element
	if _, _, err := drain(open(t, flipped), []int{0}, nil); !errors.Is(err, data.ErrFormat) || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("a flipped bit: %v", err)
	}
	if c, err := Tensors(bytes.NewReader(flipped), int64(len(flipped))); err != nil {
		t.Error(err)
	} else if _, err := c.Tensors["a"].Bytes(); !errors.Is(err, data.ErrFormat) {
		t.Errorf("a flipped bit in a tensor: %v", err)
	}
}

func TestRowsMustAgree(t *testing.T) {
	dir := t.TempDir()
	w := NewArchiveWriter(io.Discard, dir)
	if err := w.Write(rows.Ints("a", []int{1, 2})); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(rows.Ints("b", []int{1})); !errors.Is(err, data.ErrShape) {
		t.Errorf("written: %v", err)
	}
	w.Abort()
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	// Two archives' members put together: arrays of 2 and 3 rows.
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for name, n := range map[string]int{"a": 2, "b": 3} {
		f, err := z.Create(name + ".npy")
		if err != nil {
			t.Fatal(err)
		}
		f.Write(make2("<f4", []int{n}, make([]byte, 4*n)))
	}
	z.Close()
	r := open(t, out.Bytes())
	_, err := r.Select([]int{column(t, r, "a")}, []int{column(t, r, "b")})
	if !errors.Is(err, data.ErrShape) || !strings.Contains(err.Error(), `array "b" has 3 rows, array "a" has 2`) {
		t.Errorf("read: %v", err)
	}
}

func TestTensors(t *testing.T) {
	b := read(t, "stored.npz")
	if _, err := Tensors(bytes.NewReader(b), int64(len(b))); !errors.Is(err, data.ErrFormat) || !strings.Contains(err.Error(), `"y" holds text`) {
		t.Errorf("text as a tensor: %v", err)
	}
	var out bytes.Buffer
	w := NewArchiveWriter(&out, t.TempDir())
	if err := errors.Join(w.Write(rows.Vectors("w", []float32{1, 2, 3, 4, 5, 6}, 3), rows.Ints("n", []int{7, -8}), rows.Bools("b", []bool{true, false})), w.Close()); err != nil {
		t.Fatal(err)
	}
	c, err := Tensors(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	v, shape, err := c.Floats("w", 2, 3)
	if err != nil || !slices.Equal(v, []float64{1, 2, 3, 4, 5, 6}) {
		t.Errorf("%v %v %v", v, shape, err)
	}
	if n, _, err := c.Ints("n", 2); err != nil || !slices.Equal(n, []int64{7, -8}) {
		t.Errorf("%v %v", n, err)
	}
	if c.Tensors["b"].DType != data.Bool {
		t.Errorf("%v", c.Tensors["b"].DType)
	}
}

// TestTensorsInAnyLayout: both byte orders and layouts give the same tensor.
func TestTensorsInAnyLayout(t *testing.T) {
	var arrays bytes.Buffer
	arrays.Write(read(t, "fortran.npy"))
	a, err := plain(bytes.NewReader(arrays.Bytes()), int64(arrays.Len()))
	if err != nil {
		t.Fatal(err)
	}
	got, err := tensor(a)
	if err != nil {
		t.Fatal(err)
	}
	v2 := read(t, "version2.npy")
	if want := v2[len(v2)-48:]; !bytes.Equal(got, want) {
		t.Errorf("% x, want % x", got, want)
	}
}

// buffer is memory that can be written like a file.
type buffer struct{ b []byte }

func (w *buffer) Write(p []byte) (int, error) { w.b = append(w.b, p...); return len(p), nil }
func (w *buffer) WriteAt(p []byte, at int64) (int, error) {
	return copy(w.b[at:], p), nil
}

func TestWriteRoundTrip(t *testing.T) {
	x := []float32{1, -2.5, 3e-30, 4, 5, 6}
	for _, c := range []struct {
		pieces []rows.Values
		d      int
		want   []float32
	}{
		{[]rows.Values{rows.Vectors("x", x[:4], 2), rows.Vectors("x", x[4:], 2)}, 2, x},
		{[]rows.Values{rows.Matrix([]string{"a", "b", "c"}, x)}, 3, x},
		{[]rows.Values{rows.Floats("s", []float64{1.5, 2}), rows.Floats("s", nil), rows.Floats("s", []float64{-3})}, 1, []float32{1.5, 2, -3}},
		{[]rows.Values{rows.Ints("n", []int{1, -2})}, 1, []float32{1, -2}},
		{[]rows.Values{rows.Bools("b", []bool{true, false})}, 1, []float32{1, 0}},
	} {
		var to buffer
		w := NewWriter(&to)
		for _, p := range c.pieces {
			if err := w.Write(p); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := Open(bytes.NewReader(to.b), int64(len(to.b)))
		if err != nil {
			t.Fatal(err)
		}
		got, d, err := drain(r, []int{0}, nil)
		if err != nil || d != c.d || !slices.Equal(got.X, c.want) {
			t.Errorf("%v: %v %v", c.pieces, got, err)
		}
	}
	for _, bad := range [][]rows.Values{{rows.Strings("s", []string{"a"})}, {rows.Ints("a", nil), rows.Ints("b", nil)}} {
		if err := NewWriter(&buffer{}).Write(bad...); !errors.Is(err, rows.ErrWrite) || !strings.Contains(err.Error(), ".npz") {
			t.Errorf("%v", err)
		}
	}
}

func TestWritesAsNumpyDoes(t *testing.T) {
	v := []float32{-1.25, -1, -.75, -.5, -.25, 0, .25, .5, .75, 1, 1.25, 1.5}
	var to buffer
	w := NewWriter(&to)
	if err := errors.Join(w.Write(rows.Vectors("", v, 4)), w.Close()); err != nil {
		t.Fatal(err)
	}
	want := read(t, "version2.npy") // the same array; numpy's version 1 header is the same text, padded two bytes further
	text := func(b []byte, head int) string { return strings.TrimRight(string(b[head:128]), " \n") }
	if text(to.b, 10) != text(want, 12) || !bytes.Equal(to.b[128:], want[128:]) {
		t.Errorf("%q, want %q", to.b, want)
	}
}

func TestArchiveRoundTrip(t *testing.T) {
	names := []string{"", "cat", "zebra é", "a\x00b", "漢字"}
	x := []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	write := func() []byte {
		var out bytes.Buffer
		dir := t.TempDir()
		w := NewArchiveWriter(&out, dir)
		for i := range names {
			if err := w.Write(rows.Matrix([]string{"a", "b"}, x[2*i:2*i+2]), rows.Strings("y", names[i:i+1])); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		w.Abort()
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		return out.Bytes()
	}
	b := write()
	if !bytes.Equal(b, write()) {
		t.Error("the same table gave other bytes")
	}
	r := open(t, b)
	got, _, err := drain(r, []int{column(t, r, "X")}, []int{column(t, r, "y")})
	if err != nil || !slices.Equal(got.X, x) || !slices.Equal(got.Text[0], names) {
		t.Errorf("%v %v", got, err)
	}
	w := NewArchiveWriter(io.Discard, t.TempDir())
	if err := errors.Join(w.Write(rows.Strings("y", []string{"a\x00"})), w.Close()); !errors.Is(err, rows.ErrWrite) {
		t.Errorf("trailing zero: %v", err)
	}
}

func FuzzReader(f *testing.F) {
	for _, name := range []string{"version2.npy", "version3.npy", "fortran.npy", "brain.npy", "objects.npy"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(make2("|S3", []int{2}, []byte("abcde")))
	f.Fuzz(func(t *testing.T, b []byte) {
		seek, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if len(seek.Columns()[0].Name) > 0 {
			t.Fatal("a .npy file names nothing")
		}
		got, d, err := drain(seek, []int{0}, nil)
		pipe, errPipe := NewReader(bytes.NewReader(b))
		if errPipe != nil {
			t.Fatalf("opened, but not as a pipe: %v", errPipe)
		}
		other, _, errPipe := drain(pipe, []int{0}, nil)
		if (err == nil) != (errPipe == nil) {
			t.Fatalf("seek %v, pipe %v", err, errPipe)
		}
		if err == nil {
			if len(got.X) != got.N*d || num.Finite(got.X) >= 0 || !slices.Equal(got.X, other.X) {
				t.Fatalf("%d rows of %d: %v, as a pipe %v", got.N, d, got.X, other.X)
			}
		}
		if text, err := NewReader(bytes.NewReader(b)); err == nil {
			drain(text, nil, []int{0})
		}
	})
}

func FuzzArchive(f *testing.F) {
	for _, name := range []string{"stored.npz", "types.npz"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := Tensors(bytes.NewReader(b), int64(len(b))); err == nil {
			for _, x := range c.Tensors {
				x.Bytes()
			}
		}
		r, err := OpenArchive(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for j := range r.Columns() {
			if r, err := OpenArchive(bytes.NewReader(b), int64(len(b))); err == nil {
				drain(r, []int{j}, nil)
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	const n, d = 20_000, 128
	for _, c := range []struct {
		name, descr string
		size        int
	}{{"f4", "<f4", 4}, {"f8", "<f8", 8}, {"f2", "<f2", 2}, {"f4-big", ">f4", 4}} {
		for _, fortran := range []bool{false, true} {
			file := make2(c.descr, []int{n, d}, make([]byte, n*d*c.size))
			name := c.name
			if fortran {
				file = bytes.Replace(file, []byte("False,"), []byte("True, "), 1)
				name += "-fortran"
			}
			b.Run(name, func(b *testing.B) {
				b.SetBytes(n * d * 4) // of float32 made
				for range b.N {
					r, err := Open(bytes.NewReader(file), int64(len(file)))
					if err != nil {
						b.Fatal(err)
					}
					r.Select([]int{0}, nil)
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
}
