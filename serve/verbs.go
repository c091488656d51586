package serve

import (
	"context"
	"fmt"
	"net/http"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// verbJob is the body for asking or teaching a served model.
type verbJob struct {
	Input  noun   `json:"input"`
	Teach  bool   `json:"teach,omitempty" doc:"of a guard's update: all rows teach, none is kept aside for calibration"`
	Output string `json:"output,omitempty" doc:"of update and forget of a model that is no guard: the file of the data folder to write"`
}

// rowAnswers are what a verb says of rows.
type rowAnswers struct {
	Name          string       `json:"name,omitempty" doc:"what the scores are called"`
	Scores        []float64    `json:"scores,omitempty"`
	PValues       []float64    `json:"p_values,omitempty"`
	Accept        []bool       `json:"accept,omitempty"`
	Labels        []string     `json:"labels,omitempty"`
	Probability   []float64    `json:"probability,omitempty"`
	Classes       []string     `json:"classes,omitempty"`
	Probabilities [][]float32  `json:"probabilities,omitempty"`
	Logits        [][]float32  `json:"logits,omitempty"`
	Sets          [][]string   `json:"sets,omitempty" doc:"for each row the classes that it may be of"`
	Findings      []finding    `json:"findings,omitempty"`
	Comparison    *comparison  `json:"comparison,omitempty"`
	Guard         *guardStatus `json:"guard,omitempty"`
	Written       *written     `json:"written,omitempty"`
}

type finding struct {
	Row       int     `json:"row" doc:"counted from 1"`
	Label     string  `json:"label"`
	Score     float64 `json:"score"`
	Suspect   bool    `json:"suspect"`
	Suggested string  `json:"suggested,omitempty"`
	Reason    string  `json:"reason,omitempty"`
}

type comparison struct {
	Drift     bool             `json:"drift"`
	PValue    float64          `json:"p_value"`
	Level     float64          `json:"level"`
	Statistic float64          `json:"statistic"`
	Name      string           `json:"name"`
	Effect    estimate         `json:"effect"`
	Unit      string           `json:"unit"`
	Visible   number           `json:"visible"`
	Parts     []comparisonPart `json:"parts,omitempty"`
}

type comparisonPart struct {
	Name      string   `json:"name"`
	Drift     bool     `json:"drift"`
	PValue    float64  `json:"p_value"`
	Corrected float64  `json:"corrected"`
	Statistic number   `json:"statistic"`
	Effect    estimate `json:"effect"`
	Visible   number   `json:"visible"`
}

type estimate struct {
	Value number `json:"value"`
	Low   number `json:"low"`
	High  number `json:"high"`
}

// verb is something that a served model may do as a job.
type verb struct {
	name, summary string
	role          Role
	labels        bool // the rows must have them
	run           func(s *Server, ctx context.Context, m *model, body *verbJob, in *data.Table) (rowAnswers, error)
}

var verbs = []verb{
	{"score", "Scores of rows", Infer, false, (*Server).runScore},
	{"predict", "Classes of rows, with all probabilities", Infer, false, (*Server).runPredict},
	{"logits", "Logits of rows", Infer, false, (*Server).runLogits},
	{"sets", "The classes that each row may be of", Infer, false, (*Server).runSets},
	{"audit", "Which labels of rows are wrong", Infer, true, (*Server).runAudit},
	{"test", "Whether rows, as a window, have drifted", Infer, false, (*Server).runTest},
	{"update", "Teach rows: a guard learns them at once, of another model a new file is written", Teach, false, (*Server).runUpdate},
	{"forget", "Take rows back: a guard forgets them at once, of another model a new file is written", Teach, true, (*Server).runForget},
}

// post answers POST /v1/models/MODEL/VERB.
func (v verb) post(s *Server, w http.ResponseWriter, r *http.Request) error {
	m, err := s.model(r.PathValue("model"), "")
	if err != nil {
		return err
	}
	var body verbJob
	if err := readJSON(r, &body); err != nil {
		return err
	}
	j, err := s.start(v.name, m.name, func(ctx context.Context) (any, error) {
		in, err := s.collect(ctx, body.Input, m.columns)
		if err != nil {
			return nil, err
		}
		if v.labels && !in.HasLabels() {
			return nil, fmt.Errorf("model %s: %s: %w", m.name, v.name, data.ErrLabels)
		}
		a, err := v.run(s, ctx, m, &body, in)
		if err != nil {
			return nil, err
		}
		return a, nil
	})
	if err != nil {
		return err
	}
	return answerJob(w, r, j, http.StatusAccepted)
}

// ask has a model answer, and refuses what it cannot.
func (m *model) ask(ctx context.Context, in *data.Table, verb string, what need) (answer, error) {
	if m.needs()&what != what {
		return answer{}, fmt.Errorf("model %s: %w: it cannot %s", m.name, method.ErrInput, verb)
	}
	return m.answer(ctx, in, what)
}

func (s *Server) runScore(ctx context.Context, m *model, _ *verbJob, in *data.Table) (out rowAnswers, err error) {
	a, err := m.ask(ctx, in, "score", needScores)
	if err != nil {
		return out, err
	}
	m.metrics.answered(&a)
	return rowAnswers{Name: m.outputs[0].Name, Scores: a.scores, PValues: a.p, Accept: a.accept}, nil
}

func (s *Server) runPredict(ctx context.Context, m *model, _ *verbJob, in *data.Table) (out rowAnswers, err error) {
	a, err := m.ask(ctx, in, "predict", needLabels|needProbabilities)
	if err != nil {
		return out, err
	}
	m.metrics.answered(&a)
	return rowAnswers{Labels: a.labels, Probability: a.probability, Classes: a.probabilities.Columns(), Probabilities: matrix(a.probabilities), PValues: a.p, Accept: a.accept}, nil
}

func (s *Server) runLogits(ctx context.Context, m *model, _ *verbJob, in *data.Table) (out rowAnswers, err error) {
	a, err := m.ask(ctx, in, "logits", needLogits)
	if err != nil {
		return out, err
	}
	return rowAnswers{Classes: a.logits.Columns(), Logits: matrix(a.logits)}, nil
}

func (s *Server) runSets(ctx context.Context, m *model, _ *verbJob, in *data.Table) (out rowAnswers, err error) {
	a, err := m.ask(ctx, in, "sets", needSets)
	if err != nil {
		return out, err
	}
	out = rowAnswers{Classes: a.sets.Columns(), Sets: make([][]string, a.rows)}
	for i := range out.Sets {
		out.Sets[i] = []string{}
		for c, v := range a.sets.Row(i) {
			if v != 0 {
				out.Sets[i] = append(out.Sets[i], out.Classes[c])
			}
		}
	}
	return out, nil
}

func matrix(t *data.Table) [][]float32 {
	n, _ := t.Dims()
	out := make([][]float32, n)
	for i := range out {
		out[i] = t.Row(i)
	}
	return out
}

func (s *Server) runAudit(_ context.Context, m *model, _ *verbJob, in *data.Table) (out rowAnswers, err error) {
	auditor, ok := m.model.(method.Auditor)
	if !ok {
		return out, fmt.Errorf("model %s: %w: it cannot audit", m.name, method.ErrInput)
	}
	list, err := auditor.Audit(in)
	if err != nil {
		return out, m.spec.Wrap(err)
	}
	out.Findings = []finding{}
	for i, f := range list {
		out.Findings = append(out.Findings, finding{i + 1, in.ClassName(i), f.Score, f.Suspect, f.Suggested, f.Reason})
	}
	return out, nil
}

func (s *Server) runTest(ctx context.Context, m *model, _ *verbJob, in *data.Table) (out rowAnswers, err error) {
	a, err := m.ask(ctx, in, "test", needComparison)
	if err != nil {
		return out, err
	}
	c := a.comparison
	to := &comparison{Drift: c.Drift, PValue: c.PValue, Level: c.Level, Statistic: c.Statistic, Name: c.Name, Unit: c.Unit, Visible: number(c.Visible),
		Effect: estimate{number(c.Effect.Value), number(c.Effect.Low), number(c.Effect.High)}}
	for _, p := range c.Parts {
		to.Parts = append(to.Parts, comparisonPart{p.Name, p.Drift, p.PValue, p.Corrected, number(p.Statistic), estimate{number(p.Effect.Value), number(p.Effect.Low), number(p.Effect.High)}, number(p.Visible)})
	}
	return rowAnswers{Comparison: to}, nil
}

func (s *Server) runUpdate(ctx context.Context, m *model, body *verbJob, in *data.Table) (out rowAnswers, err error) {
	if m.keeper != nil {
		return m.change(func() error { return m.keeper.Learn(ctx, in, body.Teach) })
	}
	updater, ok := m.model.(method.Updater)
	if !ok {
		return out, fmt.Errorf("model %s: %w: it cannot update", m.name, method.ErrInput)
	}
	next, err := updater.Update(ctx, in)
	if err != nil {
		return out, m.spec.Wrap(err)
	}
	return s.writeModel(ctx, m, body.Output, next)
}

func (s *Server) runForget(ctx context.Context, m *model, body *verbJob, in *data.Table) (out rowAnswers, err error) {
	if m.keeper != nil {
		return m.change(func() error { return m.keeper.Forget(ctx, in) })
	}
	forgetter, ok := m.model.(method.Forgetter)
	if !ok {
		return out, fmt.Errorf("model %s: %w: it cannot forget", m.name, method.ErrInput)
	}
	next, err := forgetter.Forget(ctx, in)
	if err != nil {
		return out, m.spec.Wrap(err)
	}
	return s.writeModel(ctx, m, body.Output, next)
}

// change teaches a guard and says how it stands then.
func (m *model) change(f func() error) (out rowAnswers, err error) {
	if err := f(); err != nil {
		return out, err
	}
	return rowAnswers{Guard: m.entry().Guard}, nil
}

// writeModel saves what became of a model; the one that is served stays as it is until its file is replaced.
func (s *Server) writeModel(ctx context.Context, m *model, name string, next method.Model) (out rowAnswers, err error) {
	path, err := s.data.output(name)
	if err != nil {
		return out, err
	}
	c, err := method.Save(m.spec, m.cfg, next)
	if err != nil {
		return out, err
	}
	if m.columns != nil {
		c.SetStrings(method.ColumnsKey, m.columns)
		if err := c.Seal(); err != nil {
			return out, err
		}
	}
	return rowAnswers{Written: &written{Output: name, SHA256: c.Meta["sha256"]}}, writeCheckpoint(ctx, path, c)
}
