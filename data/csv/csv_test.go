package csv

import (
	"bytes"
	std "encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/internal/num"
)

// all reads a whole text with the given columns as features and text.
func all(in io.Reader, o Options, features, text []int) (*Reader, *rows.Block, error) {
	return allFrom(in, o, window, features, text)
}

func allFrom(in io.Reader, o Options, window int, features, text []int) (*Reader, *rows.Block, error) {
	r, err := newReader(in, o, window)
	if err != nil {
		return nil, nil, err
	}
	if _, err := r.Select(features, text); err != nil {
		return r, nil, err
	}
	b := &rows.Block{}
	for {
		if err := r.Read(b, 1000); err == io.EOF {
			return r, b, nil
		} else if err != nil {
			return r, nil, err
		}
	}
}

func upTo(n int) (s []int) {
	for j := range n {
		s = append(s, j)
	}
	return s
}

func names(r *Reader) string {
	var s []string
	for _, c := range r.Columns() {
		s = append(s, c.Name)
	}
	return strings.Join(s, "|")
}

func TestReadsCells(t *testing.T) {
	text := "id,\"height, m\",label\r\na,1.5,\"x\"\"y\"\r\n\r\n\"b\nc\",\"-2e3\",z\r\n d , 3 ,"
	r, b, err := all(strings.NewReader(text), Options{}, []int{1}, []int{0, 2})
	if err != nil {
		t.Fatal(err)
	}
	if names(r) != "id|height, m|label" || !r.HasHeader() {
		t.Errorf("columns %s", names(r))
	}
	if !slices.Equal(b.X, []float32{1.5, -2000, 3}) {
		t.Errorf("x %v", b.X)
	}
	if !slices.Equal(b.Text[0], []string{"a", "b\nc", " d "}) || !slices.Equal(b.Text[1], []string{`x"y`, "z", ""}) {
		t.Errorf("text %q", b.Text)
	}
	if !slices.Equal(b.Line, []int{2, 4, 6}) {
		t.Errorf("lines %v", b.Line)
	}
}

func TestTabsNeedNoQuoting(t *testing.T) {
	text := "text\tlabel\n\"Stupid\" is it\tbad\n\"open\tgood\n\"quoted\tcell\"\tok\n\"a \"\"b\"\"\"\tok\n"
	_, b, err := all(strings.NewReader(text), Options{}, nil, []int{0, 1})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{`"Stupid" is it`, `"open`, "quoted\tcell", `a "b"`}; !slices.Equal(b.Text[0], want) {
		t.Errorf("text %q", b.Text[0])
	}
	_, b, err = all(strings.NewReader("a,b\n5\" pipe,x\n"), Options{}, nil, []int{0})
	if err != nil || b.Text[0][0] != `5" pipe` {
		t.Errorf("quote inside a cell: %v %v", b, err)
	}
}

func TestDelimiters(t *testing.T) {
	for text, want := range map[string]byte{
		"a,b\n1,2\n":                   ',',
		"a\tb\n1\t2\n":                 '\t',
		"a;b\n1,5;2,5\n":               ';',
		"1,5;2,5\n3,5;4,5\n":           ';',
		"t,l\nhi; you,x\nho,y\n":       ',',
		"\n\na;b\n1;2":                 ';',
		"one\n":                        ',',
		"a\tb, c\n1\t2\n":              '\t',
		"\"x;y\",b\n1,2\n":             ',',
		"\"a,\nb\";c\n1;2\n":           ';',
		"a,b,c\n1,2\n1,2,3\n":          ',',
		"\ufeffa,b\n1,2":               ',',
		"a|b\n1|2\n":                   ',',
		"text\tn\n\"unclosed, a\t1\n":  '\t',
		"x;y;z\n1;2;3\n4;5;6,5\n7;8;9": ';',
	} {
		r, err := NewReader(strings.NewReader(text), Options{})
		if err != nil || r.Delimiter() != want {
			t.Errorf("%q: %v %v", text, r, err)
		}
	}
}

func TestHeaders(t *testing.T) {
	for text, want := range map[string]string{
		"a,b\n1,2\n":                   "a|b",
		"1,2\n3,4\n":                   "",
		"5.1,3.5,setosa\n4.9,3,virgin": "",
		"0,1,2,label\n.1,.2,.3,cat\n":  "0|1|2|label",
		"0,1,2,label\n.1,.2,.3,4\n":    "0|1|2|label",
		",0,1,2\n0,.1,.2,.3\n":         "1|0|1|2",
		"0,1,2\n.5,.25,1\n":            "0|1|2",
		"1,2,3\n4,5,6\n":               "",
		"1,2,3\n4.5,5,6\n":             "",
		"0,1,2\n3,4,5\n":               "",
		"text,label\nhello,greet\n":    "text|label",
		"Wow this is good\t1\nbad\t0":  "",
		"a,b\n":                        "a|b",
		"label\n3\n":                   "label",
		"1\n2\n":                       "",
		"2020,2021,name\n1,2,x\n":      "",
	} {
		r, err := NewReader(strings.NewReader(text), Options{})
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := r.HasHeader(); got != (want != "") || got && names(r) != want {
			t.Errorf("%q: header %v, columns %s, want %s", text, got, names(r), want)
		}
	}
	r, _ := NewReader(strings.NewReader("a,b\n1,2\n"), Options{Header: Absent})
	if r.HasHeader() || names(r) != "1|2" {
		t.Errorf("told there is none: %s", names(r))
	}
	r, _ = NewReader(strings.NewReader("1,2\n3,4\n"), Options{Header: Present})
	if names(r) != "1|2" || !r.HasHeader() {
		t.Errorf("told there is one: %s", names(r))
	}
	r, _ = NewReader(strings.NewReader(",x\n0,1\n"), Options{})
	if !r.Columns()[0].Index {
		t.Error("a first column without a name is a row index")
	}
}

func TestRefuses(t *testing.T) {
	for _, c := range []struct {
		text  string
		want  error
		words string
	}{
		{"", data.ErrFormat, "holds no rows"},
		{"\n\r\n\n", data.ErrFormat, "holds no rows"},
		{"a,b\n1,2\n3\n", data.ErrShape, "line 3: wrong shape: 1 cells, want 2 as in line 1"},
		{"a,b\n1,2\n3,4,5\n", data.ErrShape, "line 3: wrong shape: 3 cells, want 2"},
		{"a,b\n1,2\nx,4,5\n", data.ErrShape, "3 cells"},
		{"a,b\n1,2,\n", data.ErrShape, "line 2: wrong shape: 3 cells"},
		{"a,b\n1,2\n3,\n", data.ErrFormat, `line 3, column "b": is empty`},
		{"a,the b\n1,2\n\n3,x\n", data.ErrFormat, `line 4, column "the b": "x" is no number: cannot be read (--ignore 'the b' leaves`},
		{"a,b\n1,nan\n", data.ErrFinite, `line 2, column "b"`},
		{"a,b\n1,-Inf\n", data.ErrFinite, `line 2, column "b"`},
		{"a,b\n1,1e39\n", data.ErrFinite, "beyond float32"},
		{"a,b\n1,\"2\n3\n4\n", data.ErrFormat, "line 2: a quote is opened and never closed"},
		{"a,b\n1,\"2\"x\n", data.ErrFormat, "line 2: text after a closing quote"},
		{"1,2\n3,x\n", data.ErrFormat, `line 2, column "2"`},
	} {
		_, _, err := all(strings.NewReader(c.text), Options{}, []int{0, 1}, nil)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%q: %v, want %v with %q", c.text, err, c.want, c.words)
		}
	}
	broken := io.MultiReader(strings.NewReader("a,b\n1,2\n3,4\n"), iotest.ErrReader(io.ErrClosedPipe))
	if _, _, err := all(broken, Options{}, []int{0}, nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a failing reader: %v", err)
	}
	r, _ := NewReader(strings.NewReader("a,b\n1,2"), Options{})
	if _, err := r.Select([]int{0}, []int{0}); err == nil {
		t.Error("one column in two roles passed")
	}
}

// TestBlocksAreFull pins that pieces do not depend on how the bytes arrive, and that windows of any cut give the same rows.
func TestBlocksAreFull(t *testing.T) {
	var text strings.Builder
	n, r := 70_000, rand.New(rand.NewPCG(1, 1))
	want := make([]float32, 0, 3*n)
	text.WriteString("a,b,c,l\n")
	for i := range n {
		for range 3 {
			v := float32(r.NormFloat64())
			want = append(want, v)
			text.WriteString(strconv.FormatFloat(float64(v), 'g', -1, 32) + ",")
		}
		if i%5000 == 77 {
			text.WriteString("\"q\n,\"\"\"\n")
		} else {
			fmt.Fprintln(&text, "l", i%7)
		}
	}
	if text.Len() <= window {
		t.Fatal("too small to cross a window")
	}
	for _, in := range []io.Reader{strings.NewReader(text.String()), iotest.HalfReader(strings.NewReader(text.String()))} {
		r, err := NewReader(in, Options{})
		if err != nil {
			t.Fatal(err)
		}
		r.Select([]int{0, 1, 2}, []int{3})
		var b rows.Block
		var got []float32
		for at := 0; ; at += b.N {
			b.Reset()
			err := r.Read(&b, data.BlockRows)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if b.N != min(data.BlockRows, n-at) || len(b.Text[0]) != b.N || len(b.Line) != b.N {
				t.Fatalf("block of %d rows at %d", b.N, at)
			}
			if lines := at + 2 + (at+4922)/5000; b.Line[0] != lines {
				t.Fatalf("row %d on line %d, want %d", at, b.Line[0], lines)
			}
			got = append(got, b.X...)
		}
		if !slices.Equal(got, want) {
			t.Error("other numbers")
		}
	}
}

// FuzzReader holds the reader against encoding/csv: what that reads strictly, this reads the same, cell by cell.
func FuzzReader(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "\"a\",\"b\"\"c\"\r\n,\n", "x\ty\n\"\t\"\t1\n", "1;2\n3;4", "\ufeff1,2", "\"a\nb\",1\n\n\r\n2,3\r", "\"", "a\rb,c\n", ",\n"} {
		f.Add(s, byte(','))
		f.Add(s, byte('\t'))
	}
	f.Fuzz(func(t *testing.T, s string, delim byte) {
		if delim != ',' && delim != ';' {
			delim = '\t'
		}
		const small = 8 // windows that cut everything
		r, b, err := allFrom(strings.NewReader(s), Options{Delimiter: delim, Header: Absent}, small, nil, nil)
		if err == nil {
			_, b, err = allFrom(strings.NewReader(s), Options{Delimiter: delim, Header: Absent}, small, nil, upTo(len(r.Columns())))
			if err != nil {
				t.Fatalf("the same columns as text: %v", err)
			}
		}
		// As numbers, with the delimiter found out: no panic, and nothing that is not finite.
		if r, err := newReader(strings.NewReader(s), Options{}, 512); err == nil {
			if _, b, err := allFrom(strings.NewReader(s), Options{}, 512, upTo(len(r.Columns())), nil); err == nil && num.Finite(b.X) >= 0 {
				t.Fatalf("not finite: %v", b.X)
			}
		}
		oracle := std.NewReader(strings.NewReader(strings.TrimPrefix(s, "\ufeff")))
		oracle.Comma = rune(delim)
		records, strict := oracle.ReadAll()
		if strict != nil || len(records) == 0 {
			return
		}
		if delim == '\t' {
			for _, record := range records {
				for _, cell := range record {
					if strings.Contains(cell, "\n") {
						return // a line break ends the row here, by design
					}
				}
			}
		}
		if err != nil {
			t.Fatalf("%q: %v, encoding/csv reads %q", s, err, records)
		}
		if b.N != len(records) {
			t.Fatalf("%q: %d rows, encoding/csv %d: %q", s, b.N, len(records), records)
		}
		for i, record := range records {
			for j, want := range record {
				if got := strings.ReplaceAll(b.Text[j][i], "\r\n", "\n"); got != want { // encoding/csv changes CRLF in quotes
					t.Fatalf("%q: row %d, cell %d is %q, encoding/csv %q", s, i, j, got, want)
				}
			}
		}
	})
}

// FuzzCell holds a numeric cell against strconv.
func FuzzCell(f *testing.F) {
	for _, s := range []string{"1", "-0.5", "1e40", "nan", "", "0x1p-2", "1_0", "+.5e1", "123456789012345678901234567890"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsAny(s, ",\"\n\r") {
			return
		}
		_, b, err := all(strings.NewReader("0,"+s+",0\n"), Options{Delimiter: ',', Header: Absent}, []int{1}, nil)
		want, oracle := strconv.ParseFloat(strings.Trim(s, " \t"), 32)
		if oracle == nil && !math.IsNaN(want) && !math.IsInf(want, 0) {
			if err != nil || math.Float32bits(b.X[0]) != math.Float32bits(float32(want)) {
				t.Fatalf("%q: %v %v, strconv %v", s, b, err, want)
			}
		} else if err == nil {
			t.Fatalf("%q: %v, strconv %v", s, b.X, oracle)
		}
	})
}

func TestWriteRoundTrip(t *testing.T) {
	odd := []string{"", "plain", "a,b", "a;b", "a\tb", `say "hi"`, `"`, "line\nbreak", "\r", " spaced ", "é"}
	f := make([]float64, len(odd))
	n := make([]int, len(odd))
	bools := make([]bool, len(odd))
	x := make([]float32, 2*len(odd))
	for i := range odd {
		f[i], n[i], bools[i] = math.Pi*math.Pow(10, float64(3*i-12)), -i, i%2 == 0
		x[2*i], x[2*i+1] = float32(i)/3, -1e-30*float32(i)
	}
	for _, delim := range []byte{',', ';', '\t'} {
		text := slices.Clone(odd)
		if delim == '\t' {
			text[7], text[8] = "no", "breaks"
		}
		var out bytes.Buffer
		w := NewWriter(&out, delim)
		for i := range text {
			if err := w.Write(rows.Strings("s", text[i:i+1]), rows.Floats("f", f[i:i+1]), rows.Ints("n", n[i:i+1]), rows.Bools("b", bools[i:i+1]), rows.Vectors("v", x[2*i:2*i+2], 2)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, b, err := all(&out, Options{}, []int{4, 5}, []int{0, 1, 2, 3})
		if err != nil {
			t.Fatal(err)
		}
		if names(r) != "s|f|n|b|v1|v2" || !slices.Equal(b.Text[0], text) || !slices.Equal(b.X, x) {
			t.Errorf("%q: %s %q %v", delim, names(r), b.Text[0], b.X)
		}
		for i := range text {
			if v, _ := strconv.ParseFloat(b.Text[1][i], 64); v != f[i] || b.Text[2][i] != strconv.Itoa(n[i]) || b.Text[3][i] != strconv.FormatBool(bools[i]) {
				t.Errorf("row %d: %q %q %q", i, b.Text[1][i], b.Text[2][i], b.Text[3][i])
			}
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	write := func(delim byte, pieces ...[]rows.Values) error {
		w := NewWriter(io.Discard, delim)
		for _, p := range pieces {
			if err := w.Write(p...); err != nil {
				return err
			}
		}
		return w.Close()
	}
	piece := func(v ...rows.Values) []rows.Values { return v }
	for _, c := range []struct {
		err   error
		want  error
		words string
	}{
		{write(0), data.ErrShape, "no columns"},
		{write(0, piece()), data.ErrShape, "no columns"},
		{write(0, piece(rows.Ints("a", []int{1}), rows.Ints("b", nil))), data.ErrShape, `"b" has 0 rows, column "a" has 1`},
		{write(0, piece(rows.Vectors("a", make([]float32, 3), 2))), data.ErrShape, "-1 rows"},
		{write(0, piece(rows.Ints("a", nil), rows.Ints("a", nil))), rows.ErrWrite, `named "a"`},
		{write(0, piece(rows.Ints("a", []int{1})), piece(rows.Ints("b", nil))), data.ErrShape, "other columns than in the first piece (row 2)"},
		{write(0, piece(rows.Floats("a", []float64{1})), piece(rows.Floats("a", []float64{2, math.NaN()}))), data.ErrFinite, `row 3, column "a"`},
		{write(0, piece(rows.Vectors("a", []float32{1, 2, 3, float32(math.Inf(1))}, 2))), data.ErrFinite, `row 2, column "a2"`},
		{write('\t', piece(rows.Strings("a", []string{"x", "y\nz"}))), rows.ErrWrite, `row 2, column "a"`},
	} {
		if !errors.Is(c.err, c.want) || !strings.Contains(c.err.Error(), c.words) {
			t.Errorf("%v, want %v with %q", c.err, c.want, c.words)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	const n, d = 20_000, 128
	r := rand.New(rand.NewPCG(1, 1))
	x := make([]float32, n*d)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	var out bytes.Buffer
	w := NewWriter(&out, 0)
	if err := errors.Join(w.Write(rows.Vectors("x", x, d)), w.Close()); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(out.Len()))
	b.ResetTimer()
	for range b.N {
		r, err := NewReader(bytes.NewReader(out.Bytes()), Options{})
		if err != nil {
			b.Fatal(err)
		}
		r.Select(upTo(d), nil)
		var block rows.Block
		for err == nil {
			block.Reset()
			err = r.Read(&block, data.BlockRows)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
