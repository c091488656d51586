package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

// model is a fitted method with what its file holds.
type model struct {
	spec    method.Spec
	cfg     any
	fitted  method.Model
	columns []string // names of the features, or nil
}

// loadModel reads a model's file. Errors say what the file holds instead.
func (e *env) loadModel(path string) (*model, error) {
	c, err := e.readCheckpoint(path)
	if err != nil {
		return nil, err
	}
	defer e.closeFiles() // all is in memory after this
	m := &model{}
	if m.spec, m.cfg, m.fitted, err = method.Load(e.specs, c); err != nil {
		return nil, fmt.Errorf("%s: %w%s", path, err, insteadOf(c, method.FileKind))
	}
	if _, ok := c.Meta[method.ColumnsKey]; ok {
		r := c.Read()
		if m.columns = r.Strings(method.ColumnsKey); r.Err() != nil {
			return nil, fmt.Errorf("%s: %w", path, r.Err())
		}
	}
	return m, nil
}

// insteadOf says which command takes a file of another kind than the one wanted.
func insteadOf(c *data.Checkpoint, want string) string {
	kind := c.Meta["gimbal"]
	switch {
	case kind == want:
		return ""
	case kind == moments.FileKind:
		return " (a moments state: gimbal fit METHOD --moments makes a model of it)"
	case kind == method.FileKind:
		return " (a model: gimbal score, predict, sets, audit, update, forget, test or watch take it)"
	}
	return ""
}

// saveModel writes a model's file and tells about it: in words, or the given fields with output and sha256 as JSON.
func (e *env) saveModel(ctx context.Context, path string, m *model, done string, fields object) error {
	c, err := method.Save(m.spec, m.cfg, m.fitted)
	if err != nil {
		return err
	}
	if m.columns != nil {
		c.SetStrings(method.ColumnsKey, m.columns)
		if err := c.Seal(); err != nil {
			return err
		}
	}
	var said object // what the method says about its model
	for _, key := range metaKeys(c) {
		if name, ok := strings.CutPrefix(key, "state/"+m.spec.Name+"."); ok {
			said = append(said, field{name, c.Meta[key]})
		}
	}
	if err := e.saveSealed(ctx, path, c, done, append(fields, said...)); err != nil || e.json {
		return err
	}
	for _, f := range said {
		e.say("  %s: %s", f.name, f.value)
	}
	return nil
}

// saveSealed writes a sealed checkpoint and tells about it.
func (e *env) saveSealed(ctx context.Context, path string, c *data.Checkpoint, done string, fields object) error {
	if e.json && path == "-" {
		return &usageError{"-o - and --json both want standard output"}
	}
	if err := e.writeCheckpoint(ctx, path, c); err != nil {
		return err
	}
	if e.json {
		return e.printObject(append(fields, field{"output", path}, field{"sha256", c.Meta["sha256"]}))
	}
	e.say("%s: %s (sha256 %.12s…)", path, done, c.Meta["sha256"])
	return nil
}

// readState reads a moments state. Errors say what the file holds instead.
func (e *env) readState(path string) (*moments.State, error) {
	c, err := e.readCheckpoint(path)
	if err != nil {
		return nil, err
	}
	defer e.closeFiles()
	if c.Meta["gimbal"] == moments.FileKind {
		if err := c.Unseal(); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	st, err := moments.FromCheckpoint(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w%s", path, err, insteadOf(c, moments.FileKind))
	}
	return st, nil
}

// saveState writes a moments state: equal states give equal files, byte for byte.
func (e *env) saveState(ctx context.Context, path string, st *moments.State, done string) error {
	c := st.Checkpoint()
	if err := c.Seal(); err != nil {
		return err
	}
	d, _ := st.Dims()
	return e.saveSealed(ctx, path, c, done, object{{"rows", st.Rows()}, {"columns", d}, {"classes", len(st.Classes())}})
}
