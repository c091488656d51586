// Package telemetry sends traces and metrics to an OpenTelemetry collector, set by the standard environment variables. It speaks OTLP over
// HTTP in JSON (http/json), which collectors take at the same port as protobuf; the official SDK with its exporters would add a fifth to the program.
// Nothing waits for it: what the collector does not take in time is counted and left out.
package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gimbal-ml/gimbal/method"
)

// Exporter sends. A nil one does nothing, at no cost, so that callers need not ask. It is safe for concurrent use.
type Exporter struct {
	traces, metrics string // URLs, empty for none
	headers         map[string]string
	client          *http.Client
	resource        resource
	sample          func(id traceID, parent parent) bool
	read            func() []Metric

	mutex   sync.Mutex
	spans   []span
	most    int
	dropped uint64
	failed  error
	begun   time.Time

	wake, closing, stopped chan struct{}
	closed                 sync.Once
	delay, interval        time.Duration
}

const batchMost = 512 // spans of one message

// FromEnv makes an exporter as OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, …_METRICS_ENDPOINT, …_HEADERS, …_TIMEOUT, …_PROTOCOL,
// OTEL_TRACES_EXPORTER, OTEL_METRICS_EXPORTER, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER with its argument,
// OTEL_BSP_SCHEDULE_DELAY, OTEL_BSP_MAX_QUEUE_SIZE, OTEL_METRIC_EXPORT_INTERVAL and OTEL_SDK_DISABLED say. Without an endpoint there is none: nil.
// Read gives the metrics, nil for none. Errors: ErrConfig naming the variable.
func FromEnv(getenv func(string) string, version string, read func() []Metric) (*Exporter, error) {
	v := environment{get: getenv}
	if v.get("OTEL_SDK_DISABLED") == "true" {
		return nil, nil
	}
	e := &Exporter{read: read, begun: time.Now(), wake: make(chan struct{}, 1), closing: make(chan struct{}), stopped: make(chan struct{})}
	e.traces, e.metrics = v.endpoint("TRACES"), v.endpoint("METRICS")
	if read == nil {
		e.metrics = ""
	}
	if e.traces == "" && e.metrics == "" {
		return nil, v.err
	}
	if p := v.get("OTEL_EXPORTER_OTLP_PROTOCOL"); p != "" && p != "http/json" && p != "http/protobuf" {
		v.fail("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json is what this program speaks; a collector takes it at port 4318")
	}
	e.headers = v.pairs("OTEL_EXPORTER_OTLP_HEADERS")
	e.client = &http.Client{Timeout: v.milliseconds("OTEL_EXPORTER_OTLP_TIMEOUT", 10*time.Second)}
	e.delay = v.milliseconds("OTEL_BSP_SCHEDULE_DELAY", 5*time.Second)
	e.interval = v.milliseconds("OTEL_METRIC_EXPORT_INTERVAL", time.Minute)
	e.most = int(v.milliseconds("OTEL_BSP_MAX_QUEUE_SIZE", 2048*time.Millisecond) / time.Millisecond)
	e.sample = v.sampler()
	attributes := v.pairs("OTEL_RESOURCE_ATTRIBUTES")
	if name := v.get("OTEL_SERVICE_NAME"); name != "" {
		attributes["service.name"] = name
	}
	if attributes["service.name"] == "" {
		attributes["service.name"] = "gimbal"
	}
	if attributes["service.version"] == "" {
		attributes["service.version"] = version
	}
	e.resource = newResource(attributes)
	if v.err != nil {
		return nil, v.err
	}
	go e.run()
	return e, nil
}

// environment reads variables and keeps the first mistake.
type environment struct {
	get func(string) string
	err error
}

func (v *environment) fail(name, want string) {
	if v.err == nil {
		v.err = fmt.Errorf("telemetry: %w: %s: %s", method.ErrConfig, name, want)
	}
}

// endpoint is the URL for a signal, "" where it is not sent.
func (v *environment) endpoint(signal string) string {
	if x := v.get("OTEL_" + signal + "_EXPORTER"); x == "none" {
		return ""
	} else if x != "" && x != "otlp" {
		v.fail("OTEL_"+signal+"_EXPORTER", "want otlp or none")
	}
	name := "OTEL_EXPORTER_OTLP_" + signal + "_ENDPOINT"
	to := v.get(name)
	if to == "" {
		name = "OTEL_EXPORTER_OTLP_ENDPOINT"
		if to = v.get(name); to == "" {
			return ""
		}
		to = strings.TrimSuffix(to, "/") + "/v1/" + strings.ToLower(signal)
	}
	if u, err := url.Parse(to); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		v.fail(name, "want a URL like http://127.0.0.1:4318")
	}
	return to
}

// pairs reads key=value,key=value with values escaped as in URLs.
func (v *environment) pairs(name string) map[string]string {
	out := map[string]string{}
	for pair := range strings.SplitSeq(v.get(name), ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		text, err := url.PathUnescape(strings.TrimSpace(value))
		if key = strings.TrimSpace(key); !ok || key == "" || err != nil {
			v.fail(name, "want NAME=VALUE, separated by commas") // the value may be a secret: it is not repeated
			continue
		}
		out[key] = text
	}
	return out
}

func (v *environment) milliseconds(name string, normal time.Duration) time.Duration {
	text := v.get(name)
	if text == "" {
		return normal
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1<<30 {
		v.fail(name, "want a whole number above 0")
		return normal
	}
	return time.Duration(n) * time.Millisecond
}

// run sends now and then.
func (e *Exporter) run() {
	defer close(e.stopped)
	spans, metrics := time.NewTicker(e.delay), time.NewTicker(e.interval)
	defer spans.Stop()
	defer metrics.Stop()
	for {
		select {
		case <-spans.C:
			e.sendSpans()
		case <-e.wake:
			e.sendSpans()
		case <-metrics.C:
			e.sendMetrics()
		case <-e.closing:
			e.sendSpans()
			e.sendMetrics()
			return
		}
	}
}

// Close sends what is pending and ends, at the latest when ctx does. Errors: why the last message was not taken.
func (e *Exporter) Close(ctx context.Context) error {
	if e == nil {
		return nil
	}
	e.closed.Do(func() { close(e.closing) })
	select {
	case <-e.stopped:
	case <-ctx.Done():
		return ctx.Err()
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	return e.failed
}

// Dropped returns how many spans were left out.
func (e *Exporter) Dropped() uint64 {
	if e == nil {
		return 0
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	return e.dropped
}

// attempts and firstPause are how a message is tried again when the collector is busy or away.
const (
	attempts   = 3
	firstPause = 200 * time.Millisecond
)

// post sends a message.
func (e *Exporter) post(to string, message any) error {
	body, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("telemetry: %w", err)
	}
	pause := firstPause
	for i := 1; ; i++ {
		again, err := e.postOnce(to, body)
		if err == nil || !again || i == attempts {
			return err
		}
		time.Sleep(pause) // only the sender waits
		pause *= 2
	}
}

func (e *Exporter) postOnce(to string, body []byte) (again bool, err error) {
	r, err := http.NewRequest(http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return false, fmt.Errorf("telemetry: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	for name, value := range e.headers {
		r.Header.Set(name, value)
	}
	a, err := e.client.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return true, fmt.Errorf("telemetry: the collector: %w", err)
	}
	defer a.Body.Close()                               // nothing was written to it
	io.Copy(io.Discard, io.LimitReader(a.Body, 1<<16)) // so that the connection can be used again
	switch a.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		return false, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = true
	}
	return again, fmt.Errorf("telemetry: the collector answered %d", a.StatusCode)
}

func (e *Exporter) note(err error, lost int) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.failed = err
	if err != nil {
		e.dropped += uint64(lost)
	}
}
