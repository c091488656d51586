package history

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/guard"
)

// batch is what waits for the database.
type batch struct {
	counts    map[cell]tally
	decisions []Decision
	events    []event
}

type cell struct {
	model       string
	minute, bin int64
	kind        int
}

type tally struct{ n, refused int64 }

// event is a row of feedback or alarms.
type event struct {
	table, columns string
	values         []any
}

// Bounds of what waits while the database is away.
const (
	mostCells  = 200_000
	mostEvents = 100_000
)

// Feedback is what a person or a program told a guard.
type Feedback struct {
	ID    int64     `json:"id"`
	At    time.Time `json:"at"`
	Model string    `json:"model"`
	Verb  string    `json:"verb"` // learn, teach, forget, threshold
	Class string    `json:"class,omitempty"`
	Rows  int       `json:"rows"`
	Who   string    `json:"who,omitempty"`
	Note  string    `json:"note,omitempty"`
}

// Alarm is a drift alarm that rang.
type Alarm struct {
	ID        int64     `json:"id"`
	At        time.Time `json:"at"`
	Model     string    `json:"model"`
	Stream    uint64    `json:"stream"`
	Row       int       `json:"row"`
	Evidence  float64   `json:"evidence"`
	Threshold float64   `json:"threshold"`
}

// Decisions records what a guard said of the rows of a request. It never waits for the database.
func (h *History) Decisions(model, request string, in *data.Table, ds []guard.Decision) {
	now := h.config.Now()
	minute := now.UnixMilli() / 60_000
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.pending.counts == nil {
		h.pending.counts = map[cell]tally{}
	}
	for i, d := range ds {
		refused := int64(0)
		if !d.Accept {
			refused = 1
		}
		full := len(h.pending.counts) >= mostCells
		for _, c := range [2]cell{{model, minute, scoreBin(d.Score), scoreKind}, {model, minute, pBin(d.PValue), pValueKind}} {
			t, ok := h.pending.counts[c]
			if !ok && full {
				continue
			}
			h.pending.counts[c] = tally{t.n + 1, t.refused + refused}
		}
		if d.Accept && d.PValue >= h.config.Below {
			continue
		}
		if len(h.pending.decisions) >= h.config.Queue {
			h.dropped++
			continue
		}
		h.pending.decisions = append(h.pending.decisions, Decision{At: now, Model: model, Request: request, Row: i + 1, Decision: d, X: append([]float32(nil), in.Row(i)...)})
	}
	if len(h.pending.decisions) > h.config.Queue/4 {
		h.ring()
	}
}

// ring wakes the writer.
func (h *History) ring() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Feedback records what a guard was told. It never waits for the database.
func (h *History) Feedback(f Feedback) {
	h.event(event{"feedback", "at, model, verb, class, n, who, note", []any{h.config.Now().UnixMilli(), f.Model, f.Verb, f.Class, f.Rows, f.Who, f.Note}})
}

// Alarm records a drift alarm. It never waits for the database.
func (h *History) Alarm(a Alarm) {
	h.event(event{"alarms", "at, model, stream, line, evidence, threshold", []any{h.config.Now().UnixMilli(), a.Model, int64(a.Stream), a.Row, a.Evidence, a.Threshold}})
}

func (h *History) event(e event) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if len(h.pending.events) < mostEvents {
		h.pending.events = append(h.pending.events, e)
	} else {
		h.dropped++
	}
	h.ring()
}

// How often the writer writes, and how long it waits at most after a failure.
const (
	writeEvery = 500 * time.Millisecond
	retryMost  = time.Minute
)

// run is the writer.
func (h *History) run() {
	defer close(h.stopped)
	pause := writeEvery
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		var answer chan error
		select {
		case <-timer.C:
		case <-h.wake:
			if pause > writeEvery { // the database is away: wait for the timer
				continue
			}
		case answer = <-h.flushes:
		case <-h.closing:
			h.write()
			return
		}
		err := h.write()
		if answer != nil {
			answer <- err
		}
		if pause = writeEvery; err != nil {
			pause = min(2*pause, retryMost)
		}
		timer.Reset(pause)
	}
}

// write brings what is pending into the database, all or nothing; what could not be written is pending still.
func (h *History) write() error {
	h.mutex.Lock()
	b := h.pending
	h.pending = batch{}
	h.mutex.Unlock()
	if len(b.counts)+len(b.decisions)+len(b.events) == 0 {
		return nil
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	err := h.insert(ctx, b)
	if err == nil {
		err = h.prune(ctx, len(b.decisions))
		b = batch{} // it is in
	}
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if err == nil {
		h.failed = nil
		return nil
	}
	h.failed = fmt.Errorf("history: %w", plain(err))
	h.pending.rejoin(b)
	if over := len(h.pending.decisions) - h.config.Queue; over > 0 {
		h.dropped += uint64(over)
		h.pending.decisions = h.pending.decisions[over:] // the oldest go
	}
	return h.failed
}

// rejoin puts older entries in front of newer ones.
func (b *batch) rejoin(older batch) {
	for c, t := range b.counts {
		if o, ok := older.counts[c]; ok || len(older.counts) < mostCells {
			if older.counts == nil {
				older.counts = map[cell]tally{}
			}
			older.counts[c] = tally{o.n + t.n, o.refused + t.refused}
		}
	}
	b.counts = older.counts
	b.decisions = append(older.decisions, b.decisions...)
	b.events = append(older.events, b.events...)
}

func (h *History) insert(ctx context.Context, b batch) error {
	tx, err := h.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	if err := h.insertCounts(ctx, tx, b.counts); err != nil {
		return err
	}
	if len(b.decisions) > 0 {
		s, err := tx.PrepareContext(ctx, h.sql(`INSERT INTO decisions (at, model, request, line, score, p_value, accept, label, probability, x) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`))
		if err != nil {
			return err
		}
		for _, d := range b.decisions {
			accept := 0
			if d.Accept {
				accept = 1
			}
			if _, err := s.ExecContext(ctx, d.At.UnixMilli(), d.Model, d.Request, d.Row, d.Score, d.PValue, accept, d.Label, d.Probability, rowBytes(d.X)); err != nil {
				return err
			}
		}
	}
	for _, e := range b.events {
		marks := strings.TrimSuffix(strings.Repeat("?, ", len(e.values)), ", ")
		if _, err := tx.ExecContext(ctx, h.sql("INSERT INTO "+e.table+" ("+e.columns+") VALUES ("+marks+")"), e.values...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (h *History) insertCounts(ctx context.Context, tx *sql.Tx, counts map[cell]tally) error {
	s, err := tx.PrepareContext(ctx, h.sql(`INSERT INTO scores (model, minute, kind, bin, n, refused) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (model, minute, kind, bin) DO UPDATE SET n = scores.n + excluded.n, refused = scores.refused + excluded.refused`))
	if err != nil {
		return err
	}
	for c, t := range sorted(counts) { // in one order everywhere, so that replicas do not wait for each other's rows in a ring
		if _, err := s.ExecContext(ctx, c.model, c.minute, c.kind, c.bin, t.n, t.refused); err != nil {
			return err
		}
	}
	return nil
}

func rowBytes(x []float32) []byte {
	b := make([]byte, 0, 4*len(x))
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

func rowOf(b []byte) ([]float32, error) {
	if len(b)%4 != 0 {
		return nil, errors.New("features of a row are not whole")
	}
	x := make([]float32, len(b)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return x, nil
}
