package parquet

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/gimbal-ml/gimbal/data"
)

// checkFooter looks through the footer before the library does, which believes every length in it and takes gigabytes of memory
// for a damaged one. It knows the encoding (Thrift, compact protocol), not what the fields mean.
func checkFooter(at io.ReaderAt, size int64) error {
	tail := make([]byte, 8)
	if size < 12 {
		return fmt.Errorf("a Parquet file of %d bytes ends early: %w", size, data.ErrFormat)
	}
	if n, err := at.ReadAt(tail, size-8); n < len(tail) {
		return damaged(err)
	}
	if string(tail[4:]) != "PAR1" {
		return fmt.Errorf("the Parquet file ends early (without the mark PAR1; or it is encrypted): %w", data.ErrFormat)
	}
	n := int64(binary.LittleEndian.Uint32(tail))
	if n > size-12 {
		return fmt.Errorf("damaged Parquet file (a footer of %d bytes in a file of %d): %w", n, size, data.ErrFormat)
	}
	b := make([]byte, n)
	if got, err := at.ReadAt(b, size-8-n); got < len(b) {
		return damaged(err)
	}
	w := walker{b: b}
	w.structure(0)
	if w.bad {
		return fmt.Errorf("damaged Parquet file (its footer makes no sense at byte %d of %d): %w", w.at, n, data.ErrFormat)
	}
	return nil
}

// walker steps over values of the compact protocol.
type walker struct {
	b   []byte
	at  int
	bad bool
}

// The types of the compact protocol.
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftInt16  = 4
	thriftInt64  = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
)

func (w *walker) skip(n uint64) {
	if n > uint64(len(w.b)-w.at) {
		w.bad = true
		return
	}
	w.at += int(n)
}

func (w *walker) byte() byte {
	w.skip(1)
	if w.bad {
		return 0
	}
	return w.b[w.at-1]
}

func (w *walker) varint() uint64 {
	v, n := binary.Uvarint(w.b[w.at:])
	if n <= 0 {
		w.bad = true
		return 0
	}
	w.at += n
	return v
}

func (w *walker) structure(depth int) {
	for !w.bad {
		head := w.byte()
		if head == 0 {
			return
		}
		if head>>4 == 0 {
			w.varint() // the field's number
		}
		if kind := head & 15; kind != thriftTrue && kind != thriftFalse { // whose value is the type itself
			w.value(kind, depth+1)
		}
	}
}

func (w *walker) value(kind byte, depth int) {
	const deepest = 32
	switch {
	case depth > deepest:
		w.bad = true
	case kind == thriftTrue || kind == thriftFalse || kind == thriftByte:
		w.skip(1)
	case kind >= thriftInt16 && kind <= thriftInt64:
		w.varint()
	case kind == thriftDouble:
		w.skip(8)
	case kind == thriftBinary:
		w.skip(w.varint())
	case kind == thriftList || kind == thriftSet:
		head := w.byte()
		n := uint64(head >> 4)
		if n == 15 {
			n = w.varint()
		}
		w.values(n, depth, head&15)
	case kind == thriftMap:
		if n := w.varint(); n > 0 {
			kinds := w.byte()
			w.values(n, depth, kinds>>4, kinds&15)
		}
	case kind == thriftStruct:
		w.structure(depth)
	default:
		w.bad = true
	}
}

// values steps over n elements, each of at least one byte.
func (w *walker) values(n uint64, depth int, kinds ...byte) {
	if n > uint64(len(w.b)-w.at) {
		w.bad = true
	}
	for ; n > 0 && !w.bad; n-- {
		for _, kind := range kinds {
			w.value(kind, depth+1)
		}
	}
}
