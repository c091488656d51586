package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gimbal-ml/gimbal/method"
)

// collector keeps the messages that it takes.
type collector struct {
	*httptest.Server
	mutex    sync.Mutex
	messages map[string][]map[string]any // by path
	header   http.Header
	busy     int
}

func newCollector(t *testing.T) *collector {
	c := &collector{messages: map[string][]map[string]any{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mutex.Lock()
		defer c.mutex.Unlock()
		if c.busy > 0 {
			c.busy--
			w.WriteHeader(503)
			return
		}
		body, _ := io.ReadAll(r.Body)
		var m map[string]any
		if err := json.Unmarshal(body, &m); err != nil {
			t.Error(err)
		}
		c.header = r.Header
		c.messages[r.URL.Path] = append(c.messages[r.URL.Path], m)
	}))
	t.Cleanup(c.Close)
	return c
}

// dig follows names and places into a message; an attribute list answers to its keys.
func dig(t *testing.T, v any, path ...string) any {
	t.Helper()
	for _, step := range path {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			v = nil
			if step == "0" && len(x) > 0 {
				v = x[0]
			}
			for _, e := range x {
				if a, ok := e.(map[string]any); ok && a["key"] == step {
					for _, value := range a["value"].(map[string]any) {
						v = value
					}
				}
			}
		}
	}
	return v
}

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestTracesAndMetrics(t *testing.T) {
	c := newCollector(t)
	c.busy = 1
	e, err := FromEnv(env("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL+"/", "OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x, a=b", "OTEL_SERVICE_NAME", "guard", "OTEL_RESOURCE_ATTRIBUTES", "team=vision,service.name=other"),
		"1.2", func() []Metric {
			return []Metric{{Name: "gimbal.rows", Value: 7, Total: true}, {Name: "gimbal.threshold", Value: 2.5, Attributes: map[string]any{"model": "m"}}}
		})
	if err != nil {
		t.Fatal(err)
	}
	passed := ""
	h := e.Handler(func(r *http.Request) string { return "infer" }, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		passed = r.Header.Get("Traceparent")
		Attribute(r.Context(), "rows", int64(3))
		w.WriteHeader(503)
	}))
	r := httptest.NewRequest("POST", "/v2/models/m/infer", nil)
	r.Header.Set("Traceparent", "00-0123456789abcdef0123456789abcdef-0011223344556677-01")
	h.ServeHTTP(httptest.NewRecorder(), r)
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	not := httptest.NewRequest("GET", "/", nil)
	not.Header.Set("Traceparent", "00-0123456789abcdef0123456789abcdef-0011223344556677-00") // its caller does not trace it
	h.ServeHTTP(httptest.NewRecorder(), not)
	if !strings.HasSuffix(passed, "-00") || !strings.HasPrefix(passed, "00-0123456789abcdef0123456789abcdef-") || strings.Contains(passed, "0011223344556677") {
		t.Errorf("passed on: %s", passed)
	}
	if err := e.Close(t.Context()); err != nil { // the collector was busy once, and was asked again
		t.Fatal(err)
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if len(c.messages["/v1/metrics"]) != 1 || len(c.messages["/v1/traces"]) != 1 {
		t.Fatalf("messages %v", c.messages)
	}
	if spans := dig(t, c.messages["/v1/traces"][0], "resourceSpans", "0", "scopeSpans", "0", "spans").([]any); len(spans) != 2 {
		t.Errorf("%d spans, want those of two requests", len(spans))
	}
	m := c.messages["/v1/metrics"][0]
	if v := dig(t, m, "resourceMetrics", "0", "scopeMetrics", "0", "metrics", "0", "sum", "dataPoints", "0", "asDouble"); v != 7.0 {
		t.Errorf("metric %v in %v", v, m)
	}
	if v := dig(t, m, "resourceMetrics", "0", "resource", "attributes", "service.name"); v != "guard" {
		t.Errorf("service %v", v)
	}
	if c.header.Get("Authorization") != "Bearer x" || c.header.Get("A") != "b" {
		t.Errorf("headers %v", c.header)
	}
}

func TestSpans(t *testing.T) {
	c := newCollector(t)
	e, err := FromEnv(env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", c.URL+"/mine", "OTEL_BSP_SCHEDULE_DELAY", "20"), "1.2", nil)
	if err != nil {
		t.Fatal(err)
	}
	h := e.Handler(func(r *http.Request) string { return "infer" }, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Attribute(r.Context(), "rows", int64(3))
		w.WriteHeader(503)
		http.NewResponseController(w).Flush()
	}))
	r := httptest.NewRequest("POST", "/v2/models/m/infer?secret=1", nil)
	r.Header.Set("Traceparent", "00-0123456789abcdef0123456789abcdef-0011223344556677-01")
	h.ServeHTTP(httptest.NewRecorder(), r)
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := dig(t, c.messages["/mine"][0], "resourceSpans", "0", "scopeSpans", "0", "spans", "0").(map[string]any)
	if s["traceId"] != "0123456789abcdef0123456789abcdef" || s["parentSpanId"] != "0011223344556677" || len(s["spanId"].(string)) != 16 || s["kind"] != 2.0 || s["name"] != "infer" ||
		dig(t, s, "status", "code") != 2.0 || dig(t, s, "attributes", "gimbal.rows") != "3" || dig(t, s, "attributes", "http.response.status_code") != "503" || dig(t, s, "attributes", "url.path") != "/v2/models/m/infer" {
		t.Errorf("span %v", s)
	}
	if s["endTimeUnixNano"].(string) < s["startTimeUnixNano"].(string) {
		t.Errorf("times %v, %v", s["startTimeUnixNano"], s["endTimeUnixNano"])
	}
}

func TestNothingWaitsForACollectorThatIsAway(t *testing.T) {
	e, err := FromEnv(env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_BSP_MAX_QUEUE_SIZE", "100"), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	h := e.Handler(func(*http.Request) string { return "x" }, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for range 1000 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}
	if n := e.Dropped(); n != 900 {
		t.Errorf("%d dropped, want 900", n)
	}
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
	defer stop()
	if err := e.Close(ctx); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("close: %v", err)
	}
	if n := e.Dropped(); n != 1000 {
		t.Errorf("%d dropped, want all", n)
	}
}

func TestEnvironment(t *testing.T) {
	for _, off := range [][]string{nil, {"OTEL_SDK_DISABLED", "true", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://x"}, {"OTEL_TRACES_EXPORTER", "none", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://x"}} {
		e, err := FromEnv(env(off...), "", nil)
		if e != nil || err != nil {
			t.Errorf("%v: %v, %v", off, e, err)
		}
		next := http.NotFoundHandler()
		if h := e.Handler(nil, next); h == nil || e.Close(t.Context()) != nil || e.Dropped() != 0 {
			t.Errorf("%v: a nil exporter is of no use", off)
		}
	}
	for _, bad := range [][2]string{
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}, {"OTEL_EXPORTER_OTLP_HEADERS", "secret"}, {"OTEL_EXPORTER_OTLP_TIMEOUT", "soon"}, {"OTEL_TRACES_SAMPLER", "jaeger"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4318"}, {"OTEL_TRACES_EXPORTER", "zipkin"},
	} {
		_, err := FromEnv(env(bad[0], bad[1], "OTEL_EXPORTER_OTLP_ENDPOINT", "http://x"), "", nil)
		if !errors.Is(err, method.ErrConfig) || !strings.Contains(err.Error(), bad[0]) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: %v", bad, err)
		}
	}
	for _, bad := range []string{"", "00", "00-0123456789abcdef0123456789abcdef-0011223344556677", "ff-0123456789abcdef0123456789abcdef-0011223344556677-01",
		"00-00000000000000000000000000000000-0011223344556677-01", "00-0123456789abcdef0123456789abcdef-0000000000000000-01", "00-0123456789ABCDEF0123456789abcdef-0011223344556677-01",
		"00-0123456789abcdeg0123456789abcdef-0011223344556677-01", "00-0123456789abcdef0123456789abcdef-0011223344556677-01-more"} {
		if parseParent(bad).ok {
			t.Errorf("traceparent %q", bad)
		}
	}
	if !parseParent("01-0123456789abcdef0123456789abcdef-0011223344556677-01-more").ok {
		t.Error("a later version")
	}
}

func TestSampler(t *testing.T) {
	v := environment{get: env("OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG", "0.25")}
	sample := v.sampler()
	kept := 0
	for i := range 4000 {
		var id traceID
		id[8], id[9] = byte(i*7919>>8), byte(i*7919)
		if sample(id, parent{ok: true, sampled: true}) {
			kept++
		}
	}
	if kept < 900 || kept > 1100 {
		t.Errorf("%d of 4000 at a ratio of a quarter", kept)
	}
}
