// Package safetensors reads and writes named tensors in the safetensors format: eight bytes with the length of a JSON header
// (little-endian), the header with each tensor's type, shape and place, and the elements, little-endian, without gaps.
//
// Reading makes lazy tensors that fetch their bytes when asked, so a checkpoint larger than memory can pass through. The same
// checkpoint always gives the same bytes.
package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/internal/raw"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// maxHeader is the most bytes a header may have, as in the reference implementation.
const maxHeader = 100_000_000

// entry is a tensor in the header.
type entry struct {
	name   string
	DType  *string `json:"dtype"`
	Shape  *[]int  `json:"shape"`
	Place  []int64 `json:"data_offsets"`
	offset int64   // in the file
}

// Is reports whether a file that begins so may be safetensors.
func Is(head []byte) bool {
	if len(head) < 9 || head[8] != '{' {
		return false
	}
	n := binary.LittleEndian.Uint64(head)
	return n >= 2 && n <= maxHeader
}

// Read reads the header of a file of the given size and returns its tensors, which read from at when asked for.
// Errors: ErrFormat on a damaged header, on tensors that overlap, leave holes or lie outside the file, and on unknown types; ErrShape
// on a size that does not fit the shape. They name the tensor.
func Read(at io.ReaderAt, size int64) (*data.Checkpoint, error) {
	entries, meta, err := readHeader(at, size)
	if err != nil {
		return nil, err
	}
	c := &data.Checkpoint{Meta: meta, Tensors: make(map[string]data.Tensor, len(entries))}
	for _, e := range entries {
		n := e.Place[1] - e.Place[0]
		each := int64(data.DType(*e.DType).Size())
		t, err := data.StreamTensor(data.DType(*e.DType), *e.Shape, func(dst []byte, lo int) error {
			if got, err := at.ReadAt(dst, e.offset+int64(lo)*each); got < len(dst) {
				return fmt.Errorf("tensor %q: %w", e.name, early(err))
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", e.name, err)
		}
		if want := int64(t.Len()) * int64(t.DType.Size()); want != n {
			return nil, fmt.Errorf("tensor %q: %w: %d bytes for %s %v, want %d", e.name, data.ErrShape, n, t.DType, t.Shape, want)
		}
		c.Tensors[e.name] = t
	}
	return c, nil
}

// NewTable reads tensors as the columns of a table, for files that hold features and labels by name.
// Errors: those of [Read].
func NewTable(at io.ReaderAt, size int64) (rows.Reader, error) {
	if _, err := Read(at, size); err != nil { // all its checks
		return nil, err
	}
	entries, _, err := readHeader(at, size)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	var arrays []raw.Array
	for _, e := range entries {
		element, ok := raw.Of(data.DType(*e.DType))
		if !ok {
			return nil, fmt.Errorf("tensor %q: element type %q: %w", e.name, *e.DType, data.ErrFormat)
		}
		arrays = append(arrays, raw.Array{Name: e.name, Element: element, Type: fmt.Sprint(*e.DType, " ", *e.Shape), Shape: *e.Shape,
			Open: func() (io.Reader, error) { return io.NewSectionReader(at, e.offset, e.Place[1]-e.Place[0]), nil }})
	}
	return raw.NewTable(arrays)
}

func early(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the file ends early: %w", data.ErrFormat)
	}
	return err
}

// readHeader reads and checks a header; entries come in the order of their bytes.
func readHeader(at io.ReaderAt, size int64) ([]entry, map[string]string, error) {
	length := make([]byte, 8)
	if n, err := at.ReadAt(length, 0); n < 8 {
		return nil, nil, early(err)
	}
	n := binary.LittleEndian.Uint64(length)
	switch {
	case n > maxHeader:
		return nil, nil, fmt.Errorf("a header of %d bytes, at most %d are read (no safetensors file?): %w", n, maxHeader, data.ErrFormat)
	case int64(n) > size-8:
		return nil, nil, fmt.Errorf("the file ends inside its header of %d bytes: %w", n, data.ErrFormat)
	}
	text := make([]byte, n)
	if got, err := at.ReadAt(text, 8); got < len(text) {
		return nil, nil, early(err)
	}
	entries, meta, err := parseHeader(text)
	if err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.Place[0], b.Place[0]), cmp.Compare(a.Place[1], b.Place[1]), cmp.Compare(a.name, b.name))
	})
	end, before := int64(0), ""
	for i, e := range entries {
		from, to := e.Place[0], e.Place[1]
		switch {
		case from < 0 || to < from:
			return nil, nil, fmt.Errorf("tensor %q: bytes %d to %d: %w", e.name, from, to, data.ErrFormat)
		case from < end:
			return nil, nil, fmt.Errorf("tensor %q: bytes %d to %d overlap tensor %q: %w", e.name, from, to, before, data.ErrFormat)
		case from > end:
			return nil, nil, fmt.Errorf("tensor %q: begins at byte %d and leaves a hole from %d: %w", e.name, from, end, data.ErrFormat)
		case to > size-8-int64(n):
			return nil, nil, fmt.Errorf("tensor %q: ends at byte %d of %d: the file ends early: %w", e.name, to, size-8-int64(n), data.ErrFormat)
		}
		entries[i].offset = 8 + int64(n) + from
		end, before = to, e.name
	}
	if end != size-8-int64(n) {
		return nil, nil, fmt.Errorf("%d bytes after the last tensor: %w", size-8-int64(n)-end, data.ErrFormat)
	}
	return entries, meta, nil
}

// parseHeader reads the JSON; unlike json.Unmarshal it refuses a name that is given twice.
func parseHeader(text []byte) (entries []entry, meta map[string]string, err error) {
	meta = map[string]string{}
	if len(text) == 0 || text[0] != '{' {
		return nil, nil, fmt.Errorf("want a JSON object: %w", data.ErrFormat)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", err, data.ErrFormat)
	}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", err, data.ErrFormat)
		}
		name, _ := token.(string)
		if seen[name] {
			return nil, nil, fmt.Errorf("tensor %q is listed twice: %w", name, data.ErrFormat)
		}
		seen[name] = true
		if name == "__metadata__" {
			if err := d.Decode(&meta); err != nil {
				return nil, nil, fmt.Errorf("__metadata__ holds more than text (%w): %w", err, data.ErrFormat)
			}
			continue
		}
		e := entry{name: name}
		if err := d.Decode(&e); err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w: %w", name, err, data.ErrFormat)
		}
		if e.DType == nil || e.Shape == nil || len(e.Place) != 2 {
			return nil, nil, fmt.Errorf("tensor %q: want a dtype, a shape and two data_offsets: %w", name, data.ErrFormat)
		}
		entries = append(entries, e)
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return nil, nil, fmt.Errorf("%w: %w", err, data.ErrFormat)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, nil, fmt.Errorf("more than one JSON object: %w", data.ErrFormat)
	}
	if meta == nil { // "__metadata__": null
		meta = map[string]string{}
	}
	return entries, meta, nil
}
