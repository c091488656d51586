package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gimbal-ml/gimbal/serve/alarm"
	"github.com/gimbal-ml/gimbal/serve/history"
)

func openHistory(t *testing.T) *history.History {
	t.Helper()
	h, err := history.Open(t.Context(), filepath.Join(t.TempDir(), "history.sqlite"), history.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// A row that is refused is kept, is labelled by a person, and the class is taught; histograms count all rows.
func TestRefusedRowsAreKeptLabelledAndTaught(t *testing.T) {
	h := openHistory(t)
	x := start(t, Options{Models: []string{saveGuard(t, filepath.Join(t.TempDir(), "g.gimbal"), fitGuard(t, 0, 3))}, History: h})
	infer := func(values ...any) {
		t.Helper()
		status, body := x.post(t, "/v2/models/g/infer", inferRequest{Inputs: []inferTensor{{Name: "x", Shape: []int64{1, 3}, Datatype: "FP32", Data: values}}}, nil)
		if status != 200 {
			t.Fatalf("%d %s", status, body)
		}
	}
	for range 5 {
		infer(0, 0, 0)
	}
	infer(90, 91, 92)
	if err := h.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	get := func(path string, out any) {
		t.Helper()
		status, _, body := x.call(t, "GET", path, "", nil)
		if err := json.Unmarshal(body, out); status != 200 || err != nil {
			t.Fatalf("GET %s: %d %v %s", path, status, err, body)
		}
	}
	var kept decisionList
	get("/v1/models/g/decisions?order=unfamiliar", &kept)
	if len(kept.Decisions) == 0 || kept.Decisions[0].Accept || len(kept.Decisions[0].Values) != 3 || kept.Decisions[0].Values[0].Column != "x3" || kept.Decisions[0].Values[0].Value != 92 || kept.Decisions[0].Values[0].Deviations < 50 {
		t.Fatalf("kept %+v", kept)
	}
	id := kept.Decisions[0].ID
	for _, path := range []string{"scores", "p-values"} {
		var list histogramList
		get("/v1/models/g/"+path+"?hours=1", &list)
		rows := int64(0)
		for _, s := range list.Slices {
			for _, b := range s.Bins {
				rows += b.Rows
			}
		}
		if rows != 6 {
			t.Errorf("%s count %d rows, want 6", path, rows)
		}
		reference, refused := int64(0), int64(0)
		for _, b := range list.Reference {
			reference, refused = reference+b.Rows, refused+b.Refused
		}
		g := x.list()[0].keeper.Guard()
		if _, kept := g.Rows(); path == "scores" && (reference != int64(kept) || float64(refused) > g.Alpha()*float64(kept) || *list.Threshold != g.Threshold()) {
			t.Errorf("the reference of scores has %d rows, %d refused, of %d", reference, refused, kept)
		}
	}
	var odd columnList
	get("/v1/models/g/columns", &odd)
	if odd.Rows != 6 || len(odd.Columns) != 3 || odd.Columns[0].Column != "x3" || odd.Columns[0].Rows != 6 || odd.Columns[0].Deviations < 15 {
		t.Errorf("columns that stand out: %+v", odd)
	}
	var said labelAnswer
	if status, body := x.post(t, fmt.Sprintf("/v1/models/g/decisions/%d/label", id), labelBody{"owl"}, &said); status != 200 || !slices.Contains(said.Classes, "owl") {
		t.Fatalf("label: %d %s", status, body)
	}
	if status, _ := x.post(t, fmt.Sprintf("/v1/models/g/decisions/%d/label", id), labelBody{"cat"}, nil); status != http.StatusConflict {
		t.Errorf("labelled again: %d", status)
	}
	if err := h.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var labelled decisionList
	get("/v1/models/g/decisions?order=labelled", &labelled)
	var alarms alarmList
	get("/v1/models/g/alarms", &alarms)
	if len(labelled.Decisions) != 1 || labelled.Decisions[0].Given != "owl" || len(alarms.Told) != 1 || alarms.Told[0].Verb != "teach" || alarms.Told[0].Class != "owl" {
		t.Errorf("labelled %+v, told %+v", labelled.Decisions, alarms.Told)
	}
	for path, want := range map[string]int{
		"decisions?order=best": 400, "decisions?n=0": 400, "scores?hours=many": 400, "p-values?hours=-1": 400,
	} {
		if status, _, body := x.call(t, "GET", "/v1/models/g/"+path, "", nil); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	for body, want := range map[string]int{"": 400, strings.Repeat("x", 300): 400} {
		if status, _ := x.post(t, fmt.Sprintf("/v1/models/g/decisions/%d/label", id), labelBody{body}, nil); status != want {
			t.Errorf("class of %d characters: %d", len(body), status)
		}
	}
	if status, _ := x.post(t, "/v1/models/g/decisions/999999/label", labelBody{"owl"}, nil); status != 404 {
		t.Errorf("a decision that was not: %d", status)
	}
}

func TestNoHistoryIsSaid(t *testing.T) {
	x := start(t, Options{Models: []string{saveGuard(t, filepath.Join(t.TempDir(), "g.gimbal"), fitGuard(t, 0, 3))}})
	for _, path := range []string{"scores", "p-values", "decisions", "alarms"} {
		if status, _, body := x.call(t, "GET", "/v1/models/g/"+path, "", nil); status != http.StatusConflict || !strings.Contains(string(body), "--history") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// Events come at once, and again when rows were judged; they end with the client.
func TestEvents(t *testing.T) {
	x := start(t, Options{Models: []string{saveGuard(t, filepath.Join(t.TempDir(), "g.gimbal"), fitGuard(t, 0, 3))}})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", x.url+"/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("type %q", answer.Header.Get("Content-Type"))
	}
	lines := bufio.NewScanner(answer.Body)
	next := func() (list modelList) {
		for lines.Scan() {
			if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(text), &list); err != nil {
					t.Fatal(err)
				}
				return list
			}
		}
		t.Fatalf("no more events: %v", lines.Err())
		return
	}
	if first := next(); len(first.Models) != 1 || first.Models[0].Guard.Stream.Rows != 0 {
		t.Errorf("first %+v", first)
	}
	if status, body := x.post(t, "/v2/models/g/infer", inferRequest{Inputs: []inferTensor{{Name: "x", Shape: []int64{1, 3}, Datatype: "FP32", Data: []any{0, 0, 0}}}}, nil); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	if second := next(); second.Models[0].Guard.Stream.Rows != 1 {
		t.Errorf("second %+v", second.Models[0].Guard)
	}
}

// When the rows drift, a webhook is told, once, and the history has the alarm.
func TestDriftRingsOutside(t *testing.T) {
	told := make(chan string, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		told <- string(body)
	}))
	defer hook.Close()
	bell, err := alarm.New(alarm.Config{Webhooks: []string{hook.URL}})
	if err != nil {
		t.Fatal(err)
	}
	defer bell.Close()
	h := openHistory(t)
	x := start(t, Options{Models: []string{saveGuard(t, filepath.Join(t.TempDir(), "g.gimbal"), fitGuard(t, 0, 3))}, History: h, Alarm: bell})
	for range 12 {
		values := make([]any, 3*20)
		for i := range values {
			values[i] = 40 + i%7
		}
		status, body := x.post(t, "/v2/models/g/infer", inferRequest{Inputs: []inferTensor{{Name: "x", Shape: []int64{20, 3}, Datatype: "FP32", Data: values}}}, nil)
		if status != 200 {
			t.Fatalf("%d %s", status, body)
		}
	}
	select {
	case text := <-told:
		if !strings.Contains(text, `"g"`) {
			t.Errorf("told %.300s", text)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nobody was told")
	}
	if err := h.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	alarms, err := h.Alarms(t.Context(), "g", 10)
	if err != nil || len(alarms) != 1 || alarms[0].Row == 0 {
		t.Errorf("alarms %+v, %v", alarms, err)
	}
	select {
	case text := <-told:
		t.Errorf("told twice: %.200s", text)
	case <-time.After(200 * time.Millisecond):
	}
}
