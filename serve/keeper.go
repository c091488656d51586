package serve

import (
	"context"
	"math"
	"sync"
	"sync/atomic"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/serve/live"
)

// keeper holds a guard that is served, watched and taught. [live.Guard] is one that survives the process; see [durable].
type keeper interface {
	// Guard is the guard at work.
	Guard() *guard.Guard
	// observe judges rows and watches them for drift; without labels where they are not needed and cost time.
	observe(in *data.Table, labels bool) ([]guard.Decision, error)
	Learn(ctx context.Context, rows *data.Table, teach bool) error
	Forget(ctx context.Context, rows *data.Table) error
	Replace(ctx context.Context, with *guard.Guard) error
	Status() live.Status
	Close() error
}

// durable is a guard whose state is in a folder: what was acknowledged is still there after a crash.
type durable struct {
	*liveGuard
	failed func(error) // is told when rows were judged and could not be written down
}

type liveGuard = live.Guard // by another name, for Guard is also what it holds

func (d durable) observe(in *data.Table, _ bool) ([]guard.Decision, error) {
	o, err := d.Observe(in)
	if err != nil && o.Decisions != nil { // scoring goes on when the disk is full
		d.failed(err)
		err = nil
	}
	return o.Decisions, err
}

// memory is a guard whose state ends with the process.
type memory struct {
	writing sync.Mutex
	now     atomic.Pointer[guard.Guard]

	order  sync.Mutex
	of     *guard.Guard // whose scores the test watches
	test   *part.Exchangeability
	status live.Status
}

func newMemory(g *guard.Guard) *memory {
	m := &memory{}
	m.set(g)
	return m
}

func (m *memory) Guard() *guard.Guard { return m.now.Load() }

// set begins a new stream, for scores of another guard cannot be held against the old one's calibration sample. Streams share the drift
// level as those of [live.Guard] do.
func (m *memory) set(g *guard.Guard) {
	m.order.Lock()
	defer m.order.Unlock()
	s := &m.status
	s.Stream++
	level := g.DriftLevel() / (float64(s.Stream) * float64(s.Stream+1))
	m.test = part.NewExchangeability(g.CalibrationScores(), level, s.Stream)
	s.Threshold = -math.Log10(level)
	m.of = g
	m.now.Store(g)
}

func (m *memory) observe(in *data.Table, labels bool) (ds []guard.Decision, err error) {
	g := m.now.Load()
	if labels {
		ds, err = g.Decide(in)
	} else {
		ds, err = g.Judge(in)
	}
	if err != nil {
		return nil, err
	}
	m.order.Lock()
	defer m.order.Unlock()
	m.status.Commands++
	m.status.Rows += uint64(len(ds))
	silent := m.test.AlarmAt() == 0
	for _, d := range ds {
		if !d.Accept {
			m.status.Refused++
		}
		if g == m.of {
			m.test.Observe(d.Score)
		}
	}
	if silent && m.test.AlarmAt() > 0 {
		m.status.Alarms++
	}
	return ds, nil
}

func (m *memory) Status() live.Status {
	m.order.Lock()
	defer m.order.Unlock()
	s := m.status
	s.StreamRows, s.AlarmRow, s.Evidence = m.test.Rows(), m.test.AlarmAt(), m.test.LogEvidence()/math.Ln10
	return s
}

func (m *memory) change(f func(g *guard.Guard) (*guard.Guard, error)) error {
	m.writing.Lock()
	defer m.writing.Unlock()
	g, err := f(m.now.Load())
	if err != nil {
		return err
	}
	m.set(g)
	m.order.Lock()
	m.status.Generation++
	m.order.Unlock()
	return nil
}

func (m *memory) Learn(ctx context.Context, rows *data.Table, teach bool) error {
	return m.change(func(g *guard.Guard) (*guard.Guard, error) { return g.Update(ctx, rows, teach) })
}

func (m *memory) Forget(ctx context.Context, rows *data.Table) error {
	return m.change(func(g *guard.Guard) (*guard.Guard, error) { return g.Forget(ctx, rows) })
}

func (m *memory) Replace(_ context.Context, with *guard.Guard) error {
	return m.change(func(*guard.Guard) (*guard.Guard, error) { return with, nil })
}

func (m *memory) Close() error { return nil }
