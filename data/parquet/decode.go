package parquet

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/format"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/internal/raw"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// convert turns stored values into float32; values that are float32 already are not copied. n is needed for bits only.
func convert(buf []float32, values encoding.Values, t parquet.Type, n int) ([]float32, error) {
	buf = buf[:0]
	unsigned := isUnsigned(t)
	switch values.Kind() {
	case encoding.Float:
		return values.Float(), nil
	case encoding.Double:
		for _, v := range values.Double() {
			buf = append(buf, float32(v))
		}
	case encoding.Int32:
		for _, v := range values.Int32() {
			if unsigned {
				buf = append(buf, float32(uint32(v)))
			} else {
				buf = append(buf, float32(v))
			}
		}
	case encoding.Int64:
		for _, v := range values.Int64() {
			if unsigned {
				buf = append(buf, float32(uint64(v)))
			} else {
				buf = append(buf, float32(v))
			}
		}
	case encoding.Boolean:
		bits := values.Boolean()
		for i := range min(n, 8*len(bits)) {
			buf = append(buf, float32(bits[i/8]>>(i%8)&1))
		}
	case encoding.FixedLenByteArray:
		b, size := values.FixedLenByteArray()
		if size != 2 {
			return nil, fmt.Errorf("values of %d bytes are no half-precision numbers: %w", size, data.ErrFormat)
		}
		for i := 0; i+2 <= len(b); i += 2 {
			buf = append(buf, raw.Half(binary.LittleEndian.Uint16(b[i:])))
		}
	default:
		return nil, fmt.Errorf("holds %s, want numbers: %w", t, data.ErrFormat)
	}
	return buf, nil
}

// words turns stored values into text.
func words(values encoding.Values, t parquet.Type, n int) (names []string, err error) {
	switch values.Kind() {
	case encoding.ByteArray:
		b, offsets := values.ByteArray()
		for i := 1; i < len(offsets); i++ {
			names = append(names, string(b[offsets[i-1]:offsets[i]]))
		}
		return names, nil
	case encoding.Int32:
		for _, v := range values.Int32() {
			if isUnsigned(t) {
				names = append(names, strconv.FormatUint(uint64(uint32(v)), 10))
			} else {
				names = append(names, strconv.Itoa(int(v)))
			}
		}
		return names, nil
	case encoding.Int64:
		for _, v := range values.Int64() {
			if isUnsigned(t) {
				names = append(names, strconv.FormatUint(uint64(v), 10))
			} else {
				names = append(names, strconv.FormatInt(v, 10))
			}
		}
		return names, nil
	case encoding.Double:
		for _, v := range values.Double() {
			names = append(names, number(v, 64))
		}
		return names, nil
	}
	floats, err := convert(nil, values, t, n)
	if err != nil {
		return nil, err
	}
	for _, v := range floats {
		if values.Kind() == encoding.Boolean {
			names = append(names, strconv.FormatBool(v != 0))
		} else {
			names = append(names, number(float64(v), 32))
		}
	}
	return names, nil
}

func number(v float64, bits int) string {
	if math.IsNaN(v) { // pandas' missing value
		return ""
	}
	return rows.Name(v, bits)
}

// firstLength returns the length of the first row's list, 0 when it is null or there is no row.
func firstLength(file *parquet.File, c *parquet.Column) (int, error) {
	for _, group := range file.RowGroups() {
		if group.NumRows() > 0 {
			return firstLengthIn(group, c)
		}
	}
	return 0, nil
}

func firstLengthIn(group parquet.RowGroup, c *parquet.Column) (n int, err error) {
	pages := group.ColumnChunks()[c.Index()].Pages()
	defer pages.Close()
	for {
		page, err := pages.ReadPage()
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return 0, damaged(err)
		}
		definition := page.DefinitionLevels()
		for i, r := range page.RepetitionLevels() {
			if n > 0 && r == 0 || i >= len(definition) || int(definition[i]) != c.MaxDefinitionLevel() {
				return n, nil
			}
			n++
		}
		parquet.Release(page)
	}
}

func isUnsigned(t parquet.Type) bool {
	l := t.LogicalType()
	if l == nil {
		return false
	}
	integer, ok := l.Value.(*format.IntType)
	return ok && !integer.IsSigned
}
