package sidecar

import (
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gimbal-ml/gimbal/guard"
)

// counters are what [WriteMetrics] tells.
type counters struct {
	requests, judged, unscored, refused, failed, rows, notAccepted atomic.Uint64
	added                                                          durations
}

func (c *counters) scored(ds []guard.Decision) {
	c.judged.Add(1)
	c.rows.Add(uint64(len(ds)))
	for _, d := range ds {
		if !d.Accept {
			c.notAccepted.Add(1)
		}
	}
}

// addedBounds are upper bounds in seconds.
var addedBounds = [...]float64{0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1, 1}

// durations is a histogram.
type durations struct {
	counts [len(addedBounds) + 1]atomic.Uint64
	sum    atomic.Int64 // nanoseconds
}

func (h *durations) observe(d time.Duration) {
	i := 0
	for i < len(addedBounds) && d.Seconds() > addedBounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// WriteMetrics writes what sidecars counted, all together, in the text format of Prometheus.
func WriteMetrics(w io.Writer, all ...*Sidecar) error {
	sum := func(of func(c *counters) uint64) (total uint64) {
		for _, s := range all {
			total += of(&s.seen)
		}
		return total
	}
	for _, m := range []struct {
		name, help string
		of         func(c *counters) uint64
	}{
		{"gimbal_requests_total", "Inferences that came.", func(c *counters) uint64 { return c.requests.Load() }},
		{"gimbal_sidecar_judged_total", "Inferences that were judged.", func(c *counters) uint64 { return c.judged.Load() }},
		{"gimbal_sidecar_unscored_total", "Inferences that were passed on without a judgement.", func(c *counters) uint64 { return c.unscored.Load() }},
		{"gimbal_sidecar_refused_total", "Inferences that were refused for want of a judgement.", func(c *counters) uint64 { return c.refused.Load() }},
		{"gimbal_sidecar_upstream_failures_total", "Requests that the model server did not answer.", func(c *counters) uint64 { return c.failed.Load() }},
		{"gimbal_rows_total", "Rows judged.", func(c *counters) uint64 { return c.rows.Load() }},
		{"gimbal_rows_not_accepted_total", "Rows judged unfamiliar.", func(c *counters) uint64 { return c.notAccepted.Load() }},
	} {
		if _, err := fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s counter\n%s %d\n", m.name, m.help, m.name, m.name, sum(m.of)); err != nil {
			return err
		}
	}
	const name = "gimbal_sidecar_added_seconds"
	if _, err := fmt.Fprintf(w, "# HELP %s Time that an inference took longer.\n# TYPE %s histogram\n", name, name); err != nil {
		return err
	}
	total := uint64(0)
	for i := range len(addedBounds) + 1 {
		total += sum(func(c *counters) uint64 { return c.added.counts[i].Load() })
		bound := "+Inf"
		if i < len(addedBounds) {
			bound = strconv.FormatFloat(addedBounds[i], 'g', -1, 64)
		}
		if _, err := fmt.Fprintf(w, "%s_bucket{le=%q} %d\n", name, bound, total); err != nil {
			return err
		}
	}
	took := sum(func(c *counters) uint64 { return uint64(c.added.sum.Load()) })
	_, err := fmt.Fprintf(w, "%s_sum %g\n%s_count %d\n", name, time.Duration(took).Seconds(), name, total)
	return err
}
