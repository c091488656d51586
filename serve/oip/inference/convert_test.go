package inference

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/gimbal-ml/gimbal/serve/oip"
)

// tensors has one of each datatype, with bits as they come; half says whether FP16 and BF16 are among them.
func tensors(r *rand.Rand, half bool) (list []oip.Tensor) {
	for _, d := range []oip.Datatype{oip.Bool, oip.Uint8, oip.Uint16, oip.Uint32, oip.Uint64, oip.Int8, oip.Int16, oip.Int32, oip.Int64, oip.FP16, oip.BF16, oip.FP32, oip.FP64} {
		if !half && (d == oip.FP16 || d == oip.BF16) {
			continue
		}
		raw := make([]byte, 6*d.Size())
		for i := range raw {
			raw[i] = byte(r.Uint32())
			if d == oip.Bool {
				raw[i] &= 1
			}
			if d.Size() > 1 && i%d.Size() == d.Size()-1 {
				raw[i] &= 0x3f // no NaN, whose bits a message need not keep
			}
		}
		list = append(list, oip.Tensor{Name: string(d), Datatype: d, Shape: []int64{2, 3}, Raw: raw, Parameters: oip.Parameters{"on": true, "n": int64(-3), "u": uint64(3), "x": 0.5, "text": "a"}})
	}
	return append(list, oip.NewStrings("BYTES", []string{"", "a\xff", "ü"}, 3))
}

func same(t *testing.T, have, want []oip.Tensor) {
	t.Helper()
	if len(have) != len(want) {
		t.Fatalf("%d tensors, want %d", len(have), len(want))
	}
	for i, h := range have {
		w := want[i]
		if h.Name != w.Name || h.Datatype != w.Datatype || !reflect.DeepEqual(h.Shape, w.Shape) || !bytes.Equal(h.Raw, w.Raw) || !reflect.DeepEqual(h.Parameters, w.Parameters) {
			t.Errorf("%+v, want %+v", h, w)
		}
	}
}

// Requests and responses come back as they went, through the wire form, with raw contents and with those of each type.
func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, raw := range []bool{true, false} {
		a := &oip.Response{Model: "m", Version: "1", ID: "i", Outputs: tensors(r, raw)}
		m := EncodeResponse(a, raw)
		wire, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var back ModelInferResponse
		if err := proto.Unmarshal(wire, &back); err != nil {
			t.Fatal(err)
		}
		if (len(back.RawOutputContents) > 0) != raw {
			t.Errorf("raw %v: %d raw contents", raw, len(back.RawOutputContents))
		}
		var b oip.Response
		if err := DecodeResponse(&b, &back); err != nil {
			t.Fatal(err)
		}
		same(t, b.Outputs, a.Outputs)
		if b.Model != "m" || b.Version != "1" || b.ID != "i" {
			t.Errorf("%+v", b)
		}
		// The same tensors as a request, typed where the response was.
		q := EncodeRequest(&oip.Request{Model: "m", ID: "i", Inputs: a.Outputs, Outputs: []oip.Output{{Name: "o", Parameters: oip.Parameters{"binary_data": true}}}})
		if !raw {
			q.RawInputContents = nil
			for i, o := range m.Outputs {
				q.Inputs[i].Contents = o.Contents
			}
		}
		var c oip.Request
		was, err := DecodeRequest(&c, q)
		if err != nil || was != raw {
			t.Fatalf("raw %v: %v", was, err)
		}
		same(t, c.Inputs, a.Outputs)
		if !reflect.DeepEqual(c.Outputs, []oip.Output{{Name: "o", Parameters: oip.Parameters{"binary_data": true}}}) {
			t.Errorf("%+v", c.Outputs)
		}
	}
	// Half precision has no field of its own: it makes all contents raw.
	if m := EncodeResponse(&oip.Response{Outputs: tensors(r, true)}, false); len(m.RawOutputContents) != len(m.Outputs) {
		t.Error("FP16 among typed contents")
	}
}

// The wire form is the published one: names, numbers and types of the fields, written down from its text.
func TestWireForm(t *testing.T) {
	q := &ModelInferRequest{ModelName: "m", Id: "1", Inputs: []*ModelInferRequest_InferInputTensor{{Name: "x", Datatype: "FP32", Shape: []int64{1}, Contents: &InferTensorContents{Fp32Contents: []float32{1}}}},
		Outputs: []*ModelInferRequest_InferRequestedOutputTensor{{Name: "y"}}}
	have, err := proto.MarshalOptions{Deterministic: true}.Marshal(q)
	want := []byte("\x0a\x01m\x1a\x011" + // model_name = 1, id = 3
		"\x2a\x14\x0a\x01x\x12\x04FP32\x1a\x01\x01" + "\x2a\x06\x32\x04\x00\x00\x80\x3f" + // inputs = 5: name 1, datatype 2, shape 3, contents 5: fp32_contents 6
		"\x32\x03\x0a\x01y") // outputs = 6: name 1
	if err != nil || !bytes.Equal(have, want) {
		t.Errorf("%q, want %q (%v)", have, want, err)
	}
	raw, _ := proto.Marshal(&ModelInferRequest{RawInputContents: [][]byte{{1, 2}}})
	answer, _ := proto.Marshal(&ModelInferResponse{ModelVersion: "2", RawOutputContents: [][]byte{{3}}})
	if string(raw) != "\x3a\x02\x01\x02" || string(answer) != "\x12\x012\x32\x01\x03" {
		t.Errorf("%q, %q", raw, answer)
	}
	if GRPCInferenceService_ModelInfer_FullMethodName != "/inference.GRPCInferenceService/ModelInfer" {
		t.Error(GRPCInferenceService_ModelInfer_FullMethodName)
	}
}
