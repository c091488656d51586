// Package idx reads IDX files, the format of MNIST and its kin: a type byte, up to 255 big-endian sizes, big-endian elements.
package idx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/internal/raw"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// elements are the types by their byte.
var elements = map[byte]raw.Element{
	0x08: {Class: raw.Uint, Size: 1},
	0x09: {Class: raw.Int, Size: 1},
	0x0b: {Class: raw.Int, Size: 2, Big: true},
	0x0c: {Class: raw.Int, Size: 4, Big: true},
	0x0d: {Class: raw.Float, Size: 4, Big: true},
	0x0e: {Class: raw.Float, Size: 8, Big: true},
}

// Is reports whether a file that begins so may be IDX: two zero bytes, a known type, at least one dimension.
func Is(head []byte) bool {
	if len(head) < 4 || head[0] != 0 || head[1] != 0 || head[3] == 0 {
		return false
	}
	_, ok := elements[head[2]]
	return ok
}

// NewReader reads a file from front to back. The first dimension counts rows, the others are flattened into columns: a file of
// 28×28 images has 784, a file of labels has one. Errors: ErrFormat on a header that cannot be read, ErrShape on impossible sizes.
func NewReader(in io.Reader) (rows.Reader, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(in, head); err != nil {
		return nil, early(err)
	}
	if !Is(head) {
		return nil, fmt.Errorf("is no IDX file (it begins with % x): %w", head, data.ErrFormat)
	}
	a := raw.Array{Element: elements[head[2]], Exact: true, Open: func() (io.Reader, error) { return in, nil }}
	size := make([]byte, 4)
	for range head[3] {
		if _, err := io.ReadFull(in, size); err != nil {
			return nil, early(err)
		}
		a.Shape = append(a.Shape, int(binary.BigEndian.Uint32(size)))
	}
	dtype, _ := a.Element.Type()
	a.Type = fmt.Sprint(dtype, " ", a.Shape)
	return raw.NewTable([]raw.Array{a})
}

func early(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("ends inside the IDX header: %w", data.ErrFormat)
	}
	return err
}
