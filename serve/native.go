package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/data/safetensors"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
	"github.com/gimbal-ml/gimbal/serve/live"
)

// methodEntry is a method in the list.
type methodEntry struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Paper   string   `json:"paper,omitempty"`
	Learns  bool     `json:"learns"`
	Default bool     `json:"default,omitempty" doc:"the family's choice for who names none"`
	Verbs   []string `json:"verbs,omitempty"`
	Inputs  []slot   `json:"inputs"`
}

type slot struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	Optional bool   `json:"optional,omitempty"`
}

// methodDetail is a method with what its source says of it.
type methodDetail struct {
	methodEntry
	Doc    string `json:"doc"`
	Params []knob `json:"params"`
}

type knob struct {
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Default string   `json:"default,omitempty"`
	Range   string   `json:"range,omitempty"`
	Unit    string   `json:"unit,omitempty"`
	Enum    []string `json:"enum,omitempty"`
	Doc     string   `json:"doc"`
}

type methodList struct {
	Methods []methodEntry `json:"methods"`
}

func entryOf(s method.Spec) methodEntry {
	e := methodEntry{ID: s.ID(), Title: s.Title, Paper: s.Paper, Learns: s.Learns(), Default: s.Default, Verbs: s.Verbs, Inputs: []slot{}}
	for _, i := range s.Inputs {
		e.Inputs = append(e.Inputs, slot{i.Name, string(i.Kind), i.Optional})
	}
	return e
}

func (s *Server) getMethods(w http.ResponseWriter, _ *http.Request) error {
	list := methodList{[]methodEntry{}}
	for _, spec := range s.specs {
		list.Methods = append(list.Methods, entryOf(spec))
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

func (s *Server) spec(r *http.Request) (method.Spec, error) {
	id := r.PathValue("family") + "/" + r.PathValue("method")
	for _, spec := range s.specs {
		if spec.ID() == id {
			return spec, nil
		}
	}
	return method.Spec{}, fmt.Errorf("method %.60q %w; GET /v1/methods lists them", id, errNotFound)
}

func (s *Server) getMethod(w http.ResponseWriter, r *http.Request) error {
	spec, err := s.spec(r)
	if err != nil {
		return err
	}
	help, err := spec.Help()
	if err != nil {
		return err
	}
	d := methodDetail{methodEntry: entryOf(spec), Doc: help.Doc, Params: []knob{}}
	for _, p := range spec.Params {
		d.Params = append(d.Params, knob{p.Name, p.Type, p.Default, p.Range, p.Unit, p.Enum, help.Fields[p.Name]})
	}
	writeJSON(w, http.StatusOK, d)
	return nil
}

// learnJob is the body for fitting or applying a method.
type learnJob struct {
	Config map[string]any  `json:"config,omitempty" doc:"parameters by name"`
	Inputs map[string]noun `json:"inputs" doc:"by the name of the method's input"`
	Output string          `json:"output" doc:"the file of the data folder to write"`
}

// written is the result of a job that made a file.
type written struct {
	Output string             `json:"output"`
	SHA256 string             `json:"sha256,omitempty"`
	Report map[string]float64 `json:"report,omitempty" doc:"what the method says of its own fit"`
}

// configure reads a configuration. A body without one takes the defaults.
func configure(spec method.Spec, config map[string]any) (any, error) {
	if config == nil {
		config = map[string]any{}
	}
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	return spec.UnmarshalConfig(text)
}

func (s *Server) postFit(w http.ResponseWriter, r *http.Request) error {
	spec, err := s.spec(r)
	if err != nil {
		return err
	}
	if !spec.Learns() {
		return fmt.Errorf("%s: %w: it learns nothing; apply it", spec.ID(), method.ErrInput)
	}
	var body learnJob
	cfg, output, err := s.learnJob(r, spec, &body)
	if err != nil {
		return err
	}
	j, err := s.start("fit", spec.ID(), func(ctx context.Context) (any, error) {
		m, columns, err := s.fit(ctx, spec, cfg, body.Inputs)
		if err != nil {
			return nil, err
		}
		c, err := method.Save(spec, cfg, m)
		if err != nil {
			return nil, err
		}
		if columns != nil {
			c.SetStrings(method.ColumnsKey, columns)
			if err := c.Seal(); err != nil {
				return nil, err
			}
		}
		done := written{Output: body.Output, SHA256: c.Meta["sha256"]}
		if said, ok := m.(method.Reporter); ok {
			done.Report = said.Report()
		}
		if err := writeCheckpoint(ctx, output, c); err != nil {
			return nil, err
		}
		if s.options.Ran != nil {
			s.options.Ran(spec.ID())
		}
		return done, nil
	})
	if err != nil {
		return err
	}
	return answerJob(w, r, j, http.StatusAccepted)
}

// learnJob reads the body of a fit or an apply and checks what can be checked at once.
func (s *Server) learnJob(r *http.Request, spec method.Spec, body *learnJob) (cfg any, output string, err error) {
	if err := readJSON(r, body); err != nil {
		return nil, "", err
	}
	if cfg, err = configure(spec, body.Config); err != nil {
		return nil, "", err
	}
	if spec.Output == data.KindTable {
		if body.Output != "" {
			err = fmt.Errorf("output %.60q: %w: %s makes a table, which the answer holds", body.Output, method.ErrInput, spec.ID())
		}
		return cfg, "", err
	}
	output, err = s.data.output(body.Output)
	return cfg, output, err
}

// fit learns as the command line does: from a stream where the method takes one table.
func (s *Server) fit(ctx context.Context, spec method.Spec, cfg any, inputs map[string]noun) (method.Model, []string, error) {
	if len(spec.Inputs) == 1 && spec.Inputs[0].Kind == data.KindTable && len(inputs) == 1 {
		n, ok := inputs[spec.Inputs[0].Name]
		if !ok {
			return nil, nil, fmt.Errorf("%s: %w: input %q is missing", spec.ID(), method.ErrInput, spec.Inputs[0].Name)
		}
		src, columns, file, err := s.source(n, nil)
		if err != nil {
			return nil, nil, err
		}
		defer closeQuietly(file)
		m, err := spec.FitSource(ctx, cfg, src)
		return m, columns, s.data.hide(err)
	}
	in, files, err := s.bundle(ctx, spec.Inputs, inputs)
	if err != nil {
		return nil, nil, err
	}
	defer closeAll(files)
	m, err := spec.Fit(ctx, cfg, in)
	return m, nil, err
}

func (s *Server) postApply(w http.ResponseWriter, r *http.Request) error {
	spec, err := s.spec(r)
	if err != nil {
		return err
	}
	if spec.Learns() {
		return fmt.Errorf("%s: %w: it learns; fit it", spec.ID(), method.ErrInput)
	}
	var body learnJob
	cfg, output, err := s.learnJob(r, spec, &body)
	if err != nil {
		return err
	}
	j, err := s.start("apply", spec.ID(), func(ctx context.Context) (any, error) {
		in, files, err := s.bundle(ctx, spec.Inputs, body.Inputs)
		if err != nil {
			return nil, err
		}
		defer closeAll(files)
		v, err := spec.Apply(ctx, cfg, in)
		if err != nil {
			return nil, err
		}
		if t, ok := v.(*data.Table); ok {
			return applied{Columns: t.Columns(), Rows: matrix(t)}, nil
		}
		c, ok := v.(*data.Checkpoint)
		if !ok {
			return nil, fmt.Errorf("%s: %w: it makes a %s, which has no file format", spec.ID(), method.ErrInput, v.Kind())
		}
		return written{Output: body.Output}, writeCheckpoint(ctx, output, c)
	})
	if err != nil {
		return err
	}
	return answerJob(w, r, j, http.StatusAccepted)
}

// applied is the table that a map made.
type applied struct {
	Columns []string    `json:"columns,omitempty"`
	Rows    [][]float32 `json:"rows"`
}

// writeCheckpoint writes a file whole or not at all.
func writeCheckpoint(ctx context.Context, path string, c *data.Checkpoint) error {
	return atomic.Write(path, func(w io.Writer) error {
		if err := safetensors.Write(w, c); err != nil {
			return err
		}
		return ctx.Err()
	})
}

// mergeJob is the body for merging moments.
type mergeJob struct {
	States []string `json:"states" doc:"files of the data folder with moments of one grid"`
	Output string   `json:"output" doc:"the file of the data folder to write"`
}

type merged struct {
	Output  string `json:"output"`
	SHA256  string `json:"sha256"`
	Rows    int    `json:"rows"`
	Classes int    `json:"classes"`
}

func (s *Server) postMerge(w http.ResponseWriter, r *http.Request) error {
	var body mergeJob
	if err := readJSON(r, &body); err != nil {
		return err
	}
	output, err := s.data.output(body.Output)
	if err != nil {
		return err
	}
	if len(body.States) == 0 {
		return fmt.Errorf("%w: no states", method.ErrInput)
	}
	j, err := s.start("merge", strings.Join(body.States, " "), func(ctx context.Context) (any, error) {
		var sum *moments.State
		for i, name := range body.States {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			st, err := s.readState(name)
			switch {
			case err != nil:
				return nil, err
			case sum == nil:
				sum = st
			default:
				if err := sum.Merge(st); err != nil {
					return nil, fmt.Errorf("%s does not merge with those before it: %w", name, err)
				}
			}
			method.Progress(ctx, i+1, len(body.States))
		}
		c := sum.Checkpoint()
		if err := c.Seal(); err != nil {
			return nil, err
		}
		return merged{body.Output, c.Meta["sha256"], sum.Rows(), len(sum.Classes())}, writeCheckpoint(ctx, output, c)
	})
	if err != nil {
		return err
	}
	return answerJob(w, r, j, http.StatusAccepted)
}

func (s *Server) readState(name string) (*moments.State, error) {
	path, err := s.data.inside(name)
	if err != nil {
		return nil, err
	}
	c, file, err := open.Checkpoint(path)
	if err != nil {
		return nil, s.data.hide(err)
	}
	defer closeQuietly(file)
	if err := c.Unseal(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	st, err := moments.FromCheckpoint(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return st, nil
}

// modelEntry is a served model in the list.
type modelEntry struct {
	Name     string       `json:"name"`
	Version  string       `json:"version"`
	Platform string       `json:"platform"`
	Method   string       `json:"method,omitempty"`
	Verbs    []string     `json:"verbs,omitempty"`
	Columns  []string     `json:"columns,omitempty"`
	Guard    *guardStatus `json:"guard,omitempty"`
}

// guardStatus says how a served guard stands.
type guardStatus struct {
	Detector    string      `json:"detector"`
	Head        string      `json:"head,omitempty"`
	Alpha       float64     `json:"alpha"`
	Threshold   float64     `json:"threshold"`
	Classes     []string    `json:"classes"`
	Rows        int         `json:"rows"`
	Calibration int         `json:"calibration_rows"`
	Stream      live.Status `json:"stream"`
}

type modelList struct {
	Models []modelEntry `json:"models"`
	Mail   bool         `json:"mail" doc:"whether drift alarms are sent by e-mail to who asks for it"`
}

func (m *model) entry() modelEntry {
	e := modelEntry{Name: m.name, Version: m.version, Platform: m.platform, Columns: m.columns}
	if m.keeper == nil {
		e.Method, e.Verbs = m.spec.ID(), m.spec.Verbs
		return e
	}
	g := m.keeper.Guard()
	rows, kept := g.Rows()
	e.Guard = &guardStatus{Detector: g.Detector(), Head: g.Head(), Alpha: g.Alpha(), Threshold: g.Threshold(), Classes: append([]string{}, g.Classes()...), Rows: rows, Calibration: kept, Stream: m.keeper.Status()}
	return e
}

func (s *Server) getModels(w http.ResponseWriter, _ *http.Request) error {
	list := modelList{[]modelEntry{}, s.options.Alarm.Mails()}
	for _, m := range s.list() {
		list.Models = append(list.Models, m.entry())
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

func (s *Server) getServed(w http.ResponseWriter, r *http.Request) error {
	m, err := s.model(r.PathValue("model"), "")
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, m.entry())
	return nil
}

// loadJob is the body for serving a file of the data folder.
type loadJob struct {
	Name string `json:"name"`
	File string `json:"file" doc:"a file of the data folder"`
}

func (s *Server) postModel(w http.ResponseWriter, r *http.Request) error {
	var body loadJob
	if err := readJSON(r, &body); err != nil {
		return err
	}
	if !validName(body.Name) {
		return fmt.Errorf("%w: %.60q cannot be a model's name", method.ErrConfig, body.Name)
	}
	path, err := s.data.inside(body.File)
	if err != nil {
		return err
	}
	if _, err := s.model(body.Name, ""); err == nil {
		return fmt.Errorf("%w: a model is called %s already", errConflict, body.Name)
	}
	stamp := stampOf(path)
	m, err := loadModel(s.specs, body.Name, path, func(g *guard.Guard) (keeper, error) { return s.keep(body.Name, g) })
	if err != nil {
		return s.data.hide(err)
	}
	if err := s.add(m, stamp); err != nil {
		return err
	}
	s.log.Info("model loaded", "model", m.name, "version", m.version)
	writeJSON(w, http.StatusCreated, m.entry())
	return nil
}

func (s *Server) deleteModel(w http.ResponseWriter, r *http.Request) error {
	m, err := s.remove(r.PathValue("model"))
	if err != nil {
		return err
	}
	s.log.Info("model removed", "model", m.name, "version", m.version)
	writeJSON(w, http.StatusOK, m.entry())
	return m.close()
}

func (s *Server) postReload(w http.ResponseWriter, r *http.Request) error {
	m, err := s.reload(r.PathValue("model"), true)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, m.entry())
	return nil
}

// number is a float64 that JSON can hold: null where it is not finite.
type number float64

// MarshalJSON writes null for what JSON cannot hold.
func (n number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}
