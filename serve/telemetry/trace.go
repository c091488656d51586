package telemetry

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

type traceID [16]byte

// parent is what a caller said of its own span.
type parent struct {
	ok      bool
	trace   traceID
	span    [8]byte
	sampled bool
}

// span is one request.
type span struct {
	trace      traceID
	id         [8]byte
	parent     parent
	name       string
	begin, end time.Time
	attributes map[string]any // string or int64
	failed     bool
}

// sampler reads which requests are traced.
func (v *environment) sampler() func(traceID, parent) bool {
	name := v.get("OTEL_TRACES_SAMPLER")
	if name == "" {
		name = "parentbased_always_on"
	}
	root, ofParent := strings.CutPrefix(name, "parentbased_")
	ratio := 1.0
	switch root {
	case "always_on":
	case "always_off":
		ratio = 0
	case "traceidratio":
		if text := v.get("OTEL_TRACES_SAMPLER_ARG"); text != "" {
			r, err := strconv.ParseFloat(text, 64)
			if err != nil || !(r >= 0 && r <= 1) {
				v.fail("OTEL_TRACES_SAMPLER_ARG", "want a share from 0 to 1")
			}
			ratio = r
		}
	default:
		v.fail("OTEL_TRACES_SAMPLER", "want always_on, always_off or traceidratio, also behind parentbased_")
	}
	return func(id traceID, p parent) bool {
		if ofParent && p.ok {
			return p.sampled
		}
		return ratio == 1 || float64(binary.BigEndian.Uint64(id[8:])>>11)/(1<<53) < ratio // all services that see the trace decide alike
	}
}

// parseParent reads a W3C traceparent header.
func parseParent(text string) (p parent) {
	if len(text) < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-' || text[:2] == "ff" || len(text) > 55 && (text[:2] == "00" || text[55] != '-') || text != strings.ToLower(text) {
		return p
	}
	var flags [1]byte
	for _, part := range []struct {
		to   []byte
		from string
	}{{make([]byte, 1), text[:2]}, {p.trace[:], text[3:35]}, {p.span[:], text[36:52]}, {flags[:], text[53:55]}} {
		if _, err := hex.Decode(part.to, []byte(part.from)); err != nil {
			return parent{}
		}
	}
	p.ok = p.trace != traceID{} && p.span != [8]byte{}
	p.sampled = flags[0]&1 == 1
	return p
}

func (s *span) traceparent(sampled bool) string {
	flags := "00"
	if sampled {
		flags = "01"
	}
	return "00-" + hex.EncodeToString(s.trace[:]) + "-" + hex.EncodeToString(s.id[:]) + "-" + flags
}

type spanKey struct{}

// Attribute adds to the span of a request, if it is traced; name is under gimbal. Call it before the handler returns, from its goroutine.
func Attribute(ctx context.Context, name string, value any) {
	if s, ok := ctx.Value(spanKey{}).(*span); ok {
		s.attributes["gimbal."+name] = value
	}
}

// Handler traces the requests that next answers, by the names that name gives them, and passes the trace on in their header.
func (e *Exporter) Handler(name func(r *http.Request) string, next http.Handler) http.Handler {
	if e == nil || e.traces == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := &span{parent: parseParent(r.Header.Get("Traceparent")), begin: time.Now(), attributes: map[string]any{}}
		if s.trace = s.parent.trace; !s.parent.ok {
			binary.BigEndian.PutUint64(s.trace[:], rand.Uint64())
			binary.BigEndian.PutUint64(s.trace[8:], rand.Uint64()|1)
		}
		binary.BigEndian.PutUint64(s.id[:], rand.Uint64()|1)
		sampled := e.sample(s.trace, s.parent)
		r.Header.Set("Traceparent", s.traceparent(sampled))
		if !sampled {
			next.ServeHTTP(w, r)
			return
		}
		s.name = name(r)
		s.attributes["http.request.method"] = r.Method
		s.attributes["url.path"] = r.URL.Path
		seen := &status{ResponseWriter: w}
		defer func() {
			s.end = time.Now()
			s.attributes["http.response.status_code"] = int64(max(seen.code, http.StatusOK))
			s.failed = seen.code >= 500
			e.add(s)
		}()
		next.ServeHTTP(seen, r.WithContext(context.WithValue(r.Context(), spanKey{}, s)))
	})
}

// status notes an answer's status.
type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	if s.code == 0 || s.code < 200 {
		s.code = code
	}
	s.ResponseWriter.WriteHeader(code)
}

// Unwrap lets flushing through.
func (s *status) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (e *Exporter) add(s *span) {
	e.mutex.Lock()
	if len(e.spans) >= e.most {
		e.dropped++
	} else {
		e.spans = append(e.spans, *s)
	}
	full := len(e.spans) >= batchMost
	e.mutex.Unlock()
	if full {
		select {
		case e.wake <- struct{}{}:
		default:
		}
	}
}

// sendSpans sends what has gathered.
func (e *Exporter) sendSpans() {
	for {
		e.mutex.Lock()
		n := min(len(e.spans), batchMost)
		batch := e.spans[:n:n]
		e.spans = e.spans[n:]
		if len(e.spans) == 0 {
			e.spans = nil
		}
		e.mutex.Unlock()
		if n == 0 {
			return
		}
		e.note(e.post(e.traces, e.traceMessage(batch)), n)
	}
}
