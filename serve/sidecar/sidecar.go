// Package sidecar stands before a model server, passes everything through as it is, and adds to every inference how unfamiliar its rows are.
//
// It speaks the Open Inference Protocol, version 2, over HTTP (JSON and binary tensors) and gRPC. While the model server works on a
// request, the guard judges the same rows; by default an inference that cannot be judged is passed on without a judgement.
package sidecar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/serve/merge"
)

// Judge says of rows what a guard does; [guard.Guard.Decide] is one. It may be called from several goroutines.
type Judge func(in *data.Table) ([]guard.Decision, error)

// Config says what is judged and how it is told.
type Config struct {
	// Upstream is the model server: http:// or https:// with a host, or for gRPC grpc:// or grpcs://.
	Upstream string
	// Judge judges rows of Width columns.
	Judge Judge
	Width int
	// Models are the names of the models whose inferences are judged; none means all.
	Models []string
	// Inputs or Outputs are the tensors that hold the features, side by side where there are several. Neither means the first input.
	Inputs, Outputs []string
	// Headers tells in headers of the answer instead of further output tensors.
	Headers bool
	// Closed refuses an inference that cannot be judged.
	Closed bool
	// MaxBody bounds the bytes of a request or an answer that is looked into; larger ones cannot be judged. Default 64 MiB.
	MaxBody int64
	// Timeout bounds how long the model server may take for an inference, and a client to take a piece of an answer. Default 60 s.
	Timeout time.Duration
	// Told is called with what was judged, for a history of it; it must not wait. The request is its ID, which may be empty.
	Told func(model, request string, in *data.Table, ds []guard.Decision)
	// Log takes what goes wrong; nil drops it.
	Log *slog.Logger
}

// Names of the headers and, in lower case with underscores, of the outputs that are added.
const (
	scoreHeader    = "Gimbal-Ood-Score"
	pValueHeader   = "Gimbal-P-Value"
	acceptHeader   = "Gimbal-Accept"
	unscoredHeader = "Gimbal-Unscored" // why an inference was not judged
)

// Sidecar is an HTTP handler. It is safe for concurrent use.
type Sidecar struct {
	config   Config
	upstream *url.URL
	proxy    *httputil.ReverseProxy
	together *merge.Queue[[]guard.Decision, uint8]
	seen     counters
}

// errUnscored is why an inference cannot be judged; its text may be told to the client.
type errUnscored struct {
	code int // of HTTP, when that refuses it
	why  string
}

func (e *errUnscored) Error() string { return e.why }

func unscored(code int, format string, a ...any) *errUnscored {
	return &errUnscored{code, fmt.Sprintf(format, a...)}
}

func (c *Config) check() (*url.URL, error) {
	u, err := url.Parse(c.Upstream)
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "grpc", "grpcs"}, u.Scheme) {
		return nil, fmt.Errorf("sidecar: %w: the upstream %.100q is no address like http://127.0.0.1:8000 or grpc://127.0.0.1:8001", method.ErrConfig, c.Upstream)
	}
	if c.Judge == nil || c.Width < 1 {
		return nil, fmt.Errorf("sidecar: %w: nothing to judge with", method.ErrConfig)
	}
	if len(c.Inputs) > 0 && len(c.Outputs) > 0 {
		return nil, fmt.Errorf("sidecar: %w: features are taken from inputs or from outputs, not from both", method.ErrConfig)
	}
	if c.MaxBody <= 0 {
		c.MaxBody = 64 << 20
	}
	if c.Timeout <= 0 {
		c.Timeout = time.Minute
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return u, nil
}

// New makes a sidecar for HTTP. Errors: ErrConfig.
func New(c Config) (*Sidecar, error) {
	s, err := newSidecar(c)
	if err == nil && strings.HasPrefix(s.upstream.Scheme, "grpc") {
		err = fmt.Errorf("sidecar: %w: the upstream %s speaks gRPC", method.ErrConfig, s.upstream.Redacted())
	}
	return s, err
}

func newSidecar(c Config) (*Sidecar, error) {
	u, err := c.check()
	if err != nil {
		return nil, err
	}
	s := &Sidecar{config: c, upstream: u, together: &merge.Queue[[]guard.Decision, uint8]{Answer: c.answer, Cut: func(ds *[]guard.Decision, lo, hi int) []guard.Decision { return (*ds)[lo:hi:hi] }}}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // the model server is next door
	transport.MaxIdleConnsPerHost, transport.MaxIdleConns = 512, 512
	transport.DisableCompression = true // what a client did not ask for must not be done to the answer
	s.proxy = &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(u)
			p.SetXForwarded()
			p.Out.Host = p.In.Host
			if j, ok := p.In.Context().Value(jobKey{}).(*job); ok && j.read {
				p.Out.Header.Del("Accept-Encoding") // so that the answer can be read
			}
		},
		Transport: transport, FlushInterval: -1, ModifyResponse: s.answer, ErrorHandler: s.fail, ErrorLog: slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// job is one inference on its way.
type job struct {
	model, id string
	read      bool // the answer is read: its tensors are wanted, or tensors are added to it
	result    chan result
	why       *errUnscored // known before: it cannot be judged
	spent     atomic.Int64 // nanoseconds that the client waits longer
}

type jobKey struct{}

type result struct {
	decisions []guard.Decision
	err       error
}

// model returns the name of the model that a request wants an inference from, "" for other requests.
func (s *Sidecar) model(r *http.Request) string {
	if r.Method != http.MethodPost {
		return ""
	}
	rest, ok := strings.CutPrefix(r.URL.Path, "/v2/models/")
	if !ok {
		return ""
	}
	name, rest, _ := strings.Cut(rest, "/")
	if version, ok := strings.CutPrefix(rest, "versions/"); ok {
		_, rest, _ = strings.Cut(version, "/")
	}
	if rest != "infer" || !s.wants(name) {
		return ""
	}
	return name
}

func (s *Sidecar) wants(model string) bool {
	return len(s.config.Models) == 0 || slices.Contains(s.config.Models, model)
}

// ServeHTTP passes a request to the model server.
func (s *Sidecar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w = newImpatient(w, s.config.Timeout)
	name := s.model(r)
	if name == "" {
		s.proxy.ServeHTTP(w, r)
		return
	}
	s.seen.requests.Add(1)
	j := &job{model: name, read: !s.config.Headers || len(s.config.Outputs) > 0}
	ctx, stop := context.WithTimeout(context.WithValue(r.Context(), jobKey{}, j), s.config.Timeout)
	defer stop()
	r = r.WithContext(ctx)
	if len(s.config.Outputs) == 0 {
		body, why, err := s.takeBody(r)
		if err != nil { // the client went away, or sent less than it said
			s.refuse(w, unscored(http.StatusBadRequest, "the request's body ended before its end"))
			return
		}
		begin := time.Now()
		if why == nil {
			why = s.tapRequest(j, r, body)
		}
		j.spent.Add(int64(time.Since(begin)))
		if j.why = why; why != nil && s.config.Closed {
			s.refuse(w, why)
			return
		}
	}
	s.proxy.ServeHTTP(w, r)
	s.seen.added.observe(time.Duration(j.spent.Load()))
}

// judge has the rows judged beside what else goes on.
func (s *Sidecar) judge(j *job, in *data.Table) {
	j.result = make(chan result, 1)
	go func() {
		ds, err := s.judgeRows(in)
		if err == nil && s.config.Told != nil {
			s.config.Told(j.model, j.id, in, ds)
		}
		j.result <- result{ds, err}
	}()
}

// judgeRows judges rows together with those of other requests that come at once.
func (s *Sidecar) judgeRows(in *data.Table) ([]guard.Decision, error) {
	if n, _ := in.Dims(); n == 0 {
		return nil, nil
	}
	return s.together.Do(in, 0)
}

// answer holds the judge to a decision for each row.
func (c *Config) answer(_ context.Context, in *data.Table, _ uint8) ([]guard.Decision, error) {
	ds, err := c.Judge(in)
	if n, _ := in.Dims(); err == nil && len(ds) != n {
		err = fmt.Errorf("%d decisions for %d rows", len(ds), n)
	}
	return ds, err
}

// decisions waits for what was judged.
func (s *Sidecar) decisions(ctx context.Context, j *job) ([]guard.Decision, *errUnscored) {
	if j.why != nil {
		return nil, j.why
	}
	select {
	case r := <-j.result:
		if r.err != nil {
			s.config.Log.Warn("inference not judged", "model", j.model, "error", r.err)
			return nil, unscored(http.StatusServiceUnavailable, "the guard cannot judge these rows")
		}
		return r.decisions, nil
	case <-ctx.Done():
		return nil, unscored(http.StatusGatewayTimeout, "the guard took too long")
	}
}

// fail answers for a model server that does not.
func (s *Sidecar) fail(w http.ResponseWriter, r *http.Request, err error) {
	var why *errUnscored
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &why):
		s.refuse(w, why)
		return
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		why = unscored(http.StatusGatewayTimeout, "the model server took longer than %s", s.config.Timeout)
	default:
		why = unscored(http.StatusBadGateway, "the model server cannot be reached")
	}
	if r.Context().Err() == nil || errors.Is(r.Context().Err(), context.DeadlineExceeded) { // else the client went away
		s.seen.failed.Add(1)
		s.config.Log.Warn("upstream failed", "path", r.URL.Path, "error", err)
	}
	writeError(w, why)
}

// refuse answers an inference that is not to go through unjudged.
func (s *Sidecar) refuse(w http.ResponseWriter, why *errUnscored) {
	s.seen.refused.Add(1)
	writeError(w, why)
}
