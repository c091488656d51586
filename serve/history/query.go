package history

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/gimbal-ml/gimbal/guard"
)

// ErrNotFound says that there is no such decision, or no more.
var ErrNotFound = errors.New("not found")

// Decision is one that was kept by itself.
type Decision struct {
	ID      int64     `json:"id"`
	At      time.Time `json:"at"`
	Model   string    `json:"model"`
	Request string    `json:"request,omitempty"`
	Row     int       `json:"row"` // in its request, from 1
	guard.Decision
	X       []float32 `json:"-"`               // features
	Given   string    `json:"given,omitempty"` // the class that a person gave it
	GivenBy string    `json:"given_by,omitempty"`
	GivenAt time.Time `json:"given_at,omitzero"`
}

// Bin counts scores or p-values from Low up to High.
type Bin struct {
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
	Rows    int64   `json:"rows"`
	Refused int64   `json:"refused"`
}

// Slice is the histogram of a span of time; bins without rows are left out.
type Slice struct {
	From time.Time `json:"from"`
	Bins []Bin     `json:"bins"`
}

// Scores returns histograms of a model's scores over time, one for each step, which is whole minutes; spans without rows are left out.
func (h *History) Scores(ctx context.Context, model string, from, to time.Time, step time.Duration) ([]Slice, error) {
	return h.histogram(ctx, model, scoreKind, from, to, step)
}

// PValues returns the same of p-values, which are equally frequent while nothing has changed.
func (h *History) PValues(ctx context.Context, model string, from, to time.Time, step time.Duration) ([]Slice, error) {
	return h.histogram(ctx, model, pValueKind, from, to, step)
}

func (h *History) histogram(ctx context.Context, model string, kind int, from, to time.Time, step time.Duration) ([]Slice, error) {
	minutes := int64(step / time.Minute)
	if minutes < 1 {
		return nil, fmt.Errorf("history: a step of %s, want a minute or more", step)
	}
	rows, err := h.db.QueryContext(ctx, h.sql(`SELECT (minute / ?) * ? AS span, bin, CAST(SUM(n) AS BIGINT), CAST(SUM(refused) AS BIGINT) FROM scores
		WHERE model = ? AND kind = ? AND minute >= ? AND minute < ? GROUP BY span, bin ORDER BY span, bin`),
		minutes, minutes, model, kind, from.UnixMilli()/60_000, (to.UnixMilli()+59_999)/60_000)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	var out []Slice
	err = each(rows, func(scan func(...any) error) error {
		var span, bin int64
		var b Bin
		if err := scan(&span, &bin, &b.Rows, &b.Refused); err != nil {
			return err
		}
		at := time.UnixMilli(span * 60_000).UTC()
		if len(out) == 0 || !out[len(out)-1].From.Equal(at) {
			out = append(out, Slice{From: at})
		}
		b.Low, b.High = edges(kind, bin)
		last := &out[len(out)-1]
		last.Bins = append(last.Bins, b)
		return nil
	})
	return out, err
}

// each calls f for every row and closes the rows.
func each(rows *sql.Rows, f func(scan func(...any) error) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return fmt.Errorf("history: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}

const decisionColumns = "id, at, model, request, line, score, p_value, accept, label, probability, x, given, given_by, given_at"

func (h *History) decisions(ctx context.Context, where string, values ...any) ([]Decision, error) {
	rows, err := h.db.QueryContext(ctx, h.sql("SELECT "+decisionColumns+" FROM decisions WHERE "+where), values...)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	var out []Decision
	err = each(rows, func(scan func(...any) error) error {
		d, err := scanDecision(scan)
		out = append(out, d)
		return err
	})
	return out, err
}

func scanDecision(scan func(...any) error) (d Decision, err error) {
	var at, accept, givenAt int64
	var x []byte
	if err := scan(&d.ID, &at, &d.Model, &d.Request, &d.Row, &d.Score, &d.PValue, &accept, &d.Label, &d.Probability, &x, &d.Given, &d.GivenBy, &givenAt); err != nil {
		return d, err
	}
	d.At, d.Accept = time.UnixMilli(at).UTC(), accept == 1
	if givenAt != 0 {
		d.GivenAt = time.UnixMilli(givenAt).UTC()
	}
	d.X, err = rowOf(x)
	return d, err
}

// Unfamiliar returns the most unfamiliar of a model's newest kept decisions, worst first: n among the last among.
func (h *History) Unfamiliar(ctx context.Context, model string, among, n int) ([]Decision, error) {
	return h.decisions(ctx, "id IN (SELECT id FROM decisions WHERE model = ? ORDER BY id DESC LIMIT ?) ORDER BY score DESC, id DESC LIMIT ?", model, among, n)
}

// Queue returns kept decisions that nobody has labelled, the newest first, from before the one with the ID before; 0 begins with the newest.
func (h *History) Queue(ctx context.Context, model string, before int64, n int) ([]Decision, error) {
	if before <= 0 {
		before = 1<<63 - 1
	}
	return h.decisions(ctx, "model = ? AND given = '' AND id < ? ORDER BY id DESC LIMIT ?", model, before, n)
}

// Labelled returns decisions that people have labelled, the newest first.
func (h *History) Labelled(ctx context.Context, model string, n int) ([]Decision, error) {
	return h.decisions(ctx, "model = ? AND given <> '' ORDER BY id DESC LIMIT ?", model, n)
}

// Find returns a decision. Errors: ErrNotFound.
func (h *History) Find(ctx context.Context, id int64) (Decision, error) {
	found, err := h.decisions(ctx, "id = ?", id)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("history: decision %d: %w", id, ErrNotFound)
	}
	if err != nil {
		return Decision{}, err
	}
	return found[0], nil
}

// Label notes the class that a person gave a decision; "" takes it back. Errors: ErrNotFound.
func (h *History) Label(ctx context.Context, id int64, class, who string) error {
	at := h.config.Now().UnixMilli()
	if class == "" {
		at = 0
	}
	r, err := h.db.ExecContext(ctx, h.sql("UPDATE decisions SET given = ?, given_by = ?, given_at = ? WHERE id = ?"), class, who, at, id)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return fmt.Errorf("history: decision %d: %w", id, cmp.Or(err, ErrNotFound))
	}
	return nil
}

// Alarms returns a model's alarms, the newest first.
func (h *History) Alarms(ctx context.Context, model string, n int) (out []Alarm, err error) {
	rows, err := h.db.QueryContext(ctx, h.sql("SELECT id, at, model, stream, line, evidence, threshold FROM alarms WHERE model = ? ORDER BY id DESC LIMIT ?"), model, n)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	err = each(rows, func(scan func(...any) error) error {
		var a Alarm
		var at, stream int64
		if err := scan(&a.ID, &at, &a.Model, &stream, &a.Row, &a.Evidence, &a.Threshold); err != nil {
			return err
		}
		a.At, a.Stream = time.UnixMilli(at).UTC(), uint64(stream)
		out = append(out, a)
		return nil
	})
	return out, err
}

// Told returns what a model was told, the newest first.
func (h *History) Told(ctx context.Context, model string, n int) (out []Feedback, err error) {
	rows, err := h.db.QueryContext(ctx, h.sql("SELECT id, at, model, verb, class, n, who, note FROM feedback WHERE model = ? ORDER BY id DESC LIMIT ?"), model, n)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	err = each(rows, func(scan func(...any) error) error {
		var f Feedback
		var at int64
		if err := scan(&f.ID, &at, &f.Model, &f.Verb, &f.Class, &f.Rows, &f.Who, &f.Note); err != nil {
			return err
		}
		f.At = time.UnixMilli(at).UTC()
		out = append(out, f)
		return nil
	})
	return out, err
}

// sorted yields counts in the order of their keys.
func sorted(counts map[cell]tally) iter.Seq2[cell, tally] {
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b cell) int {
		return cmp.Or(cmp.Compare(a.model, b.model), cmp.Compare(a.minute, b.minute), cmp.Compare(a.kind, b.kind), cmp.Compare(a.bin, b.bin))
	})
	return func(yield func(cell, tally) bool) {
		for _, k := range keys {
			if !yield(k, counts[k]) {
				return
			}
		}
	}
}
