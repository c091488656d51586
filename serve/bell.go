package serve

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/gimbal-ml/gimbal/serve/alarm"
	"github.com/gimbal-ml/gimbal/serve/history"
	"github.com/gimbal-ml/gimbal/serve/live"
)

// bell tells of a guard's drift alarms, each once: the log, the history, and whoever is to be told outside, with the evidence drawn. It is
// safe for concurrent use.
type bell struct {
	model   string
	history *history.History // nil: kept nowhere
	alarm   *alarm.Notifier  // nil: nobody is told
	log     *slog.Logger
	trace   alarm.Trace
	told    atomic.Uint64 // alarms
}

// newBell makes the bell of a guard that stands at s: alarms up to there are not told again.
func newBell(model string, s live.Status, h *history.History, n *alarm.Notifier, log *slog.Logger) *bell {
	b := &bell{model: model, history: h, alarm: n, log: log}
	b.told.Store(s.Alarms)
	return b
}

// look takes in how the guard stands after rows, and rings if its alarm did.
func (b *bell) look(s live.Status) {
	if b.alarm != nil {
		b.trace.Add(s.Stream, s.StreamRows, s.Evidence)
	}
	told := b.told.Load()
	if s.Alarms <= told || !b.told.CompareAndSwap(told, s.Alarms) {
		return
	}
	b.log.Warn("drift alarm", "model", b.model, "stream", s.Stream, "row", s.AlarmRow, "evidence", s.Evidence)
	if b.history != nil {
		b.history.Alarm(history.Alarm{Model: b.model, Stream: s.Stream, Row: s.AlarmRow, Evidence: s.Evidence, Threshold: s.Threshold})
	}
	if b.alarm == nil {
		return
	}
	plot, err := b.trace.Plot(b.model, s.Threshold, s.Evidence, s.AlarmRow)
	if err != nil {
		b.log.Error("no plot of the alarm", "error", err)
	}
	b.alarm.Ring(alarm.Notice{Model: b.model, At: time.Now(), Stream: s.Stream, Row: s.AlarmRow, Evidence: s.Evidence, Threshold: s.Threshold, Plot: plot})
}
