package serve

import (
	"log/slog"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/serve/alarm"
	"github.com/gimbal-ml/gimbal/serve/history"
	"github.com/gimbal-ml/gimbal/serve/live"
	"github.com/gimbal-ml/gimbal/serve/telemetry"
)

// Watched is one guard, kept and watched for drift as those of a server are, for who answers requests otherwise, such as a sidecar. It is safe
// for concurrent use.
type Watched struct {
	name   string
	kept   keeper
	bell   *bell
	labels bool
}

// Watch takes a guard into keeping: in a folder, or in memory when that is empty. The history, nil for none, is told of alarms; of decisions
// it is told by who knows the requests. The alarm is told when the guard's rings; nil: nobody. Errors: those of [live.Open].
func Watch(name, folder string, specs []method.Spec, g *guard.Guard, h *history.History, n *alarm.Notifier, log *slog.Logger) (*Watched, error) {
	k, err := keep(name, folder, specs, g, log)
	if err != nil {
		return nil, err
	}
	return &Watched{name, k, newBell(name, k.Status(), h, n, log), h != nil}, nil
}

// Judge judges rows and watches them. What cannot be written down is judged all the same. Errors: those of [guard.Guard.Decide].
func (w *Watched) Judge(in *data.Table) ([]guard.Decision, error) {
	ds, err := w.kept.observe(in, w.labels)
	if err == nil {
		w.bell.look(w.kept.Status())
	}
	return ds, err
}

// Failed says why the state cannot be written down; nil: it can, or there is none to write.
func (w *Watched) Failed() error {
	if d, ok := w.kept.(durable); ok {
		return d.Failed()
	}
	return nil
}

// Gauges say how the guard and its stream stand.
func (w *Watched) Gauges() []telemetry.Metric {
	return gauges(w.kept, map[string]any{"gimbal.model": w.name})
}

// Close ends the keeping; the state stays in its folder.
func (w *Watched) Close() error { return w.kept.Close() }

// gauges are a guard's numbers.
func gauges(k keeper, about map[string]any) []telemetry.Metric {
	g, s := k.Guard(), k.Status()
	learned, kept := g.Rows()
	return []telemetry.Metric{
		{Name: "gimbal.threshold", Help: "Largest score that is accepted.", Value: g.Threshold(), Attributes: about},
		{Name: "gimbal.state.rows", Help: "Rows that the guard holds, in its model and for calibration.", Value: float64(learned + kept), Attributes: about},
		{Name: "gimbal.drift.statistic", Help: "Base-10 logarithm of the evidence for drift.", Value: s.Evidence, Attributes: about},
		{Name: "gimbal.drift.alarms.total", Help: "Drift alarms that rang.", Value: float64(s.Alarms), Total: true, Attributes: about},
	}
}

// keep takes a guard into keeping: in a folder, or in memory when that is empty.
func keep(name, folder string, specs []method.Spec, g *guard.Guard, log *slog.Logger) (keeper, error) {
	if folder == "" {
		return newMemory(g), nil
	}
	kept, err := live.Open(folder, specs, g, live.Config{})
	if err != nil {
		return nil, err
	}
	if r := kept.Recovered(); r.Records > 0 || r.Cut > 0 {
		log.Info("state taken up", "model", name, "folder", folder, "commands", r.Records, "torn_bytes", r.Cut)
	}
	return durable{kept, func(err error) { log.Error("rows were judged and not written down", "model", name, "error", err) }}, nil
}
