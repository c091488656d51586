package cli

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/data/safetensors"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/method/methodtest"
	"github.com/gimbal-ml/gimbal/serve"
)

// TestWire: the command line, the server and a call in Go give the same bits, for every method.
func TestWire(t *testing.T) {
	for _, s := range specs() {
		t.Run(s.ID(), func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			wire := methodtest.Wire(methodtest.Way{Name: "command line", Answer: byCommand}, methodtest.Way{Name: "HTTP", Answer: func(s method.Spec, flags map[string]string, in data.Bundle, query *data.Table) (methodtest.Answer, error) {
				return byHTTP(dir, specs(), s, flags, in, query)
			}})
			for _, f := range methodtest.FailuresOf(s, wire) {
				t.Error(f.Text)
			}
		})
	}
}

// A server that has another method behind an ID is found.
func TestWireFindsAnotherMethod(t *testing.T) {
	t.Chdir(t.TempDir())
	dir, _ := os.Getwd()
	all := specs()
	find := func(id string) method.Spec {
		return all[slices.IndexFunc(all, func(s method.Spec) bool { return s.ID() == id })]
	}
	honest, impostor := find("detect/gaussianad"), find("detect/mahalanobis")
	impostor.Name = honest.Name
	wire := methodtest.Wire(methodtest.Way{Name: "HTTP", Answer: func(s method.Spec, flags map[string]string, in data.Bundle, query *data.Table) (methodtest.Answer, error) {
		return byHTTP(dir, []method.Spec{impostor}, s, nil, in, query)
	}})
	if bad := methodtest.FailuresOf(honest, wire); len(bad) != 1 || !strings.Contains(bad[0].Text, "instead of") {
		t.Errorf("%v", bad)
	}
}

// sent is a bundle as files of the working folder, by input.
func sent(s method.Spec, in data.Bundle, query *data.Table) (files map[string][]string, label string, targets []string, err error) {
	files = map[string][]string{}
	checkpoint := func(name string, c *data.Checkpoint) (string, error) {
		var b bytes.Buffer
		if err := safetensors.Write(&b, c); err != nil {
			return "", err
		}
		return name, os.WriteFile(name, b.Bytes(), 0o644)
	}
	for _, slot := range s.Inputs {
		switch v := in[slot.Name].(type) {
		case *data.Table:
			name := slot.Name
			if files[name], label, targets, err = sentTable(name, v); err != nil {
				return
			}
		case *data.Checkpoint:
			var name string
			if name, err = checkpoint(slot.Name+".safetensors", v); err != nil {
				return
			}
			files[slot.Name] = []string{name}
		case data.Checkpoints:
			for i, c := range v {
				var name string
				if name, err = checkpoint(fmt.Sprintf("%s%d.safetensors", slot.Name, i), c); err != nil {
					return
				}
				files[slot.Name] = append(files[slot.Name], name)
			}
		}
	}
	if query != nil {
		files["query"], _, _, err = sentTable("query", query)
	}
	return files, label, targets, err
}

// sentTable writes a table as CSV, without names where it has none, with a file for labels beside it.
func sentTable(name string, v *data.Table) (files []string, label string, targets []string, err error) {
	var b, l strings.Builder
	n, _ := v.Dims()
	if v.Columns() != nil {
		b.WriteString(strings.Join(v.Columns(), ",") + "\n")
	}
	for i := range n {
		for j, x := range v.Row(i) {
			if j > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strconv.FormatFloat(float64(x), 'g', -1, 32))
		}
		b.WriteByte('\n')
		fmt.Fprintln(&l, v.ClassName(i))
	}
	for j, column := range v.Targets() {
		var c strings.Builder
		for _, y := range column {
			fmt.Fprintln(&c, strconv.FormatFloat(y, 'g', -1, 64))
		}
		targets = append(targets, fmt.Sprintf("target%d.txt", j))
		if err = os.WriteFile(targets[j], []byte(c.String()), 0o644); err != nil {
			return
		}
	}
	if err = os.WriteFile(name+".csv", []byte(b.String()), 0o644); err != nil {
		return
	}
	label = "labels.txt"
	if name == "query" {
		label = "query.txt"
	}
	return []string{name + ".csv"}, label, targets, os.WriteFile(label, []byte(l.String()), 0o644)
}

// byCommand asks the command line.
func byCommand(s method.Spec, flags map[string]string, in data.Bundle, query *data.Table) (a methodtest.Answer, err error) {
	files, label, targets, err := sent(s, in, query)
	if err != nil {
		return a, err
	}
	ask := func(codes []int, args ...string) (string, error) {
		r := gimbal(append(args, "--quiet")...)
		if !slices.Contains(codes, r.code) {
			return "", fmt.Errorf("gimbal %s: exit %d: %s", strings.Join(args, " "), r.code, r.errOut)
		}
		return r.out, nil
	}
	verb := "fit"
	if !s.Learns() {
		verb = "apply"
	}
	args := []string{verb, s.ID(), "-o", "command.gimbal"}
	for _, slot := range s.Inputs {
		flag := slot.Name
		if verb == "fit" {
			flag = slotFlag(slot)
		}
		for _, file := range files[slot.Name] {
			args = append(args, "--"+flag, file)
		}
	}
	if label != "" {
		args = append(args, "--label", label)
		for _, t := range targets {
			args = append(args, "--target", t)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		args = append(args, "--"+name+"="+flags[name])
	}
	if s.Output == data.KindTable {
		args[3] = "command.csv"
	}
	if _, err := ask([]int{0}, args...); err != nil {
		return a, err
	}
	if s.Output == data.KindTable {
		v, err := columnsOf("command.csv", "", true)
		return methodtest.Answer{Verbs: map[string][]float64{"apply": v}}, err
	}
	if a.State, err = stateIn("command.gimbal", s); err != nil || query == nil {
		return a, err
	}
	a.Verbs = map[string][]float64{}
	for _, v := range []struct {
		verb, prefix string
		more         []string
	}{{"score", s.ScoreName(), nil}, {"predict", "p_", []string{"--probabilities"}}, {"sets", "in_", []string{"--membership"}}} {
		if s.Can(v.verb) {
			out, err := ask([]int{0}, append([]string{v.verb, "command.gimbal", "--in", files["query"][0], "-o", "out.csv"}, v.more...)...)
			if err != nil {
				return a, fmt.Errorf("%w %s", err, out)
			}
			if a.Verbs[v.verb], err = columnsOf("out.csv", v.prefix, v.verb != "score"); err != nil {
				return a, err
			}
		}
	}
	if s.Can("test") {
		out, err := ask([]int{0, 3}, "test", "command.gimbal", "--in", files["query"][0], "--label", "query.txt", "--json")
		if err != nil {
			return a, err
		}
		var c map[string]any
		if err := json.Unmarshal([]byte(out), &c); err != nil {
			return a, err
		}
		a.Verbs["test"] = []float64{c["p_value"].(float64), c[c["statistic"].(string)].(float64)}
	}
	return a, nil
}

// stateIn hashes the state of a saved model, or what a map has written.
func stateIn(path string, s method.Spec) (string, error) {
	c, file, err := open.Checkpoint(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if s.Learns() {
		c = c.Prefix("state/")
	}
	return c.Hash()
}

// columnsOf reads the columns of a CSV file whose names begin so, row by row.
func columnsOf(path, prefix string, single bool) (v []float64, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		return nil, err
	}
	for _, row := range rows[1:] {
		for j, cell := range row {
			if strings.HasPrefix(rows[0][j], prefix) {
				x, err := strconv.ParseFloat(cell, 64)
				if err != nil {
					return nil, err
				}
				if single {
					x = float64(float32(x)) // the nearest of these is what was written
				}
				v = append(v, x)
			}
		}
	}
	return v, nil
}

// byHTTP asks a server, which works in the folder with the files.
func byHTTP(dir string, all []method.Spec, s method.Spec, flags map[string]string, in data.Bundle, query *data.Table) (a methodtest.Answer, err error) {
	files, label, targets, err := sent(s, in, query)
	if err != nil {
		return a, err
	}
	server, err := serve.New(all, serve.Options{Data: dir})
	if err != nil {
		return a, err
	}
	post := func(path string, body, result any) error {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		r := httptest.NewRequest("POST", path, bytes.NewReader(text))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		server.Handler().ServeHTTP(w, r)
		var job struct {
			State, Error string
			Result       json.RawMessage
		}
		if err := json.Unmarshal(w.Body.Bytes(), &job); err != nil || w.Code >= 300 || result != nil && job.State != "done" {
			return fmt.Errorf("POST %s: %d %.300s", path, w.Code, w.Body)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(job.Result, result)
	}
	cfg, err := s.Configure(flags)
	if err != nil {
		return a, err
	}
	config, err := s.MarshalConfig(cfg)
	if err != nil {
		return a, err
	}
	verb, inputs := "fit", map[string]any{}
	if !s.Learns() {
		verb = "apply"
	}
	for _, slot := range s.Inputs {
		switch slot.Kind {
		case data.KindTable:
			inputs[slot.Name] = map[string]any{"file": files[slot.Name][0], "label": label, "targets": targets}
		case data.KindCheckpoint:
			inputs[slot.Name] = map[string]any{"file": files[slot.Name][0]}
		case data.KindCheckpoints:
			inputs[slot.Name] = map[string]any{"files": files[slot.Name]}
		}
	}
	var written struct {
		Output string
		Rows   [][]float32
	}
	body := map[string]any{"config": json.RawMessage(config), "inputs": inputs, "output": "http.gimbal"}
	if s.Output == data.KindTable {
		delete(body, "output")
	}
	if err := post("/v1/methods/"+s.ID()+"/"+verb+"?wait=60s", body, &written); err != nil {
		return a, err
	}
	if s.Output == data.KindTable {
		var v []float64
		for _, row := range written.Rows {
			for _, x := range row {
				v = append(v, float64(x))
			}
		}
		return methodtest.Answer{Verbs: map[string][]float64{"apply": v}}, nil
	}
	if a.State, err = stateIn("http.gimbal", s); err != nil || query == nil {
		return a, err
	}
	a.Verbs = map[string][]float64{}
	if !s.Can("score") && !s.Can("predict") && !s.Can("sets") && !s.Can("test") {
		return a, nil
	}
	if err := post("/v1/models", map[string]any{"name": "m", "file": "http.gimbal"}, nil); err != nil {
		return a, err
	}
	for _, verb := range []string{"score", "predict", "sets", "test"} {
		if !s.Can(verb) {
			continue
		}
		var said struct {
			Scores        []float64
			Classes       []string
			Probabilities [][]float32
			Sets          [][]string
			Comparison    struct {
				PValue    float64 `json:"p_value"`
				Statistic float64
			}
		}
		if err := post("/v1/models/m/"+verb+"?wait=60s", map[string]any{"input": map[string]any{"file": files["query"][0], "label": "query.txt"}}, &said); err != nil {
			return a, err
		}
		var v []float64
		switch verb {
		case "score":
			v = said.Scores
		case "predict":
			for _, row := range said.Probabilities {
				for _, p := range row {
					v = append(v, float64(p))
				}
			}
		case "sets":
			for _, set := range said.Sets {
				for _, class := range said.Classes {
					in := 0.0
					if slices.Contains(set, class) {
						in = 1
					}
					v = append(v, in)
				}
			}
		case "test":
			v = []float64{said.Comparison.PValue, said.Comparison.Statistic}
		}
		a.Verbs[verb] = v
	}
	return a, nil
}
