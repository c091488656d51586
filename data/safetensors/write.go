package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// Write writes a checkpoint. The header lists tensors by name; their bytes lie in order of element size, largest first, then
// name, so that every tensor is aligned to its elements. One tensor at a time is asked for its bytes, in pieces if it can.
// Errors: ErrWrite on a tensor named __metadata__ or of an unknown type; what a lazy tensor or w fails with, with its name.
func Write(w io.Writer, c *data.Checkpoint) error {
	order := layout(c)
	head, err := header(c, order)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, name := range order {
		var full error // the writer's errors are no tensor's
		err := c.Tensors[name].Pieces(func(b []byte) error { _, full = w.Write(b); return full })
		if err != nil && full == nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// layout orders tensors as their bytes lie in the file.
func layout(c *data.Checkpoint) []string {
	names := c.Names()
	slices.SortStableFunc(names, func(a, b string) int {
		return cmp.Compare(c.Tensors[b].DType.Size(), c.Tensors[a].DType.Size())
	})
	return names
}

func bytesOf(t data.Tensor) int64 { return int64(t.Len()) * int64(t.DType.Size()) }

// header makes the length and the JSON, padded with spaces so that the elements begin at a multiple of 8.
func header(c *data.Checkpoint, order []string) ([]byte, error) {
	places := map[string][2]int64{}
	end := int64(0)
	for _, name := range order {
		places[name] = [2]int64{end, end + bytesOf(c.Tensors[name])}
		end = places[name][1]
	}
	var b bytes.Buffer
	b.Write(make([]byte, 8))
	b.WriteByte('{')
	if len(c.Meta) > 0 { // encoding/json sorts keys
		if err := field(&b, "__metadata__", c.Meta); err != nil {
			return nil, err
		}
	}
	for _, name := range c.Names() {
		t := c.Tensors[name]
		if name == "__metadata__" || t.DType.Size() == 0 {
			return nil, fmt.Errorf("tensor %q of type %q: %w", name, t.DType, rows.ErrWrite)
		}
		shape := t.Shape
		if shape == nil {
			shape = []int{}
		}
		err := field(&b, name, struct {
			DType data.DType `json:"dtype"`
			Shape []int      `json:"shape"`
			Place [2]int64   `json:"data_offsets"`
		}{t.DType, shape, places[name]})
		if err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	head := b.Bytes()
	if len(head)-8 > maxHeader {
		return nil, fmt.Errorf("a header of %d bytes, at most %d are allowed; write shards: %w", len(head)-8, maxHeader, rows.ErrWrite)
	}
	binary.LittleEndian.PutUint64(head, uint64(len(head)-8))
	return head, nil
}

// field writes one member of the header's object.
func field(b *bytes.Buffer, name string, value any) error {
	if b.Bytes()[b.Len()-1] != '{' {
		b.WriteByte(',')
	}
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(name); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // Encode ends with a line break
	b.WriteByte(':')
	if err := e.Encode(value); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1)
	return nil
}
