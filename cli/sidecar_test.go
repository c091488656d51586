package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// sidecarRun starts gimbal sidecar and returns the addresses at which it listens, in the order of its servers, and what stops it.
func sidecarRun(t *testing.T, servers int, args ...string) (addresses []string, stop func() (code int, log string)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, specs(), append([]string{"sidecar"}, args...), strings.NewReader(""), io.Discard, out)
		out.Close()
	}()
	var log strings.Builder
	lines := bufio.NewScanner(in)
	for len(addresses) < servers && lines.Scan() {
		fmt.Fprintln(&log, lines.Text())
		if _, rest, ok := strings.Cut(lines.Text(), "msg=listening address="); ok {
			addresses = append(addresses, rest)
		}
	}
	rest := make(chan bool)
	go func() {
		for lines.Scan() {
			fmt.Fprintln(&log, lines.Text())
		}
		close(rest)
	}()
	if len(addresses) < servers {
		cancel()
		<-rest
		t.Fatalf("exit %d: %s", <-done, &log)
	}
	return addresses, func() (int, string) {
		cancel()
		code := <-done
		<-rest
		return code, log.String()
	}
}

func TestSidecar(t *testing.T) {
	fixture(t)
	must(t, "guard", "fit", "--train", "train.csv", "--label", "y", "--alpha", "0.1", "-o", "side.gimbal")
	rang := make(chan string, 10)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hook" {
			b, _ := io.ReadAll(r.Body)
			rang <- string(b)
			return
		}
		io.WriteString(w, `{"model_name":"m","outputs":[]}`)
	}))
	defer upstream.Close()
	args := []string{"side.gimbal", "--upstream", upstream.URL, "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--state-dir", "state", "--history", "state/history.sqlite", "--alarm-webhook", upstream.URL + "/hook"}
	at, stop := sidecarRun(t, 2, args...)
	infer := func(value float64) (outputs map[string][]any) {
		text := fmt.Sprintf(`{"inputs":[{"name":"x","datatype":"FP32","shape":[2,4],"data":[%[1]g,%[1]g,%[1]g,%[1]g,0,0,0,0]}]}`, value)
		a, err := http.Post("http://"+at[0]+"/v2/models/m/infer", "application/json", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		var answer struct {
			Outputs []struct {
				Name string
				Data []any
			}
		}
		if err := json.NewDecoder(a.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		outputs = map[string][]any{}
		for _, o := range answer.Outputs {
			outputs[o.Name] = o.Data
		}
		return outputs
	}
	first := infer(500)
	if len(first["ood_score"]) != 2 || first["accept"][0] != false {
		t.Errorf("outputs %v", first)
	}
	for range 60 {
		infer(500)
	}
	select {
	case text := <-rang:
		if !strings.Contains(text, "svg") || !strings.Contains(text, "drift alarm") {
			t.Errorf("the webhook got %.200s", text)
		}
	case <-time.After(10 * time.Second):
		t.Error("the alarm did not ring")
	}
	refused(t, 1, []string{"in use", "state"}, append([]string{"sidecar"}, args...)...)
	metrics := func() string {
		a, err := http.Get("http://" + at[1] + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		b, _ := io.ReadAll(a.Body)
		return string(b)
	}
	if text := metrics(); !strings.Contains(text, "gimbal_rows_total 122\n") || !strings.Contains(text, `gimbal_drift_alarms_total{model_name="sidecar"} 1`) {
		t.Errorf("metrics:\n%s", text)
	}
	if code, log := stop(); code != 130 && code != 0 || !strings.Contains(log, "msg=stopped") {
		t.Errorf("exit %d: %s", code, log)
	}
	at, stop = sidecarRun(t, 2, args...) // the alarm that rang is remembered
	if text := metrics(); !strings.Contains(text, `gimbal_drift_alarms_total{model_name="sidecar"} 1`) {
		t.Errorf("metrics after a restart:\n%s", text)
	}
	if again := infer(500); fmt.Sprint(again) != fmt.Sprint(first) {
		t.Errorf("after a restart %v, before %v", again, first)
	}
	stop()
}

func TestSidecarUsage(t *testing.T) {
	fixture(t)
	must(t, "guard", "fit", "--train", "train.csv", "--label", "y", "--alpha", "0.1", "-o", "side.gimbal")
	for _, c := range []struct {
		args  []string
		words []string
	}{
		{nil, []string{"--upstream"}},
		{[]string{"--upstream", "http://x", "--upstream", "http://y"}, []string{"already"}},
		{[]string{"--upstream", "http://x", "--http", "0.0.0.0:0"}, []string{"--exposed"}},
		{[]string{"--upstream", "http://x", "--http", "nowhere"}, []string{"HOST:PORT"}},
		{[]string{"--upstream", "http://x", "--inputs", "a", "--outputs", "b"}, []string{"exclude"}},
		{[]string{"--upstream", "http://x", "--alarm-webhook", "http://y"}, []string{"--state-dir"}},
		{[]string{"--upstream", "http://x", "--log", "xml"}, []string{"--log"}},
		{[]string{"--upstream", "http://x", "--tls-cert", "c"}, []string{"--tls-key"}},
		{[]string{"--upstream", "http://x", "--timeout", "0s"}, []string{"--timeout"}},
	} {
		refused(t, 2, c.words, append([]string{"sidecar", "side.gimbal"}, c.args...)...)
	}
	refused(t, 2, []string{"ftp://x", "upstream"}, "sidecar", "side.gimbal", "--upstream", "ftp://x")
	refused(t, 1, []string{"train.csv"}, "sidecar", "train.csv", "--upstream", "http://x")
}
