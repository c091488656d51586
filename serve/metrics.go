package serve

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gimbal-ml/gimbal/serve/telemetry"
)

// metrics are what Prometheus reads at /metrics, in its text format, version 0.0.4.
//
// The form is simple and the names are fixed, so it is written here: a client library would add ten packages to the program.
type metrics struct {
	mutex   sync.Mutex // of the maps
	models  map[string]*modelMetrics
	refused map[string]*atomic.Uint64 // requests that no model has seen, by status
	start   time.Time
}

// modelMetrics belong to one version of a model.
type modelMetrics struct {
	name, version string
	rest, grpc    protocolMetrics
	scores, p     *histogram // nil where the model has none
	keeper        keeper     // of a guard
	reloadsFailed atomic.Uint64
}

// protocolMetrics belong to one way to reach a model.
type protocolMetrics struct {
	success, failure atomic.Uint64
	seconds          *histogram
}

func newMetrics() *metrics {
	return &metrics{models: map[string]*modelMetrics{}, refused: map[string]*atomic.Uint64{}, start: time.Now()}
}

// histogram counts values in fixed buckets.
type histogram struct {
	bounds []float64 // upper, ascending
	counts []atomic.Uint64
	sum    atomic.Uint64 // a float64's bits
}

func newHistogram(bounds []float64) *histogram {
	return &histogram{bounds: bounds, counts: make([]atomic.Uint64, len(bounds)+1)}
}

func (h *histogram) observe(v float64) {
	i, _ := slices.BinarySearch(h.bounds, v)
	h.counts[i].Add(1)
	for {
		old := h.sum.Load()
		if h.sum.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
		}
	}
}

func (h *histogram) observeAll(list []float64) {
	for _, v := range list {
		h.observe(v)
	}
}

var (
	secondBounds = []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
	pBounds      = []float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1}
	scoreBounds  = []float64{0.001, 0.01, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000}
)

// quantileBounds are the reference's own quantiles and multiples of the threshold: a dashboard sees the reference's shares in the first
// buckets, whatever the scores' unit.
func quantileBounds(sorted []float64, threshold float64) (bounds []float64) {
	for _, q := range []float64{0.1, 0.25, 0.5, 0.75, 0.9} {
		bounds = append(bounds, sorted[int(q*float64(len(sorted)-1))])
	}
	bounds = append(bounds, threshold)
	for _, m := range []float64{1.5, 2, 5, 10, 100} {
		bounds = append(bounds, threshold+(m-1)*math.Abs(threshold))
	}
	slices.Sort(bounds)
	return slices.Compact(bounds)
}

// loaded begins to count for a model. Counters of a replaced version go on where the version's own return.
func (m *metrics) loaded(served *model) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	k := &modelMetrics{name: served.name, version: served.version}
	if old := m.models[served.name]; old != nil {
		k.reloadsFailed.Store(old.reloadsFailed.Load())
	}
	k.rest.seconds, k.grpc.seconds = newHistogram(secondBounds), newHistogram(secondBounds)
	if k.keeper = served.keeper; k.keeper != nil {
		g := k.keeper.Guard()
		k.scores, k.p = newHistogram(quantileBounds(g.CalibrationScores(), g.Threshold())), newHistogram(pBounds)
	} else if served.needs()&needScores != 0 {
		k.scores = newHistogram(scoreBounds)
	}
	served.metrics = k
	m.models[served.name] = k
}

func (m *metrics) removed(name string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	delete(m.models, name)
}

func (m *metrics) reloadFailed(name string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if k := m.models[name]; k != nil {
		k.reloadsFailed.Add(1)
	}
}

// refuse counts a request that was turned away before a model saw it.
func (m *metrics) refuse(status int) {
	key := strconv.Itoa(status)
	m.mutex.Lock()
	c := m.refused[key]
	if c == nil {
		c = &atomic.Uint64{}
		m.refused[key] = c
	}
	m.mutex.Unlock()
	c.Add(1)
}

// answered counts what a model said.
func (k *modelMetrics) answered(a *answer) {
	if k.scores != nil && a.scores != nil {
		k.scores.observeAll(a.scores)
	}
	if k.p != nil && a.p != nil {
		k.p.observeAll(a.p)
	}
}

// done counts a request.
func (p *protocolMetrics) done(start time.Time, err error) {
	if err != nil {
		p.failure.Add(1)
	} else {
		p.success.Add(1)
	}
	p.seconds.observe(time.Since(start).Seconds())
}

// writer writes the text format.
type metricWriter struct {
	out  *bufio.Writer
	last string
}

func (w *metricWriter) help(name, kind, help string) {
	if w.last != name {
		fmt.Fprintf(w.out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
		w.last = name
	}
}

func (w *metricWriter) line(name, labels string, v float64) {
	if labels != "" {
		labels = "{" + labels + "}"
	}
	fmt.Fprintf(w.out, "%s%s %s\n", name, labels, strconv.FormatFloat(v, 'g', -1, 64))
}

func (w *metricWriter) histogram(name, labels string, h *histogram) {
	sum := uint64(0)
	for i := range h.counts {
		sum += h.counts[i].Load()
		le := "+Inf"
		if i < len(h.bounds) {
			le = strconv.FormatFloat(h.bounds[i], 'g', -1, 64)
		}
		w.line(name+"_bucket", labels+`,le="`+le+`"`, float64(sum))
	}
	w.line(name+"_sum", labels, math.Float64frombits(h.sum.Load()))
	w.line(name+"_count", labels, float64(sum))
}

// Gauges are the numbers of every model for a collector of metrics.
func (s *Server) Gauges() (list []telemetry.Metric) {
	m := s.metrics
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for _, name := range slices.Sorted(maps.Keys(m.models)) {
		k := m.models[name]
		about := map[string]any{"gimbal.model": k.name, "gimbal.version": k.version}
		add := func(name, help string, v float64, total bool) {
			list = append(list, telemetry.Metric{Name: name, Help: help, Value: v, Total: total, Attributes: about})
		}
		add("gimbal.requests.answered", "Inference requests that were answered.", float64(k.rest.success.Load()+k.grpc.success.Load()), true)
		add("gimbal.requests.failed", "Inference requests that failed.", float64(k.rest.failure.Load()+k.grpc.failure.Load()), true)
		if k.keeper != nil {
			list = append(list, gauges(k.keeper, about)...)
		}
	}
	return list
}

// Trace has requests over HTTP traced, by their route. It is to be called before any come; nil traces nothing.
func (s *Server) Trace(e *telemetry.Exporter) {
	s.handler = e.Handler(func(r *http.Request) string {
		_, route := s.mux.Handler(r)
		return cmp.Or(route, r.Method)
	}, s.handler)
}

// write writes all metrics; running is the number of requests now answered.
func (m *metrics) write(out io.Writer, running int64, version string) error {
	m.mutex.Lock()
	var models []*modelMetrics
	for _, name := range slices.Sorted(maps.Keys(m.models)) {
		models = append(models, m.models[name])
	}
	refused := maps.Clone(m.refused)
	m.mutex.Unlock()

	w := &metricWriter{out: bufio.NewWriter(out)}
	each := func(name, kind, help string, f func(k *modelMetrics, labels string)) {
		for _, k := range models {
			w.help(name, kind, help)
			f(k, fmt.Sprintf("model_name=%q,model_version=%q", k.name, k.version))
		}
	}
	byProtocol := func(f func(p *protocolMetrics, labels string)) func(*modelMetrics, string) {
		return func(k *modelMetrics, labels string) {
			f(&k.rest, labels+`,protocol="rest"`)
			f(&k.grpc, labels+`,protocol="grpc"`)
		}
	}
	each("gimbal_requests_total", "counter", "Inference requests, by outcome.", byProtocol(func(p *protocolMetrics, labels string) {
		w.line("gimbal_requests_total", labels+`,outcome="success"`, float64(p.success.Load()))
		w.line("gimbal_requests_total", labels+`,outcome="failure"`, float64(p.failure.Load()))
	}))
	each("gimbal_request_duration_seconds", "histogram", "Time from a request's last byte to its answer.", byProtocol(func(p *protocolMetrics, labels string) {
		w.histogram("gimbal_request_duration_seconds", labels, p.seconds)
	}))
	some := func(name, kind, help string, has func(k *modelMetrics) bool, f func(k *modelMetrics, labels string)) {
		each(name, kind, help, func(k *modelMetrics, labels string) {
			if has(k) {
				f(k, labels)
			}
		})
	}
	scored := func(k *modelMetrics) bool { return k.scores != nil }
	guarded := func(k *modelMetrics) bool { return k.keeper != nil }
	some("gimbal_ood_score", "histogram", "Scores of rows, higher = more unfamiliar.", scored, func(k *modelMetrics, labels string) { w.histogram("gimbal_ood_score", labels, k.scores) })
	some("gimbal_p_value", "histogram", "How often a familiar row scores as high.", guarded, func(k *modelMetrics, labels string) { w.histogram("gimbal_p_value", labels, k.p) })
	gauge := func(name, help string, value func(k *modelMetrics) float64) {
		some(name, "gauge", help, guarded, func(k *modelMetrics, labels string) { w.line(name, labels, value(k)) })
	}
	gauge("gimbal_threshold", "The largest score that is accepted.", func(k *modelMetrics) float64 { return k.keeper.Guard().Threshold() })
	gauge("gimbal_state_rows", "Rows that the guard holds, in its model and for calibration.", func(k *modelMetrics) float64 {
		model, kept := k.keeper.Guard().Rows()
		return float64(model + kept)
	})
	gauge("gimbal_drift_statistic", "log10 of the test martingale on the scores of this stream.", func(k *modelMetrics) float64 { return k.keeper.Status().Evidence })
	gauge("gimbal_drift_p_value", "Ten to minus the drift statistic, at most 1: the p-value of no drift.", func(k *modelMetrics) float64 {
		return min(1, math.Pow(10, -k.keeper.Status().Evidence))
	})
	gauge("seldon_model_drift", "1 when the drift alarm has rung in this stream, else 0.", func(k *modelMetrics) float64 { return float64(min(1, k.keeper.Status().AlarmRow)) })
	some("gimbal_drift_alarms_total", "counter", "Drift alarms, over all streams.", guarded, func(k *modelMetrics, labels string) {
		w.line("gimbal_drift_alarms_total", labels, float64(k.keeper.Status().Alarms))
	})
	each("model_infer_request_success_total", "counter", "Inference requests that were answered, by the name that other servers use.", func(k *modelMetrics, labels string) {
		w.line("model_infer_request_success_total", labels, float64(k.rest.success.Load()+k.grpc.success.Load()))
	})
	each("model_infer_request_failure_total", "counter", "Inference requests that failed, by the name that other servers use.", func(k *modelMetrics, labels string) {
		w.line("model_infer_request_failure_total", labels, float64(k.rest.failure.Load()+k.grpc.failure.Load()))
	})
	each("gimbal_reloads_failed_total", "counter", "Newer files of the model that could not be loaded.", func(k *modelMetrics, labels string) {
		w.line("gimbal_reloads_failed_total", labels, float64(k.reloadsFailed.Load()))
	})
	w.help("gimbal_refused_total", "counter", "Requests turned away before a model saw them, by status.")
	for _, status := range slices.Sorted(maps.Keys(refused)) {
		w.line("gimbal_refused_total", `status="`+status+`"`, float64(refused[status].Load()))
	}
	one := func(name, kind, help, labels string, v float64) {
		w.help(name, kind, help)
		w.line(name, labels, v)
	}
	one("gimbal_requests_running", "gauge", "Requests now being answered.", "", float64(running))
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	one("gimbal_build_info", "gauge", "The program.", `version="`+strings.ReplaceAll(version, `"`, "'")+`",go="`+runtime.Version()+`"`, 1)
	one("go_goroutines", "gauge", "Goroutines.", "", float64(runtime.NumGoroutine()))
	one("go_memstats_heap_inuse_bytes", "gauge", "Memory of the heap in use.", "", float64(mem.HeapInuse))
	one("process_start_time_seconds", "gauge", "When the server started, in seconds since 1970.", "", float64(m.start.UnixMilli())/1000)
	return w.out.Flush()
}
