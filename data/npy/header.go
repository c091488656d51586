package npy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/internal/raw"
)

// magic begins every .npy file.
const magic = "\x93NUMPY"

// readHeader reads the head of a .npy file, format versions 1 to 3, and returns the array that it describes (without its
// elements) and the number of bytes it took.
func readHeader(in io.Reader) (raw.Array, int, error) {
	var a raw.Array
	fixed := make([]byte, 12)
	if _, err := io.ReadFull(in, fixed[:8]); err != nil {
		return a, 0, early(err)
	}
	if string(fixed[:6]) != magic {
		return a, 0, fmt.Errorf("is no .npy file: %w", data.ErrFormat)
	}
	size, head := 2, 10
	switch fixed[6] {
	case 1:
	case 2, 3:
		size, head = 4, 12
	default:
		return a, 0, fmt.Errorf(".npy format version %d.%d, versions 1 to 3 are known: %w", fixed[6], fixed[7], data.ErrFormat)
	}
	if _, err := io.ReadFull(in, fixed[8:8+size]); err != nil {
		return a, 0, early(err)
	}
	n := int(binary.LittleEndian.Uint32(append(fixed[8:8+size:8+size], 0, 0)))
	const most = 1 << 20 // numpy itself stops at 10000 unless told otherwise
	if n > most {
		return a, 0, fmt.Errorf("a .npy header of %d bytes, at most %d are read: %w", n, most, data.ErrFormat)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(in, text); err != nil {
		return a, 0, early(err)
	}
	a, err := parseHeader(string(text))
	if err != nil {
		return a, 0, fmt.Errorf(".npy header: %w", err)
	}
	return a, head + n, nil
}

func early(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("ends inside the .npy header: %w", data.ErrFormat)
	}
	return err
}

// parseHeader reads the Python dictionary in a header: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }.
func parseHeader(s string) (a raw.Array, err error) {
	p := literal{s}
	if !p.take("{") {
		return a, p.wants("a dictionary")
	}
	seen := map[string]bool{}
	for !p.take("}") {
		key, ok := p.text()
		if !ok || !p.take(":") {
			return a, p.wants("a key and a colon")
		}
		if seen[key] {
			return a, fmt.Errorf("%q is given twice: %w", key, data.ErrFormat)
		}
		seen[key] = true
		switch key {
		case "descr":
			if a.Type, ok = p.text(); !ok {
				return a, fmt.Errorf("an array of records; save one plain array for each field: %w", data.ErrFormat)
			}
			if a.Element, err = element(a.Type); err != nil {
				return a, err
			}
		case "fortran_order":
			a.Fortran = p.take("True")
			if !a.Fortran && !p.take("False") {
				return a, p.wants("True or False")
			}
		case "shape":
			if a.Shape, err = p.shape(); err != nil {
				return a, err
			}
		default:
			return a, fmt.Errorf("key %q is not known: %w", key, data.ErrFormat)
		}
		if !p.take(",") && !strings.HasPrefix(p.rest, "}") {
			return a, p.wants("a comma")
		}
	}
	if strings.TrimSpace(p.rest) != "" {
		return a, p.wants("nothing more")
	}
	for _, key := range []string{"descr", "fortran_order", "shape"} {
		if !seen[key] {
			return a, fmt.Errorf("%q is missing: %w", key, data.ErrFormat)
		}
	}
	if _, ok := a.Len(); !ok {
		return a, fmt.Errorf("%w: %v", data.ErrShape, a.Shape)
	}
	if len(a.Shape) != 1 {
		a.Type += fmt.Sprint(" ", a.Shape)
	}
	return a, nil
}

// element reads numpy's name of a type, as "<f4".
func element(descr string) (e raw.Element, err error) {
	unknown := fmt.Errorf("element type %q: %w", descr, data.ErrFormat)
	if strings.TrimLeft(descr, "<>|=") == "O" {
		return e, fmt.Errorf("element type %q is pickled Python objects, which could run code and are not read; save numbers or text: %w", descr, data.ErrFormat)
	}
	if len(descr) < 3 {
		return e, unknown
	}
	size, err := strconv.Atoi(descr[2:])
	if err != nil || size < 0 || size > math.MaxInt32/4 || descr[2] == '+' {
		return e, unknown
	}
	e = raw.Element{Class: raw.Class(descr[1]), Size: size, Big: descr[0] == '>'}
	if strings.IndexByte("<>|=", descr[0]) < 0 {
		return e, unknown
	}
	switch {
	case e.Class == raw.Unicode:
		e.Size *= 4
	case e.Class == raw.Bytes:
	case descr[1] == 'a':
		e.Class = raw.Bytes // the old name of S
	case e.Class == raw.Brain && size == 2: // numpy has no bfloat16; JAX and ml_dtypes save it as two opaque bytes
	default:
		if _, ok := e.Type(); !ok || e.Class == raw.Brain {
			return e, unknown
		}
	}
	return e, nil
}

// literal is what is left of a Python literal.
type literal struct{ rest string }

func (p *literal) take(token string) bool {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	rest, ok := strings.CutPrefix(p.rest, token)
	if ok {
		p.rest = strings.TrimLeft(rest, " \t\r\n")
	}
	return ok
}

// text takes a quoted string; none of numpy's holds an escape.
func (p *literal) text() (string, bool) {
	for _, quote := range []string{"'", `"`} {
		if !p.take(quote) {
			continue
		}
		s, rest, ok := strings.Cut(p.rest, quote)
		if !ok || strings.ContainsAny(s, "\\\n") {
			return "", false
		}
		p.rest = rest
		return s, true
	}
	return "", false
}

// shape takes a tuple of whole numbers: (), (3,) or (3, 4).
func (p *literal) shape() ([]int, error) {
	if !p.take("(") {
		return nil, p.wants("a shape in parentheses")
	}
	shape := []int{}
	for !p.take(")") {
		digits := len(p.rest) - len(strings.TrimLeft(p.rest, "0123456789"))
		n, err := strconv.Atoi(p.rest[:digits])
		if err != nil {
			return nil, p.wants("a size")
		}
		p.rest = p.rest[digits:]
		p.take("L") // Python 2 wrote long integers so
		shape = append(shape, n)
		if !p.take(",") && !strings.HasPrefix(p.rest, ")") {
			return nil, p.wants("a comma")
		}
		if len(shape) > 32 {
			return nil, fmt.Errorf("%w: more than 32 dimensions", data.ErrShape)
		}
	}
	return shape, nil
}

func (p *literal) wants(what string) error {
	rest := p.rest
	if len(rest) > 20 {
		rest = rest[:20] + "…"
	}
	return fmt.Errorf("want %s, have %q: %w", what, rest, data.ErrFormat)
}

// writeHeader returns the head of a version 1 file, padded so that the elements begin at a multiple of 64 bytes.
// The shape's first number may be replaced later by one of up to 20 digits without a change of length.
func writeHeader(descr string, shape []int) []byte {
	var s strings.Builder
	for i, n := range shape {
		if i > 0 {
			s.WriteByte(' ')
		}
		fmt.Fprintf(&s, "%d,", n)
	}
	sizes := s.String()
	if len(shape) != 1 {
		sizes = strings.TrimSuffix(sizes, ",")
	}
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, sizes)
	total := 128
	for total < 10+len(text)+1 {
		total += 64
	}
	head := append([]byte(magic), 1, 0)
	head = binary.LittleEndian.AppendUint16(head, uint16(total-10))
	head = append(head, text...)
	for len(head) < total-1 {
		head = append(head, ' ')
	}
	return append(head, '\n')
}
