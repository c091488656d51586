package inference

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/serve/oip"
)

// DecodeRequest puts a message into r, which then shares memory with it. raw says that the client sent raw contents.
// Errors: ErrFormat, ErrShape as those of [oip.Request.Decode].
func DecodeRequest(r *oip.Request, m *ModelInferRequest) (raw bool, err error) {
	*r = oip.Request{Model: m.ModelName, Version: m.ModelVersion, ID: m.Id, Parameters: decodeParameters(m.Parameters), Inputs: r.Inputs[:0], Outputs: r.Outputs[:0]}
	raw = len(m.RawInputContents) > 0
	if raw && len(m.RawInputContents) != len(m.Inputs) {
		return raw, fmt.Errorf("request: %w: %d raw_input_contents for %d inputs", data.ErrShape, len(m.RawInputContents), len(m.Inputs))
	}
	for i, t := range m.Inputs {
		var bytes []byte
		if raw {
			bytes = m.RawInputContents[i]
		}
		x, err := decodeTensor(t.Name, t.Datatype, t.Shape, t.Parameters, t.Contents, bytes, raw)
		if err != nil {
			return raw, fmt.Errorf("request: %w", err)
		}
		r.Inputs = append(r.Inputs, x)
	}
	for _, o := range m.Outputs {
		r.Outputs = append(r.Outputs, oip.Output{Name: o.Name, Parameters: decodeParameters(o.Parameters)})
	}
	return raw, nil
}

// DecodeResponse puts a message into r, which then shares memory with it.
func DecodeResponse(r *oip.Response, m *ModelInferResponse) error {
	*r = oip.Response{Model: m.ModelName, Version: m.ModelVersion, ID: m.Id, Parameters: decodeParameters(m.Parameters), Outputs: r.Outputs[:0]}
	raw := len(m.RawOutputContents) > 0
	if raw && len(m.RawOutputContents) != len(m.Outputs) {
		return fmt.Errorf("response: %w: %d raw_output_contents for %d outputs", data.ErrShape, len(m.RawOutputContents), len(m.Outputs))
	}
	for i, t := range m.Outputs {
		var bytes []byte
		if raw {
			bytes = m.RawOutputContents[i]
		}
		x, err := decodeTensor(t.Name, t.Datatype, t.Shape, t.Parameters, t.Contents, bytes, raw)
		if err != nil {
			return fmt.Errorf("response: %w", err)
		}
		r.Outputs = append(r.Outputs, x)
	}
	return nil
}

// EncodeRequest makes a message of r, with raw contents.
func EncodeRequest(r *oip.Request) *ModelInferRequest {
	m := &ModelInferRequest{ModelName: r.Model, ModelVersion: r.Version, Id: r.ID, Parameters: encodeParameters(r.Parameters)}
	for _, t := range r.Inputs {
		m.Inputs = append(m.Inputs, &ModelInferRequest_InferInputTensor{Name: t.Name, Datatype: string(t.Datatype), Shape: t.Shape, Parameters: encodeParameters(t.Parameters)})
		m.RawInputContents = append(m.RawInputContents, t.Raw)
	}
	for _, o := range r.Outputs {
		m.Outputs = append(m.Outputs, &ModelInferRequest_InferRequestedOutputTensor{Name: o.Name, Parameters: encodeParameters(o.Parameters)})
	}
	return m
}

// EncodeResponse makes a message of r, with raw contents or with those of each type. FP16 and BF16, which have none, make all raw.
func EncodeResponse(r *oip.Response, raw bool) *ModelInferResponse {
	m := &ModelInferResponse{ModelName: r.Model, ModelVersion: r.Version, Id: r.ID, Parameters: encodeParameters(r.Parameters)}
	for i := range r.Outputs {
		raw = raw || r.Outputs[i].Datatype == oip.FP16 || r.Outputs[i].Datatype == oip.BF16
	}
	m.Outputs = make([]*ModelInferResponse_InferOutputTensor, len(r.Outputs))
	for i := range r.Outputs {
		t := &r.Outputs[i]
		out := &ModelInferResponse_InferOutputTensor{Name: t.Name, Datatype: string(t.Datatype), Shape: t.Shape, Parameters: encodeParameters(t.Parameters)}
		if raw {
			m.RawOutputContents = append(m.RawOutputContents, t.Raw)
		} else {
			out.Contents = encodeContents(t)
		}
		m.Outputs[i] = out
	}
	return m
}

func decodeTensor(name, datatype string, shape []int64, p map[string]*InferParameter, c *InferTensorContents, bytes []byte, raw bool) (oip.Tensor, error) {
	t := oip.Tensor{Name: name, Datatype: oip.Datatype(datatype), Shape: shape, Parameters: decodeParameters(p), Raw: bytes, Binary: raw}
	switch {
	case raw && c != nil:
		return t, fmt.Errorf("tensor %q: %w: it has both contents and raw contents", name, data.ErrFormat)
	case !raw && (t.Datatype == oip.FP16 || t.Datatype == oip.BF16):
		return t, fmt.Errorf("tensor %q: %w: %s has no contents of its own: send it in raw_input_contents", name, data.ErrFormat, datatype)
	case !raw:
		var err error
		if t.Raw, err = decodeContents(name, t.Datatype, c); err != nil {
			return t, err
		}
	}
	return t, t.Check()
}

// decodeContents turns the field of a datatype into its bytes.
func decodeContents(name string, d oip.Datatype, c *InferTensorContents) (raw []byte, err error) {
	if c == nil {
		c = &InferTensorContents{}
	}
	le, size := binary.LittleEndian, d.Size()
	narrow := func(i int, v, back int64, bytes uint64) {
		if v != back && err == nil {
			err = fmt.Errorf("tensor %q: %w: element %d is %d, no %s", name, data.ErrFormat, i, v, d)
		}
		raw = le.AppendUint64(raw, bytes)[:len(raw)+size]
	}
	switch d {
	case oip.Bool:
		raw = make([]byte, len(c.BoolContents))
		for i, v := range c.BoolContents {
			if v {
				raw[i] = 1
			}
		}
	case oip.Int8, oip.Int16, oip.Int32:
		shift := 64 - 8*size
		for i, v := range c.IntContents {
			narrow(i, int64(v), int64(v)<<shift>>shift, uint64(v))
		}
	case oip.Uint8, oip.Uint16, oip.Uint32:
		shift := 64 - 8*size
		for i, v := range c.UintContents {
			narrow(i, int64(v), int64(uint64(v)<<shift>>shift), uint64(v))
		}
	case oip.Int64:
		for _, v := range c.Int64Contents {
			raw = le.AppendUint64(raw, uint64(v))
		}
	case oip.Uint64:
		for _, v := range c.Uint64Contents {
			raw = le.AppendUint64(raw, v)
		}
	case oip.FP32:
		raw = make([]byte, 4*len(c.Fp32Contents))
		for i, v := range c.Fp32Contents {
			le.PutUint32(raw[4*i:], math.Float32bits(v))
		}
	case oip.FP64:
		for _, v := range c.Fp64Contents {
			raw = le.AppendUint64(raw, math.Float64bits(v))
		}
	case oip.Bytes:
		for _, v := range c.BytesContents {
			raw = append(le.AppendUint32(raw, uint32(len(v))), v...)
		}
	}
	return raw, err
}

// encodeContents is decodeContents the other way.
func encodeContents(t *oip.Tensor) *InferTensorContents {
	c := &InferTensorContents{}
	le := binary.LittleEndian
	for raw := t.Raw; len(raw) > 0; {
		size := t.Datatype.Size()
		switch t.Datatype {
		case oip.Bool:
			c.BoolContents = append(c.BoolContents, raw[0] != 0)
		case oip.Int8:
			c.IntContents = append(c.IntContents, int32(int8(raw[0])))
		case oip.Int16:
			c.IntContents = append(c.IntContents, int32(int16(le.Uint16(raw))))
		case oip.Int32:
			c.IntContents = append(c.IntContents, int32(le.Uint32(raw)))
		case oip.Int64:
			c.Int64Contents = append(c.Int64Contents, int64(le.Uint64(raw)))
		case oip.Uint8:
			c.UintContents = append(c.UintContents, uint32(raw[0]))
		case oip.Uint16:
			c.UintContents = append(c.UintContents, uint32(le.Uint16(raw)))
		case oip.Uint32:
			c.UintContents = append(c.UintContents, le.Uint32(raw))
		case oip.Uint64:
			c.Uint64Contents = append(c.Uint64Contents, le.Uint64(raw))
		case oip.FP32:
			c.Fp32Contents = append(c.Fp32Contents, math.Float32frombits(le.Uint32(raw)))
		case oip.FP64:
			c.Fp64Contents = append(c.Fp64Contents, math.Float64frombits(le.Uint64(raw)))
		case oip.Bytes:
			size = 4 + int(le.Uint32(raw))
			c.BytesContents = append(c.BytesContents, raw[4:size:size])
		}
		raw = raw[size:]
	}
	return c
}

func decodeParameters(p map[string]*InferParameter) oip.Parameters {
	if len(p) == 0 {
		return nil
	}
	out := oip.Parameters{}
	for name, v := range p {
		switch v := v.GetParameterChoice().(type) {
		case *InferParameter_BoolParam:
			out[name] = v.BoolParam
		case *InferParameter_Int64Param:
			out[name] = v.Int64Param
		case *InferParameter_Uint64Param:
			out[name] = v.Uint64Param
		case *InferParameter_DoubleParam:
			out[name] = v.DoubleParam
		case *InferParameter_StringParam:
			out[name] = v.StringParam
		}
	}
	return out
}

func encodeParameters(p oip.Parameters) map[string]*InferParameter {
	if len(p) == 0 {
		return nil
	}
	out := map[string]*InferParameter{}
	for name, v := range p {
		switch v := v.(type) {
		case bool:
			out[name] = &InferParameter{ParameterChoice: &InferParameter_BoolParam{v}}
		case int64:
			out[name] = &InferParameter{ParameterChoice: &InferParameter_Int64Param{v}}
		case uint64:
			out[name] = &InferParameter{ParameterChoice: &InferParameter_Uint64Param{v}}
		case float64:
			out[name] = &InferParameter{ParameterChoice: &InferParameter_DoubleParam{v}}
		case string:
			out[name] = &InferParameter{ParameterChoice: &InferParameter_StringParam{v}}
		}
	}
	return out
}
