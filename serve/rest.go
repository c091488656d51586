package serve

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gimbal-ml/gimbal/serve/merge"
	"github.com/gimbal-ml/gimbal/serve/oip"
)

// The routes of the Open Inference Protocol.

// serverLive is the answer to whether the server is alive, serverReady whether it takes requests.
type serverLive struct {
	Live bool `json:"live"`
}

type serverReady struct {
	Ready bool `json:"ready"`
}

type modelReady struct {
	Name  string `json:"name"`
	Ready bool   `json:"ready"`
}

func (s *Server) getLive(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, serverLive{true})
	return nil
}

// ready reports whether the server takes requests: its models are loaded, and it was not told to stop.
func (s *Server) ready() bool { return !s.stopped.Load() }

func (s *Server) getReady(w http.ResponseWriter, _ *http.Request) error {
	status := http.StatusOK
	if !s.ready() {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, serverReady{s.ready()})
	return nil
}

func (s *Server) serverMetadata() oip.ServerMetadata {
	return oip.ServerMetadata{Name: "gimbal", Version: s.options.Version, Extensions: oip.Extensions}
}

func (s *Server) getServer(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, s.serverMetadata())
	return nil
}

func (s *Server) getModel(w http.ResponseWriter, r *http.Request) error {
	m, err := s.model(r.PathValue("model"), r.PathValue("version"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, m.metadata())
	return nil
}

func (s *Server) getModelReady(w http.ResponseWriter, r *http.Request) error {
	m, err := s.model(r.PathValue("model"), r.PathValue("version"))
	if err != nil {
		return err
	}
	status := http.StatusOK
	if !s.ready() {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, modelReady{m.name, s.ready()})
	return nil
}

// exchange is what answering one request needs; it is used again.
type exchange struct {
	request  oip.Request
	response oip.Response
	rows     []float32
	outputs  []*output
}

var inferences = sync.Pool{New: func() any { return new(exchange) }}

func (f *exchange) giveBack() {
	if cap(f.rows) <= mostKept/4 {
		inferences.Put(f)
	}
}

// postInfer answers POST /v2/models/MODEL/infer.
func (s *Server) postInfer(w http.ResponseWriter, r *http.Request) error {
	m, err := s.model(r.PathValue("model"), r.PathValue("version"))
	if err != nil {
		return err
	}
	if err := checkMedia(r, true); err != nil {
		return err
	}
	body, err := readBody(r)
	if err != nil {
		return err
	}
	defer giveBack(body)
	start := time.Now()
	f := inferences.Get().(*exchange)
	defer f.giveBack()
	err = s.inferREST(w, r, m, f, *body)
	m.metrics.rest.done(start, err)
	return err
}

func (s *Server) inferREST(w http.ResponseWriter, r *http.Request, m *model, f *exchange, body []byte) error {
	length, err := oip.ParseLength(r.Header.Get(oip.LengthHeader), len(body))
	if err != nil {
		return err
	}
	if err := f.request.Decode(body, length); err != nil {
		return err
	}
	if err := s.infer(r.Context(), m, f); err != nil {
		return err
	}
	for i := range f.response.Outputs {
		_, f.response.Outputs[i].Binary = f.request.Wants(f.response.Outputs[i].Name)
	}
	out := bodies.Get().(*[]byte)
	defer giveBack(out)
	text, length, err := f.response.Encode((*out)[:0])
	if err != nil {
		return err
	}
	*out = text
	h := w.Header()
	h["Content-Type"] = mediaJSON
	if length >= 0 {
		h["Content-Type"] = mediaBinary
		h[oip.LengthHeader] = []string{strconv.Itoa(length)}
	}
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	w.Write(text)
	return nil
}

// infer answers a request that was decoded, whatever way it came.
func (s *Server) infer(ctx context.Context, m *model, f *exchange) error {
	in, rows, err := m.table(&f.request, f.rows)
	f.rows = rows
	if err != nil {
		return err
	}
	outputs, what, err := m.wanted(&f.request, f.outputs[:0])
	if err != nil {
		return err
	}
	f.outputs = outputs
	var a answer
	if m.merge != nil {
		a, err = m.merge.Do(in, what)
	} else {
		a, err = merge.Safely(m.answer, ctx, in, what)
	}
	if err != nil {
		return err
	}
	m.metrics.answered(&a)
	list := f.response.Outputs[:0]
	for _, o := range outputs {
		list = append(list, o.tensor(&a, o.Name))
	}
	f.response = oip.Response{Model: m.name, Version: m.version, ID: f.request.ID, Outputs: list}
	return nil
}
