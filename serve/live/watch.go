package live

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

// watch is the part of the state that observed rows change.
type watch struct {
	counts
	level float64
	test  *part.Exchangeability
}

// counts is what of watch is saved beside the test's own state.
type counts struct {
	Commands   uint64 `json:"commands"`   // applied since the state began
	Generation uint64 `json:"generation"` // changes of the guard among them
	Rows       uint64 `json:"rows"`
	Refused    uint64 `json:"refused"`
	Stream     uint64 `json:"stream"` // which one it is, from 1
	Alarms     uint64 `json:"alarms"`
}

// Status says how the stream of observed rows stands. A change of the guard ends a stream, for scores of another guard cannot be held
// against its calibration sample, and begins the next.
type Status struct {
	Commands   uint64  `json:"commands"`   // applied since the state began: observed batches, changes and the rest
	Generation uint64  `json:"generation"` // changes of the guard
	Rows       uint64  `json:"rows"`       // observed, over all streams
	Refused    uint64  `json:"refused"`
	Stream     uint64  `json:"stream"`      // counted from 1
	StreamRows int     `json:"stream_rows"` // watched in this one
	Evidence   float64 `json:"evidence"`    // log10 of the stream's test martingale
	Threshold  float64 `json:"threshold"`   // the alarm rings there
	AlarmRow   int     `json:"alarm_row"`   // row of this stream at which it rang, 0 when it is silent
	Alarms     uint64  `json:"alarms"`      // over all streams
}

// newWatch begins the k-th stream. Its alarm has the share 1/(k(k+1)) of the guard's drift level, and as these shares sum to one the
// alarms of all streams together ever ring without drift with probability at most that level.
func newWatch(g *guard.Guard, k uint64) watch {
	share := float64(k) * float64(k+1)
	w := watch{level: g.DriftLevel() / share}
	w.Stream = k
	w.test = part.NewExchangeability(g.CalibrationScores(), w.level, k)
	return w
}

// change notes that the guard was changed so many times, and begins a new stream.
func (w *watch) change(g *guard.Guard, times int) {
	next := newWatch(g, w.Stream+uint64(times))
	next.counts = w.counts
	next.Commands += uint64(times)
	next.Generation += uint64(times)
	next.Stream = w.Stream + uint64(times)
	*w = next
}

// observe takes decisions in; those of an older guard are counted only. It reports whether the alarm rang.
func (w *watch) observe(generation uint64, ds []guard.Decision) (rang bool) {
	w.Commands++
	w.Rows += uint64(len(ds))
	for _, d := range ds {
		if !d.Accept {
			w.Refused++
		}
	}
	if generation != w.Generation {
		return false
	}
	silent := w.test.AlarmAt() == 0
	for _, d := range ds {
		w.test.Observe(d.Score)
	}
	rang = silent && w.test.AlarmAt() > 0
	if rang {
		w.Alarms++
	}
	return rang
}

func (w *watch) status() Status {
	return Status{
		Commands: w.Commands, Generation: w.Generation, Rows: w.Rows, Refused: w.Refused, Stream: w.Stream, StreamRows: w.test.Rows(),
		Evidence: w.test.LogEvidence() / math.Ln10, Threshold: -math.Log10(w.level), AlarmRow: w.test.AlarmAt(), Alarms: w.Alarms,
	}
}

type savedWatch struct {
	counts
	Test json.RawMessage `json:"drift"`
}

func (w *watch) save() ([]byte, error) {
	test, err := json.Marshal(w.test)
	if err != nil {
		return nil, err
	}
	return json.Marshal(savedWatch{w.counts, test})
}

func loadWatch(text []byte, g *guard.Guard) (watch, error) {
	var s savedWatch
	if err := json.Unmarshal(text, &s); err != nil || s.Stream == 0 {
		return watch{}, fmt.Errorf("%w: the stream's standing cannot be read", method.ErrState)
	}
	w := newWatch(g, s.Stream)
	w.counts = s.counts
	if err := w.test.Resume(s.Test); err != nil {
		return watch{}, fmt.Errorf("%w: %w", method.ErrState, err)
	}
	return w, nil
}
