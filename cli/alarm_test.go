package cli

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// postOffice takes e-mail without TLS and hands it over.
func postOffice(t *testing.T) (address string, letters <-chan string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	got := make(chan string, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewScanner(c)
				fmt.Fprint(c, "220 post\r\n")
				for in.Scan() {
					switch verb, _, _ := strings.Cut(strings.ToUpper(in.Text()), " "); verb {
					case "DATA":
						fmt.Fprint(c, "354 go on\r\n")
						var b strings.Builder
						for in.Scan() && in.Text() != "." {
							fmt.Fprintf(&b, "%s\n", in.Text())
						}
						got <- b.String()
						fmt.Fprint(c, "250 taken\r\n")
					case "QUIT":
						fmt.Fprint(c, "221 bye\r\n")
						return
					default:
						fmt.Fprint(c, "250 ok\r\n")
					}
				}
			}()
		}
	}()
	return l.Addr().String(), got
}

// serveRun runs gimbal serve until stop.
func serveRun(t *testing.T, args ...string) (address string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int, 1)
	var log strings.Builder
	go func() {
		done <- run(ctx, specs(), append([]string{"serve", "--http", address, "--grpc", "off"}, args...), strings.NewReader(""), io.Discard, &log)
	}()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			break
		}
		if len(done) > 0 || time.Now().After(deadline) {
			cancel()
			t.Fatalf("it does not listen: exit %d: %s", <-done, log.String())
		}
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if code := <-done; code != 0 {
			t.Errorf("exit %d: %s", code, log.String())
		}
	})
	t.Cleanup(stop)
	return address, stop
}

// A person asks for alarms on the page, confirms by the link in a letter, gets the alarm with its plot, and leaves; who subscribed is known
// after a restart, and requests are traced by their routes.
func TestServeMailsAlarms(t *testing.T) {
	fixture(t)
	must(t, "guard", "fit", "--train", "train.csv", "--label", "y", "--alpha", "0.1", "-o", "mail.gimbal")
	office, letters := postOffice(t)
	var mutex sync.Mutex
	told := map[string]string{}
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mutex.Lock()
		told[r.URL.Path] += string(b)
		mutex.Unlock()
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	args := []string{"mail.gimbal", "--state-dir", "kept", "--alarm-mail", office, "--alarm-from", "guard@example.org", "--alarm-link", "http://guard.example", "--alarm-mail-plain"}
	address, stop := serveRun(t, args...)
	link := regexp.MustCompile(`http://guard\.example(/alarms/link\?token=[\w-]+)`)
	letter := func(want ...string) string {
		t.Helper()
		select {
		case text := <-letters:
			plain, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(text)))
			if err != nil {
				plain = []byte(text)
			}
			for _, w := range want {
				if !strings.Contains(text, w) {
					t.Errorf("a letter without %q: %s", w, text)
				}
			}
			found := link.FindAllSubmatch(append(plain, text...), -1)
			if len(found) == 0 {
				t.Fatalf("no link in %s", text)
			}
			return string(found[0][1])
		case <-time.After(20 * time.Second):
			t.Fatal("no letter came")
			return ""
		}
	}
	page := func(verb, path string, form url.Values, status int, want string) {
		t.Helper()
		r, err := http.NewRequest(verb, "http://"+address+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		b, _ := io.ReadAll(answer.Body)
		if answer.StatusCode != status || !strings.Contains(string(b), want) {
			t.Errorf("%s %s: %d %s", verb, path, answer.StatusCode, b)
		}
	}
	page("GET", "/alarms", nil, 200, `type="email"`)
	page("POST", "/alarms", url.Values{"address": {"nobody"}}, 400, "no e-mail address")
	page("POST", "/alarms", url.Values{"address": {"ann@example.org"}}, 202, "on its way")
	confirm := letter("Subject: Confirm")
	page("POST", "/alarms", url.Values{"address": {"ann@example.org"}}, 429, "short while")
	page("GET", confirm, nil, 200, "Confirm")
	page("POST", confirm, nil, 200, "ann@example.org")
	stop()
	address, stop = serveRun(t, args...)
	infer := func() {
		t.Helper()
		names, err := os.ReadFile("train.csv")
		if err != nil {
			t.Fatal(err)
		}
		head, _, _ := strings.Cut(string(names), "\n")
		d := strings.Count(head, ",")
		body := fmt.Sprintf(`{"inputs":[{"name":"x","shape":[20,%d],"datatype":"FP32","data":[%s50]}]}`, d, strings.Repeat("50,", 20*d-1))
		answer, err := http.Post("http://"+address+"/v2/models/mail/infer", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if b, _ := io.ReadAll(answer.Body); answer.StatusCode != 200 {
			t.Fatalf("%d %s", answer.StatusCode, b)
		}
	}
	for range 12 {
		infer()
	}
	leave := letter("Subject: Drift alarm: mail", "image/svg+xml", "List-Unsubscribe-Post: List-Unsubscribe=One-Click", base64.StdEncoding.EncodeToString([]byte("<svg"))[:4])
	page("POST", leave, url.Values{"List-Unsubscribe": {"One-Click"}}, 200, "No more")
	for _, name := range []string{"kept/subscribers.json", "kept/alarm.key", "kept/history.sqlite"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %v, %v", name, info, err)
		}
	}
	if b, err := os.ReadFile("kept/subscribers.json"); err != nil || strings.Contains(string(b), "ann") {
		t.Errorf("who left is still there: %s, %v", b, err)
	}
	if info, err := os.Stat("kept/alarm.key"); err != nil || info.Mode().Perm() != 0o600 || info.Size() != 32 {
		t.Errorf("the key for links: %v, %v", info, err)
	}
	stop()
	mutex.Lock()
	defer mutex.Unlock()
	if !strings.Contains(told["/v1/traces"], "POST /v2/models/{model}/infer") || !strings.Contains(told["/v1/metrics"], "gimbal.drift.alarms.total") {
		t.Errorf("the collector was told %.2000v", told)
	}
}

func TestAlarmFlags(t *testing.T) {
	fixture(t)
	for _, c := range [][]string{
		{"--alarm-mail", "mail.example", "--alarm-from", "a@b.example", "--alarm-link", "http://x.example"}, {"--alarm-mail", "mail.example", "--state-dir", "s"}, {"--alarm-from", "a@b.example"}, {"--alarm-every", "0s"},
		{"--replica", "a", "--state-dir", "s"}, {"--replica", "a", "--history", "h.sqlite"}, {"--share-every", "0s"},
	} {
		if r := gimbal(append([]string{"serve", "g.gimbal", "--http", "127.0.0.1:0", "--grpc", "off"}, c...)...); r.code != exitUsage {
			t.Errorf("%v: exit %d: %s", c, r.code, r.errOut)
		}
	}
	for _, c := range [][]string{{"--alarm-mail", "mail.example:http", "--alarm-from", "a@b.example", "--alarm-link", "http://x.example"}, {"--alarm-mail", "mail.example", "--alarm-from", "nobody", "--alarm-link", "http://x.example"}} {
		if r := gimbal(append([]string{"serve", "g.gimbal", "--http", "127.0.0.1:0", "--grpc", "off", "--state-dir", "s"}, c...)...); r.code == 0 || r.code == exitUsage {
			t.Errorf("%v: exit %d: %s", c, r.code, r.errOut)
		}
	}
}
