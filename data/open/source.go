package open

import (
	"context"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/csv"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// Stream is a table in a file, a [data.Source]. Close it when it is not needed any more; passes under way are not affected.
type Stream struct {
	path    string
	options Options
	first   *pass // opened by Source, used by the first call of Blocks
	regular bool
	changed time.Time
	length  int64
	rows, d int
	columns []string

	mutex sync.Mutex
	index map[string]int // of classes, in order of appearance over all passes
	names []string
}

// pass is one reading of the file.
type pass struct {
	in *input
	r  rows.Reader
	d  int
	roles
	columns []string
	header  bool
	masked  bool
}

// Source opens a table for reading block by block; "-" is the standard input, which can be read once.
//
// Without Options.Features, a column of vectors (a .npy array, lists in Parquet, arrays in JSON, a matrix in .npz or safetensors) is
// taken for the features if there is exactly one, and other columns are left alone; otherwise all columns without another role are,
// and must hold numbers. Row indices that pandas and R add (a first CSV column without a name, __index_level_0__) are left out.
//
// Errors name the file, and row or line and column where there is one: ErrFormat on what cannot be read, ErrShape on ragged rows,
// ErrFinite on NaN and infinities (but for −Inf where Options.Masked takes it), ErrLabels on a label column that is not there (with those that are).
func Source(path string, o Options) (*Stream, error) {
	p, err := openPass(path, o)
	if err != nil {
		return nil, err
	}
	return &Stream{path: path, options: o, first: p, regular: p.in.regular, changed: p.in.changed, length: p.in.length,
		rows: p.r.Rows(), d: p.d, columns: p.columns, index: map[string]int{}}, nil
}

func openPass(path string, o Options) (*pass, error) {
	in, err := openInput(path, o.Stdin)
	if err != nil {
		return nil, err
	}
	p := &pass{in: in, masked: o.Masked}
	if err := p.start(o); err != nil {
		in.close()
		return nil, in.named(err)
	}
	return p, nil
}

func (p *pass) start(o Options) (err error) {
	if p.r, _, err = p.in.reader(o); err != nil {
		return err
	}
	columns := p.r.Columns()
	if p.roles, err = assign(p.r, o); err != nil {
		return err
	}
	if err := p.checkFeatures(columns, len(o.Features) > 0); err != nil {
		return err
	}
	if p.d, err = p.r.Select(p.features, p.text); err != nil {
		return err
	}
	named := true
	if c, ok := p.r.(*csv.Reader); ok {
		named, p.header = c.HasHeader(), c.HasHeader()
	}
	p.columns = p.names(columns, named)
	return p.readSides()
}

func (p *pass) readSides() (err error) {
	for _, r := range p.all() {
		if r.path == "" {
			continue
		}
		if r.side, err = readSide(r.path, p.r.Rows()); err != nil {
			return fmt.Errorf("%s: %w", r.what, err)
		}
	}
	return nil
}

// Rows returns the number of rows, −1 where only reading tells.
func (s *Stream) Rows() int { return s.rows }

// Columns returns the names of the features, nil where the file has none.
func (s *Stream) Columns() []string { return s.columns }

// Width returns the number of features.
func (s *Stream) Width() int { return s.d }

// Replayable is true for files, false for pipes.
func (s *Stream) Replayable() bool { return s.regular }

// Close closes the file if no pass has begun.
func (s *Stream) Close() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.first != nil {
		s.first.in.close()
		s.first = nil
	}
	return nil
}

// next returns a pass that has not begun.
func (s *Stream) next() (*pass, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if p := s.first; p != nil {
		s.first = nil
		return p, nil
	}
	if !s.regular {
		return nil, fmt.Errorf("%s: can be read only once; write it to a file first: %w", s.path, data.ErrFormat)
	}
	p, err := openPass(s.path, s.options)
	if err == nil && (!p.in.changed.Equal(s.changed) || p.in.length != s.length) {
		p.in.close()
		return nil, p.in.named(fmt.Errorf("has changed since it was first opened: %w", data.ErrFormat))
	}
	return p, err
}

// blockRows is how many rows of d features a block holds: BlockRows, fewer when that would be more than 64 MiB.
func blockRows(d int) int { return max(1, min(data.BlockRows, (1<<24)/max(d, 1))) }

// Blocks reads the table; see [data.Source]. Classes are numbered in order of appearance, the same in every pass. From a
// file the next block is read while the caller works on one, so two are in memory.
func (s *Stream) Blocks(ctx context.Context) iter.Seq2[*data.Table, error] {
	return func(yield func(*data.Table, error) bool) {
		p, err := s.next()
		if err != nil {
			yield(nil, err)
			return
		}
		defer p.in.close()
		if s.regular {
			s.overlapped(ctx, p, yield)
			return
		}
		var b rows.Block // a pipe may keep its reader waiting for ever: nothing is begun that may have to be given up
		for done := 0; ; done += b.N {
			t, err := s.block(ctx, p, &b, done)
			if err == io.EOF {
				return
			}
			if !yield(t, err) || err != nil {
				return
			}
		}
	}
}

// overlapped reads blocks on a goroutine of its own, which has ended when overlapped returns.
func (s *Stream) overlapped(ctx context.Context, p *pass, yield func(*data.Table, error) bool) {
	type result struct {
		table *data.Table
		from  *rows.Block
		err   error
	}
	free, read, quit := make(chan *rows.Block, 2), make(chan result), make(chan struct{})
	free <- new(rows.Block)
	free <- new(rows.Block)
	go func() {
		defer close(read)
		for done := 0; ; {
			var b *rows.Block
			select {
			case b = <-free:
			case <-quit:
				return
			}
			t, err := s.block(ctx, p, b, done)
			done += b.N
			select {
			case read <- result{t, b, err}:
			case <-quit:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	defer func() {
		close(quit)
		for range read { // until the goroutine has let go of the file
		}
	}()
	for r := range read {
		if r.err == io.EOF || !yield(r.table, r.err) || r.err != nil {
			return
		}
		free <- r.from
	}
}

func (s *Stream) block(ctx context.Context, p *pass, b *rows.Block, done int) (*data.Table, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b.Reset()
	b.Masked = p.masked
	err := p.r.Read(b, blockRows(p.d))
	if err == io.EOF {
		err = p.end(done)
	}
	if err == io.EOF {
		return nil, err
	}
	if err != nil {
		return nil, p.in.named(err)
	}
	t, err := p.table(b, done)
	if err == nil && p.label.there() {
		t, err = s.withLabels(t, p, b, done)
	}
	if err != nil {
		return nil, p.in.named(err)
	}
	return t, nil
}

// end checks what can only be known after the last row. It returns io.EOF when all is well.
func (p *pass) end(n int) error {
	if n == 0 {
		what := "holds no rows"
		if p.header {
			what = "holds a header and no rows"
		}
		return fmt.Errorf("%s: %w", what, data.ErrFormat)
	}
	if err := p.finish(n); err != nil {
		return err
	}
	if !p.in.regular {
		return io.EOF
	}
	if info, err := os.Stat(p.in.path); err == nil && (!info.ModTime().Equal(p.in.changed) || info.Size() != p.in.length) {
		return fmt.Errorf("was changed while it was read: %w", data.ErrFormat)
	}
	return io.EOF
}

// table makes a table of a block, with all but labels.
func (p *pass) table(b *rows.Block, done int) (*data.Table, error) {
	t, err := data.NewTable(b.N, p.d, b.X)
	if err != nil {
		return nil, err
	}
	if p.columns != nil {
		if t, err = t.WithColumns(p.columns); err != nil {
			return nil, err
		}
	}
	if len(p.targets) > 0 {
		columns := make([][]float64, len(p.targets))
		for k := range p.targets {
			if columns[k], err = p.numbers(&p.targets[k], b, done); err != nil {
				return nil, err
			}
		}
		if t, err = t.WithTargets(columns); err != nil {
			return nil, err
		}
	}
	if p.group.there() {
		groups, err := p.group.values(b.Text, done, b.N)
		if err != nil {
			return nil, err
		}
		names := make([]string, len(groups))
		for i, g := range groups {
			names[i] = className(g)
		}
		if t, err = t.WithGroups(names); err != nil {
			return nil, err
		}
	}
	if p.id.there() {
		ids, err := p.id.values(b.Text, done, b.N)
		if err != nil {
			return nil, err
		}
		return t.WithIDs(ids)
	}
	return t, nil
}

// numbers reads a target's values.
func (p *pass) numbers(r *role, b *rows.Block, done int) ([]float64, error) {
	text, err := r.values(b.Text, done, b.N)
	if err != nil {
		return nil, err
	}
	v := make([]float64, len(text))
	for i, s := range text {
		v[i], err = strconv.ParseFloat(s, 64)
		if err == nil && !math.IsNaN(v[i]) && !math.IsInf(v[i], 0) {
			continue
		}
		where := fmt.Sprintf("row %d", done+i+1)
		if len(b.Line) > 0 && r.path == "" {
			where = fmt.Sprintf("line %d", b.Line[i])
		}
		name := r.path
		if r.path == "" {
			name = p.r.Columns()[p.text[r.column]].Name
		}
		if s != "" && (err == nil || math.IsInf(v[i], 0)) {
			return nil, fmt.Errorf("%s, target %q: %s is %w", where, name, s, data.ErrFinite)
		}
		return nil, fmt.Errorf("%s, target %q: %q is no number: %w", where, name, s, data.ErrFormat)
	}
	return v, nil
}

func (s *Stream) withLabels(t *data.Table, p *pass, b *rows.Block, done int) (*data.Table, error) {
	text, err := p.label.values(b.Text, done, b.N)
	if err != nil {
		return nil, err
	}
	labels := make([]int, len(text))
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for i, name := range text {
		if name == "" {
			labels[i] = data.Unknown
			continue
		}
		c, ok := s.index[name]
		if !ok {
			plain := className(name)
			if c, ok = s.index[plain]; !ok {
				c = len(s.names)
				s.names = append(s.names, plain)
				s.index[plain] = c
			}
			s.index[name] = c // both spellings, so that the next one is found at once
		}
		labels[i] = c
	}
	return t.WithLabels(labels, s.names[:len(s.names):len(s.names)])
}

// Table reads a whole table; see [Source]. Classes are numbered in [data.CompareClasses] order.
func Table(ctx context.Context, path string, o Options) (*data.Table, error) {
	p, err := openPass(path, o)
	if err != nil {
		return nil, err
	}
	defer p.in.close()
	b, err := p.whole(ctx)
	if err != nil {
		return nil, err
	}
	t, err := p.table(b, 0)
	if err == nil && p.label.there() {
		var labels []string
		if labels, err = p.label.values(b.Text, 0, b.N); err == nil {
			names := make([]string, len(labels))
			for i, s := range labels {
				names[i] = className(s)
			}
			t, err = t.WithClassNames(names)
		}
	}
	if err != nil {
		return nil, p.in.named(err)
	}
	return t, nil
}

// whole reads all rows into one block. Where their number is not known, features are kept in pieces until the end: a slice that
// grows would be copied again and again.
func (p *pass) whole(ctx context.Context) (*rows.Block, error) {
	b := rows.Block{Masked: p.masked}
	var pieces [][]float32
	known := p.r.Rows()
	if known > 0 && p.d > 0 {
		const most = 1 << 28 // numbers to believe a header about; beyond that memory grows with what is read
		b.X = make([]float32, 0, min(known, most/p.d)*p.d)
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		err := p.r.Read(&b, blockRows(p.d))
		if err == io.EOF {
			if err = p.end(b.N); err == io.EOF {
				break
			}
		}
		if err != nil {
			return nil, p.in.named(err)
		}
		if known < 0 {
			pieces = append(pieces, b.X)
			b.X = make([]float32, 0, len(b.X))
		}
	}
	if known < 0 {
		b.X = slices.Concat(pieces...)
	}
	return &b, nil
}
