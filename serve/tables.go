package serve

import (
	"context"
	"fmt"
	"io"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/weights"
)

// noun is one input of a job: files of the data folder, or rows within the request.
type noun struct {
	File     string      `json:"file,omitempty" doc:"a file of the data folder"`
	Files    []string    `json:"files,omitempty" doc:"several files of the data folder: checkpoints"`
	Label    string      `json:"label,omitempty" doc:"of a file: the column with the class of each row, or a file with an entry a row"`
	ID       string      `json:"id,omitempty" doc:"of a file: the column with the name of each row"`
	Group    string      `json:"group,omitempty" doc:"of a file: the column with the group of each row"`
	Targets  []string    `json:"targets,omitempty" doc:"of a file: the columns with numbers to regress on"`
	Features []string    `json:"features,omitempty" doc:"of a file: the columns to use"`
	Ignore   []string    `json:"ignore,omitempty" doc:"of a file: the columns to leave out"`
	Format   string      `json:"format,omitempty" doc:"of a file: found by its content by default"`
	Rows     [][]float32 `json:"rows,omitempty" doc:"rows of features"`
	Columns  []string    `json:"columns,omitempty" doc:"of rows: the names of the features"`
	Labels   []string    `json:"labels,omitempty" doc:"of rows: the class of each, empty for none"`
}

// source opens a table. The caller closes it. Errors: ErrInput for a path outside the data folder; those of reading.
func (s *Server) source(n noun, fitted []string) (data.Source, []string, io.Closer, error) {
	switch {
	case n.File != "" && n.Rows != nil, len(n.Files) > 0:
		return nil, nil, nil, fmt.Errorf("%w: a table is one file, or rows", method.ErrInput)
	case n.File != "":
		path, err := s.data.inside(n.File)
		if err != nil {
			return nil, nil, nil, err
		}
		o := open.Options{Format: n.Format, Features: n.Features, Ignore: n.Ignore, Label: n.Label, Targets: n.Targets, Group: n.Group, ID: n.ID, Beside: s.data.inside}
		if len(o.Features) == 0 {
			o.Features = fitted
		}
		src, err := open.Source(path, o)
		if err != nil && len(n.Features) == 0 && fitted != nil { // a file without names is taken as it is
			o.Features = nil
			plain, other := open.Source(path, o)
			if other == nil && plain.Columns() == nil {
				src, err = plain, nil
			}
		}
		if err != nil {
			return nil, nil, nil, s.data.hide(err)
		}
		return src, src.Columns(), src, nil
	case n.Rows != nil:
		t, err := n.table()
		if err != nil {
			return nil, nil, nil, err
		}
		return t, t.Columns(), io.NopCloser(nil), nil
	}
	return nil, nil, nil, fmt.Errorf("%w: neither file nor rows", method.ErrInput)
}

// table makes a table of the rows in a request.
func (n noun) table() (*data.Table, error) {
	d := len(n.Columns)
	if len(n.Rows) > 0 {
		d = len(n.Rows[0])
	}
	x := make([]float32, 0, len(n.Rows)*d)
	for i, row := range n.Rows {
		if len(row) != d {
			return nil, fmt.Errorf("rows: %w: row %d has %d values, the first one %d", data.ErrShape, i+1, len(row), d)
		}
		x = append(x, row...)
	}
	t, err := data.NewTable(len(n.Rows), d, x)
	if err == nil && n.Columns != nil {
		t, err = t.WithColumns(n.Columns)
	}
	if err == nil && n.Labels != nil {
		t, err = t.WithClassNames(n.Labels)
	}
	return t, err
}

// collect reads a whole table.
func (s *Server) collect(ctx context.Context, n noun, fitted []string) (*data.Table, error) {
	src, _, file, err := s.source(n, fitted)
	if err != nil {
		return nil, err
	}
	defer closeQuietly(file)
	t, err := data.Collect(ctx, src)
	return t, s.data.hide(err)
}

// bundle reads a method's inputs. The files that it returns are open as long as the nouns are used.
func (s *Server) bundle(ctx context.Context, slots []method.Slot, given map[string]noun) (in data.Bundle, files []io.Closer, err error) {
	defer func() {
		if err != nil {
			closeAll(files)
		}
	}()
	in = data.Bundle{}
	known := map[string]bool{}
	for _, slot := range slots {
		known[slot.Name] = true
		n, ok := given[slot.Name]
		if !ok {
			continue // the method says what it misses
		}
		fail := func(err error) (data.Bundle, []io.Closer, error) {
			return nil, files, fmt.Errorf("input %q: %w", slot.Name, s.data.hide(err))
		}
		checkpoint := func(name string) (*data.Checkpoint, error) {
			path, err := s.data.inside(name)
			if err != nil {
				return nil, err
			}
			c, file, err := open.Checkpoint(path)
			if err == nil {
				files = append(files, file)
			}
			return c, err
		}
		switch slot.Kind {
		case data.KindTable, data.KindEvaluator:
			t, err := s.collect(ctx, n, nil)
			if err != nil {
				return fail(err)
			}
			in[slot.Name] = t
			if slot.Kind == data.KindEvaluator {
				h, err := weights.NewHoldout(t)
				if err != nil {
					return fail(err)
				}
				in[slot.Name] = h
			}
		case data.KindCheckpoint:
			c, err := checkpoint(n.File)
			if err != nil {
				return fail(err)
			}
			in[slot.Name] = c
		case data.KindCheckpoints:
			var all data.Checkpoints
			for _, name := range n.Files {
				c, err := checkpoint(name)
				if err != nil {
					return fail(err)
				}
				all = append(all, c)
			}
			in[slot.Name] = all
		default:
			return fail(fmt.Errorf("%w: a %s cannot be sent", method.ErrInput, slot.Kind))
		}
	}
	for name := range given {
		if !known[name] {
			return nil, files, fmt.Errorf("%w: no input is called %.60q", method.ErrInput, name)
		}
	}
	return in, files, nil
}

func closeAll(files []io.Closer) {
	for _, f := range files {
		closeQuietly(f)
	}
}
