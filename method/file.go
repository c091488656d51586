package method

import (
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
)

// FileKind is the metadata entry "gimbal" of a saved model.
const FileKind = "method"

// ColumnsKey is the metadata entry of a saved model that lists the columns it was fitted on, where they had names.
const ColumnsKey = "columns"

const fileVersion = "1"

// Save puts a model, its method's ID and its configuration into one sealed checkpoint, ready to be written as safetensors.
// Metadata: gimbal, version, method, config (JSON), sha256. Tensors: the model's state behind "state/".
func Save(s Spec, cfg any, m Model) (*data.Checkpoint, error) {
	text, err := s.MarshalConfig(cfg)
	if err != nil {
		return nil, s.Wrap(err)
	}
	c := &data.Checkpoint{
		Meta:    map[string]string{"gimbal": FileKind, "version": fileVersion, "method": s.ID(), "config": string(text)},
		Tensors: map[string]data.Tensor{},
	}
	c.Add("state/", m.State())
	return c, c.Seal()
}

// Load reads what Save made. Errors: ErrState, naming what the file holds instead, for another kind, version or method,
// for a damaged file, and for a state that does not fit its method.
func Load(specs []Spec, c *data.Checkpoint) (s Spec, cfg any, m Model, err error) {
	if kind := c.Meta["gimbal"]; kind != FileKind {
		if kind == "" {
			kind = "no Gimbal state"
		}
		return s, nil, nil, fmt.Errorf("%w: the file holds %s", ErrState, kind)
	}
	if v := c.Meta["version"]; v != fileVersion {
		return s, nil, nil, fmt.Errorf("%w: version %q, this program reads %s", ErrState, v, fileVersion)
	}
	if err := c.Unseal(); err != nil {
		return s, nil, nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	i := slices.IndexFunc(specs, func(s Spec) bool { return s.ID() == c.Meta["method"] })
	if i < 0 || !specs[i].Learns() {
		return s, nil, nil, fmt.Errorf("%w: it is of method %q, which this program does not have", ErrState, c.Meta["method"])
	}
	s = specs[i]
	if cfg, err = s.UnmarshalConfig([]byte(c.Meta["config"])); err != nil {
		return s, nil, nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	m, err = s.Load(cfg, c.Prefix("state/"))
	return s, cfg, m, err
}

// Load rebuilds a model from its state. Errors: ErrState.
func (s Spec) Load(cfg any, st *data.Checkpoint) (Model, error) {
	if s.load == nil {
		return nil, fmt.Errorf("%s: %w: it keeps no state", s.ID(), ErrState)
	}
	m, err := s.load(cfg, st)
	if err != nil {
		return nil, s.Wrap(fmt.Errorf("%w: %w", ErrState, err))
	}
	return m, nil
}
