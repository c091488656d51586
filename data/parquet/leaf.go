package parquet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/internal/raw"
	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/internal/num"
)

// leaf is one column of values under way: row groups, pages, and the page at hand.
type leaf struct {
	file                         *parquet.File
	name                         string
	column                       int // in the schema
	kind                         parquet.Type
	width                        int // values in a row
	maxRepetition, maxDefinition byte

	group int // the next row group
	pages parquet.Pages
	page  parquet.Page
	rows0 int // rows before the current row group
	empty int // pages that the library fell over, in a row
	seen  int // values of the current row group in pages up to and with the current one

	masked  bool      // −Inf is read as a masked class
	floats  []float32 // of the current page, not yet taken
	names   []string  // of the current page, not yet taken
	buf     []float32
	dict    parquet.Dictionary // that the tables below are made from
	table   []float32
	words   []string
	pattern []byte // 0 1 1 … 1 0 1 1 …: the repetition levels of lists of equal length
}

// rows writes the next n rows to dst with the given stride.
func (l *leaf) rows(dst []float32, stride, n int) error {
	for i, j := 0, 0; i < n; {
		if len(l.floats) == 0 {
			if err := l.next(true); err != nil {
				return err
			}
			continue
		}
		if stride == l.width { // all at once
			from := i*l.width + j
			took := copy(dst[from:n*l.width], l.floats)
			l.floats = l.floats[took:]
			i, j = (from+took)/l.width, (from+took)%l.width
			continue
		}
		took := copy(dst[i*stride+j:i*stride+l.width], l.floats)
		l.floats = l.floats[took:]
		if j += took; j == l.width {
			i, j = i+1, 0
		}
	}
	return nil
}

// strings writes the next len(dst) rows as text.
func (l *leaf) strings(dst []string) error {
	for len(dst) > 0 {
		if len(l.names) == 0 {
			if err := l.next(false); err != nil {
				return err
			}
			continue
		}
		took := copy(dst, l.names)
		dst, l.names = dst[took:], l.names[took:]
	}
	return nil
}

// next reads pages until one has values.
func (l *leaf) next(numbers bool) error {
	if l.page != nil {
		parquet.Release(l.page)
		l.page = nil
	}
	if l.pages == nil {
		groups := l.file.RowGroups()
		if l.group == len(groups) {
			return fmt.Errorf("column %q: the Parquet file ends early: %w", l.name, data.ErrFormat)
		}
		l.pages = groups[l.group].ColumnChunks()[l.column].Pages()
		l.seen, l.dict = 0, nil
	}
	have := int(l.file.RowGroups()[l.group].NumRows())
	if l.seen == have*l.width {
		l.endGroup(have)
		return nil
	}
	page, err := l.readPage()
	if page == nil && err == nil {
		return nil
	}
	if err == io.EOF {
		return l.count(have)
	}
	if err != nil {
		return fmt.Errorf("column %q: %w", l.name, damaged(err))
	}
	l.page = page
	if numbers {
		err = l.decodeNumbers()
	} else {
		err = l.decodeNames()
	}
	if err != nil {
		return err
	}
	l.seen += max(len(l.floats), len(l.names))
	if l.seen > have*l.width {
		return l.count(have)
	}
	return nil
}

// readPage returns nil for an empty page. pyarrow puts such pages between those of a list column (data page version 2, small
// pages), and the library falls over them, having read them whole: parquet-go 0.32 takes the repetition levels of a page to be
// there even if it has none. The next page is in place, and a page that was not empty after all is missed in the count of rows.
func (l *leaf) readPage() (page parquet.Page, err error) {
	defer func() {
		const most = 64 // in a row: were one not passed over after all, this would go on for ever
		if l.maxRepetition > 0 && l.empty < most && recover() != nil {
			l.empty++
			page, err = nil, nil
		}
	}()
	page, err = l.pages.ReadPage()
	l.empty = 0
	return page, err
}

func (l *leaf) endGroup(rows int) {
	l.pages.Close()
	l.pages = nil
	l.group++
	l.rows0 += rows
}

func (l *leaf) count(want int) error {
	return fmt.Errorf("damaged Parquet file (column %q has %d rows in row group %d, want %d): %w", l.name, l.seen/l.width, l.group+1, want, data.ErrFormat)
}

// decodeNumbers turns the page at hand into l.floats, having checked that it has no nulls and lists of the right length.
func (l *leaf) decodeNumbers() error {
	if err := l.checkLevels(); err != nil {
		return err
	}
	values := l.page.Data()
	if dict := l.page.Dictionary(); dict != nil {
		if err := l.lookup(dict, values.Int32()); err != nil {
			return err
		}
	} else {
		var err error
		if l.floats, err = convert(l.buf, values, l.kind, int(l.page.NumValues())); err != nil {
			return fmt.Errorf("column %q: %w", l.name, err)
		}
		if values.Kind() != encoding.Float {
			l.buf = l.floats[:0]
		}
	}
	want := int(l.page.NumValues())
	if len(l.floats) < want {
		return fmt.Errorf("damaged Parquet file (column %q: a page of %d values has %d): %w", l.name, want, len(l.floats), data.ErrFormat)
	}
	l.floats = l.floats[:want]
	i := num.Finite(l.floats)
	if i >= 0 && l.masked { // on a copy: pages and dictionaries are read again
		l.buf = append(l.buf[:0], l.floats...)
		l.floats = l.buf
		rows.Mask(l.floats)
		i = num.Finite(l.floats)
	}
	if i >= 0 {
		return l.notFinite(l.seen+i, original(l.page, i))
	}
	return nil
}

// original returns the i-th number of a page as it is stored.
func original(page parquet.Page, i int) float64 {
	values := page.Data()
	if dict := page.Dictionary(); dict != nil {
		i = int(values.Int32()[i])
		values = dict.Page().Data()
	}
	switch values.Kind() {
	case encoding.Double:
		return values.Double()[i]
	case encoding.Float:
		return float64(values.Float()[i])
	}
	b, _ := values.FixedLenByteArray() // the only other kind that can hold what is not finite
	return float64(raw.Half(binary.LittleEndian.Uint16(b[2*i:])))
}

func (l *leaf) notFinite(at int, v float64) error {
	column := l.name
	if l.width > 1 {
		column = fmt.Sprintf("%s[%d]", l.name, at%l.width+1)
	}
	return rows.NotFinite(fmt.Sprintf("row %d", l.rows0+at/l.width+1), column, v)
}

// lookup fills l.floats with dictionary entries.
func (l *leaf) lookup(dict parquet.Dictionary, index []int32) error {
	if dict != l.dict {
		var err error
		page := dict.Page()
		if l.table, err = convert(nil, page.Data(), l.kind, dict.Len()); err != nil {
			return fmt.Errorf("column %q: %w", l.name, err)
		}
		l.dict = dict
	}
	l.buf = l.buf[:0]
	for _, i := range index {
		if uint(i) >= uint(len(l.table)) {
			return fmt.Errorf("damaged Parquet file (column %q: entry %d of a dictionary of %d): %w", l.name, i, len(l.table), data.ErrFormat)
		}
		l.buf = append(l.buf, l.table[i])
	}
	l.floats = l.buf
	return nil
}

// checkLevels looks for nulls and for lists of another length. Both are one comparison of memory where all is well.
func (l *leaf) checkLevels() error {
	repetition, definition := l.page.RepetitionLevels(), l.page.DefinitionLevels()
	at := l.seen % l.width
	if l.maxRepetition > 0 {
		for len(l.pattern) < l.width+len(repetition) {
			l.pattern = append(l.pattern, 0)
			for range l.width - 1 {
				l.pattern = append(l.pattern, 1)
			}
		}
		if !bytes.Equal(repetition, l.pattern[at:at+len(repetition)]) {
			return l.oddList(repetition, definition, at)
		}
	}
	if bytes.Count(definition, []byte{l.maxDefinition}) == len(definition) {
		return nil
	}
	i := 0
	for definition[i] == l.maxDefinition {
		i++
	}
	return l.null(l.rows0 + (l.seen+i)/l.width)
}

func (l *leaf) null(row int) error {
	return fmt.Errorf("row %d, column %q: is null, want a number (--ignore %s leaves the column out): %w", row+1, l.name, l.name, data.ErrFormat)
}

// oddList finds the first list that is null, has a null or has another length than the first row's.
func (l *leaf) oddList(repetition, definition []byte, at int) error {
	row := l.rows0 + l.seen/l.width
	length := at
	for i, r := range repetition {
		if r == 0 && length > 0 {
			if length != l.width {
				break
			}
			row++
			length = 0
		}
		if i < len(definition) && definition[i] != l.maxDefinition {
			return l.null(row)
		}
		if length++; length > l.width {
			break
		}
	}
	if length > l.width {
		return fmt.Errorf("row %d, column %q: %w: more than %d numbers, want %d as in row 1", row+1, l.name, data.ErrShape, l.width, l.width)
	}
	return fmt.Errorf("row %d, column %q: %w: %d numbers, want %d as in row 1", row+1, l.name, data.ErrShape, length, l.width)
}

// decodeNames turns the page at hand into l.names; nulls are "".
func (l *leaf) decodeNames() error {
	values := l.page.Data()
	definition := l.page.DefinitionLevels()
	filled := int(l.page.NumValues())
	if len(definition) > 0 {
		filled = bytes.Count(definition, []byte{l.maxDefinition})
	}
	var names []string
	if dict := l.page.Dictionary(); dict != nil {
		if dict != l.dict {
			page := dict.Page()
			var err error
			if l.words, err = words(page.Data(), l.kind, dict.Len()); err != nil {
				return fmt.Errorf("column %q: %w", l.name, err)
			}
			l.dict = dict
		}
		for _, i := range values.Int32() {
			if uint(i) >= uint(len(l.words)) {
				return fmt.Errorf("damaged Parquet file (column %q: entry %d of a dictionary of %d): %w", l.name, i, len(l.words), data.ErrFormat)
			}
			names = append(names, l.words[i])
		}
	} else {
		var err error
		if names, err = words(values, l.kind, filled); err != nil {
			return fmt.Errorf("column %q: %w", l.name, err)
		}
	}
	if len(names) < filled {
		return fmt.Errorf("damaged Parquet file (column %q: a page of %d values has %d): %w", l.name, filled, len(names), data.ErrFormat)
	}
	if len(definition) == filled || len(definition) == 0 {
		l.names = names[:filled]
		return nil
	}
	l.names = make([]string, len(definition))
	for i, k := 0, 0; i < len(definition); i++ {
		if definition[i] == l.maxDefinition {
			l.names[i] = names[k]
			k++
		}
	}
	return nil
}
