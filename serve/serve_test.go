package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/gimbal-ml/gimbal/catalog"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/safetensors"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/serve/oip"
	"github.com/gimbal-ml/gimbal/serve/oip/inference"
)

// rows draws n rows of d columns; a class's mean depends on its name. Values are multiples of 1/16, which FP16 holds, too.
func rows(seed uint64, n, d int, classes ...string) *data.Table {
	r := rand.New(rand.NewPCG(seed, 77))
	x, names := make([]float32, n*d), make([]string, n)
	for i := range n {
		names[i] = classes[i%len(classes)]
		c := names[i]
		for j := range d {
			v := r.NormFloat64() + 6*math.Sin(float64(7*j)+float64(c[0])+3*float64(c[len(c)-1]))
			x[i*d+j] = float32(math.Round(v*16) / 16)
		}
	}
	t, err := data.NewTable(n, d, x)
	if err == nil {
		t, err = t.WithClassNames(names)
	}
	if err != nil {
		panic(err)
	}
	return t
}

func save(t testing.TB, path string, c *data.Checkpoint, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := safetensors.Write(&b, c); err != nil {
		t.Fatal(err)
	}
	next := path + ".next" // renamed, as every file of ours is: a reader sees the old one or the new one
	if err := os.WriteFile(next, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func fitGuard(t testing.TB, seed uint64, d int) *guard.Guard {
	t.Helper()
	g, err := guard.Fit(t.Context(), catalog.All(), guard.Config{Seed: seed}, rows(1, 900, d, "cat", "dog", "fox"))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func saveGuard(t testing.TB, path string, g *guard.Guard) string {
	t.Helper()
	c, err := g.Checkpoint()
	return save(t, path, c, err)
}

func specOf(t testing.TB, id string) method.Spec {
	t.Helper()
	for _, s := range catalog.All() {
		if s.ID() == id {
			return s
		}
	}
	t.Fatalf("no method %s", id)
	return method.Spec{}
}

func fitModel(t testing.TB, path, id string, in *data.Table, columns []string) (method.Model, string) {
	t.Helper()
	s := specOf(t, id)
	cfg := s.Config()
	m, err := s.FitSource(t.Context(), cfg, in)
	if err != nil {
		t.Fatal(err)
	}
	c, err := method.Save(s, cfg, m)
	if err == nil && columns != nil {
		c.SetStrings(method.ColumnsKey, columns)
		err = c.Seal()
	}
	return m, save(t, path, c, err)
}

// started is a server on loopback, both protocols, stopped with the test.
type started struct {
	*Server
	url  string
	rpc  inference.GRPCInferenceServiceClient
	conn *grpc.ClientConn
	stop func() error
}

func start(t testing.TB, o Options) *started {
	t.Helper()
	if o.Poll == 0 {
		o.Poll = time.Hour
	}
	o.Loopback = true
	s, err := New(catalog.All(), o)
	if err != nil {
		t.Fatal(err)
	}
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	web, rpc := listen(), listen()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, Listeners{web, rpc}) }()
	conn, err := grpc.NewClient(rpc.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	var ended error
	x := &started{Server: s, url: "http://" + web.Addr().String(), rpc: inference.NewGRPCInferenceServiceClient(conn), conn: conn}
	x.stop = func() error {
		once.Do(func() { cancel(); ended = <-done })
		return ended
	}
	t.Cleanup(func() {
		conn.Close()
		if err := x.stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	return x
}

// call sends a request and returns status and body.
func (x *started) call(t testing.TB, verb, path, contentType string, body []byte, header ...string) (int, http.Header, []byte) {
	t.Helper()
	r, err := http.NewRequest(verb, x.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, a.Header, text
}

// infer asks over REST.
func (x *started) infer(t testing.TB, model string, q oip.Request) oip.Response {
	t.Helper()
	body, length, err := q.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	var header []string
	if length >= 0 {
		header = []string{oip.LengthHeader, strconv.Itoa(length)}
	}
	status, h, text := x.call(t, "POST", "/v2/models/"+model+"/infer", "application/json", body, header...)
	if status != 200 {
		t.Fatalf("status %d: %s", status, text)
	}
	n, err := oip.ParseLength(h.Get(oip.LengthHeader), len(text))
	if err != nil {
		t.Fatal(err)
	}
	var a oip.Response
	if err := a.Decode(text, n); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return a
}

func input(in *data.Table) oip.Tensor {
	n, d := in.Dims()
	return oip.NewFloat32s("input", in.X(), int64(n), int64(d))
}

func floats(t testing.TB, a *oip.Response, name string) []float64 {
	t.Helper()
	x := a.Output(name)
	if x == nil {
		t.Fatalf("no output %s", name)
	}
	v, err := x.Float64s()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// checkDecisions holds a response to what the guard says in this process.
func checkDecisions(t testing.TB, a *oip.Response, want []guard.Decision) {
	t.Helper()
	score, p, accept, probability := floats(t, a, "ood_score"), floats(t, a, "p_value"), floats(t, a, "accept"), floats(t, a, "probability")
	labels, err := a.Output("label").Strings()
	if err != nil || len(score) != len(want) {
		t.Fatalf("%d rows for %d, %v", len(score), len(want), err)
	}
	for i, d := range want {
		if have := (guard.Decision{Label: labels[i], Probability: probability[i], Score: score[i], PValue: p[i], Accept: accept[i] == 1}); have != d {
			t.Fatalf("row %d: %+v, want %+v", i, have, d)
		}
	}
}

func TestGuardOverREST(t *testing.T) {
	g := fitGuard(t, 0, 8)
	x := start(t, Options{Models: []string{saveGuard(t, filepath.Join(t.TempDir(), "g.gimbal"), g)}})
	q := rows(2, 12, 8, "cat", "owl")
	want, _ := g.Decide(q)
	a := x.infer(t, "g", oip.Request{ID: "7", Inputs: []oip.Tensor{input(q)}})
	checkDecisions(t, &a, want)
	if m, _ := x.model("g", ""); a.ID != "7" || a.Model != "g" || a.Version != m.version || len(a.Outputs) != 5 {
		t.Errorf("%+v", a)
	}
	// In binary form, both ways, at half precision.
	half := data.CastTensor(data.F16, wide(q.X()), 12, 8)
	raw, _ := half.Bytes()
	a = x.infer(t, "g", oip.Request{Parameters: oip.Parameters{"binary_data_output": true}, Inputs: []oip.Tensor{{Name: "x", Datatype: oip.FP16, Shape: []int64{12, 8}, Raw: raw, Binary: true}}})
	checkDecisions(t, &a, want)
	if !a.Outputs[0].Binary {
		t.Error("binary outputs were asked for")
	}
	// By name, in the order of the request, those that are given only when asked for among them.
	a = x.infer(t, "g", oip.Request{Inputs: []oip.Tensor{input(q)}, Outputs: []oip.Output{{Name: "is_outlier"}, {Name: "probabilities"}, {Name: "classes"}, {Name: "threshold"}, {Name: "instance_score"}}})
	if len(a.Outputs) != 5 || a.Outputs[1].Name != "probabilities" {
		t.Fatalf("%+v", a.Outputs)
	}
	p, _ := g.Probabilities(q)
	classes, _ := a.Outputs[2].Strings()
	if v := floats(t, &a, "probabilities"); !reflect.DeepEqual(v, wide(p.X())) || !reflect.DeepEqual(classes, []string{"cat", "dog", "fox"}) {
		t.Errorf("probabilities %v of %v", v, classes)
	}
	for i, d := range want {
		if out := floats(t, &a, "is_outlier")[i] == 1; out == d.Accept || floats(t, &a, "instance_score")[i] != d.Score {
			t.Errorf("row %d: outlier %v, accepted %v", i, out, d.Accept)
		}
		if best := p.Row(i); math.Abs(float64(best[indexOf(classes, d.Label)])-d.Probability) > 1e-6 {
			t.Errorf("row %d: probabilities %v, the best %v", i, best, d.Probability)
		}
	}
	if v := floats(t, &a, "threshold"); v[0] != g.Threshold() {
		t.Errorf("threshold %v, want %v", v, g.Threshold())
	}
	one := x.infer(t, "g", oip.Request{Inputs: []oip.Tensor{oip.NewFloat32s("row", q.Row(0), 8)}})
	if v := floats(t, &one, "ood_score"); len(v) != 1 || v[0] != want[0].Score {
		t.Errorf("one row without its dimension: %v, want %v", v, want[0].Score)
	}
}

func indexOf(list []string, name string) int {
	for i, s := range list {
		if s == name {
			return i
		}
	}
	return -1
}

func wide(x []float32) []float64 {
	v := make([]float64, len(x))
	for i := range x {
		v[i] = float64(x[i])
	}
	return v
}

// Every verb that answers for rows has its outputs.
func TestModelsByTheirVerbs(t *testing.T) {
	dir := t.TempDir()
	train, q := rows(1, 600, 5, "a", "b", "c"), rows(2, 40, 5, "a", "b", "c")
	detector, _ := fitModel(t, filepath.Join(dir, "detector.gimbal"), "detect/knn", train, nil)
	head, _ := fitModel(t, filepath.Join(dir, "head.gimbal"), "probe/lda", train, []string{"p", "q", "r", "s", "t"})
	logits, err := head.(method.Logiter).Logits(train)
	if err != nil {
		t.Fatal(err)
	}
	logits, _ = logits.WithClassNames(classNames(train))
	sets, _ := fitModel(t, filepath.Join(dir, "sets.gimbal"), "calibrate/splitconformal", logits, nil)
	drift, _ := fitModel(t, filepath.Join(dir, "drift.gimbal"), "drift/kolmogorovsmirnov", train, nil)
	var models []string
	for _, name := range []string{"detector", "head", "sets", "drift"} {
		models = append(models, filepath.Join(dir, name+".gimbal"))
	}
	x := start(t, Options{Models: models})
	ask := func(model string, in *data.Table, outputs ...string) oip.Response {
		r := oip.Request{Inputs: []oip.Tensor{input(in)}}
		for _, o := range outputs {
			r.Outputs = append(r.Outputs, oip.Output{Name: o})
		}
		return x.infer(t, model, r)
	}
	scores, _ := detector.(method.Scorer).Score(q)
	a := ask("detector", q)
	if v := floats(t, &a, "ood_score"); !reflect.DeepEqual(v, scores) {
		t.Errorf("scores %v, want %v", v, scores)
	}
	p, _ := head.(method.Predictor).Predict(q)
	l, _ := head.(method.Logiter).Logits(q)
	a = ask("head", q, "probabilities", "logits", "classes", "label")
	classes, _ := a.Output("classes").Strings()
	if !reflect.DeepEqual(floats(t, &a, "probabilities"), wide(p.X())) || !reflect.DeepEqual(floats(t, &a, "logits"), wide(l.X())) || !reflect.DeepEqual(classes, p.Columns()) {
		t.Error("head: other numbers than in this process")
	}
	// The same with a tensor for each named column.
	var byColumn oip.Request
	for j, name := range []string{"t", "s", "r", "q", "p"} { // their order does not matter
		v := make([]float32, 40)
		for i := range v {
			v[i] = q.Row(i)[4-j]
		}
		byColumn.Inputs = append(byColumn.Inputs, oip.NewFloat32s(name, v, 40, 1))
	}
	byColumn.Outputs = []oip.Output{{Name: "probabilities"}}
	a = x.infer(t, "head", byColumn)
	if !reflect.DeepEqual(floats(t, &a, "probabilities"), wide(p.X())) {
		t.Error("columns by name: other numbers than in one table")
	}
	in, _ := head.(method.Logiter).Logits(q)
	want, _ := sets.(method.SetPredictor).Sets(in)
	a = ask("sets", in)
	if !reflect.DeepEqual(floats(t, &a, "sets"), wide(want.X())) {
		t.Error("sets: other ones than in this process")
	}
	c, _ := drift.(method.Tester).Test(t.Context(), q)
	a = ask("drift", q)
	if floats(t, &a, "p_val")[0] != c.PValue || floats(t, &a, "distance")[0] != c.Statistic || (floats(t, &a, "is_drift")[0] == 1) != c.Drift {
		t.Errorf("%+v, want %+v", a.Outputs, c)
	}
}

func classNames(t *data.Table) (names []string) {
	n, _ := t.Dims()
	for i := range n {
		names = append(names, t.ClassName(i))
	}
	return names
}

func TestRefusals(t *testing.T) {
	g := fitGuard(t, 0, 3)
	dir := t.TempDir()
	path := saveGuard(t, filepath.Join(dir, "g.gimbal"), g)
	x := start(t, Options{Models: []string{path}, MaxBody: 10000})
	const media = "application/json"
	row := `{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,2,3]}]}`
	for _, c := range []struct {
		verb, path, media, body string
		status                  int
		want                    string
	}{
		{"POST", "/v2/models/h/infer", media, row, 404, `model \"h\" not found`},
		{"POST", "/v2/models/g/versions/9/infer", media, row, 404, "version"},
		{"POST", "/v2/models/g/infer", media, `{"inputs":[`, 400, "the text ends"},
		{"POST", "/v2/models/g/infer", media, strings.Replace(row, "[1,3]", "[3,1]", 1), 400, "rows have 1 columns, it was fitted on 3"},
		{"POST", "/v2/models/g/infer", media, strings.Replace(row, "[1,3]", "[1,1,3]", 1), 400, "want [rows, 3]"},
		{"POST", "/v2/models/g/infer", media, `{"inputs":[{"name":"x","shape":[0,3],"datatype":"FP32","data":[]}]}`, 400, "no rows"},
		{"POST", "/v2/models/g/infer", media, `{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":["a"]}]}`, 400, "BYTES"},
		{"POST", "/v2/models/g/infer", media, `{"inputs":[]}`, 400, "0 inputs"},
		{"POST", "/v2/models/g/infer", media, `{"outputs":[{"name":"y"}],` + row[1:], 404, "output \\\"y\\\" not found; it has ood_score"},
		{"POST", "/v2/models/g/infer", "text/plain", row, 415, "want application/json"},
		{"POST", "/v2/models/g/infer", media, strings.Repeat(" ", 10001), 413, "too large"},
		{"GET", "/v2/models/g/infer", "", "", 405, "answered to POST only"},
		{"GET", "/v3", "", "", 404, "not found"},
	} {
		status, _, text := x.call(t, c.verb, c.path, c.media, []byte(c.body))
		if status != c.status || !strings.Contains(string(text), c.want) || !json.Valid(text) {
			t.Errorf("%s %s %.80s: %d %s, want %d %s", c.verb, c.path, c.body, status, text, c.status, c.want)
		}
	}
	nan := oip.NewFloat32s("x", []float32{1, float32(math.NaN()), 3}, 1, 3)
	nan.Binary = true
	body, length, _ := (&oip.Request{Inputs: []oip.Tensor{nan}}).Encode(nil)
	if status, _, text := x.call(t, "POST", "/v2/models/g/infer", "application/octet-stream", body, oip.LengthHeader, strconv.Itoa(length)); status != 400 || !strings.Contains(string(text), "not a finite number") {
		t.Errorf("NaN: %d %s", status, text)
	}
	if status, _, text := x.call(t, "POST", "/v2/models/g/infer", "application/octet-stream", body, oip.LengthHeader, "99999"); status != 400 {
		t.Errorf("a header beyond the body: %d %s", status, text)
	}
	other := filepath.Join(dir, "o.gimbal")
	os.WriteFile(other, []byte("nothing"), 0o644)
	for _, models := range [][]string{{other}, {path, "g=" + path}, {"a/b=" + path}, {filepath.Join(dir, "missing")}} {
		if _, err := New(catalog.All(), Options{Models: models}); err == nil {
			t.Errorf("models %q are served", models)
		}
	}
}

func TestGRPC(t *testing.T) {
	g := fitGuard(t, 0, 4)
	x := start(t, Options{Models: []string{saveGuard(t, filepath.Join(t.TempDir(), "g.gimbal"), g)}, Version: "1.2"})
	ctx := t.Context()
	if r, err := x.rpc.ServerLive(ctx, &inference.ServerLiveRequest{}); err != nil || !r.Live {
		t.Errorf("live: %v, %v", r, err)
	}
	if r, err := x.rpc.ServerReady(ctx, &inference.ServerReadyRequest{}); err != nil || !r.Ready {
		t.Errorf("ready: %v, %v", r, err)
	}
	if r, err := x.rpc.ModelReady(ctx, &inference.ModelReadyRequest{Name: "g"}); err != nil || !r.Ready {
		t.Errorf("model ready: %v, %v", r, err)
	}
	if r, err := x.rpc.ServerMetadata(ctx, &inference.ServerMetadataRequest{}); err != nil || r.Name != "gimbal" || r.Version != "1.2" {
		t.Errorf("metadata: %v, %v", r, err)
	}
	m, _ := x.model("g", "")
	meta, err := x.rpc.ModelMetadata(ctx, &inference.ModelMetadataRequest{Name: "g", Version: m.version})
	if err != nil || len(meta.Inputs) != 1 || !reflect.DeepEqual(meta.Inputs[0].Shape, []int64{-1, 4}) || len(meta.Outputs) != len(m.outputs) {
		t.Errorf("%v, %v", meta, err)
	}
	q := rows(2, 9, 4, "cat", "owl")
	want, _ := g.Decide(q)
	raw := inference.EncodeRequest(&oip.Request{Model: "g", ID: "3", Inputs: []oip.Tensor{input(q)}})
	typed := &inference.ModelInferRequest{ModelName: "g", Id: "3", Inputs: []*inference.ModelInferRequest_InferInputTensor{
		{Name: "x", Datatype: "FP32", Shape: []int64{9, 4}, Contents: &inference.InferTensorContents{Fp32Contents: q.X()}}}}
	double := &inference.ModelInferRequest{ModelName: "g", Id: "3", Inputs: []*inference.ModelInferRequest_InferInputTensor{
		{Name: "x", Datatype: "FP64", Shape: []int64{9, 4}, Contents: &inference.InferTensorContents{Fp64Contents: wide(q.X())}}}}
	for i, r := range []*inference.ModelInferRequest{raw, typed, double} {
		answer, err := x.rpc.ModelInfer(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		if (len(answer.RawOutputContents) > 0) != (i == 0) {
			t.Error("an answer in another form than the request")
		}
		var a oip.Response
		if err := inference.DecodeResponse(&a, answer); err != nil {
			t.Fatal(err)
		}
		checkDecisions(t, &a, want)
		if a.ID != "3" || a.Version != m.version {
			t.Errorf("%+v", a)
		}
	}
	tensor := func(d string, c *inference.InferTensorContents) *inference.ModelInferRequest {
		return &inference.ModelInferRequest{ModelName: "g", Inputs: []*inference.ModelInferRequest_InferInputTensor{{Name: "x", Datatype: d, Shape: []int64{1, 4}, Contents: c}}}
	}
	four := &inference.InferTensorContents{Fp32Contents: []float32{1, 2, 3, 4}}
	both := tensor("FP32", four)
	both.RawInputContents = [][]byte{make([]byte, 16)}
	two := tensor("FP32", nil)
	two.RawInputContents = [][]byte{make([]byte, 16), nil}
	for i, c := range []struct {
		q    *inference.ModelInferRequest
		code codes.Code
		want string
	}{
		{&inference.ModelInferRequest{ModelName: "h"}, codes.NotFound, "not found"},
		{&inference.ModelInferRequest{ModelName: "g", ModelVersion: "2"}, codes.NotFound, "not found"},
		{tensor("FP32", nil), codes.InvalidArgument, "0 bytes for FP32"},
		{tensor("FP31", four), codes.InvalidArgument, "unknown datatype"},
		{tensor("FP16", four), codes.InvalidArgument, "raw_input_contents"},
		{tensor("INT8", &inference.InferTensorContents{IntContents: []int32{1, 2, 3, 200}}), codes.InvalidArgument, "element 3 is 200, no INT8"},
		{tensor("UINT16", &inference.InferTensorContents{UintContents: []uint32{1, 2, 3, 70000}}), codes.InvalidArgument, "element 3 is 70000, no UINT16"},
		{both, codes.InvalidArgument, "both contents and raw"},
		{two, codes.InvalidArgument, "2 raw_input_contents for 1 inputs"},
	} {
		_, err := x.rpc.ModelInfer(ctx, c.q)
		if status.Code(err) != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("case %d: %v, want %v with %q", i, err, c.code, c.want)
		}
	}
}

// Requests that come at once are scored together, and each gets what it would get alone; a wrong one spoils no other.
func TestMergedRequests(t *testing.T) {
	g := fitGuard(t, 0, 6)
	path := saveGuard(t, filepath.Join(t.TempDir(), "g.gimbal"), g)
	m, err := loadModel(catalog.All(), "g", path, inMemory)
	if err != nil {
		t.Fatal(err)
	}
	const poison = 12345
	batches := 0
	var mutex sync.Mutex
	plain := m.merge.Answer
	m.merge.Answer = func(ctx context.Context, in *data.Table, what need) (answer, error) {
		mutex.Lock()
		batches++
		mutex.Unlock()
		time.Sleep(time.Millisecond) // so that others come meanwhile
		if slices.Contains(in.X(), poison) {
			panic("poison")
		}
		return plain(ctx, in, what)
	}
	const users, rounds = 16, 20
	var all sync.WaitGroup
	for u := range users {
		all.Go(func() {
			n := 1 + u%5
			q := rows(uint64(100+u), n, 6, "cat", "owl")
			if n == 3 {
				q.X()[4] = poison
			}
			want, _ := g.Decide(q)
			for round := range rounds {
				if n == 3 && round == 2 {
					return
				}
				a, err := m.merge.Do(q, needScores|needLabels)
				if n == 3 {
					if err == nil {
						t.Error("a panic was lost")
						return
					}
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				for i, d := range want {
					if a.scores[i] != d.Score || a.labels[i] != d.Label || a.accept[i] != d.Accept || len(a.scores) != n {
						t.Errorf("user %d, row %d: %v, want %v", u, i, a.scores[i], d.Score)
						return
					}
				}
			}
		})
	}
	all.Wait()
	if batches >= users*rounds {
		t.Errorf("%d batches for %d requests: nothing was merged", batches, users*rounds)
	}
}
