package serve

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/serve/alarm"
	"github.com/gimbal-ml/gimbal/serve/history"
)

// recorder is a guard whose decisions, feedback and alarms are kept in the history, and whose alarms ring outside. Scoring waits for
// neither.
type recorder struct {
	keeper
	name    string
	history *history.History // nil without
	bell    *bell
}

func (r recorder) observe(in *data.Table, labels bool) ([]guard.Decision, error) {
	ds, err := r.keeper.observe(in, labels)
	if err != nil {
		return ds, err
	}
	if r.history != nil {
		r.history.Decisions(r.name, "", in, ds)
	}
	r.bell.look(r.keeper.Status())
	return ds, nil
}

func (r recorder) Learn(ctx context.Context, rows *data.Table, teach bool) error {
	if err := r.keeper.Learn(ctx, rows, teach); err != nil {
		return err
	}
	verb := "learn"
	if teach {
		verb = "teach"
	}
	r.told(verb, rows)
	return nil
}

func (r recorder) Forget(ctx context.Context, rows *data.Table) error {
	if err := r.keeper.Forget(ctx, rows); err != nil {
		return err
	}
	r.told("forget", rows)
	return nil
}

func (r recorder) told(verb string, rows *data.Table) {
	if r.history == nil {
		return
	}
	n, _ := rows.Dims()
	f := history.Feedback{Model: r.name, Verb: verb, Rows: n}
	if n == 1 {
		f.Class = rows.ClassName(0)
	}
	r.history.Feedback(f)
}

// recorded finds a guard whose history is kept.
func (s *Server) recorded(r *http.Request) (*model, error) {
	m, err := s.model(r.PathValue("model"), "")
	switch {
	case err != nil:
		return nil, err
	case m.keeper == nil:
		return nil, fmt.Errorf("model %s: %w: it is no guard, so nothing of it is kept", m.name, errConflict)
	case s.options.History == nil:
		return nil, fmt.Errorf("model %s: %w: the server keeps no history; start it with --history", m.name, errConflict)
	}
	return m, nil
}

// query reads a whole number from a query, within bounds.
func query(r *http.Request, name string, normal, least, most int64) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return normal, nil
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v < least || v > most {
		return 0, &statusError{http.StatusBadRequest, fmt.Errorf("%s %.30q: want a whole number from %d to %d", name, text, least, most)}
	}
	return v, nil
}

type histogramList struct {
	Step   string          `json:"step"`
	Slices []history.Slice `json:"slices"`
	// Of scores only.
	Reference []history.Bin `json:"reference,omitempty" doc:"of the rows that the guard is calibrated on"`
	Threshold *float64      `json:"threshold,omitempty" doc:"the largest score that is accepted"`
}

// getHistogram answers with histograms over the last hours, of scores or p-values.
func (s *Server) getHistogram(w http.ResponseWriter, r *http.Request, scores bool, of func(ctx context.Context, model string, from, to time.Time, step time.Duration) ([]history.Slice, error)) error {
	m, err := s.recorded(r)
	if err != nil {
		return err
	}
	hours, err := query(r, "hours", 24, 1, 24*90)
	if err != nil {
		return err
	}
	step := time.Duration(hours) * time.Hour / 24
	now := time.Now()
	spans, err := of(r.Context(), m.name, now.Add(-time.Duration(hours)*time.Hour), now.Add(time.Minute), step)
	if err != nil {
		return err
	}
	out := histogramList{Step: step.String(), Slices: append([]history.Slice{}, spans...)}
	if scores {
		g := m.keeper.Guard()
		limit := g.Threshold()
		out.Reference, out.Threshold = history.ScoreBins(g.CalibrationScores(), limit), &limit
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

func (s *Server) getScores(w http.ResponseWriter, r *http.Request) error {
	return s.getHistogram(w, r, true, s.history().Scores)
}

func (s *Server) getPValues(w http.ResponseWriter, r *http.Request) error {
	return s.getHistogram(w, r, false, s.history().PValues)
}

// history is the server's, or a nil one whose methods nobody calls: [Server.recorded] refuses first.
func (s *Server) history() *history.History { return s.options.History }

// keptDecision is a decision with the values that stand out.
type keptDecision struct {
	history.Decision
	Values []keptValue `json:"values"`
}

type keptValue struct {
	Column     string  `json:"column"`
	Value      float64 `json:"value"`
	Usual      float64 `json:"usual" doc:"the column's mean in the nearest class"`
	Deviations float64 `json:"deviations" doc:"from there, in standard deviations within classes"`
}

type decisionList struct {
	Decisions []keptDecision `json:"decisions"`
}

// shown is how many columns of a row are told.
const shown = 8

func (s *Server) getDecisions(w http.ResponseWriter, r *http.Request) error {
	m, err := s.recorded(r)
	if err != nil {
		return err
	}
	n, err := query(r, "n", 20, 1, 1000)
	if err != nil {
		return err
	}
	before, err := query(r, "before", 0, 0, 1<<62)
	if err != nil {
		return err
	}
	var list []history.Decision
	switch order := r.URL.Query().Get("order"); order {
	case "", "newest":
		list, err = s.options.History.Queue(r.Context(), m.name, before, int(n))
	case "unfamiliar":
		list, err = s.options.History.Unfamiliar(r.Context(), m.name, 10_000, int(n))
	case "labelled":
		list, err = s.options.History.Labelled(r.Context(), m.name, int(n))
	default:
		return &statusError{http.StatusBadRequest, fmt.Errorf("order %.30q: want newest, unfamiliar or labelled", order)}
	}
	if err != nil {
		return err
	}
	out, g := decisionList{[]keptDecision{}}, m.keeper.Guard()
	for _, d := range list {
		k := keptDecision{Decision: d, Values: []keptValue{}}
		row, err := data.NewTable(1, len(d.X), d.X)
		if err != nil {
			return err
		}
		odd, err := g.StandOut(row, shown)
		if err != nil { // kept by a guard of another width, which the file held before
			odd = [][]guard.Deviation{nil}
		}
		for _, v := range odd[0] {
			k.Values = append(k.Values, keptValue{g.ColumnName(v.Column), v.Value, v.Usual, v.Deviations})
		}
		out.Decisions = append(out.Decisions, k)
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// columnShift is what refused rows have in common in a column.
type columnShift struct {
	Column     string  `json:"column"`
	Rows       int     `json:"rows" doc:"refused rows in which it is among the eight columns that stand out"`
	Deviations float64 `json:"deviations" doc:"mean of those rows, in standard deviations within classes"`
}

type columnList struct {
	Rows    int           `json:"rows" doc:"refused rows that were looked at, the newest"`
	Columns []columnShift `json:"columns"`
}

// getColumns tells which columns stand out in the rows that were refused lately.
func (s *Server) getColumns(w http.ResponseWriter, r *http.Request) error {
	m, err := s.recorded(r)
	if err != nil {
		return err
	}
	list, err := s.options.History.Queue(r.Context(), m.name, 0, 200)
	if err != nil {
		return err
	}
	g := m.keeper.Guard()
	out, sums := columnList{Columns: []columnShift{}}, map[int]*columnShift{}
	for _, d := range list {
		if d.Accept || len(d.X) != g.Dim() {
			continue
		}
		row, err := data.NewTable(1, len(d.X), d.X)
		if err != nil {
			return err
		}
		odd, err := g.StandOut(row, shown)
		if err != nil {
			return err
		}
		out.Rows++
		for _, v := range odd[0] {
			if sums[v.Column] == nil {
				sums[v.Column] = &columnShift{Column: g.ColumnName(v.Column)}
			}
			c := sums[v.Column]
			c.Rows++
			c.Deviations += (v.Deviations - c.Deviations) / float64(c.Rows)
		}
	}
	for _, j := range slices.Sorted(maps.Keys(sums)) {
		out.Columns = append(out.Columns, *sums[j])
	}
	slices.SortStableFunc(out.Columns, func(a, b columnShift) int {
		return cmp.Compare(math.Abs(b.Deviations)*float64(b.Rows), math.Abs(a.Deviations)*float64(a.Rows))
	})
	out.Columns = out.Columns[:min(len(out.Columns), 12)]
	writeJSON(w, http.StatusOK, out)
	return nil
}

type alarmList struct {
	Alarms []history.Alarm    `json:"alarms"`
	Told   []history.Feedback `json:"told"`
}

func (s *Server) getAlarms(w http.ResponseWriter, r *http.Request) error {
	m, err := s.recorded(r)
	if err != nil {
		return err
	}
	alarms, err := s.options.History.Alarms(r.Context(), m.name, 100)
	if err != nil {
		return err
	}
	told, err := s.options.History.Told(r.Context(), m.name, 100)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, alarmList{append([]history.Alarm{}, alarms...), append([]history.Feedback{}, told...)})
	return nil
}

// labelBody is what a person says of a decision.
type labelBody struct {
	Class string `json:"class" doc:"the class that the row is of"`
}

type labelAnswer struct {
	Class   string   `json:"class"`
	Classes []string `json:"classes" doc:"all that the guard now knows"`
}

// postLabel notes a label and teaches the guard the row. A decision is labelled once: what was taught wrong is forgotten by its rows.
func (s *Server) postLabel(w http.ResponseWriter, r *http.Request) error {
	m, err := s.model(r.PathValue("model"), "")
	if err != nil {
		return err
	}
	var body labelBody
	if err := readJSON(r, &body); err != nil {
		return err
	}
	if body.Class == "" || len(body.Class) > 200 {
		return &statusError{http.StatusBadRequest, fmt.Errorf("class %.30q: want 1 to 200 characters", body.Class)}
	}
	if _, err := s.recorded(r); err != nil {
		return err
	}
	s.labelling.Lock() // of two labels for one row the second is refused
	defer s.labelling.Unlock()
	id, err := strconv.ParseInt(r.PathValue("decision"), 10, 64)
	if err != nil {
		return fmt.Errorf("decision %.30q %w", r.PathValue("decision"), errNotFound)
	}
	d, err := s.options.History.Find(r.Context(), id)
	if errors.Is(err, history.ErrNotFound) || err == nil && d.Model != m.name {
		return fmt.Errorf("decision %d of model %s %w", id, m.name, errNotFound)
	}
	if err != nil {
		return err
	}
	if d.Given != "" {
		return fmt.Errorf("decision %d: %w: it was labelled %q", id, errConflict, d.Given)
	}
	row, err := data.NewTable(1, len(d.X), d.X)
	if err != nil {
		return err
	}
	if row, err = row.WithLabels([]int{0}, []string{body.Class}); err != nil {
		return err
	}
	if err := m.keeper.Learn(r.Context(), row, true); err != nil {
		return err
	}
	if err := s.options.History.Label(r.Context(), id, body.Class, ""); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, labelAnswer{body.Class, append([]string{}, m.keeper.Guard().Classes()...)})
	return nil
}

// getEvents sends how the models stand, now and whenever that has changed, looked at every second, until the client goes.
func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) error {
	c := http.NewResponseController(w)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := ""
	for sent := time.Now(); ; {
		list := modelList{[]modelEntry{}, s.options.Alarm.Mails()}
		for _, m := range s.list() {
			list.Models = append(list.Models, m.entry())
		}
		text, err := json.Marshal(list)
		if err != nil {
			return err
		}
		if now := string(text); now != last || time.Since(sent) > 15*time.Second {
			_ = c.SetWriteDeadline(time.Now().Add(s.options.Timeout))
			if _, err := fmt.Fprintf(w, "data: %s\n\n", text); err != nil {
				return nil // the client is gone
			}
			if err := c.Flush(); err != nil {
				return nil
			}
			last, sent = now, time.Now()
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-s.stopping:
			return nil
		case <-tick.C:
		}
	}
}

// subscriptionBody is who asks for drift alarms by e-mail.
type subscriptionBody struct {
	Address string `json:"address" doc:"an e-mail address"`
}

type subscriptionAnswer struct {
	Text string `json:"text"`
}

// postSubscription sends a link by which an address confirms that it wants drift alarms.
func (s *Server) postSubscription(w http.ResponseWriter, r *http.Request) error {
	var body subscriptionBody
	if err := readJSON(r, &body); err != nil {
		return err
	}
	if !s.options.Alarm.Mails() {
		return fmt.Errorf("%w: this server sends no e-mail; start it with --alarm-mail", errConflict)
	}
	switch err := s.options.Alarm.Subscribe(body.Address); {
	case errors.Is(err, alarm.ErrAddress):
		return &statusError{http.StatusBadRequest, err}
	case errors.Is(err, alarm.ErrOften):
		return &statusError{http.StatusTooManyRequests, err}
	case err != nil:
		return err
	}
	writeJSON(w, http.StatusAccepted, subscriptionAnswer{"a letter with a link to confirm is on its way"})
	return nil
}
