package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/serve/alarm"
	"github.com/gimbal-ml/gimbal/serve/merge"
	"github.com/gimbal-ml/gimbal/serve/oip"
)

// route is one thing that the server does over HTTP. The table of them is the whole of it: the handlers, what they need and the
// OpenAPI document come from there.
type route struct {
	method, path string
	role         Role
	group        string // heading in the document
	summary      string
	query        []parameter
	in, out      any    // values whose types say what the JSON bodies are; nil for none
	media        string // of an answer that is no JSON
	status       int    // of success; 0 is 200
	handle       func(s *Server, w http.ResponseWriter, r *http.Request) error
}

type parameter struct{ name, text string }

// newHandler makes the handler of all routes.
func (s *Server) newHandler() http.Handler {
	mux, known := http.NewServeMux(), http.NewServeMux()
	s.mux = mux
	paths := map[string][]string{}
	for _, r := range s.routes {
		mux.Handle(r.method+" "+r.path, s.serve(r))
		if paths[r.path] == nil {
			known.Handle(r.path, http.NotFoundHandler())
		}
		paths[r.path] = append(paths[r.path], r.method)
	}
	for _, n := range []*alarm.Notifier{s.options.Alarm, s.options.News} {
		if !n.Mails() {
			continue
		}
		mux.Handle(n.LinkPath(), n.Handler()) // the links in e-mail are permission enough
		if s.options.Tokens == nil {
			mux.Handle(n.SubscribePath(), n.Handler()) // to ask for it here is for who needs no token
		}
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if s.options.Pages != nil && s.options.Pages.Serves(r) && s.trusted(r) == nil {
			s.options.Pages.ServeHTTP(w, r)
			return
		}
		if _, pattern := known.Handler(r); pattern != "" {
			w.Header().Set("Allow", strings.Join(paths[pattern], ", "))
			s.fail(w, r, &statusError{http.StatusMethodNotAllowed, fmt.Errorf("%s is answered to %s only", pattern, strings.Join(paths[pattern], ", "))})
			return
		}
		s.fail(w, r, fmt.Errorf("%.100s %w; GET /openapi.json lists what there is", r.URL.Path, errNotFound))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for name, value := range guardHeaders {
			h[name] = value
		}
		if s.running.Add(1) > int64(s.options.MaxRequests) {
			s.running.Add(-1)
			h.Set("Retry-After", "1")
			s.fail(w, r, &statusError{http.StatusServiceUnavailable, fmt.Errorf("%w: %d are being answered", errBusy, s.options.MaxRequests)})
			return
		}
		defer s.running.Add(-1)
		mux.ServeHTTP(w, r)
	})
}

// serve is what all routes have in common: who may, how much, and what an error looks like.
func (s *Server) serve(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				s.fail(w, r, fmt.Errorf("%w: %v", merge.ErrInternal, p))
			}
		}()
		err := s.trusted(r)
		if err == nil {
			_, err = s.allow(route.role, r.Header.Get("Authorization"), r.RemoteAddr)
		}
		if err == nil && r.ContentLength > s.options.MaxBody {
			err = &http.MaxBytesError{Limit: s.options.MaxBody}
		}
		if err == nil {
			err = s.bound(w, r)
		}
		if err == nil {
			err = route.handle(s, w, r)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	})
}

// bound bounds a request's body, as it comes and unpacked.
func (s *Server) bound(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, s.options.MaxBody)
	encoding := r.Header.Get("Content-Encoding")
	if encoding == "" {
		return nil
	}
	plain, err := oip.Unpack(encoding, r.Body)
	if err != nil {
		return err
	}
	r.Body, r.ContentLength = http.MaxBytesReader(w, io.NopCloser(plain), s.options.MaxBody), -1
	return nil
}

// statusError is an error with a status of its own.
type statusError struct {
	status int
	error
}

func (e *statusError) Unwrap() error { return e.error }

// statusOf maps what went wrong to a status.
func statusOf(err error) int {
	var own *statusError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &own):
		return own.status
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, oip.ErrEncoding):
		return http.StatusUnsupportedMediaType
	case errors.Is(err, errNotFound), errors.Is(err, fs.ErrNotExist):
		return http.StatusNotFound
	case errors.Is(err, errUnauthorized):
		return http.StatusUnauthorized
	case errors.Is(err, errForbidden):
		return http.StatusForbidden
	case errors.Is(err, errBusy):
		return http.StatusTooManyRequests
	case errors.Is(err, errConflict):
		return http.StatusConflict
	case errors.Is(err, method.ErrRefused), errors.Is(err, method.ErrDegenerate):
		return http.StatusUnprocessableEntity
	case slices.ContainsFunc([]error{data.ErrShape, data.ErrFinite, data.ErrLabels, data.ErrFormat, method.ErrConfig, method.ErrInput, method.ErrState}, func(s error) bool { return errors.Is(err, s) }):
		return http.StatusBadRequest
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, io.ErrUnexpectedEOF):
		return http.StatusRequestTimeout
	}
	return http.StatusInternalServerError
}

// errConflict says that something is not in the state for what was asked.
var errConflict = errors.New("not possible now")

// messageOf is what a client is told: the error, unless it is a mistake of ours, which only the log tells in full.
func messageOf(err error) string {
	if statusOf(err) == http.StatusInternalServerError {
		return "an error within the server; its log says more"
	}
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := statusOf(err)
	s.metrics.refuse(status)
	if status == http.StatusInternalServerError {
		s.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "status", status, "error", err)
	} else {
		s.log.Debug("request refused", "method", r.Method, "path", r.URL.Path, "status", status, "error", err)
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeJSON(w, status, oip.Error{Error: messageOf(err)})
}

// writeJSON answers with a value.
func writeJSON(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"an error within the server"}`)
	}
	h := w.Header()
	h["Content-Type"] = mediaJSON
	h["Content-Length"] = []string{strconv.Itoa(len(text) + 1)}
	w.WriteHeader(status)
	w.Write(append(text, '\n')) // a client that is gone is no error
}

var mediaJSON, mediaBinary = []string{"application/json"}, []string{"application/octet-stream"}

// readJSON reads a body, which must be JSON of exactly the form of v.
func readJSON(r *http.Request, v any) error {
	if err := checkMedia(r, false); err != nil {
		return err
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return err
		}
		return fmt.Errorf("body: %w as JSON: %v", data.ErrFormat, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("body: %w as JSON: there is more behind the value", data.ErrFormat)
	}
	return nil
}

// checkMedia refuses bodies of other types: a form of a foreign web page cannot send JSON.
func checkMedia(r *http.Request, binary bool) error {
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	media = strings.TrimSpace(media)
	if strings.EqualFold(media, "application/json") || binary && (media == "" || strings.EqualFold(media, "application/octet-stream")) {
		return nil
	}
	return &statusError{http.StatusUnsupportedMediaType, fmt.Errorf("Content-Type %.60q: want application/json", media)}
}

// bodies are buffers for whole requests and answers.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

// mostKept is the largest buffer that goes back into the pool.
const mostKept = 1 << 20

// readBody reads a body into a buffer, which the caller gives back when nothing needs it any more.
func readBody(r *http.Request) (buf *[]byte, err error) {
	buf = bodies.Get().(*[]byte)
	b := (*buf)[:0]
	if n := r.ContentLength; n > 0 && n <= mostKept {
		b = slices.Grow(b, int(n)+1)
	}
	for {
		if len(b) == cap(b) {
			b = slices.Grow(b, max(4096, len(b)))
		}
		n, err := r.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			*buf = b
			return buf, nil
		}
		if err != nil {
			*buf = b
			giveBack(buf)
			return nil, err
		}
	}
}

func giveBack(buf *[]byte) {
	if cap(*buf) <= mostKept {
		bodies.Put(buf)
	}
}
