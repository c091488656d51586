package protocol

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

// FileKind is the metadata entry "gimbal" of a saved run.
const FileKind = "continual"

const fileVersion = "1"

// Checkpoint returns the run as one sealed checkpoint: equal runs give equal ones, byte for byte.
//
//	model/…                 the model, as a file of its own would hold it: method, configuration, state, seal
//	history                 metadata, JSON: every stage with its accuracies
//	schema, columns         metadata: the hash of what rows must be like, and their columns' names
//	test.<stage>.x          F32 [N, D], metadata test.<stage>.labels and .groups: the rows that are measured on
//	ledger.<i>/…            moments states, metadata ledger names them
func (r *Run) Checkpoint() (*data.Checkpoint, error) {
	model, err := method.Save(r.spec, r.cfg, r.model)
	if err != nil {
		return nil, err
	}
	c := &data.Checkpoint{Meta: map[string]string{"gimbal": FileKind, "version": fileVersion, "schema": r.Schema(), "width": strconv.Itoa(r.width)}, Tensors: map[string]data.Tensor{}}
	c.Add("model/", model)
	text := func(key string, v any) error {
		b, err := json.Marshal(v)
		c.Meta[key] = string(b)
		return err
	}
	if err := text("history", r.history); err != nil {
		return nil, err
	}
	if err := text("options", r.options); err != nil {
		return nil, err
	}
	if r.columns != nil {
		c.SetStrings("columns", r.columns)
	}
	for i := range r.history {
		t, ok := r.tests[i]
		if !ok {
			continue
		}
		n, d := t.Dims()
		name := fmt.Sprintf("test.%d", i)
		c.Tensors[name+".x"] = data.Float32Tensor(t.X(), n, d)
		labels := make([]string, n)
		for k := range labels {
			labels[k] = t.ClassName(k)
		}
		c.SetStrings(name+".labels", labels)
		if t.Groups() != nil {
			c.SetStrings(name+".groups", t.Groups())
		}
	}
	if r.ledger != nil {
		entries := sortedEntries(r.ledger)
		if err := text("ledger", entries); err != nil {
			return nil, err
		}
		for i, e := range entries {
			c.Add(fmt.Sprintf("ledger.%d/", i), r.ledger[e].Checkpoint())
		}
	}
	return c, c.Seal()
}

// Load reads what [Run.Checkpoint] wrote. Errors: ErrState, naming what the file holds instead, for another kind or version, for a damaged
// file, for a method that this program does not have, and for parts that do not belong together.
func Load(specs []method.Spec, c *data.Checkpoint) (*Run, error) {
	if kind := c.Meta["gimbal"]; kind != FileKind {
		if kind == "" {
			kind = "no Gimbal state"
		}
		return nil, fmt.Errorf("%w: the file holds %s", method.ErrState, kind)
	}
	if v := c.Meta["version"]; v != fileVersion {
		return nil, fmt.Errorf("%w: version %q, this program reads %s", method.ErrState, v, fileVersion)
	}
	if err := c.Unseal(); err != nil {
		return nil, fmt.Errorf("%w: %w", method.ErrState, err)
	}
	r, err := load(specs, c)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", method.ErrState, err)
	}
	return r, nil
}

func load(specs []method.Spec, c *data.Checkpoint) (*Run, error) {
	r := &Run{tests: map[int]*data.Table{}}
	var err error
	if r.spec, r.cfg, r.model, err = method.Load(specs, c.Prefix("model/")); err != nil {
		return nil, err
	}
	if err := Learner(r.spec); err != nil {
		return nil, err
	}
	for key, to := range map[string]any{"history": &r.history, "options": &r.options, "width": &r.width} {
		if err := json.Unmarshal([]byte(c.Meta[key]), to); err != nil {
			return nil, fmt.Errorf("metadata %q: %w: %v", key, data.ErrFormat, err)
		}
	}
	reader := c.Read()
	if _, ok := c.Meta["columns"]; ok {
		r.columns = reader.Strings("columns")
	}
	if err := reader.Err(); err != nil {
		return nil, err
	}
	if have, want := c.Meta["schema"], r.Schema(); have != want {
		return nil, fmt.Errorf("schema %.12s…, that of its rows is %.12s…: %w", have, want, data.ErrFormat)
	}
	if len(r.history) == 0 || r.width < 1 || r.columns != nil && len(r.columns) != r.width || len(r.Classes()) == 0 {
		return nil, fmt.Errorf("%d stages on rows of %d columns: %w", len(r.history), r.width, data.ErrFormat)
	}
	for i, s := range r.history {
		if slices.ContainsFunc(s.Measured, func(m Measured) bool {
			return m.Stage < 0 || m.Stage > i || m.Rows < 1 || !(m.Accuracy >= 0 && m.Accuracy <= 1)
		}) {
			return nil, fmt.Errorf("the accuracies of stage %d: %w", i+1, data.ErrFormat)
		}
		name := fmt.Sprintf("test.%d", i)
		if _, ok := c.Tensors[name+".x"]; !ok {
			continue
		}
		if r.tests[i], err = readTest(reader, c, name, r.width); err != nil {
			return nil, err
		}
	}
	return r, r.loadLedger(c)
}

func readTest(reader *data.Reader, c *data.Checkpoint, name string, width int) (*data.Table, error) {
	labels := reader.Strings(name + ".labels")
	x := reader.Float32s(name+".x", len(labels), width)
	if err := reader.Err(); err != nil {
		return nil, err
	}
	if len(labels) == 0 || slices.Contains(labels, "") {
		return nil, fmt.Errorf("%s: %w: a row without a class, or none", name, data.ErrLabels)
	}
	t, err := data.NewTable(len(labels), width, x)
	if err == nil {
		t, err = t.WithClassNames(labels)
	}
	if _, ok := c.Meta[name+".groups"]; ok && err == nil {
		groups := reader.Strings(name + ".groups")
		if err = reader.Err(); err == nil {
			t, err = t.WithGroups(groups)
		}
	}
	return t, err
}

// loadLedger reads the ledger and holds it to the model: its entries must add up to all rows.
func (r *Run) loadLedger(c *data.Checkpoint) error {
	if len(r.options.Ledger) == 0 {
		return nil
	}
	m, ok := r.model.(recaller)
	if !ok {
		return fmt.Errorf("a ledger of a model without sums: %w", data.ErrFormat)
	}
	var entries []entry
	if err := json.Unmarshal([]byte(c.Meta["ledger"]), &entries); err != nil {
		return fmt.Errorf("metadata \"ledger\": %w: %v", data.ErrFormat, err)
	}
	r.ledger = ledger{}
	rows := 0
	for i, e := range entries {
		s, err := moments.FromCheckpoint(c.Prefix(fmt.Sprintf("ledger.%d/", i)))
		if err != nil {
			return err
		}
		if err := m.Memory().Empty().Merge(s); err != nil {
			return err
		}
		r.ledger[e] = s
		rows += s.Rows()
	}
	if all := m.Memory().Rows(); len(r.ledger) != len(entries) || rows != all {
		return fmt.Errorf("a ledger of %d rows, the model has %d: %w", rows, all, data.ErrFormat)
	}
	return nil
}
