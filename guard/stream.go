package guard

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

// Stream watches the rows that a guard judges, in their order, for drift: an anytime-valid test of whether their scores still
// come from the calibration sample's distribution. Over a whole unchanged stream, however long and however it is cut into
// runs, the alarm ever rings with probability at most the guard's drift level. It is not safe for concurrent use.
type Stream struct {
	guard *Guard
	size  int
	test  *part.Exchangeability
	open  Window
	sumP  float64
}

// Window summarises consecutive rows of a stream.
type Window struct {
	First    int     `json:"first_row"` // counted from 1 over the whole stream
	Rows     int     `json:"rows"`
	Accepted int     `json:"accepted"`
	MeanP    float64 `json:"mean_p_value"` // 0.5 when nothing has changed
	Evidence float64 `json:"evidence"`     // log10 of the test martingale at the window's end; the alarm rings at −log10(drift level)
	Drift    bool    `json:"drift"`        // the alarm rang in this window or before
	AlarmRow int     `json:"alarm_row,omitempty"`
	Labelled int     `json:"labelled,omitempty"` // rows that came with a known class
	Right    int     `json:"right,omitempty"`    // of the labelled and accepted rows, those whose label was right
	Judged   int     `json:"judged,omitempty"`   // labelled and accepted rows
}

// NewStream begins a stream, with windows of so many rows.
func (g *Guard) NewStream(window int) (*Stream, error) {
	if window < 1 {
		return nil, fmt.Errorf("guard: %w: a window of %d rows", method.ErrConfig, window)
	}
	return &Stream{guard: g, size: window, test: part.NewExchangeability(g.CalibrationScores(), g.frame.DriftLevel, g.frame.Seed)}, nil
}

// DriftLevel returns the bound on the probability that the drift alarm ever rings without drift.
func (g *Guard) DriftLevel() float64 { return g.frame.DriftLevel }

// Observe judges the rows, watches them, and returns their decisions and the windows that they completed.
func (s *Stream) Observe(in *data.Table) ([]Decision, []Window, error) {
	ds, err := s.guard.Decide(in)
	if err != nil {
		return nil, nil, err
	}
	var done []Window
	for i, d := range ds {
		s.test.Observe(d.Score)
		w := &s.open
		w.Rows++
		s.sumP += d.PValue
		if d.Accept {
			w.Accepted++
		}
		if truth := in.ClassName(i); truth != "" {
			w.Labelled++
			if d.Accept && d.Label != "" {
				w.Judged++
				if d.Label == truth {
					w.Right++
				}
			}
		}
		if w.Rows == s.size {
			done = append(done, s.close())
		}
	}
	return ds, done, nil
}

// Flush returns the last window, when it holds any rows.
func (s *Stream) Flush() (Window, bool) {
	if s.open.Rows == 0 {
		return Window{}, false
	}
	return s.close(), true
}

func (s *Stream) close() Window {
	w := s.open
	w.First = s.test.Rows() - w.Rows + 1
	w.MeanP = s.sumP / float64(w.Rows)
	w.Evidence = s.test.LogEvidence() / math.Ln10
	w.AlarmRow = s.test.AlarmAt()
	w.Drift = w.AlarmRow > 0
	s.open, s.sumP = Window{}, 0
	return w
}

// Rows returns how many rows the stream has seen.
func (s *Stream) Rows() int { return s.test.Rows() }

// AlarmRow returns the row, counted from 1, at which the alarm rang, 0 when it has not.
func (s *Stream) AlarmRow() int { return s.test.AlarmAt() }

// Evidence returns log10 of the test martingale.
func (s *Stream) Evidence() float64 { return s.test.LogEvidence() / math.Ln10 }

type savedStream struct {
	Kind   string          `json:"gimbal"`
	Sample string          `json:"calibration"`
	Test   json.RawMessage `json:"drift"`
}

// MarshalJSON saves the stream between runs. Call Flush first: a window does not span two runs.
func (s *Stream) MarshalJSON() ([]byte, error) {
	test, err := json.Marshal(s.test)
	if err != nil {
		return nil, err
	}
	return json.Marshal(savedStream{"stream", s.guard.fingerprint(), test})
}

// Resume goes on with a saved stream. Errors: ErrState when it was begun with another calibration sample: an updated guard needs a new stream.
func (s *Stream) Resume(saved []byte) error {
	var v savedStream
	if err := json.Unmarshal(saved, &v); err != nil || v.Kind != "stream" {
		return fmt.Errorf("guard: %w: not a saved stream", method.ErrState)
	}
	if v.Sample != s.guard.fingerprint() {
		return fmt.Errorf("guard: %w: the stream was begun with another calibration sample; start a new one", method.ErrState)
	}
	if err := s.test.Resume(v.Test); err != nil {
		return fmt.Errorf("guard: %w: %w", method.ErrState, err)
	}
	return nil
}
