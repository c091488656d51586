package serve

import (
	"math"
	"sync"

	"github.com/gimbal-ml/gimbal/guard"
)

// watch is a guard's drift alarm over all rows that were judged since it was loaded, in the order in which they were answered.
type watch struct {
	mutex  sync.Mutex
	stream *guard.Stream
	rang   func(row int, evidence float64)
}

// watchWindow only cuts the stream for reports, which nobody reads here.
const watchWindow = 1 << 30

func newWatch(g *guard.Guard) *watch {
	s, err := g.NewStream(watchWindow)
	if err != nil {
		panic(err) // the window is ours
	}
	return &watch{stream: s}
}

func (w *watch) observe(scores []float64) {
	w.mutex.Lock()
	before := w.stream.AlarmRow()
	for _, s := range scores {
		w.stream.ObserveScore(s)
	}
	row, evidence, rang := w.stream.AlarmRow(), w.stream.Evidence(), w.rang
	w.mutex.Unlock()
	if before == 0 && row > 0 && rang != nil {
		rang(row, evidence)
	}
}

func (w *watch) evidence() float64 {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.stream.Evidence()
}

func (w *watch) pValue() float64 {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return math.Pow(10, -w.stream.PeakEvidence())
}

func (w *watch) alarms() float64 {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.stream.AlarmRow() > 0 {
		return 1
	}
	return 0
}
