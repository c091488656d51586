package sidecar

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/serve/oip"
)

// takeBody reads a request's body and puts it back. A body beyond the bound is passed on as it comes, and cannot be judged.
func (s *Sidecar) takeBody(r *http.Request) (body []byte, why *errUnscored, err error) {
	if r.ContentLength > s.config.MaxBody {
		return nil, s.tooLarge("request"), nil
	}
	body, whole, err := readUpTo(r.Body, r.ContentLength, s.config.MaxBody)
	if err != nil {
		return nil, nil, err
	}
	if !whole {
		r.Body = rejoined{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
		return nil, s.tooLarge("request"), nil
	}
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil } // should the model server have closed an idle connection
	r.Body, _ = r.GetBody()
	if r.ContentLength < 0 && len(r.Trailer) == 0 {
		r.ContentLength, r.TransferEncoding = int64(len(body)), nil
	}
	return body, nil, nil
}

func (s *Sidecar) tooLarge(what string) *errUnscored {
	return unscored(http.StatusRequestEntityTooLarge, "the %s is larger than %d bytes", what, s.config.MaxBody)
}

// rejoined is a body of which the beginning was read.
type rejoined struct {
	io.Reader
	io.Closer
}

// readUpTo reads a body of so many bytes, −1 when it does not say, but not more than most; whole says that this was all.
func readUpTo(r io.Reader, length, most int64) (body []byte, whole bool, err error) {
	if length >= 0 && length <= most {
		body = make([]byte, length)
		_, err = io.ReadFull(r, body)
		return body, true, err
	}
	body, err = io.ReadAll(io.LimitReader(r, most+1))
	return body, int64(len(body)) <= most, err
}

// tapRequest takes the features out of a request and has them judged.
func (s *Sidecar) tapRequest(j *job, r *http.Request, body []byte) *errUnscored {
	text, why := s.unpack(r.Header.Get("Content-Encoding"), body)
	if why != nil {
		return why
	}
	length, err := oip.ParseLength(r.Header.Get(oip.LengthHeader), len(text))
	var q oip.Request
	if err == nil {
		err = q.Decode(text, length)
	}
	if err != nil {
		return unscored(http.StatusBadRequest, "%v", err)
	}
	j.id = q.ID
	in, why := s.rows(q.Inputs, s.config.Inputs, "input")
	if why == nil {
		s.judge(j, in)
	}
	return why
}

// unpack undoes a compression, within the bound.
func (s *Sidecar) unpack(encoding string, body []byte) ([]byte, *errUnscored) {
	if encoding == "" {
		return body, nil
	}
	plain, err := oip.Unpack(encoding, bytes.NewReader(body))
	if err == nil {
		body, err = io.ReadAll(io.LimitReader(plain, s.config.MaxBody+1))
	}
	switch {
	case errors.Is(err, oip.ErrEncoding):
		return nil, unscored(http.StatusUnsupportedMediaType, "%v", err)
	case err != nil:
		return nil, unscored(http.StatusBadRequest, "%v", err)
	case int64(len(body)) > s.config.MaxBody:
		return nil, s.tooLarge("unpacked request")
	}
	return body, nil
}

// rows puts the features of tensors side by side: each has N rows first, whatever shape they have; one that has a guard's width and no more is one row.
func (s *Sidecar) rows(list []oip.Tensor, names []string, what string) (*data.Table, *errUnscored) {
	if len(names) == 0 {
		if len(list) == 0 {
			return nil, unscored(http.StatusBadRequest, "there is no %s", what)
		}
		names = []string{list[0].Name}
	}
	var x []float32
	n, d := -1, 0
	for _, name := range names {
		t := find(list, name)
		if t == nil {
			return nil, unscored(http.StatusBadRequest, "there is no %s %q", what, name)
		}
		v, err := t.Float32s(nil)
		if err != nil {
			return nil, unscored(http.StatusBadRequest, "%v", err)
		}
		rows := 1
		if len(t.Shape) > 1 || len(v) != s.config.Width && len(t.Shape) == 1 && len(names) > 1 {
			rows = int(t.Shape[0])
		}
		if n >= 0 && rows != n {
			return nil, unscored(http.StatusBadRequest, "%s %q has %d rows, the one before it %d", what, name, rows, n)
		}
		wide := len(v)
		for i, k := range t.Shape {
			if rows == 0 && i == 1 { // no rows, but so many columns
				wide = 1
			}
			if rows == 0 && i > 0 {
				wide *= int(k)
			}
		}
		if rows > 0 {
			wide /= rows
		}
		if x = beside(x, d, v, wide, rows); n < 0 {
			n = rows
		}
		d += wide
	}
	if d != s.config.Width {
		return nil, unscored(http.StatusBadRequest, "%d rows of %d values, the guard takes %d", n, d, s.config.Width)
	}
	in, err := data.NewTable(n, d, x)
	if err != nil {
		return nil, unscored(http.StatusBadRequest, "%v", err)
	}
	return in, nil
}

func find(list []oip.Tensor, name string) *oip.Tensor {
	for i := range list {
		if list[i].Name == name {
			return &list[i]
		}
	}
	return nil
}

// beside puts the n rows of b, e wide, to the right of those of a, d wide.
func beside(a []float32, d int, b []float32, e, n int) []float32 {
	if d == 0 {
		return b
	}
	out := make([]float32, 0, len(a)+len(b))
	for i := range n {
		out = append(append(out, a[i*d:(i+1)*d]...), b[i*e:(i+1)*e]...)
	}
	return out
}

// answer adds to the model server's answer what was judged.
func (s *Sidecar) answer(a *http.Response) error {
	j, ok := a.Request.Context().Value(jobKey{}).(*job)
	if !ok || a.StatusCode != http.StatusOK {
		return nil
	}
	var body []byte
	if j.read {
		var whole bool
		var err error
		if body, whole, err = readUpTo(a.Body, a.ContentLength, s.config.MaxBody); err != nil {
			return err
		}
		if !whole {
			a.Body = rejoined{io.MultiReader(bytes.NewReader(body), a.Body), a.Body}
			j.why = s.tooLarge("answer")
		} else {
			a.Body.Close() // read to its end
			a.Body = io.NopCloser(bytes.NewReader(body))
		}
	}
	begin := time.Now()
	defer func() { j.spent.Add(int64(time.Since(begin))) }()
	length := -1
	if j.read && j.why == nil {
		j.why = s.tapAnswer(j, a, body, &length)
	}
	ds, why := s.decisions(a.Request.Context(), j)
	if why == nil && !s.config.Headers {
		more, added, err := splice(body, length, ds)
		if err != nil {
			why = unscored(http.StatusBadGateway, "%v", err)
		} else {
			a.Body = io.NopCloser(bytes.NewReader(more))
			a.ContentLength, a.TransferEncoding = int64(len(more)), nil
			a.Header.Set("Content-Length", strconv.Itoa(len(more)))
			if length >= 0 {
				a.Header.Set(oip.LengthHeader, strconv.Itoa(length+added))
			}
		}
	}
	if why != nil {
		if s.config.Closed {
			a.Body.Close() // it is not passed on
			return why
		}
		s.seen.unscored.Add(1)
		a.Header.Set(unscoredHeader, headerText(why.why))
		return nil
	}
	s.seen.scored(ds)
	if s.config.Headers {
		score, p, accept := headerValues(ds)
		a.Header.Set(scoreHeader, score)
		a.Header.Set(pValueHeader, p)
		a.Header.Set(acceptHeader, accept)
	}
	return nil
}

// tapAnswer makes out where the answer's JSON ends, and takes the features out of it where they are there.
func (s *Sidecar) tapAnswer(j *job, a *http.Response, body []byte, length *int) *errUnscored {
	if e := a.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return unscored(http.StatusBadGateway, "the answer is compressed")
	}
	var err error
	if *length, err = oip.ParseLength(a.Header.Get(oip.LengthHeader), len(body)); err != nil {
		return unscored(http.StatusBadGateway, "the answer: %v", err)
	}
	if len(s.config.Outputs) == 0 {
		return nil
	}
	var p oip.Response
	if err := p.Decode(body, *length); err != nil {
		return unscored(http.StatusBadGateway, "%v", err)
	}
	j.id = p.ID
	in, why := s.rows(p.Outputs, s.config.Outputs, "output")
	if why != nil {
		return unscored(http.StatusBadGateway, "%s", why.why)
	}
	s.judge(j, in)
	return nil
}

// added are the outputs that tell what was judged.
func added(ds []guard.Decision) []oip.Tensor {
	n := len(ds)
	score, p, accept := make([]float64, n), make([]float64, n), make([]bool, n)
	for i, d := range ds {
		score[i], p[i], accept[i] = d.Score, d.PValue, d.Accept
	}
	return []oip.Tensor{oip.NewFloat64s("ood_score", score, int64(n)), oip.NewFloat64s("p_value", p, int64(n)), oip.NewBools("accept", accept, int64(n))}
}

// headerMost bounds a header; a batch that needs more is told by the worst of its rows alone in the score, and so on.
const headerMost = 4096

func headerValues(ds []guard.Decision) (score, p, accept string) {
	var s, q, a []byte
	for i, d := range ds {
		if i > 0 {
			s, q, a = append(s, ','), append(q, ','), append(a, ',')
		}
		s, q, a = strconv.AppendFloat(s, d.Score, 'g', -1, 64), strconv.AppendFloat(q, d.PValue, 'g', -1, 64), strconv.AppendBool(a, d.Accept)
	}
	if max(len(s), len(q), len(a)) <= headerMost {
		return string(s), string(q), string(a)
	}
	worst := ds[0]
	for _, d := range ds {
		if d.Score > worst.Score {
			worst = d
		}
	}
	one := []guard.Decision{worst}
	score, p, accept = headerValues(one)
	rows := fmt.Sprintf(";worst of %d rows", len(ds))
	return score + rows, p + rows, accept + rows
}

// headerText is text that a header may hold.
func headerText(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b[:min(len(b), 300)])
}

func writeError(w http.ResponseWriter, why *errUnscored) {
	body, err := json.Marshal(map[string]string{"error": why.why})
	if err != nil {
		body = []byte(`{"error":""}`) // a string always has a form in JSON
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(why.code)
	_, _ = w.Write(body) // the client went away
}
