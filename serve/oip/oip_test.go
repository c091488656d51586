package oip

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

func ExampleRequest_Decode() {
	var r Request
	body := []byte(`{"id":"42","inputs":[{"name":"input0","shape":[2,2],"datatype":"FP32","data":[[1,2],[3,4.5]]}]}`)
	if err := r.Decode(body, -1); err != nil {
		panic(err)
	}
	x, _ := r.Inputs[0].Float32s(nil)
	fmt.Println(r.ID, r.Inputs[0].Name, r.Inputs[0].Shape, x)
	// Output: 42 input0 [2 2] [1 2 3 4.5]
}

// The examples that the protocol's text prints: https://github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md.
func TestPublishedExamples(t *testing.T) {
	request := `{
  "id" : "42",
  "inputs" : [
    {
      "name" : "input0",
      "shape" : [ 2, 2 ],
      "datatype" : "UINT32",
      "data" : [ 1, 2, 3, 4 ]
    },
    {
      "name" : "input1",
      "shape" : [ 3 ],
      "datatype" : "BOOL",
      "data" : [ true ]
    }
  ],
  "outputs" : [
    {
      "name" : "output0"
    }
  ]
}`
	var r Request
	if err := r.Decode([]byte(request), -1); !errors.Is(err, data.ErrShape) || !strings.Contains(err.Error(), `"input1"`) {
		t.Errorf("the example's one BOOL for three: %v", err)
	}
	if err := r.Decode([]byte(strings.Replace(request, "[ true ]", "[ true, false, true ]", 1)), -1); err != nil {
		t.Fatal(err)
	}
	x, _ := r.Inputs[0].Float64s()
	if r.ID != "42" || !reflect.DeepEqual(x, []float64{1, 2, 3, 4}) || !bytes.Equal(r.Inputs[1].Raw, []byte{1, 0, 1}) || r.Outputs[0].Name != "output0" {
		t.Errorf("%+v", r)
	}
	if wanted, _ := r.Wants("output1"); wanted {
		t.Error("wants an output that it does not name")
	}
	var a Response
	if err := a.Decode([]byte(`{"id":"42","outputs":[{"name":"output0","shape":[3,2],"datatype":"FP32","data":[1.0,1.1,2.0,2.1,3.0,3.1]}]}`), -1); err != nil {
		t.Fatal(err)
	}
	if v, _ := a.Output("output0").Float32s(nil); !reflect.DeepEqual(v, []float32{1, 1.1, 2, 2.1, 3, 3.1}) {
		t.Errorf("%v", v)
	}
	// Triton's text on binary tensors: 2×2 UINT32 as 16 bytes, 3 BOOL as 3 bytes.
	text := `{"model_name":"mymodel","inputs":[{"name":"input0","shape":[2,2],"datatype":"UINT32","parameters":{"binary_data_size":16}},{"name":"input1","shape":[3],"datatype":"BOOL","parameters":{"binary_data_size":3}}],"outputs":[{"name":"output0","parameters":{"binary_data":true}}]}`
	body := append([]byte(text), 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 1, 0, 1)
	if err := r.Decode(body, len(text)); err != nil {
		t.Fatal(err)
	}
	x, _ = r.Inputs[0].Float64s()
	if _, binary := r.Wants("output0"); !binary || !reflect.DeepEqual(x, []float64{1, 2, 3, 4}) || !r.Inputs[1].Binary {
		t.Errorf("%+v", r)
	}
}

var allTypes = []Datatype{Bool, Uint8, Uint16, Uint32, Uint64, Int8, Int16, Int32, Int64, FP16, BF16, FP32, FP64, Bytes}

func randomTensor(r *rand.Rand, d Datatype, i int) Tensor {
	shape := []int64{int64(r.IntN(4)), int64(r.IntN(5))}
	if r.IntN(3) == 0 {
		shape = []int64{int64(r.IntN(7))}
	}
	t := Tensor{Name: fmt.Sprintf("t%d \"ü\"", i), Datatype: d, Shape: shape, Raw: []byte{}}
	n, _ := t.Len()
	for range n {
		switch d {
		case Bytes:
			t.Raw = appendElement(t.Raw, strings.Repeat("é\"\n", r.IntN(4)))
		case Bool:
			t.Raw = append(t.Raw, byte(r.IntN(2)))
		case FP32:
			t.Raw = append(t.Raw, NewFloat32s("", []float32{float32(r.NormFloat64() * math.Pow(10, float64(r.IntN(60)-30)))}).Raw...)
		case FP64:
			t.Raw = append(t.Raw, NewFloat64s("", []float64{r.NormFloat64() * math.Pow(10, float64(r.IntN(600)-300))}).Raw...)
		default:
			for range d.Size() {
				t.Raw = append(t.Raw, byte(r.Uint32()))
			}
		}
	}
	return t
}

func sameTensors(t *testing.T, have, want []Tensor) {
	t.Helper()
	if len(have) != len(want) {
		t.Fatalf("%d tensors, want %d", len(have), len(want))
	}
	for i, h := range have {
		w := want[i]
		if h.Name != w.Name || h.Datatype != w.Datatype || !reflect.DeepEqual(h.Shape, w.Shape) || !bytes.Equal(h.Raw, w.Raw) || h.Binary != w.Binary {
			t.Fatalf("tensor %d: %+v, want %+v", i, h, w)
		}
	}
}

// What is encoded is decoded to the same bytes, in JSON and in binary form, into messages that were used before.
func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var request Request
	var response Response
	for round := range 300 {
		var list []Tensor
		for i, d := range allTypes {
			x := randomTensor(r, d, i)
			x.Binary = d == FP16 || d == BF16 || r.IntN(2) == 0
			if round%3 == 0 {
				x.Binary = false
				if d == FP16 || d == BF16 {
					continue
				}
			}
			if r.IntN(3) == 0 {
				x.Parameters = Parameters{"scale": 0.5, "n": int64(3), "on": true, "text": "<b>"}
			}
			list = append(list, x)
		}
		q := Request{ID: fmt.Sprint(round), Inputs: list, Outputs: []Output{{Name: "a", Parameters: Parameters{"binary_data": true}}, {Name: "b"}}, Parameters: Parameters{"binary_data_output": false}}
		body, length, err := q.Encode([]byte("before"))
		if err != nil {
			t.Fatal(err)
		}
		body = body[len("before"):]
		if (length < 0) != (round%3 == 0) {
			t.Fatalf("length %d", length)
		}
		if err := request.Decode(body, length); err != nil {
			t.Fatalf("%v in %q", err, body)
		}
		sameTensors(t, request.Inputs, list)
		if request.ID != q.ID || !reflect.DeepEqual(request.Outputs, q.Outputs) || !reflect.DeepEqual(request.Parameters, q.Parameters) {
			t.Fatalf("%+v, want %+v", request, q)
		}
		a := Response{Model: "m", Version: "1", ID: "x", Outputs: list}
		if body, length, err = a.Encode(nil); err != nil {
			t.Fatal(err)
		}
		if err := response.Decode(body, length); err != nil {
			t.Fatal(err)
		}
		sameTensors(t, response.Outputs, list)
		if length < 0 && !json.Valid(body) {
			t.Fatalf("not JSON: %s", body)
		}
	}
}

// Numbers are read as encoding/json reads them, flat and nested, whatever the order of keys.
func TestNumbersAgainstTheStandardLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var q Request
	for range 500 {
		n, d := 1+r.IntN(3), 1+r.IntN(50)
		rows := make([][]float32, n)
		var flat []float32
		for i := range rows {
			rows[i] = make([]float32, d)
			for j := range rows[i] {
				rows[i][j] = math.Float32frombits(r.Uint32())
				if v := float64(rows[i][j]); math.IsNaN(v) || math.IsInf(v, 0) {
					rows[i][j] = float32(r.IntN(100))
				}
			}
			flat = append(flat, rows[i]...)
		}
		nested, _ := json.Marshal(rows)
		plain, _ := json.MarshalIndent(flat, "", " ")
		for _, text := range []string{
			fmt.Sprintf(`{"inputs":[{"name":"x","shape":[%d,%d],"datatype":"FP32","data":%s}]}`, n, d, nested),
			fmt.Sprintf(` {"inputs" : [{"data":%s,"name":"x","extra":{"a":[1,"]"]},"datatype":"FP32","shape":[%d,%d]}],"id":null}`, plain, n, d),
		} {
			if err := q.Decode([]byte(text), -1); err != nil {
				t.Fatalf("%v in %s", err, text)
			}
			if have, _ := q.Inputs[0].Float32s(nil); !reflect.DeepEqual(have, flat) {
				t.Fatalf("%v, want %v", have, flat)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	tensor := func(text string) string { return `{"inputs":[` + text + `]}` }
	for text, want := range map[string]string{
		``:                          "the text ends",
		`[]`:                        "want {",
		`{}`:                        `"inputs" is missing`,
		`{"inputs":1}`:              "want [",
		`{"inputs":[]} x`:           "want the end",
		`{"inputs":[],}`:            "want a string",
		`{"id":"\u12"}`:             "a string that is not valid",
		`{"id":"a`:                  "a string without an end",
		"{\"id\":\"a\nb\"}":         "control character",
		`{"other":[1,}`:             "not valid JSON",
		`{"other":tru,"inputs":[]}`: "not valid JSON",
		tensor(`{}`):                "without a name",
		tensor(`{"name":"a"}`):      `"datatype" is missing`,
		tensor(`{"name":"a","datatype":"FP33","shape":[]}`):                                                 `unknown datatype "FP33"`,
		tensor(`{"name":"a","datatype":"FP32","data":[1]}`):                                                 `"shape" is missing`,
		tensor(`{"name":"a","datatype":"FP32","shape":[1]}`):                                                "neither data nor binary_data_size",
		tensor(`{"name":"a","datatype":"FP32","shape":[-1],"data":[1]}`):                                    "wrong shape",
		tensor(`{"name":"a","datatype":"FP32","shape":[99999999999,99999999999],"data":[1]}`):               "wrong shape",
		tensor(`{"name":"a","datatype":"FP32","shape":[2],"data":[1]}`):                                     "1 elements for shape [2], want 2",
		tensor(`{"name":"a","datatype":"FP32","shape":[2,2],"data":[[1,2],[3]]}`):                           "a row of 1 elements",
		tensor(`{"name":"a","datatype":"FP32","shape":[2,2],"data":[[1,2]]}`):                               "1 arrays at level 1",
		tensor(`{"name":"a","datatype":"FP32","shape":[1],"data":[[1]]}`):                                   "want a number",
		tensor(`{"name":"a","datatype":"FP32","shape":[],"data":[[1]]}`):                                    "nested deeper",
		tensor(`{"name":"a","datatype":"FP32","shape":[1],"data":[1e39]}`):                                  "beyond FP32",
		tensor(`{"name":"a","datatype":"FP32","shape":[1],"data":[NaN]}`):                                   "want a number",
		tensor(`{"name":"a","datatype":"FP32","shape":[1],"data":[01]}`):                                    "want a number",
		tensor(`{"name":"a","datatype":"FP32","shape":[1],"data":[+1]}`):                                    "want a number",
		tensor(`{"name":"a","datatype":"FP32","shape":[1],"data":[.5]}`):                                    "want a number",
		tensor(`{"name":"a","datatype":"FP32","shape":[1],"data":[5.]}`):                                    "want a number",
		tensor(`{"name":"a","datatype":"FP32","shape":[1],"data":["1"]}`):                                   "want a number",
		tensor(`{"name":"a","datatype":"FP32","shape":[2],"data":[1 2]}`):                                   "want a comma",
		tensor(`{"name":"a","datatype":"FP16","shape":[1],"data":[1]}`):                                     "no form in JSON",
		tensor(`{"name":"a","datatype":"INT8","shape":[1],"data":[128]}`):                                   "128 is no INT8",
		tensor(`{"name":"a","datatype":"UINT8","shape":[1],"data":[-1]}`):                                   "-1 is no UINT8",
		tensor(`{"name":"a","datatype":"INT32","shape":[1],"data":[1.5]}`):                                  "1.5 is no INT32",
		tensor(`{"name":"a","datatype":"FP64","shape":[1],"data":[1e999]}`):                                 "1e999 is no FP64",
		tensor(`{"name":"a","datatype":"BOOL","shape":[1],"data":[1]}`):                                     "want true or false",
		tensor(`{"name":"a","datatype":"BYTES","shape":[1],"data":[1]}`):                                    "want a string",
		tensor(`{"name":"a","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":8}}`):            "8, 0 bytes are left",
		tensor(`{"name":"a","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":-8}}`):           "no number of bytes",
		tensor(`{"name":"a","datatype":"FP32","shape":[1],"data":[1],"parameters":{"binary_data_size":0}}`): "both data and binary_data_size",
		tensor(`{"name":"a","datatype":"FP32","shape":[` + strings.Repeat("1,", 40) + `1],"data":[1]}`):     "more than 32 dimensions",
	} {
		var r Request
		err := r.Decode([]byte(text), -1)
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, data.ErrFormat) && !errors.Is(err, data.ErrShape) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	binary := func(text, rest string) error {
		var r Request
		return r.Decode([]byte(text+rest), len(text))
	}
	for _, c := range []struct{ text, rest, want string }{
		{tensor(`{"name":"a","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":4}}`), "12345", "1 bytes behind"},
		{tensor(`{"name":"a","datatype":"FP32","shape":[2],"parameters":{"binary_data_size":4}}`), "1234", "4 bytes for FP32 [2], want 8"},
		{tensor(`{"name":"a","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":5}}`), "\x02\x00\x00\x00x", "has 2 bytes, 1 are left"},
		{tensor(`{"name":"a","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":3}}`), "\x02\x00\x00", "ends within its length"},
		{tensor(`{"name":"a","datatype":"BOOL","shape":[1],"parameters":{"binary_data_size":1}}`), "\x02", "a BOOL is 0 or 1"},
	} {
		if err := binary(c.text, c.rest); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.text, err, c.want)
		}
	}
	for _, header := range []string{"-1", "x", "11", "1e1"} {
		if _, err := ParseLength(header, 10); !errors.Is(err, data.ErrFormat) {
			t.Errorf("header %q: %v", header, err)
		}
	}
	if _, _, err := (&Response{Outputs: []Tensor{NewFloat64s("a", []float64{math.NaN()}, 1)}}).Encode(nil); !errors.Is(err, data.ErrFinite) {
		t.Errorf("NaN in JSON: %v", err)
	}
	if _, _, err := (&Response{Outputs: []Tensor{NewStrings("a", []string{"\xff"}, 1)}}).Encode(nil); !errors.Is(err, data.ErrFormat) {
		t.Errorf("bytes in JSON: %v", err)
	}
}

func TestConversions(t *testing.T) {
	half := Tensor{Name: "h", Datatype: FP16, Shape: []int64{2}, Raw: []byte{0, 0x3c, 0, 0xc0}}     // 1, −2
	brain := Tensor{Name: "b", Datatype: BF16, Shape: []int64{2}, Raw: []byte{0x80, 0x3f, 0, 0xc0}} // 1, −2
	for _, x := range []Tensor{half, brain, NewInt64s("i", []int64{1, -2}, 2), NewFloat64s("d", []float64{1, -2}, 2), NewFloat32s("f", []float32{1, -2}, 2)} {
		if v, err := x.Float32s([]float32{7}); err != nil || !reflect.DeepEqual(v, []float32{7, 1, -2}) {
			t.Errorf("%s: %v, %v", x.Datatype, v, err)
		}
	}
	s := NewStrings("s", []string{"a", "", "ü"}, 3)
	if v, err := s.Strings(); err != nil || !reflect.DeepEqual(v, []string{"a", "", "ü"}) {
		t.Errorf("%q, %v", v, err)
	}
	if _, err := s.Float32s(nil); !errors.Is(err, data.ErrFormat) {
		t.Errorf("text as numbers: %v", err)
	}
	if _, err := half.Strings(); !errors.Is(err, data.ErrFormat) {
		t.Errorf("numbers as text: %v", err)
	}
}

// Whatever is taken can be written again and says the same; nothing panics.
func FuzzRequest(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	for i, d := range allTypes {
		x := randomTensor(r, d, i)
		x.Binary = i%2 == 0 || d == FP16 || d == BF16
		body, length, err := (&Request{ID: "i", Inputs: []Tensor{x}, Outputs: []Output{{Name: "o"}}}).Encode(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body, length)
	}
	f.Fuzz(func(t *testing.T, body []byte, length int) {
		if length > len(body) || length < 0 {
			length = -1
		}
		var r, again Request
		if r.Decode(body, length) != nil {
			return
		}
		out, n, err := r.Encode(nil)
		if err != nil {
			t.Fatalf("%q cannot be written again: %v", body, err)
		}
		if err := again.Decode(out, n); err != nil {
			t.Fatalf("%q written as %q: %v", body, out, err)
		}
		sameTensors(t, again.Inputs, r.Inputs)
		var a Response
		a.Decode(body, length)
	})
}

func BenchmarkDecodeRow(b *testing.B) {
	r := rand.New(rand.NewPCG(7, 8))
	x := make([]float32, 512)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	body, _, err := (&Request{Inputs: []Tensor{NewFloat32s("x", x, 1, 512)}}).Encode(nil)
	if err != nil {
		b.Fatal(err)
	}
	var q Request
	b.ReportAllocs()
	for b.Loop() {
		if err := q.Decode(body, -1); err != nil {
			b.Fatal(err)
		}
	}
}
