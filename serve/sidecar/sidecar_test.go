package sidecar

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/serve/oip"
)

const width = 4

// rows draws n rows of Gaussian columns, far from 0 for class b.
func rows(seed uint64, n int) *data.Table {
	r := rand.New(rand.NewPCG(seed, 7))
	x, names := make([]float32, width*n), make([]string, n)
	for i := range n {
		names[i] = []string{"a", "b"}[i%2]
		for j := range width {
			x[i*width+j] = float32(r.NormFloat64() + 5*float64(i%2))
		}
	}
	return must(must(data.NewTable(n, width, x)).WithClassNames(names))
}

var trained = sync.OnceValue(func() *guard.Guard {
	return must(guard.Fit(context.Background(), detect.Methods(), guard.Config{Alpha: 0.1}, rows(1, 400)))
})

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// model is a model server: it answers an inference with the sum of each row, in the form asked for, and everything else with what came.
type model struct {
	*httptest.Server
	inferences atomic.Int64
	last       atomic.Pointer[[]byte]
}

func newModel(t testing.TB) *model {
	m := &model{}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		m.last.Store(&body)
		if !strings.HasSuffix(r.URL.Path, "/infer") {
			w.Header().Set("X-Path", r.Method+" "+r.URL.String())
			w.Header().Set("X-Custom", r.Header.Get("X-Custom"))
			w.Header().Set("Trailer", "X-Sum")
			w.WriteHeader(http.StatusTeapot)
			w.Write(body)
			w.Header().Set("X-Sum", strconv.Itoa(len(body)))
			return
		}
		m.inferences.Add(1)
		var q oip.Request
		length, err := oip.ParseLength(r.Header.Get(oip.LengthHeader), len(body))
		if err == nil {
			err = q.Decode(body, length)
		}
		if err != nil || len(q.Inputs) == 0 {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"error":"the model cannot read it"}`)
			return
		}
		x := must(q.Inputs[0].Float32s(nil))
		n := q.Inputs[0].Shape[0]
		sums := make([]float32, n)
		for i, v := range x {
			sums[i/(len(x)/int(n))] += v
		}
		_, binary := q.Wants("sum")
		out := oip.Response{Model: "m", ID: q.ID, Outputs: []oip.Tensor{oip.NewFloat32s("sum", sums, n), oip.NewFloat32s("features", x, q.Inputs[0].Shape...)}}
		out.Outputs[0].Binary = binary
		text, length, err := out.Encode(nil)
		if err != nil {
			panic(err)
		}
		if length >= 0 {
			w.Header().Set(oip.LengthHeader, strconv.Itoa(length))
		}
		w.Write(text)
	}))
	t.Cleanup(m.Close)
	return m
}

func start(t testing.TB, c Config) *httptest.Server {
	t.Helper()
	if c.Judge == nil {
		c.Judge = trained().Decide
	}
	if c.Width == 0 {
		c.Width = width
	}
	s := httptest.NewServer(must(New(c)))
	t.Cleanup(s.Close)
	return s
}

// encode makes a body of a request with the rows.
func encode(in *data.Table, binary bool) (body []byte, length int) {
	n, d := in.Dims()
	q := oip.Request{ID: "id 7", Inputs: []oip.Tensor{oip.NewFloat32s("x", in.X(), int64(n), int64(d))}}
	if q.Inputs[0].Binary = binary; binary {
		q.Parameters = oip.Parameters{"binary_data_output": true}
	}
	body, length, err := q.Encode(nil)
	if err != nil {
		panic(err)
	}
	return body, length
}

func post(t testing.TB, url string, body []byte, length int, header ...string) (*http.Response, []byte) {
	t.Helper()
	r := must(http.NewRequest("POST", url, bytes.NewReader(body)))
	if length >= 0 {
		r.Header.Set(oip.LengthHeader, strconv.Itoa(length))
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	return a, must(io.ReadAll(a.Body))
}

// read decodes an answer.
func read(t testing.TB, a *http.Response, body []byte) *oip.Response {
	t.Helper()
	var p oip.Response
	if err := p.Decode(body, must(oip.ParseLength(a.Header.Get(oip.LengthHeader), len(body)))); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return &p
}

// same fails unless the answer holds what the guard says of the rows.
func same(t testing.TB, p *oip.Response, in *data.Table) {
	t.Helper()
	want := must(trained().Decide(in))
	score, pv, accept := p.Output("ood_score"), p.Output("p_value"), p.Output("accept")
	if score == nil || pv == nil || accept == nil {
		t.Fatalf("outputs are missing: %+v", p.Outputs)
	}
	s, q := must(score.Float64s()), must(pv.Float64s())
	if len(s) != len(want) {
		t.Fatalf("%d scores for %d rows", len(s), len(want))
	}
	for i, d := range want {
		if s[i] != d.Score || q[i] != d.PValue || accept.Raw[i] == 1 != d.Accept {
			t.Errorf("row %d: %g, %g, %d; the guard says %+v", i, s[i], q[i], accept.Raw[i], d)
		}
	}
}

const infer = "/v2/models/m/infer"

func TestInferencesAreJudged(t *testing.T) {
	m := newModel(t)
	s := start(t, Config{Upstream: m.URL})
	for _, binary := range []bool{false, true} {
		for _, n := range []int{1, 5, 300} {
			in := rows(uint64(n), n)
			body, length := encode(in, binary)
			direct, plain := post(t, m.URL+infer, body, length)
			a, text := post(t, s.URL+"/v2/models/m/versions/3/infer", body, length)
			if !bytes.Equal(*m.last.Load(), body) {
				t.Error("the model got another request")
			}
			p, q := read(t, a, text), read(t, direct, plain)
			same(t, p, in)
			for i := range q.Outputs { // what the model said, to the byte
				if p.Outputs[i].Name != q.Outputs[i].Name || !bytes.Equal(p.Outputs[i].Raw, q.Outputs[i].Raw) || p.Outputs[i].Binary != q.Outputs[i].Binary {
					t.Errorf("output %d changed", i)
				}
			}
			if p.ID != "id 7" || len(p.Outputs) != 5 || a.ContentLength != int64(len(text)) {
				t.Errorf("%+v, length %d", p, a.ContentLength)
			}
		}
	}
}

func TestOtherRequestsPassUntouched(t *testing.T) {
	m := newModel(t)
	s := start(t, Config{Upstream: m.URL, Models: []string{"m"}})
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/v2/health/ready", ""}, {"POST", "/v2/models/other/infer2?a=b&c=%20d", `{"not": json`}, {"PUT", "/a%2Fb//c", strings.Repeat("x", 1<<20)},
		{"GET", infer, ""}, {"DELETE", "/", ""}, {"PATCH", "/v2/models/m/infer/more", "x"},
	} {
		ask := func(base string) (*http.Response, string) {
			r := must(http.NewRequest(c.method, base+c.path, strings.NewReader(c.body)))
			r.Header.Set("X-Custom", "välue")
			a, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer a.Body.Close()
			return a, string(must(io.ReadAll(a.Body)))
		}
		if c.path == infer { // by GET it is no inference; the model fails to read it
			c.path = "/v2/models/m"
		}
		want, wantBody := ask(m.URL)
		have, haveBody := ask(s.URL)
		if have.StatusCode != want.StatusCode || haveBody != wantBody {
			t.Errorf("%s %s: %d with %d bytes, want %d with %d", c.method, c.path, have.StatusCode, len(haveBody), want.StatusCode, len(wantBody))
		}
		want.Header.Del("Date")
		have.Header.Del("Date")
		if fmt.Sprint(have.Header) != fmt.Sprint(want.Header) || fmt.Sprint(have.Trailer) != fmt.Sprint(want.Trailer) {
			t.Errorf("%s %s: headers %v, want %v; trailers %v, want %v", c.method, c.path, have.Header, want.Header, have.Trailer, want.Trailer)
		}
	}
	body, length := encode(rows(1, 2), false)
	if _, text := post(t, s.URL+"/v2/models/other/infer", body, length); strings.Contains(string(text), "ood_score") {
		t.Error("a model that was not named is judged")
	}
}

// TestStreamsPass: what a model server says bit by bit comes bit by bit.
func TestStreamsPass(t *testing.T) {
	next := make(chan bool)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			<-next
		}
	}))
	defer up.Close()
	s := start(t, Config{Upstream: up.URL})
	a, err := http.Get(s.URL + "/v2/models/m/generate_stream")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	for i := range 3 {
		b := make([]byte, 9)
		if _, err := io.ReadFull(a.Body, b); err != nil || string(b) != fmt.Sprintf("data: %d\n\n", i) {
			t.Fatalf("%q, %v", b, err)
		}
		next <- true
	}
}

func TestOutputsAndHeaders(t *testing.T) {
	m := newModel(t)
	in := rows(3, 3)
	body, length := encode(in, true)
	s := start(t, Config{Upstream: m.URL, Outputs: []string{"features"}})
	a, text := post(t, s.URL+infer, body, length)
	same(t, read(t, a, text), in)

	var told atomic.Int64
	s = start(t, Config{Upstream: m.URL, Headers: true, Told: func(model, request string, in *data.Table, ds []guard.Decision) {
		if n, _ := in.Dims(); model == "m" && request == "id 7" && n == len(ds) {
			told.Add(int64(n))
		}
	}})
	a, text = post(t, s.URL+infer, body, length)
	_, plain := post(t, m.URL+infer, body, length)
	if !bytes.Equal(text, plain) {
		t.Error("with headers the body is the model's")
	}
	scores := strings.Split(a.Header.Get("Gimbal-Ood-Score"), ",")
	for i, d := range must(trained().Decide(in)) {
		if must(strconv.ParseFloat(scores[i], 64)) != d.Score || strings.Split(a.Header.Get("Gimbal-Accept"), ",")[i] != strconv.FormatBool(d.Accept) {
			t.Errorf("row %d: %v", i, a.Header)
		}
	}
	if told.Load() != 3 {
		t.Errorf("told of %d rows", told.Load())
	}
	body, length = encode(rows(3, 2000), true)
	if a, _ = post(t, s.URL+infer, body, length); !strings.HasSuffix(a.Header.Get("Gimbal-Accept"), "worst of 2000 rows") {
		t.Errorf("a large batch: %.80s", a.Header.Get("Gimbal-Accept"))
	}
	s = start(t, Config{Upstream: m.URL, Headers: true, Outputs: []string{"features"}})
	if a, _ := post(t, s.URL+infer, body, length); a.Header.Get("Gimbal-Ood-Score") == "" {
		t.Error("outputs told in headers")
	}
}

func TestTensorsSideBySide(t *testing.T) {
	in := rows(5, 3)
	left, right := []float32{}, []float32{}
	for i := range 3 {
		left, right = append(left, in.Row(i)[:3]...), append(right, in.Row(i)[3])
	}
	s := must(New(Config{Upstream: "http://x", Judge: trained().Decide, Width: width}))
	table, why := s.rows([]oip.Tensor{oip.NewFloat32s("r", right, 3), oip.NewFloat32s("l", left, 3, 3, 1)}, []string{"l", "r"}, "input")
	if why != nil || fmt.Sprint(table.X()) != fmt.Sprint(in.X()) {
		t.Errorf("%v: %v", why, table)
	}
	if table, why = s.rows([]oip.Tensor{oip.NewFloat32s("x", in.Row(1), 4)}, nil, "input"); why != nil || fmt.Sprint(table.X()) != fmt.Sprint(in.Row(1)) {
		t.Errorf("one row without its dimension: %v", why)
	}
	if _, why = s.rows([]oip.Tensor{oip.NewFloat32s("x", nil, 0, 2, 2)}, nil, "input"); why != nil {
		t.Errorf("no rows: %v", why)
	}
	for _, bad := range [][]oip.Tensor{nil, {oip.NewFloat32s("x", left, 3, 3)}, {oip.NewStrings("x", []string{"a"}, 1)}, {oip.NewFloat32s("x", []float32{1, 2, float32(math.NaN()), 4}, 1, 4)}} {
		if _, why := s.rows(bad, nil, "input"); why == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	if _, why := s.rows([]oip.Tensor{oip.NewFloat32s("l", left, 3, 3), oip.NewFloat32s("r", right[:2], 2, 1)}, []string{"l", "r"}, "input"); why == nil {
		t.Error("3 rows beside 2")
	}
}

func TestWhatCannotBeJudged(t *testing.T) {
	m := newModel(t)
	wrongWidth, _ := encode(must(data.NewTable(2, 3, make([]float32, 6))), false)
	good, _ := encode(rows(1, 2), false)
	large, _ := encode(rows(1, 3000), false)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(good)
	z.Close()
	for _, c := range []struct {
		what   string
		body   []byte
		judge  Judge
		header []string
		inputs []string
		code   int // from a sidecar that is closed
	}{
		{"malformed", []byte(`{"inputs": [`), nil, nil, nil, 400},
		{"no tensors", []byte(`{"inputs":[]}`), nil, nil, nil, 400},
		{"another name", good, nil, nil, []string{"y"}, 400},
		{"another width", wrongWidth, nil, nil, nil, 400},
		{"a length that is none", good, nil, []string{oip.LengthHeader, "many"}, nil, 400},
		{"larger than allowed", large, nil, nil, nil, 413},
		{"an unknown coding", good, nil, []string{"Content-Encoding", "br"}, nil, 415},
		{"not what its coding says", good, nil, []string{"Content-Encoding", "gzip"}, nil, 400},
		{"a judge that fails", good, func(*data.Table) ([]guard.Decision, error) { return nil, errors.New("secret detail") }, nil, nil, 503},
		{"a judge that panics", good, func(*data.Table) ([]guard.Decision, error) { panic("secret detail") }, nil, nil, 503},
		{"a judge that forgets a row", good, func(in *data.Table) ([]guard.Decision, error) { return make([]guard.Decision, 1), nil }, nil, nil, 503},
	} {
		direct, want := post(t, m.URL+infer, c.body, -1, c.header...)
		s := start(t, Config{Upstream: m.URL, Judge: c.judge, Inputs: c.inputs, MaxBody: 20000})
		a, body := post(t, s.URL+infer, c.body, -1, c.header...)
		if a.StatusCode != direct.StatusCode || !bytes.Equal(body, want) || !bytes.Equal(*m.last.Load(), c.body) {
			t.Errorf("%s, open: %d %.100s; the model alone: %d %.100s", c.what, a.StatusCode, body, direct.StatusCode, want)
		}
		if why := a.Header.Get("Gimbal-Unscored"); a.StatusCode == 200 && why == "" || strings.Contains(why, "secret") {
			t.Errorf("%s, open: reason %q", c.what, why)
		}
		before := m.inferences.Load()
		s = start(t, Config{Upstream: m.URL, Judge: c.judge, Inputs: c.inputs, MaxBody: 20000, Closed: true})
		a, body = post(t, s.URL+infer, c.body, -1, c.header...)
		var e struct{ Error string }
		if err := json.Unmarshal(body, &e); err != nil || a.StatusCode != c.code || e.Error == "" || strings.Contains(e.Error, "secret") {
			t.Errorf("%s, closed: %d %s", c.what, a.StatusCode, body)
		}
		if c.code < 500 && m.inferences.Load() != before {
			t.Errorf("%s, closed: the model was asked", c.what)
		}
	}
	s := start(t, Config{Upstream: m.URL})
	// A packed request is judged; this model cannot read it.
	if a, _ := post(t, s.URL+infer, packed.Bytes(), -1, "Content-Encoding", "gzip"); a.StatusCode != 400 {
		t.Errorf("packed: %d", a.StatusCode)
	}
	bomb := new(bytes.Buffer)
	z = gzip.NewWriter(bomb)
	z.Write(make([]byte, 1<<20))
	z.Close()
	s = start(t, Config{Upstream: m.URL, MaxBody: 20000, Closed: true})
	if a, body := post(t, s.URL+infer, bomb.Bytes(), -1, "Content-Encoding", "gzip"); a.StatusCode != 413 {
		t.Errorf("a packed body beyond the bound: %d %s", a.StatusCode, body)
	}
}

func TestAnswersThatCannotBeAddedTo(t *testing.T) {
	body, length := encode(rows(1, 2), false)
	for _, text := range []string{``, `null`, `{"outputs": 3}`, `{"x": {"outputs": []}}`, `{"outputs": [`, `{"outputs`, `["outputs", []]`, strings.Repeat("[", 100000)} {
		up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, text) }))
		s := start(t, Config{Upstream: up.URL})
		if a, have := post(t, s.URL+infer, body, length); string(have) != text || a.Header.Get("Gimbal-Unscored") == "" {
			t.Errorf("%.20q became %.20q, %q", text, have, a.Header.Get("Gimbal-Unscored"))
		}
		s = start(t, Config{Upstream: up.URL, Closed: true})
		if a, _ := post(t, s.URL+infer, body, length); a.StatusCode != 502 {
			t.Errorf("%.20q, closed: %d", text, a.StatusCode)
		}
		up.Close()
	}
}

func TestUpstreamDownOrHanging(t *testing.T) {
	body, length := encode(rows(1, 2), false)
	gone := httptest.NewServer(nil)
	gone.Close()
	s := start(t, Config{Upstream: gone.URL})
	if a, text := post(t, s.URL+infer, body, length); a.StatusCode != 502 || !strings.Contains(string(text), "cannot be reached") || strings.Contains(string(text), "127.0.0.1") {
		t.Errorf("down: %d %s", a.StatusCode, text)
	}
	release := make(chan bool)
	hang := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.URL.Path != infer { // it begins to answer, and stops
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `{"outputs":[`)
			w.(http.Flusher).Flush()
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer hang.Close()
	defer close(release)
	s = start(t, Config{Upstream: hang.URL, Timeout: 100 * time.Millisecond})
	for _, path := range []string{infer, "/v2/models/slow/infer"} {
		begin := time.Now()
		if a, text := post(t, s.URL+path, body, length); a.StatusCode != 504 || time.Since(begin) > 10*time.Second {
			t.Errorf("hanging: %d %s after %s", a.StatusCode, text, time.Since(begin))
		}
	}
	slow := start(t, Config{Upstream: newModel(t).URL, Timeout: 100 * time.Millisecond, Judge: func(*data.Table) ([]guard.Decision, error) {
		<-release
		return nil, nil
	}})
	if a, _ := post(t, slow.URL+infer, body, length); a.StatusCode != 200 || a.Header.Get("Gimbal-Unscored") == "" {
		t.Errorf("a judge that hangs: %d", a.StatusCode)
	}
}

func TestHalfClosedClient(t *testing.T) {
	m := newModel(t)
	s := start(t, Config{Upstream: m.URL})
	before := m.inferences.Load()
	c := must(net.Dial("tcp", s.Listener.Addr().String()))
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{\"inputs\"", infer)
	c.(*net.TCPConn).CloseWrite()
	text, _ := io.ReadAll(c)
	c.Close()
	if !strings.HasPrefix(string(text), "HTTP/1.1 400") || m.inferences.Load() != before {
		t.Errorf("answer %q; the model was asked %d times", text, m.inferences.Load()-before)
	}
}

// A client that asks and does not read is let go, and one that reads a long stream slowly is not.
func TestClientThatDoesNotRead(t *testing.T) {
	s := start(t, Config{Upstream: newModel(t).URL, Timeout: 300 * time.Millisecond, Judge: trained().Decide})
	c := must(net.Dial("tcp", s.Listener.Addr().String())).(*net.TCPConn)
	defer c.Close()
	c.SetReadBuffer(4096)
	body, _ := encode(rows(1, 20_000), false)
	asked := make(chan error, 1)
	go func() {
		for range 100 {
			if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", infer, len(body), body); err != nil {
				asked <- err
				return
			}
		}
		asked <- nil
	}()
	select {
	case err := <-asked:
		if err == nil {
			t.Error("all that it asked was read, and answered to nobody")
		}
	case <-time.After(20 * time.Second):
		t.Error("it is waited for")
	}
	stream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 6 {
			io.WriteString(w, "data: {}\n\n")
			w.(http.Flusher).Flush()
			time.Sleep(100 * time.Millisecond)
		}
	}))
	defer stream.Close()
	s = start(t, Config{Upstream: stream.URL, Timeout: 300 * time.Millisecond})
	for range 2 { // on one connection, whose deadline of the first answer has passed
		a := must(http.Get(s.URL + "/v2/models/m/generate_stream"))
		text, err := io.ReadAll(a.Body)
		a.Body.Close()
		if err != nil || len(text) != 60 {
			t.Errorf("a stream longer than the bound: %d bytes, %v", len(text), err)
		}
		time.Sleep(400 * time.Millisecond)
	}
}

func TestManyTogether(t *testing.T) {
	m := newModel(t)
	var calls atomic.Int64
	s := start(t, Config{Upstream: m.URL, Judge: func(in *data.Table) ([]guard.Decision, error) {
		calls.Add(1)
		time.Sleep(5 * time.Millisecond) // so that others gather
		return trained().Decide(in)
	}})
	var wait sync.WaitGroup
	for k := range 32 {
		wait.Go(func() {
			for i := range 4 {
				in := rows(uint64(100*k+i), 1+k%3)
				body, length := encode(in, k%2 == 0)
				a, text := post(t, s.URL+infer, body, length)
				same(t, read(t, a, text), in)
			}
		})
	}
	wait.Wait()
	if n := calls.Load(); n > 100 {
		t.Errorf("%d calls for 128 requests: they are not judged together", n)
	}
}

func TestRefusedSettings(t *testing.T) {
	good := Config{Upstream: "http://127.0.0.1:1", Judge: trained().Decide, Width: 4}
	for _, change := range []func(*Config){
		func(c *Config) { c.Upstream = "127.0.0.1:8000" }, func(c *Config) { c.Upstream = "ftp://x" }, func(c *Config) { c.Judge = nil },
		func(c *Config) { c.Inputs, c.Outputs = []string{"a"}, []string{"b"} }, func(c *Config) { c.Upstream = "grpc://x:1" },
	} {
		c := good
		change(&c)
		if _, err := New(c); !errors.Is(err, method.ErrConfig) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestMetrics(t *testing.T) {
	m := newModel(t)
	sc := must(New(Config{Upstream: m.URL, Judge: trained().Decide, Width: width}))
	s := httptest.NewServer(sc)
	defer s.Close()
	body, length := encode(rows(1, 3), false)
	post(t, s.URL+infer, body, length)
	post(t, s.URL+infer, []byte("{}"), -1)
	var b strings.Builder
	if err := WriteMetrics(&b, sc); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"gimbal_requests_total 2", "gimbal_sidecar_judged_total 1", "gimbal_rows_total 3", "gimbal_sidecar_added_seconds_count 2"} {
		if !strings.Contains(b.String(), line+"\n") {
			t.Errorf("no %q in\n%s", line, &b)
		}
	}
}

func FuzzSplice(f *testing.F) {
	for _, text := range []string{`{"outputs":[]}`, `{"model_name":"\"outputs\":[","outputs":[{"name":"x]","datatype":"FP32","shape":[1],"data":[1]}],"id":"1"}`, `{"a":{"outputs":[1]},"outputs" : [ ] }`} {
		f.Add([]byte(text))
	}
	ds := []guard.Decision{{Score: 1.5, PValue: 0.25, Accept: true}}
	f.Fuzz(func(t *testing.T, text []byte) {
		var before, after oip.Response
		right := before.Decode(bytes.Clone(text), -1) == nil
		out, more, err := splice(text, -1, ds)
		if err != nil {
			if right && bytes.Count(text, []byte("outputs")) == 1 {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if more != len(out)-len(text) {
			t.Errorf("%d bytes more, it says %d", len(out)-len(text), more)
		}
		if !right || bytes.Count(text, []byte("outputs")) != 1 {
			return
		}
		if err := after.Decode(out, -1); err != nil || len(after.Outputs) != len(before.Outputs)+3 {
			t.Errorf("%q became %q: %v", text, out, err)
		}
	})
}
