package jsonl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/internal/num"
)

// all reads a whole text; features and text are names, separated by commas.
func all(in io.Reader, window int, features, text string) (*Reader, *rows.Block, error) {
	r, err := newReader(in, window)
	if err != nil {
		return nil, nil, err
	}
	find := func(names string) (at []int) {
		for _, name := range strings.Split(names, ",") {
			if j := slices.IndexFunc(r.columns, func(c rows.Column) bool { return c.Name == name }); j >= 0 {
				at = append(at, j)
			}
		}
		return at
	}
	if _, err := r.Select(find(features), find(text)); err != nil {
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

func TestReadsFields(t *testing.T) {
	text := "\ufeff" + `{"id": 7, "x": [1, -2.5e1, 0.1], "label": "cat", "n": 1.0, "b": true, "meta": {"a": [[]]}, "no": null}
` + "\r\n" + ` { "label" : "\u00e9\ud83d\ude00\"" , "x":[3,4,5] , "id": 12345678901234567890, "n": -0, "b": false, "extra": "z", "no": "yes", "meta": 1}`
	r, b, err := all(strings.NewReader(text), window, "x,n,b", "label,id,no,b,n")
	if err != nil {
		t.Fatal(err)
	}
	if want := []float32{1, -25, 0.1, 1, 1, 3, 4, 5, 0, 0}; !slices.Equal(b.X, want) {
		t.Errorf("x %v", b.X)
	}
	if want := [][]string{{"cat", "é😀\""}, {"7", "12345678901234567890"}, {"", "yes"}, {"true", "false"}, {"1", "-0"}}; fmt.Sprint(b.Text) != fmt.Sprint(want) {
		t.Errorf("text %q", b.Text)
	}
	if !slices.Equal(b.Line, []int{1, 3}) {
		t.Errorf("lines %v", b.Line)
	}
	var kinds []rows.Kind
	for _, c := range r.Columns() {
		kinds = append(kinds, c.Kind)
	}
	if want := []rows.Kind{rows.Number, rows.Vector, rows.Text, rows.Number, rows.Number, rows.Other, rows.Unknown}; !slices.Equal(kinds, want) {
		t.Errorf("kinds %v", kinds)
	}
	if c := r.Columns()[1]; c.Width != 3 {
		t.Errorf("width %d", c.Width)
	}
}

func TestRefuses(t *testing.T) {
	for _, c := range []struct {
		text  string
		want  error
		words string
	}{
		{"", data.ErrFormat, "holds no objects"},
		{" \n\t\r\n", data.ErrFormat, "holds no objects"},
		{"[{\"x\":1}]", data.ErrFormat, "is a JSON array, want one object a line"},
		{"{\n\"x\":1}", data.ErrFormat, "line 1: byte 2: the line ends"},
		{`{"x":1,"x":2}`, data.ErrFormat, `field "x" is there twice`},
		{`{"x":1}{"x":2}`, data.ErrFormat, "nothing after the object"},
		{`{"x":01}`, data.ErrFormat, "byte 7"},
		{`{"x":1.}`, data.ErrFormat, "digits after the point"},
		{`{"x":[1,2],"y":"a"}` + "\n" + `{"x":[1],"y":"a"}`, data.ErrShape, `line 2: field "x": wrong shape: 1 numbers, want 2`},
		{`{"x":[1,2]}` + "\n\n" + `{"x":[1,2,3]}`, data.ErrShape, `line 3: field "x": wrong shape: 3 numbers`},
		{`{"x":[1,2]}` + "\n" + `{"x":[]}`, data.ErrShape, "an empty array"},
		{`{"x":[1,2]}` + "\n" + `{"x":3}`, data.ErrFormat, "want an array of numbers"},
		{`{"x":[1,2]}` + "\n" + `{"x":[1,"a"]}`, data.ErrFormat, `element 2: "a" is text`},
		{`{"x":1}` + "\n" + `{"y":1}`, data.ErrFormat, `line 2: field "x" is missing`},
		{`{"x":1}` + "\n" + `{"x":null}`, data.ErrFormat, `line 2: field "x": is null`},
		{`{"x":1}` + "\n" + `{"x":"abc"}`, data.ErrFormat, `"abc" is text, want a number`},
		{`{"x":1}` + "\n" + `{"x":[1]}`, data.ErrFormat, `is an array`},
		{`{"x":1}` + "\n" + `{"x":1,"x":1}`, data.ErrFormat, `line 2: field "x" is there twice`},
		{`{"x":NaN}`, data.ErrFinite, `line 1: field "x"`},
		{`{"x":[1,-Infinity]}`, data.ErrFinite, "element 2"},
		{`{"x":1e39}`, data.ErrFinite, "beyond float32"},
		{`{"x":"text"}`, data.ErrFormat, "holds text, want numbers"},
		{`{"x":[[1]]}`, data.ErrFormat, "holds an array, want numbers"},
		{`{"x":{}}`, data.ErrFormat, "holds an object, want numbers"},
		{`{"x":[]}`, data.ErrFormat, "holds an array, want numbers"},
		{`{"x":1}` + "\n" + `{"x":1`, data.ErrFormat, "the line ends, want a comma"},
		{`{"x":1,"s":"` + "\x01" + `"}`, data.ErrFormat, "control character"},
		{`{"x":1,"s":"\x"}`, data.ErrFormat, "escape"},
	} {
		_, _, err := all(strings.NewReader(c.text), window, "x", "")
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want %v with %q", c.text, err, c.want, c.words)
		}
	}
	if _, _, err := all(strings.NewReader(`{"s":[1]}`), window, "", "s"); !errors.Is(err, data.ErrFormat) || !strings.Contains(err.Error(), "want one value a line") {
		t.Errorf("an array as text: %v", err)
	}
	broken := io.MultiReader(strings.NewReader("{\"x\":1}\n"), iotest.ErrReader(io.ErrClosedPipe))
	if _, _, err := all(broken, window, "x", ""); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a failing reader: %v", err)
	}
}

func TestAgainstEncodingJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	const n, d = 9000, 5
	type object struct {
		X []float32 `json:"x"`
		S string    `json:"s"`
	}
	var text bytes.Buffer
	var want []float32
	var names []string
	for i := range n {
		o := object{S: strings.Repeat("<é\"\n", r.IntN(4))}
		for range d {
			o.X = append(o.X, float32(r.NormFloat64()*math.Pow(10, float64(r.IntN(20)-10))))
		}
		b, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		want, names = append(want, o.X...), append(names, o.S)
		text.Write(b)
		text.WriteString(strings.Repeat("\n", 1+i%3))
	}
	_, b, err := all(iotest.HalfReader(&text), 1000, "x", "s")
	if err != nil || !slices.Equal(b.X, want) || !slices.Equal(b.Text[0], names) {
		t.Errorf("other numbers or names: %v", err)
	}
	if got := b.Line[n-1]; got != 2*n-2 { // rows have 1, 2 and 3 line ends in turn: 2n in all, of which the last row's 3 come after it
		t.Errorf("last row on line %d", got)
	}
}

// FuzzReader: what encoding/json calls a valid object is read, with the same numbers and strings, and nothing else is.
func FuzzReader(f *testing.F) {
	for _, s := range []string{`{"x":[1,2.5],"s":"a"}`, `{"a":{"b":[true,null]},"c":-1e-3}`, `{}`, `{"x":1,"x":2}`, `{"\u0061":"\ud800"}`, ` {"x" : "é" } `, `{"x":1.5E+3}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := newReader(strings.NewReader(s+"\n"+s), 16)
		if err == nil { // everything that can be selected, in turn
			for j, c := range r.Columns() {
				for _, as := range [][2][]int{{{j}, nil}, {nil, {j}}} {
					r, err := newReader(strings.NewReader(s+"\n"+s), 16)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := r.Select(as[0], as[1]); err != nil {
						continue
					}
					b := &rows.Block{}
					if err := r.Read(b, 9); err == nil && num.Finite(b.X) >= 0 {
						t.Fatalf("%q: not finite: %v", c.Name, b.X)
					}
				}
			}
		}
		if strings.ContainsAny(s, "\n\r") || strings.HasPrefix(s, "\ufeff") || strings.Contains(s, "NaN") || strings.Contains(s, "Infinity") {
			return // lines, marks and Python's additions are ours
		}
		var o map[string]any
		valid := json.Unmarshal([]byte(s), &o) == nil && o != nil
		if valid != (err == nil) {
			if err != nil && strings.Contains(err.Error(), "twice") {
				return // stricter by design
			}
			if err == nil && json.Valid([]byte(s)) {
				return // numbers beyond float64: valid, but nothing that Unmarshal can hold
			}
			t.Fatalf("%q: %v, encoding/json %v", s, err, valid)
		}
		if !valid {
			return
		}
		for _, c := range r.Columns() {
			v, ok := o[c.Name]
			if !ok {
				t.Fatalf("%q: no field %q in %v", s, c.Name, o)
			}
			text, isText := v.(string)
			number, isNumber := v.(float64)
			if !isText && !isNumber {
				continue
			}
			r, err := newReader(strings.NewReader(s), 16)
			if err != nil {
				t.Fatal(err)
			}
			j := slices.IndexFunc(r.columns, func(x rows.Column) bool { return x.Name == c.Name })
			b := &rows.Block{}
			if isText {
				r.Select(nil, []int{j})
				if err := r.Read(b, 1); err != nil || b.Text[0][0] != text {
					t.Fatalf("%q: %v %v, want %q", s, b.Text, err, text)
				}
				continue
			}
			r.Select([]int{j}, nil)
			err = r.Read(b, 1)
			want := float32(number) // rounded twice, so it may be off by one unit
			if math.IsInf(float64(want), 0) {
				if err == nil && math.Abs(number) > 3.5e38 {
					t.Fatalf("%q: %v, want an error", s, b.X)
				}
				continue
			}
			if err != nil || math.Abs(float64(want-b.X[0])) > 2e-7*math.Abs(float64(want))+1e-44 {
				t.Fatalf("%q: %v %v, want %v", s, b.X, err, want)
			}
		}
	})
}

func TestWriteRoundTrip(t *testing.T) {
	odd := []string{"", "plain", `q"\`, "line\nbreak\t\x01", "é漢😀", "<&>"}
	n := len(odd)
	x := make([]float32, 3*n)
	f, ints, bools := make([]float64, n), make([]int, n), make([]bool, n)
	for i := range n {
		x[3*i], x[3*i+1], x[3*i+2] = float32(i)/3, 1e30, -1e-30
		f[i], ints[i], bools[i] = math.Pi*float64(i), -i, i%2 == 1
	}
	var out bytes.Buffer
	w := NewWriter(&out)
	for i := range n {
		err := w.Write(rows.Strings("s<", odd[i:i+1]), rows.Vectors("x", x[3*i:3*i+3], 3), rows.Floats("f", f[i:i+1]), rows.Ints("n", ints[i:i+1]), rows.Bools("b", bools[i:i+1]), rows.Matrix([]string{"p", "q", "r"}, x[3*i:3*i+3]))
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(out.String()), "\n") { // encoding/json must agree
		var o struct {
			S string    `json:"s<"`
			X []float32 `json:"x"`
			F float64   `json:"f"`
			N int       `json:"n"`
			B bool      `json:"b"`
			Q float32   `json:"q"`
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil || !slices.Equal(o.X, x[3*i:3*i+3]) || o.F != f[i] || o.N != ints[i] || o.B != bools[i] || o.Q != 1e30 {
			t.Errorf("%s: %+v %v", line, o, err)
		}
	}
	_, b, err := all(&out, window, "x,p,q,r", "s<,b")
	if err != nil || !slices.Equal(b.Text[0], odd) || !slices.Equal(b.X[6:9], b.X[9:12]) || len(b.X) != 6*n {
		t.Errorf("%v %v", b, err)
	}
	out.Reset()
	w = NewWriter(&out)
	if err := errors.Join(w.Write(rows.Strings("s", []string{"a\xffb"})), w.Close()); err != nil || out.String() != "{\"s\":\"a\ufffdb\"}\n" {
		t.Errorf("damaged UTF-8: %q %v", out.String(), err)
	}
	if err := NewWriter(io.Discard).Close(); !errors.Is(err, data.ErrShape) {
		t.Errorf("nothing written: %v", err)
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
	w := NewWriter(&out)
	if err := errors.Join(w.Write(rows.Vectors("x", x, d)), w.Close()); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(out.Len()))
	b.ResetTimer()
	for range b.N {
		r, err := NewReader(bytes.NewReader(out.Bytes()))
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
}
