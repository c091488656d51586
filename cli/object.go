package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/gimbal-ml/gimbal/metric"
)

// field is one named value of an object.
type field struct {
	name  string
	value any
}

// object is named values in order: key and value lines on a terminal and in a pipe, one object with --json.
type object []field

// printObject writes an object to standard output.
func (e *env) printObject(o object) error {
	e.clearProgress()
	out := bufio.NewWriter(e.stdout)
	if e.json {
		if err := writeJSON(out, o); err != nil {
			return err
		}
		return out.Flush()
	}
	widest := 0
	for _, f := range o {
		widest = max(widest, len(f.name))
	}
	for _, f := range o {
		name := strings.ReplaceAll(f.name, "_", " ")
		if e.outTerminal {
			fmt.Fprintf(out, "%-*s  %s\n", widest, name, pretty(f.value, false))
			continue
		}
		fmt.Fprintf(out, "%s\t%s\n", f.name, plain(f.value))
		if v, ok := f.value.(metric.Estimate); ok {
			fmt.Fprintf(out, "%s_low\t%s\n%s_high\t%s\n", f.name, plain(v.Low), f.name, plain(v.High))
		}
	}
	return out.Flush()
}

// MarshalJSON keeps the order of the fields and writes what JSON cannot hold, an unbounded side or a missing value, as null.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		for k, part := range []any{f.name, jsonValue(f.value)} {
			if k > 0 {
				b.WriteByte(':')
			}
			text, err := marshal(part)
			if err != nil {
				return nil, err
			}
			b.Write(text)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func jsonValue(v any) any {
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
	case metric.Estimate:
		return object{{"value", v.Value}, {"low", v.Low}, {"high", v.High}, {"level", v.Level}}
	case []string:
		if v == nil {
			return []string{}
		}
	}
	return v
}

// marshal is json.Marshal without turning <, > and & into escapes.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// writeJSON writes indented JSON, so that a person can read it too.
func writeJSON(out io.Writer, v any) error {
	text, err := marshal(v)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err = out.Write(b.Bytes())
	return err
}
