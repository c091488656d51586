package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

// post sends JSON and reads the answer into v.
func (x *started) post(t testing.TB, path string, body, v any, header ...string) (int, string) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	status, _, answer := x.call(t, "POST", path, "application/json", text, header...)
	if v != nil && status < 300 {
		if err := json.Unmarshal(answer, v); err != nil {
			t.Fatalf("%v in %s", err, answer)
		}
	}
	return status, string(answer)
}

// jobOf is a job whose result is of a known type.
type jobOf[R any] struct {
	ID, State, Error string
	Progress         progress
	Result           R
}

func writeCSV(t testing.TB, path string, in *data.Table) {
	t.Helper()
	n, d := in.Dims()
	var b strings.Builder
	for j := range d {
		fmt.Fprintf(&b, "x%d,", j)
	}
	b.WriteString("y\n")
	for i := range n {
		for _, v := range in.Row(i) {
			fmt.Fprintf(&b, "%v,", v)
		}
		b.WriteString(in.ClassName(i) + "\n")
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFitServeAndAskByJobs(t *testing.T) {
	dir := t.TempDir()
	train, q := rows(1, 300, 3, "a", "b"), rows(2, 10, 3, "a", "b")
	writeCSV(t, filepath.Join(dir, "train.csv"), train)
	writeCSV(t, filepath.Join(dir, "new.csv"), q)
	ran := make(chan string, 9)
	x := start(t, Options{Data: dir, Ran: func(id string) { ran <- id }})
	var fitted jobOf[written]
	body := learnJob{Config: map[string]any{"ridge": 0.01}, Inputs: map[string]noun{"in": {File: "train.csv", Label: "y"}}, Output: "m.gimbal"}
	if status, text := x.post(t, "/v1/methods/detect/mahalanobis/fit?wait=20s", body, &fitted); status != 200 || fitted.State != jobDone {
		t.Fatalf("%d %s", status, text)
	}
	if len(ran) != 1 || <-ran != "detect/mahalanobis" {
		t.Error("nobody was told what ran")
	}
	if status, text := x.post(t, "/v1/models", loadJob{"m", "m.gimbal"}, nil); status != 201 {
		t.Fatalf("%d %s", status, text)
	}
	s := specOf(t, "detect/mahalanobis")
	cfg, _ := s.Configure(map[string]string{"ridge": "0.01"})
	m, err := s.FitSource(t.Context(), cfg, train)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := m.(method.Scorer).Score(q)
	for _, in := range []noun{{File: "new.csv"}, {File: "new.csv", Label: "y"}, {Rows: rowsOf(q)}} {
		var scored jobOf[rowAnswers]
		if status, text := x.post(t, "/v1/models/m/score?wait=20s", verbJob{Input: in}, &scored); status != 200 || !reflect.DeepEqual(scored.Result.Scores, want) {
			t.Errorf("%+v: %d %s, want %v", in, status, text, want)
		}
	}
	var list struct{ Jobs []jobStatus }
	_, _, text := x.call(t, "GET", "/v1/jobs", "", nil)
	if err := json.Unmarshal(text, &list); err != nil || len(list.Jobs) != 4 {
		t.Errorf("%s", text)
	}
	if status, _, _ := x.call(t, "DELETE", "/v1/models/m", "", nil); status != 200 {
		t.Errorf("deleting: %d", status)
	}
	if status, _ := x.post(t, "/v1/models/m/score", verbJob{}, nil); status != 404 {
		t.Errorf("a deleted model: %d", status)
	}
}

func rowsOf(t *data.Table) (out [][]float32) {
	n, _ := t.Dims()
	for i := range n {
		out = append(out, t.Row(i))
	}
	return out
}

func TestMergeMoments(t *testing.T) {
	dir := t.TempDir()
	all := rows(1, 200, 3, "a", "b")
	whole, err := moments.FromSource(t.Context(), all, moments.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range []*data.Table{all.Slice(0, 80), all.Slice(80, 200)} {
		st := whole.Empty()
		if err := st.Observe(part); err != nil {
			t.Fatal(err)
		}
		c := st.Checkpoint()
		err := c.Seal()
		save(t, filepath.Join(dir, fmt.Sprint(i, ".moments")), c, err)
	}
	x := start(t, Options{Data: dir})
	var done jobOf[merged]
	if status, text := x.post(t, "/v1/moments/merge?wait=20s", mergeJob{[]string{"1.moments", "0.moments"}, "sum.moments"}, &done); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	c := whole.Checkpoint()
	if c.Seal(); done.Result.SHA256 != c.Meta["sha256"] || done.Result.Rows != 200 {
		t.Errorf("%+v, want the whole's hash %s", done, c.Meta["sha256"])
	}
}

// Nothing outside the data folder is read or written, however it is named.
func TestJobsStayInTheirFolder(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	train := rows(1, 60, 2, "a", "b")
	writeCSV(t, filepath.Join(outside, "secret.csv"), train)
	writeCSV(t, filepath.Join(dir, "train.csv"), train)
	labels := filepath.Join(outside, "labels.txt")
	if err := os.WriteFile(labels, []byte(strings.Repeat("s3cret\n", 60)), 0o644); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"link.csv": filepath.Join(outside, "secret.csv"), "up": outside} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Skipf("no symbolic links here: %v", err)
		}
	}
	t.Chdir(outside) // a path that is taken for relative to the process would be found
	x := start(t, Options{Data: dir})
	rel, _ := filepath.Rel(dir, filepath.Join(outside, "secret.csv"))
	for _, name := range []string{filepath.Join(outside, "secret.csv"), rel, "secret.csv", "link.csv", "up/secret.csv", "../" + filepath.Base(outside) + "/secret.csv", "", ".", "up", "/etc/passwd", "train.csv/../../x", "a\x00b"} {
		var j jobOf[any]
		status, text := x.post(t, "/v1/methods/detect/mahalanobis/fit?wait=20s", learnJob{Inputs: map[string]noun{"in": {File: name}}, Output: "m.gimbal"}, &j)
		if status == 200 && j.State != jobFailed || strings.Contains(text, outside) && !strings.Contains(name, outside) || strings.Contains(text, dir) {
			t.Errorf("reading %q: %d %s", name, status, text)
		}
	}
	for _, label := range []string{labels, "labels.txt", "up/labels.txt", "../" + filepath.Base(outside) + "/labels.txt"} {
		var j jobOf[any]
		status, text := x.post(t, "/v1/methods/detect/mahalanobis/fit?wait=20s", learnJob{Inputs: map[string]noun{"in": {File: "train.csv", Label: label, Ignore: []string{"y"}}}, Output: "m.gimbal"}, &j)
		if status != 200 || j.State != jobFailed || !strings.Contains(j.Error, "no column") {
			t.Errorf("labels from %q: %d %s", label, status, text)
		}
	}
	for _, name := range []string{filepath.Join(outside, "m.gimbal"), "../m.gimbal", "up/m.gimbal", "link.csv", "", ".", "missing/m.gimbal", "up"} {
		status, text := x.post(t, "/v1/methods/detect/mahalanobis/fit", learnJob{Inputs: map[string]noun{"in": {Rows: rowsOf(train)}}, Output: name}, nil)
		if status != 400 {
			t.Errorf("writing %q: %d %s", name, status, text)
		}
	}
	if status, text := x.post(t, "/v1/models", loadJob{"m", "up/secret.csv"}, nil); status != 400 {
		t.Errorf("loading: %d %s", status, text)
	}
	left, _ := os.ReadDir(outside)
	here, _ := os.ReadDir(dir)
	if len(left) != 2 || len(here) != 3 {
		t.Errorf("%d files outside, %d in the folder", len(left), len(here))
	}
	none := start(t, Options{})
	if status, text := none.post(t, "/v1/methods/detect/mahalanobis/fit", learnJob{Inputs: map[string]noun{}, Output: "x"}, nil); status != 400 || !strings.Contains(text, "no data folder") {
		t.Errorf("without a folder: %d %s", status, text)
	}
}

// A guard is taught and corrected while it is served, and what was acknowledged is there after a restart.
func TestTeachAGuardThatIsServed(t *testing.T) {
	for _, kept := range []bool{true, false} {
		dir := t.TempDir()
		g := fitGuard(t, 0, 5)
		o := Options{Models: []string{saveGuard(t, filepath.Join(dir, "g.gimbal"), g)}}
		if kept {
			o.State = filepath.Join(dir, "state")
			if err := os.Mkdir(o.State, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		x := start(t, o)
		owl := rows(3, 5, 5, "owl")
		lesson := noun{Rows: rowsOf(owl), Labels: classNames(owl)}
		var j jobOf[rowAnswers]
		if status, text := x.post(t, "/v1/models/g/update?wait=20s", verbJob{Input: lesson}, &j); status != 200 || j.State != jobDone || !slices.Contains(j.Result.Guard.Classes, "owl") {
			t.Fatalf("%d %s", status, text)
		}
		taught, err := g.Update(t.Context(), owl, false)
		if err != nil {
			t.Fatal(err)
		}
		q := rows(4, 6, 5, "owl", "cat")
		want, _ := taught.Decide(q)
		check := func(x *started, want []guard.Decision) {
			t.Helper()
			var p jobOf[rowAnswers]
			if status, text := x.post(t, "/v1/models/g/predict?wait=20s", verbJob{Input: noun{Rows: rowsOf(q)}}, &p); status != 200 || p.State != jobDone {
				t.Fatalf("%d %s", status, text)
			}
			for i, d := range want {
				if p.Result.Labels[i] != d.Label || p.Result.Accept[i] != d.Accept || p.Result.PValues[i] != d.PValue {
					t.Fatalf("row %d: %s %v, want %+v", i, p.Result.Labels[i], p.Result.PValues[i], d)
				}
			}
		}
		check(x, want)
		if err := x.stop(); err != nil {
			t.Fatal(err)
		}
		again := start(t, o)
		if !kept {
			want, _ = g.Decide(q)
		}
		check(again, want)
		if kept {
			m, _ := again.model("g", "")
			if s := m.keeper.Status(); s.Rows != 12 || s.Generation != 1 {
				t.Errorf("after the restart: %+v", s)
			}
			if status, text := again.post(t, "/v1/models/g/forget?wait=20s", verbJob{Input: lesson}, &j); status != 200 || j.State != jobDone {
				t.Fatalf("%d %s", status, text)
			}
			if h := m.keeper.Guard().Hash(); h != g.Hash() {
				t.Errorf("a forgotten lesson leaves a trace: %s, want %s", h, g.Hash())
			}
		}
	}
}

func TestJobsAreCancelledBoundedAndWaitedFor(t *testing.T) {
	x := start(t, Options{})
	begun := make(chan struct{}, 1)
	slow := func(ctx context.Context) (any, error) {
		method.Progress(ctx, 3, 10)
		select {
		case begun <- struct{}{}:
		default:
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	a, err := x.start("fit", "a", slow)
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	if s := a.status(); s.State != jobRunning || s.Progress != (progress{3, 10}) {
		t.Errorf("%+v", s)
	}
	if status, _, text := x.call(t, "GET", "/v1/jobs/"+a.id+"?wait=10ms", "", nil); status != 200 || !strings.Contains(string(text), `"running"`) {
		t.Errorf("%d %s", status, text)
	}
	if status, _, text := x.call(t, "DELETE", "/v1/jobs/"+a.id+"?wait=5s", "", nil); status != 200 || !strings.Contains(string(text), `"cancelled"`) {
		t.Errorf("%d %s", status, text)
	}
	if status, _, _ := x.call(t, "GET", "/v1/jobs/x", "", nil); status != 404 {
		t.Errorf("an unknown job: %d", status)
	}
	if status, _, _ := x.call(t, "GET", "/v1/jobs/"+a.id+"?wait=2h", "", nil); status != 400 {
		t.Errorf("too long a wait: %d", status)
	}
	b, _ := x.start("fit", "b", func(context.Context) (any, error) { panic("no") })
	<-b.done
	if s := b.status(); s.State != jobFailed || strings.Contains(s.Error, "no") && !strings.Contains(s.Error, "log") {
		t.Errorf("%+v", s)
	}
	for i := range jobsAtOnce + jobsWaiting {
		if _, err := x.start("fit", fmt.Sprint(i), slow); err != nil {
			t.Fatalf("job %d: %v", i, err)
		}
	}
	if _, err := x.start("fit", "one more", slow); statusOf(err) != http.StatusTooManyRequests {
		t.Errorf("one job too many: %v", err)
	}
	begin := time.Now()
	if err := x.stop(); err != nil || time.Since(begin) > 10*time.Second {
		t.Errorf("stopping took %v: %v", time.Since(begin), err)
	}
}

// A map writes what it makes, the same as in this process.
func TestApply(t *testing.T) {
	dir := t.TempDir()
	one := func(v float64) *data.Checkpoint {
		return &data.Checkpoint{Meta: map[string]string{}, Tensors: map[string]data.Tensor{"w": data.CastTensor(data.F32, []float64{v, 2 * v}, 2)}}
	}
	save(t, filepath.Join(dir, "a.safetensors"), one(1), nil)
	save(t, filepath.Join(dir, "b.safetensors"), one(3), nil)
	x := start(t, Options{Data: dir})
	var slotName string
	s := specOf(t, "weights/soup")
	for _, i := range s.Inputs {
		if i.Kind == data.KindCheckpoints {
			slotName = i.Name
		}
	}
	var j jobOf[written]
	if status, text := x.post(t, "/v1/methods/weights/soup/apply?wait=20s", learnJob{Inputs: map[string]noun{slotName: {Files: []string{"a.safetensors", "b.safetensors"}}}, Output: "c.safetensors"}, &j); status != 200 || j.State != jobDone {
		t.Fatalf("%d %s", status, text)
	}
	c, file, err := open.Checkpoint(filepath.Join(dir, "c.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if v, _, err := c.Floats("w", 2); err != nil || !reflect.DeepEqual(v, []float64{2, 4}) {
		t.Errorf("%v, %v", v, err)
	}
	if status, _ := x.post(t, "/v1/methods/weights/soup/fit", learnJob{Output: "c"}, nil); status != 400 {
		t.Errorf("fitting a map: %d", status)
	}
	if status, text := x.post(t, "/v1/methods/detect/mahalanobis/fit", map[string]any{"config": map[string]any{"ridge": -1}, "inputs": map[string]any{}, "output": "x"}, nil); status != 400 || !strings.Contains(text, "ridge") {
		t.Errorf("a wrong parameter: %d %s", status, text)
	}
	if status, text := x.post(t, "/v1/methods/detect/mahalanobis/fit", map[string]any{"inptus": 1}, nil); status != 400 || !strings.Contains(text, "inptus") {
		t.Errorf("an unknown field: %d %s", status, text)
	}
}

// The document and the server say the same: every route is answered as described, and no path that is not described is answered.
func TestOpenAPI(t *testing.T) {
	dir := t.TempDir()
	x := start(t, Options{Models: []string{saveGuard(t, filepath.Join(dir, "g.gimbal"), fitGuard(t, 0, 3))}, Data: dir, History: openHistory(t)})
	_, _, text := x.call(t, "GET", "/openapi.json", "", nil)
	var doc struct {
		OpenAPI    string
		Paths      map[string]map[string]operation
		Components struct{ Schemas map[string]schema }
	}
	if err := json.Unmarshal(text, &doc); err != nil || doc.OpenAPI != "3.1.0" {
		t.Fatalf("%v in %.200s", err, text)
	}
	m, _ := x.model("g", "")
	fill := strings.NewReplacer("{model}", "g", "{version}", m.version, "{family}", "detect", "{method}", "mahalanobis", "{job}", "none", "{decision}", "1")
	ids := map[string]bool{}
	described := 0
	for path, item := range doc.Paths {
		for verb, op := range item {
			described++
			if ids[op.OperationID] {
				t.Errorf("operation %s stands twice", op.OperationID)
			}
			ids[op.OperationID] = true
			for _, content := range op.all() {
				content.resolve(t, doc.Components.Schemas)
			}
			if verb != "get" || strings.Contains(path, "{job}") || path == "/v1/events" { // which never ends: see TestEvents
				continue
			}
			status, h, body := x.call(t, "GET", fill.Replace(path), "", nil)
			r, ok := op.Responses[fmt.Sprint(status)]
			if !ok || status != 200 {
				t.Errorf("GET %s: status %d %s is not described", path, status, body)
				continue
			}
			media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
			if media != "application/json" {
				continue
			}
			var v any
			if err := json.Unmarshal(body, &v); err != nil {
				t.Errorf("GET %s: %v", path, err)
			}
			if bad := r.Content["application/json"].Schema.fits(v, doc.Components.Schemas, "answer"); bad != "" {
				t.Errorf("GET %s: %s in %s", path, bad, body)
			}
		}
	}
	if described != len(table) {
		t.Errorf("%d operations are described, the table has %d routes", described, len(table))
	}
	for _, r := range table { // whatever is described is answered: a body of the wrong form is refused as such, not as an unknown path
		if r.method == "POST" && r.in != nil {
			status, body := x.post(t, fill.Replace(r.path), []int{1}, nil)
			if status != 400 {
				t.Errorf("POST %s with a list: %d %s", r.path, status, body)
			}
		}
	}
	// A real answer to an inference fits its description, too.
	status, answer := x.post(t, "/v2/models/g/infer", inferRequest{Inputs: []inferTensor{{Name: "x", Shape: []int64{1, 3}, Datatype: "FP32", Data: []any{1, 2, 3}}}}, nil)
	var v any
	json.Unmarshal([]byte(answer), &v)
	if bad := doc.Paths["/v2/models/{model}/infer"]["post"].Responses["200"].Content["application/json"].Schema.fits(v, doc.Components.Schemas, "answer"); status != 200 || bad != "" {
		t.Errorf("inference: %d %s %s", status, answer, bad)
	}
}

type operation struct {
	OperationID string
	RequestBody struct{ Content map[string]content }
	Responses   map[string]struct{ Content map[string]content }
}

type content struct{ Schema schema }

func (o operation) all() (list []content) {
	for _, c := range o.RequestBody.Content {
		list = append(list, c)
	}
	for _, r := range o.Responses {
		for _, c := range r.Content {
			list = append(list, c)
		}
	}
	return list
}

// schema is what of JSON Schema the document uses; the test reads it with types of its own.
type schema struct {
	Ref        string `json:"$ref"`
	Type       any
	Items      *schema
	Properties map[string]schema
	Required   []string
	Additional *schema `json:"additionalProperties"`
}

func (c content) resolve(t *testing.T, all map[string]schema) {
	t.Helper()
	if name, ok := strings.CutPrefix(c.Schema.Ref, "#/components/schemas/"); ok {
		if _, ok := all[name]; !ok {
			t.Errorf("schema %s is missing", name)
		}
	}
}

// fits says what of a value the schema does not describe.
func (s schema) fits(v any, all map[string]schema, where string) string {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		s = all[name]
	}
	is := map[string]bool{}
	switch x := s.Type.(type) {
	case nil:
		return ""
	case string:
		is[x] = true
	case []any:
		for _, name := range x {
			is[name.(string)] = true
		}
	}
	switch v := v.(type) {
	case map[string]any:
		if !is["object"] {
			return where + " is an object"
		}
		for name, value := range v {
			p, ok := s.Properties[name]
			if !ok && s.Additional != nil {
				p, ok = *s.Additional, true
			}
			if !ok {
				return where + " has " + name
			}
			if bad := p.fits(value, all, where+"."+name); bad != "" {
				return bad
			}
		}
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				return where + " lacks " + name
			}
		}
	case []any:
		if !is["array"] {
			return where + " is a list"
		}
		for _, value := range v {
			if bad := s.Items.fits(value, all, where+"[]"); bad != "" {
				return bad
			}
		}
	case string:
		if !is["string"] {
			return where + " is a string"
		}
	case bool:
		if !is["boolean"] {
			return where + " is a boolean"
		}
	case float64:
		if !is["number"] && !(is["integer"] && v == float64(int64(v))) {
			return where + " is a number"
		}
	case nil:
		if !is["null"] {
			return where + " is null"
		}
	}
	return ""
}
