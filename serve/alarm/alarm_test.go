package alarm

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// postOffice is a mail server that keeps what it is given.
type postOffice struct {
	listener  net.Listener
	tls       *tls.Config
	noTLS     bool
	busy      int // so many letters are put off first
	refuse    bool
	hang      bool
	mutex     sync.Mutex
	letters   []string
	passwords []string
	clear     bool // something came without TLS
	arrived   chan string
}

func newPostOffice(t *testing.T, cert tls.Certificate, change func(*postOffice)) *postOffice {
	p := &postOffice{tls: &tls.Config{Certificates: []tls.Certificate{cert}}, arrived: make(chan string, 100)}
	if change != nil {
		change(p)
	}
	var err error
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.listener.Close() })
	go func() {
		for {
			c, err := p.listener.Accept()
			if err != nil {
				return
			}
			go p.talk(c)
		}
	}()
	return p
}

func (p *postOffice) port() int { return p.listener.Addr().(*net.TCPAddr).Port }

func (p *postOffice) talk(c net.Conn) {
	defer c.Close()
	if p.hang {
		time.Sleep(30 * time.Second)
		return
	}
	secure := false
	in := bufio.NewReader(c)
	say := func(s string) { fmt.Fprintf(c, "%s\r\n", s) }
	say("220 post office")
	to := ""
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-hello")
			if !secure && !p.noTLS {
				say("250-STARTTLS")
			}
			say("250 AUTH PLAIN")
		case "STARTTLS":
			say("220 go on")
			s := tls.Server(c, p.tls)
			if s.Handshake() != nil {
				return
			}
			c, in, secure = s, bufio.NewReader(s), true
		case "AUTH":
			_, text, _ := strings.Cut(rest, " ")
			raw, _ := base64.StdEncoding.DecodeString(text)
			p.mutex.Lock()
			p.passwords = append(p.passwords, string(raw))
			p.mutex.Unlock()
			say("235 welcome")
		case "MAIL":
			p.mutex.Lock()
			p.clear = p.clear || !secure
			put := p.busy > 0
			p.busy--
			p.mutex.Unlock()
			if put {
				say("451 come again")
				continue
			}
			say("250 ok")
		case "RCPT":
			to = rest
			if p.refuse {
				say("550 nobody of that name")
				continue
			}
			say("250 ok")
		case "DATA":
			say("354 begin")
			var b strings.Builder
			for {
				l, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if l == ".\r\n" {
					break
				}
				b.WriteString(strings.TrimPrefix(l, "."))
			}
			p.mutex.Lock()
			p.letters = append(p.letters, b.String())
			p.mutex.Unlock()
			say("250 taken")
			p.arrived <- to
		case "QUIT":
			say("221 bye")
			return
		default:
			say("500 what?")
		}
	}
}

// certificate is one for 127.0.0.1, and those who trust it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return s.TLS.Certificates[0], pool
}

func start(t *testing.T, c Config) *Notifier {
	t.Helper()
	c.pause = time.Millisecond
	n, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

func mailConfig(t *testing.T, p *postOffice, pool *x509.CertPool) Config {
	return Config{
		Mail:        Mail{Host: "127.0.0.1", Port: p.port(), User: "u", Password: "secret", From: "Gimbal <guard@example.org>", TLS: &tls.Config{RootCAs: pool}},
		Subscribers: filepath.Join(t.TempDir(), "subscribers.json"), Link: "https://guard.example/", Key: bytes.Repeat([]byte{7}, 32),
	}
}

// wait waits for something to come.
func wait[T any](t *testing.T, c chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatal("no " + what + " came")
	}
	return v
}

var notice = Notice{Model: "vision/α", At: time.Date(2026, 11, 25, 1, 2, 3, 0, time.UTC), Stream: 2, Row: 17, Evidence: 2.5, Threshold: 2.3, Plot: []byte("<svg/>")}

func TestWebhook(t *testing.T) {
	key := []byte("shared")
	type got struct {
		header http.Header
		body   []byte
	}
	came := make(chan got, 10)
	fails := 2
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if fails > 0 {
			fails--
			w.WriteHeader(503)
			return
		}
		came <- got{r.Header, body}
	}))
	defer server.Close()
	n := start(t, Config{Webhooks: []string{server.URL + "/hook?token=hidden"}, WebhookKey: key})
	n.Ring(notice)
	g := wait(t, came, "webhook")
	sum := hmac.New(sha256.New, key)
	sum.Write(g.body)
	if g.header.Get("X-Gimbal-Signature") != "sha256="+hex.EncodeToString(sum.Sum(nil)) {
		t.Error("the signature is not the body's")
	}
	var v map[string]any
	if err := json.Unmarshal(g.body, &v); err != nil || v["model"] != "vision/α" || v["row"] != 17.0 || v["plot_svg"] != "<svg/>" || !strings.Contains(v["text"].(string), "row 17") {
		t.Errorf("body %s", g.body)
	}
	if g.header.Get("Ce-Source") != "/v2/models/vision%2F%CE%B1" || g.header.Get("Ce-Id") == "" {
		t.Errorf("headers %v", g.header)
	}
}

func TestWebhookThatRefusesOrRedirects(t *testing.T) {
	var asked sync.Map
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k, _ := asked.LoadOrStore(r.URL.Path, new(int))
		*k.(*int)++
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			return
		}
		w.WriteHeader(403)
	}))
	defer server.Close()
	n := start(t, Config{Webhooks: []string{server.URL + "/refuses", server.URL + "/moved"}})
	n.Ring(notice)
	for range 500 {
		if _, ok := asked.Load("/moved"); ok && len(n.Lost()) > 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	n.Close()
	asked.Range(func(k, v any) bool {
		if *v.(*int) != 1 || k == "/elsewhere" {
			t.Errorf("%s was asked %d times", k, *v.(*int))
		}
		return true
	})
	for _, why := range n.Lost() {
		if strings.Contains(why, "/refuses") || strings.Contains(why, "/moved") {
			t.Errorf("a URL, which may hold a secret, is told: %s", why)
		}
	}
}

func TestNotMoreOftenThanWanted(t *testing.T) {
	came := make(chan int, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var v Notice
		json.NewDecoder(r.Body).Decode(&v)
		came <- v.Withheld
	}))
	defer server.Close()
	now := time.Unix(1e9, 0)
	n := start(t, Config{Webhooks: []string{server.URL}, Every: time.Minute, now: func() time.Time { return now }})
	for range 4 {
		n.Ring(notice)
	}
	if w := wait(t, came, "notice"); w != 0 {
		t.Errorf("%d withheld before the first", w)
	}
	now = now.Add(2 * time.Minute)
	n.Ring(notice)
	if w := wait(t, came, "notice"); w != 3 {
		t.Errorf("%d withheld, want 3", w)
	}
	now = now.Add(-time.Hour) // a clock that jumps back silences nothing
	n.Ring(notice)
	wait(t, came, "notice after the clock jumped back")
	other := notice
	other.Model = "another"
	n.Ring(other)
	wait(t, came, "notice on another model")
	if len(came) > 0 {
		t.Error("more came")
	}
}

// letter takes a message apart.
func letter(t *testing.T, text string) (header mail.Header, body, plot string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	_, p, _ := mime.ParseMediaType(m.Header.Get("Content-Type"))
	for r := multipart.NewReader(m.Body, p["boundary"]); ; {
		part, err := r.NextRawPart()
		if err != nil {
			return m.Header, body, plot
		}
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/plain") {
			b, _ := io.ReadAll(quotedprintable.NewReader(part))
			body = string(b)
			continue
		}
		b, _ := io.ReadAll(base64.NewDecoder(base64.StdEncoding, part))
		plot = string(b)
	}
}

func linkIn(t *testing.T, body string) string {
	t.Helper()
	_, rest, ok := strings.Cut(body, "https://guard.example"+Alarms.Path+"/link?token=")
	if !ok {
		t.Fatalf("no link in %q", body)
	}
	return strings.Fields(rest)[0]
}

func TestSubscribeConfirmLeave(t *testing.T) {
	cert, pool := certificate(t)
	office := newPostOffice(t, cert, func(p *postOffice) { p.busy = 2 })
	c := mailConfig(t, office, pool)
	n := start(t, c)
	page := httptest.NewServer(n.Handler())
	defer page.Close()
	ask := func(method, token string) (int, string) {
		r, _ := http.NewRequest(method, page.URL+n.LinkPath()+"?token="+token, nil)
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		b, _ := io.ReadAll(a.Body)
		if a.Header.Get("Content-Security-Policy") == "" || a.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("headers %v", a.Header)
		}
		return a.StatusCode, string(b)
	}
	if err := n.Subscribe("Ann <ann@Example.ORG>"); err != nil {
		t.Fatal(err)
	}
	if to := wait(t, office.arrived, "confirmation"); !strings.Contains(to, "ann@example.org") {
		t.Errorf("to %s", to)
	}
	if err := n.Subscribe("ann@example.org"); !errors.Is(err, ErrOften) {
		t.Errorf("asked twice: %v", err)
	}
	_, body, _ := letter(t, office.letters[0])
	token := linkIn(t, body)
	if code, text := ask("GET", token); code != 200 || !strings.Contains(text, "ann@example.org") || len(n.Subscribers()) != 0 {
		t.Errorf("opening a link: %d, subscribers %v", code, n.Subscribers())
	}
	if code, _ := ask("POST", token); code != 200 || !slices.Equal(n.Subscribers(), []string{"ann@example.org"}) {
		t.Errorf("confirming: %d, subscribers %v", code, n.Subscribers())
	}
	n.Ring(notice)
	wait(t, office.arrived, "notice")
	header, body, plot := letter(t, office.letters[1])
	word := new(mime.WordDecoder)
	subject, _ := word.DecodeHeader(header.Get("Subject"))
	if subject != "Drift alarm: vision/α" || plot != "<svg/>" || !strings.Contains(body, "row 17") || header.Get("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click" {
		t.Errorf("subject %q, plot %q, body %q, %v", subject, plot, body, header)
	}
	if office.clear || office.passwords[0] != "\x00u\x00secret" {
		t.Errorf("sent in the clear: %v; passwords %q", office.clear, office.passwords)
	}

	again := start(t, c) // a restart knows them
	if !slices.Equal(again.Subscribers(), []string{"ann@example.org"}) {
		t.Errorf("after a restart %v", again.Subscribers())
	}
	leave, _ := url.Parse(strings.Trim(header.Get("List-Unsubscribe"), "<>"))
	if code, _ := ask("POST", leave.Query().Get("token")); code != 200 || len(n.Subscribers()) != 0 {
		t.Errorf("leaving: %d, subscribers %v", code, n.Subscribers())
	}
	if text, _ := os.ReadFile(c.Subscribers); strings.Contains(string(text), "ann") {
		t.Errorf("the file still has %s", text)
	}
	if code, _ := ask("DELETE", token); code != http.StatusMethodNotAllowed {
		t.Errorf("DELETE: %d", code)
	}
}

func TestForgedAndOldLinks(t *testing.T) {
	cert, pool := certificate(t)
	c := mailConfig(t, newPostOffice(t, cert, nil), pool)
	now := time.Unix(1e9, 0)
	c.now = func() time.Time { return now }
	n := start(t, c)
	token := n.token(confirming, "ann@example.org")
	raw, _ := base64.RawURLEncoding.DecodeString(token)
	for i := range raw { // any byte changed
		bad := bytes.Clone(raw)
		bad[i] ^= 1
		if _, _, err := n.Redeem(base64.RawURLEncoding.EncodeToString(bad)); !errors.Is(err, ErrToken) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	c.Key = bytes.Repeat([]byte{8}, 32)
	other := start(t, c)
	for _, bad := range []string{"", "x", token[:20], token + "AA", "!!!", other.token(confirming, "ann@example.org"), strings.Repeat("A", 1<<16)} {
		if _, _, err := n.Redeem(bad); !errors.Is(err, ErrToken) {
			t.Errorf("token %.30q: %v", bad, err)
		}
	}
	leave := n.token(leaving, "ann@example.org")
	now = now.Add(confirmWithin + time.Second)
	if _, _, err := n.Redeem(token); !errors.Is(err, ErrToken) {
		t.Errorf("an old link: %v", err)
	}
	if done, _, err := n.Redeem(leave); err != nil || done != "left" {
		t.Errorf("an old link to leave: %v", err)
	}
	if len(n.Subscribers()) != 0 {
		t.Errorf("subscribers %v", n.Subscribers())
	}
	for _, bad := range []string{"", "ann", "ann@", "a@b\r\nBcc: c@d", "a@b, c@d", "<script>@x>", strings.Repeat("a", 300) + "@b.c"} {
		if err := n.Subscribe(bad); !errors.Is(err, ErrAddress) {
			t.Errorf("address %.40q: %v", bad, err)
		}
	}
}

func TestMailServersThatFail(t *testing.T) {
	cert, pool := certificate(t)
	send := func(change func(*postOffice), plain bool, trust *x509.CertPool) (*postOffice, bool, error) {
		office := newPostOffice(t, cert, change)
		m := Mail{Host: "127.0.0.1", Port: office.port(), From: "a@b.c", Plain: plain, TLS: &tls.Config{RootCAs: trust}}
		ctx, stop := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer stop()
		again, err := m.send(ctx, message{to: "d@e.f", text: ".\r\nbegins with a dot"})
		return office, again, err
	}
	if o, again, err := send(func(p *postOffice) { p.noTLS = true }, false, pool); err == nil || again || len(o.letters) > 0 {
		t.Errorf("no STARTTLS: %v, again %v", err, again)
	}
	if _, _, err := send(func(p *postOffice) { p.noTLS = true }, true, pool); err != nil {
		t.Errorf("no STARTTLS where that is allowed: %v", err)
	}
	if o, _, err := send(func(*postOffice) {}, false, x509.NewCertPool()); err == nil || len(o.letters) > 0 {
		t.Error("an unknown certificate")
	}
	if _, again, err := send(func(p *postOffice) { p.refuse = true }, false, pool); err == nil || again {
		t.Errorf("refused for good: %v, again %v", err, again)
	}
	if _, again, err := send(func(p *postOffice) { p.busy = 1 }, false, pool); err == nil || !again {
		t.Errorf("put off: %v, again %v", err, again)
	}
	begin := time.Now()
	if _, again, err := send(func(p *postOffice) { p.hang = true }, false, pool); err == nil || !again || time.Since(begin) > 5*time.Second {
		t.Errorf("a server that hangs: %v, again %v", err, again)
	}
	o, _, err := send(func(*postOffice) {}, false, pool)
	if err != nil {
		t.Fatal(err)
	}
	if _, body, _ := letter(t, o.letters[0]); body != ".\r\nbegins with a dot" {
		t.Errorf("body %q", body)
	}
}

func TestSlowTargetHoldsUpNobody(t *testing.T) {
	hang := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	defer close(hang)
	came := make(chan bool, 1000)
	fast := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { came <- true }))
	defer fast.Close()
	n := start(t, Config{Webhooks: []string{slow.URL, fast.URL}, Every: time.Nanosecond})
	begin := time.Now()
	for i := range 3 * queued {
		one := notice
		one.Model = fmt.Sprint(i)
		n.Ring(one)
		if i%queued == queued-1 { // no faster than the fast one
			for range queued {
				wait(t, came, "notice")
			}
		}
	}
	if took := time.Since(begin); took > 8*time.Second {
		t.Errorf("it took %s", took)
	}
	if len(n.Lost()) == 0 {
		t.Error("the slow one's full queue is not told")
	}
	n.Close()
	stacks := make([]byte, 1<<20)
	if stacks = stacks[:runtime.Stack(stacks, true)]; bytes.Contains(stacks, []byte("alarm.(*Notifier)")) {
		t.Errorf("goroutines are left:\n%s", stacks)
	}
}

func TestRefusedSettings(t *testing.T) {
	cert, pool := certificate(t)
	good := mailConfig(t, newPostOffice(t, cert, nil), pool)
	for what, change := range map[string]func(*Config){
		"webhook without a scheme": func(c *Config) { c.Webhooks = []string{"example.org/secret"} },
		"no sender":                func(c *Config) { c.Mail.From = "" },
		"no link":                  func(c *Config) { c.Link = "guard" },
		"a short key":              func(c *Config) { c.Key = []byte("short") },
		"no file":                  func(c *Config) { c.Subscribers = "" },
	} {
		c := good
		change(&c)
		if _, err := New(c); !errors.Is(err, ErrConfig) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := start(t, Config{}).Subscribe("a@b.c"); !errors.Is(err, ErrConfig) {
		t.Errorf("no mail: %v", err)
	}
}

func TestPlot(t *testing.T) {
	svg, err := Plot("m", []float64{1, 2, 3}, []float64{0, 1, 400}, 2.3, 3)
	if err != nil || !bytes.Contains(svg, []byte("</svg>")) || !bytes.Contains(svg, []byte("rang at row 3")) {
		t.Errorf("%v: %.200s", err, svg)
	}
}

func TestTraceIsBounded(t *testing.T) {
	var trace Trace
	for i := range 100_000 {
		trace.Add(1, i+1, float64(i))
	}
	if n := len(trace.rows); n < tracePoints/4 || n > tracePoints {
		t.Errorf("%d points", n)
	}
	for i := range trace.rows[1:] {
		if gap := trace.rows[i+1] - trace.rows[i]; gap < 1 || gap > 4*100_000/tracePoints*2 || trace.evidence[i] != trace.rows[i]-1 {
			t.Fatalf("points %g and %g", trace.rows[i], trace.rows[i+1])
		}
	}
	if svg, err := trace.Plot("m", 2.3, 5, 100_001); err != nil || !bytes.Contains(svg, []byte("rang at row 100001")) {
		t.Errorf("%v", err)
	}
	if trace.Add(2, 1, 0); len(trace.rows) != 1 {
		t.Error("a new stream goes on with the old one's trace")
	}
}
