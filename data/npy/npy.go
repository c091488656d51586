// Package npy reads and writes numpy's arrays: .npy files of one array, and .npz archives of several by name.
//
// All plain types are read: floats of 2, 4 and 8 bytes, bfloat16 (as JAX saves it, two opaque bytes), integers of 1 to 8 bytes,
// booleans, and text ('<U', '|S') for names; little- and big-endian, C and Fortran order. Complex numbers, dates, records and
// pickled objects are refused.
package npy

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/klauspost/compress/zip"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/internal/raw"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// NewReader reads a .npy file from front to back. A Fortran-ordered array is read whole into memory; [Open] avoids that.
// Errors: ErrFormat on a header that cannot be read.
func NewReader(in io.Reader) (rows.Reader, error) {
	a, _, err := readHeader(in)
	if err != nil {
		return nil, err
	}
	a.Open = func() (io.Reader, error) { return in, nil }
	return raw.NewTable([]raw.Array{a})
}

// Open reads a .npy file of the given size. Errors: ErrFormat on a header that cannot be read, or more elements than bytes.
func Open(at io.ReaderAt, size int64) (rows.Reader, error) {
	a, err := plain(at, size)
	if err != nil {
		return nil, err
	}
	return raw.NewTable([]raw.Array{a})
}

// plain reads the header of an uncompressed file and checks its size.
func plain(at io.ReaderAt, size int64) (raw.Array, error) {
	a, head, err := readHeader(io.NewSectionReader(at, 0, size))
	if err != nil {
		return a, err
	}
	if err := fits(a, size-int64(head)); err != nil {
		return a, err
	}
	body := io.NewSectionReader(at, int64(head), size-int64(head))
	a.At = body
	a.Open = func() (io.Reader, error) { return io.NewSectionReader(body, 0, body.Size()), nil }
	return a, nil
}

func fits(a raw.Array, body int64) error {
	n, _ := a.Len()
	if want := int64(n) * int64(a.Element.Size); body < want {
		return fmt.Errorf("ends early: %d bytes of elements, %s needs %d: %w", body, a.Type, want, data.ErrFormat)
	}
	return nil
}

// OpenArchive reads a .npz file of the given size: each array is a column of the table, of which some are selected.
// Errors: ErrFormat on a damaged archive or a header that cannot be read, with the array's name.
func OpenArchive(at io.ReaderAt, size int64) (rows.Reader, error) {
	arrays, _, err := members(at, size)
	if err != nil {
		return nil, err
	}
	return raw.NewTable(arrays)
}

// members reads the headers in an archive. Arrays that cannot be read at all (pickled objects, records) are left out and
// listed in odd with the reason, so that they do no harm beside those that are asked for.
func members(at io.ReaderAt, size int64) (arrays []raw.Array, odd []error, err error) {
	archive, err := zip.NewReader(at, size)
	if err != nil {
		return nil, nil, fmt.Errorf("is no whole .npz archive (%w): %w", err, data.ErrFormat)
	}
	seen := map[string]bool{}
	for _, f := range archive.File {
		name, ok := strings.CutSuffix(f.Name, ".npy")
		if !ok {
			continue
		}
		if seen[name] {
			return nil, nil, fmt.Errorf("array %q is in the archive twice: %w", name, data.ErrFormat)
		}
		seen[name] = true
		a, err := member(at, f)
		if err != nil {
			odd = append(odd, fmt.Errorf("array %q: %w", name, err))
			continue
		}
		a.Name = name
		arrays = append(arrays, a)
	}
	if len(arrays) == 0 && len(odd) > 0 {
		return nil, nil, odd[0]
	}
	if len(arrays) == 0 {
		return nil, nil, fmt.Errorf("is a zip archive without .npy files: %w", data.ErrFormat)
	}
	return arrays, odd, nil
}

func member(at io.ReaderAt, f *zip.File) (raw.Array, error) {
	var a raw.Array
	if f.Method == zip.Store {
		offset, err := f.DataOffset()
		if err != nil || f.UncompressedSize64 > math.MaxInt64/2 {
			return a, fmt.Errorf("damaged archive (%w): %w", err, data.ErrFormat)
		}
		a, err = plain(io.NewSectionReader(at, offset, int64(f.UncompressedSize64)), int64(f.UncompressedSize64))
		if err != nil || a.Fortran { // a seek reads no checksum; in order it is checked
			return a, err
		}
		a.Open = nil
	}
	open := func() (io.Reader, int, raw.Array, error) {
		in, err := f.Open()
		if err != nil {
			return nil, 0, a, fmt.Errorf("damaged archive (%w): %w", err, data.ErrFormat)
		}
		checked := damaged{in}
		a, head, err := readHeader(checked)
		return checked, head, a, err
	}
	_, head, a, err := open()
	if err != nil {
		return a, err
	}
	if f.UncompressedSize64 < math.MaxInt64/2 {
		if err := fits(a, int64(f.UncompressedSize64)-int64(head)); err != nil {
			return a, err
		}
	}
	a.Open = func() (io.Reader, error) { in, _, _, err := open(); return in, err }
	return a, nil
}

// damaged says what package zip's errors mean to a user.
type damaged struct{ in io.Reader }

func (d damaged) Read(p []byte) (int, error) {
	n, err := d.in.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("damaged archive (%w): %w", err, data.ErrFormat)
	}
	return n, err
}

// Tensors reads a .npz archive as named tensors, each fetched when asked for.
// Errors: ErrFormat on an array that is no numbers.
func Tensors(at io.ReaderAt, size int64) (*data.Checkpoint, error) {
	arrays, odd, err := members(at, size)
	if err != nil {
		return nil, err
	}
	if len(odd) > 0 {
		return nil, odd[0]
	}
	c := &data.Checkpoint{Meta: map[string]string{}, Tensors: map[string]data.Tensor{}}
	for _, a := range arrays {
		dtype, ok := a.Element.Type()
		if !ok {
			return nil, fmt.Errorf("array %q holds text (%s), want numbers: %w", a.Name, a.Type, data.ErrFormat)
		}
		t, err := data.LazyTensor(dtype, a.Shape, func() ([]byte, error) {
			b, err := tensor(a)
			if err != nil {
				return nil, fmt.Errorf("array %q: %w", a.Name, err)
			}
			return b, nil
		})
		if err != nil {
			return nil, fmt.Errorf("array %q: %w", a.Name, err)
		}
		c.Tensors[a.Name] = t
	}
	return c, nil
}

// tensor reads all elements of an array: little-endian, C order.
func tensor(a raw.Array) ([]byte, error) {
	in, err := a.Open()
	if err != nil {
		return nil, err
	}
	n, _ := a.Len()
	size := a.Element.Size
	var all bytes.Buffer
	if _, err := io.Copy(&all, io.LimitReader(in, int64(n*size))); err != nil {
		return nil, err
	}
	b := all.Bytes()
	if len(b) < n*size {
		return nil, fmt.Errorf("ends early: %d bytes of %d: %w", len(b), n*size, data.ErrFormat)
	}
	if _, err := in.Read(make([]byte, 1)); err != nil && err != io.EOF { // where the checksum is
		return nil, err
	}
	b = a.Element.Little(b)
	if !a.Fortran || len(a.Shape) < 2 {
		return b, nil
	}
	to := make([]byte, 0, len(b))
	for _, at := range raw.FortranOrder(a.Shape) {
		to = append(to, b[at*size:(at+1)*size]...)
	}
	return to, nil
}
