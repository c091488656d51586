package npy

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"unicode/utf8"

	"github.com/klauspost/compress/zip"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// Target is what a .npy file is written to: the row count stands in the header, which is written again at the end.
type Target interface {
	io.Writer
	io.WriterAt
}

// Writer writes one column or one group of columns as a .npy file; it is a [rows.Writer].
type Writer struct {
	to     Target
	out    *bufio.Writer
	schema rows.Schema
	buf    []byte
}

// NewWriter writes to to, which must be empty.
func NewWriter(to Target) *Writer {
	return &Writer{to: to, out: bufio.NewWriterSize(to, 1<<18)}
}

// Write appends rows. Errors: those of [rows.Schema.Check]; ErrWrite on text or more than one column, which a .npy file cannot hold.
func (w *Writer) Write(columns ...rows.Values) error {
	fresh := w.schema.Columns() == nil
	if _, err := w.schema.Check(columns); err != nil {
		return err
	}
	if len(columns) != 1 || columns[0].Form == rows.String {
		return fmt.Errorf("write: a .npy file holds one array of numbers, have %d columns, the first named %q; write .npz: %w", len(columns), columns[0].Name, rows.ErrWrite)
	}
	if fresh {
		if _, err := w.out.Write(header(columns[0], 0)); err != nil {
			return err
		}
	}
	w.buf = appendValues(w.buf[:0], columns[0])
	_, err := w.out.Write(w.buf)
	return err
}

// Close writes the header again, with the number of rows.
func (w *Writer) Close() error {
	if w.schema.Columns() == nil {
		return fmt.Errorf("write: %w: no columns", data.ErrShape)
	}
	if err := w.out.Flush(); err != nil {
		return err
	}
	_, err := w.to.WriteAt(header(w.schema.Columns()[0], w.schema.Rows()), 0)
	return err
}

func header(c rows.Values, n int) []byte {
	switch c.Form {
	case rows.Float:
		return writeHeader("<f8", []int{n})
	case rows.Int:
		return writeHeader("<i8", []int{n})
	case rows.Bool:
		return writeHeader("|b1", []int{n})
	}
	return writeHeader("<f4", []int{n, c.Width})
}

func appendValues(b []byte, c rows.Values) []byte {
	le := binary.LittleEndian
	for _, v := range c.Floats {
		b = le.AppendUint64(b, math.Float64bits(v))
	}
	for _, v := range c.Ints {
		b = le.AppendUint64(b, uint64(v))
	}
	for _, v := range c.Bools {
		bit := byte(0)
		if v {
			bit = 1
		}
		b = append(b, bit)
	}
	for _, v := range c.X {
		b = le.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// ArchiveWriter writes columns as the arrays of a .npz archive, uncompressed; it is a [rows.Writer]. An archive holds one array
// after the other and each begins with its number of rows, so the rows wait in scratch files until Close.
type ArchiveWriter struct {
	out    io.Writer
	dir    string
	schema rows.Schema
	parts  []*part
	buf    []byte
}

// part is a column that waits.
type part struct {
	file  *os.File
	gone  bool // has no name any more
	out   *bufio.Writer
	runes int // of the longest string
}

// NewArchiveWriter writes to out; scratch files live in dir. Call Abort to remove them when Close is not reached.
func NewArchiveWriter(out io.Writer, dir string) *ArchiveWriter {
	return &ArchiveWriter{out: out, dir: dir}
}

// Write appends rows. A group of columns is called X if it has no name of its own; column names are not kept.
// Errors: those of [rows.Schema.Check], and what the disk says.
func (w *ArchiveWriter) Write(columns ...rows.Values) error {
	if _, err := w.schema.Check(columns); err != nil {
		return err
	}
	for k, c := range columns {
		if k == len(w.parts) {
			file, err := os.CreateTemp(w.dir, ".npz*.part")
			if err != nil {
				return err
			}
			// Where open files can be removed not even a crash leaves one behind; elsewhere Abort does it.
			gone := os.Remove(file.Name()) == nil
			w.parts = append(w.parts, &part{file: file, gone: gone, out: bufio.NewWriterSize(file, 1<<18)})
		}
		p := w.parts[k]
		w.buf = appendValues(w.buf[:0], c)
		for _, s := range c.Strings {
			p.runes = max(p.runes, utf8.RuneCountInString(s))
			w.buf = binary.AppendUvarint(w.buf, uint64(len(s)))
			w.buf = append(w.buf, s...)
		}
		if _, err := p.out.Write(w.buf); err != nil {
			return err
		}
	}
	return nil
}

// Close puts the archive together.
func (w *ArchiveWriter) Close() error {
	defer w.Abort()
	if w.schema.Columns() == nil {
		return fmt.Errorf("write: %w: no columns", data.ErrShape)
	}
	archive := zip.NewWriter(w.out)
	for k, c := range w.schema.Columns() {
		name := c.Name
		if name == "" {
			name = "X"
		}
		// No modification time: the same table gives the same bytes.
		to, err := archive.CreateHeader(&zip.FileHeader{Name: name + ".npy", Method: zip.Store})
		if err != nil {
			return err
		}
		p := w.parts[k]
		if err := p.out.Flush(); err != nil {
			return err
		}
		if _, err := p.file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if c.Form == rows.String {
			err = p.text(to, w.schema.Rows())
		} else {
			if _, err = to.Write(header(c, w.schema.Rows())); err == nil {
				_, err = io.Copy(to, p.file)
			}
		}
		if err != nil {
			return err
		}
	}
	return archive.Close()
}

// text writes strings as numpy's fixed-width '<U' array. A string that ends in zero characters would lose them and is an error.
func (p *part) text(to io.Writer, n int) error {
	width := max(p.runes, 1)
	if _, err := to.Write(writeHeader(fmt.Sprintf("<U%d", width), []int{n})); err != nil {
		return err
	}
	in, out := bufio.NewReaderSize(p.file, 1<<16), bufio.NewWriterSize(to, 1<<16)
	var s, cell []byte
	for i := range n {
		size, err := binary.ReadUvarint(in)
		if err != nil {
			return err
		}
		if uint64(cap(s)) < size {
			s = make([]byte, size)
		}
		s = s[:size]
		if _, err := io.ReadFull(in, s); err != nil {
			return err
		}
		if size > 0 && s[size-1] == 0 {
			return fmt.Errorf("write: row %d: text that ends in a zero character does not survive in a .npz file: %w", i+1, rows.ErrWrite)
		}
		cell = cell[:0]
		for _, r := range string(s) {
			cell = binary.LittleEndian.AppendUint32(cell, uint32(r))
		}
		for len(cell) < 4*width {
			cell = append(cell, 0)
		}
		if _, err := out.Write(cell); err != nil {
			return err
		}
	}
	return out.Flush()
}

// Abort removes the scratch files. After Close it does nothing.
func (w *ArchiveWriter) Abort() {
	for _, p := range w.parts {
		p.file.Close()
		if !p.gone {
			os.Remove(p.file.Name())
		}
	}
	w.parts = nil
}
