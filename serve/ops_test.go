package serve

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gimbal-ml/gimbal/catalog"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/serve/oip"
	"github.com/gimbal-ml/gimbal/serve/oip/inference"
)

const oneRow = `{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,2,3]}]}`

func inMemory(g *guard.Guard) (keeper, error) { return newMemory(g), nil }

func small(t testing.TB) string {
	t.Helper()
	return saveGuard(t, filepath.Join(t.TempDir(), "g.gimbal"), fitGuard(t, 0, 3))
}

func TestTokensAndRoles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	secret := map[Role]string{}
	var text strings.Builder
	text.WriteString("# role token name\n\n")
	for _, r := range []Role{Read, Infer, Teach, Admin} {
		secret[r] = "secret-of-" + r.String() + "-0123456789"
		fmt.Fprintf(&text, "%s %s %s # a comment\n", r, secret[r], r)
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	tokens, err := LoadTokens(file)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	x := start(t, Options{Models: []string{small(t)}, Tokens: tokens, Data: t.TempDir(), Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	fill := strings.NewReplacer("{model}", "g", "{version}", "0", "{family}", "detect", "{method}", "knn", "{job}", "none")
	ask := func(r route, authorization string) int {
		var header []string
		if authorization != "" {
			header = []string{"Authorization", authorization}
		}
		path := fill.Replace(r.path)
		if r.method == "DELETE" {
			path = strings.Replace(path, "/g", "/none", 1)
		}
		if r.media == "text/event-stream" { // whose answer never ends: its head says enough
			q, err := http.NewRequestWithContext(t.Context(), r.method, x.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			q.Header.Set("Authorization", authorization)
			answer, err := http.DefaultClient.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			return answer.StatusCode
		}
		status, _, _ := x.call(t, r.method, path, "application/json", []byte("[]"), header...)
		return status
	}
	for _, r := range table {
		for _, authorization := range []string{"", "Bearer ", "Bearer wrong-0123456789abcdef", "Basic " + secret[Admin], secret[Admin], "Bearer " + secret[Admin] + "x", "Bearer " + secret[Admin][1:]} {
			if status := ask(r, authorization); (status == 401) != (r.role > Public) {
				t.Errorf("%s %s with %q: %d", r.method, r.path, authorization, status)
			}
		}
		for role, token := range secret {
			if status := ask(r, "Bearer "+token); (status == 403) != (role < r.role) || status == 401 {
				t.Errorf("%s %s as %s: %d", r.method, r.path, role, status)
			}
		}
	}
	call := func(authorization ...string) error {
		ctx := t.Context()
		for _, a := range authorization {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", a)
		}
		_, err := x.rpc.ModelInfer(ctx, inference.EncodeRequest(&oip.Request{Model: "g", Inputs: []oip.Tensor{input(rows(1, 1, 3, "cat"))}}))
		return err
	}
	for code, authorization := range map[codes.Code][]string{codes.Unauthenticated: nil, codes.PermissionDenied: {"Bearer " + secret[Read]}, codes.OK: {"bearer " + secret[Infer]}} {
		if err := call(authorization...); status.Code(err) != code {
			t.Errorf("gRPC with %q: %v, want %v", authorization, err, code)
		}
	}
	if err := call("Bearer "+secret[Infer], "Bearer "+secret[Admin]); status.Code(err) != codes.Unauthenticated {
		t.Errorf("two tokens: %v", err)
	}
	x.stop()
	for _, s := range secret {
		if strings.Contains(log.String(), s) {
			t.Error("a token is in the log")
		}
	}
	if log.Len() == 0 {
		t.Error("nothing was logged, so nothing was looked at")
	}
	for text, want := range map[string]string{"": "no token", "read": "have 1 words", "boss 0123456789abcdef": `role "boss"`, "public 0123456789abcdef": "role", "read short": "5 characters", "read 0123456789abcdef a b": "have 4 words"} {
		if _, err := readTokens(strings.NewReader(text)); !errors.Is(err, method.ErrConfig) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "0123") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestRateLimit(t *testing.T) {
	l := limiter{rate: 10, clients: map[string]*allowance{}}
	now := time.Unix(1000, 0)
	count := func(client string, n int) (taken int) {
		for range n {
			if l.take(client, now) {
				taken++
			}
		}
		return taken
	}
	if a, b := count("a", 50), count("b", 50); a != 20 || b != 20 {
		t.Errorf("at once: %d and %d, want 20 each", a, b)
	}
	now = now.Add(500 * time.Millisecond)
	if n := count("a", 50); n != 5 {
		t.Errorf("after half a second: %d, want 5", n)
	}
	now = now.Add(-time.Hour) // a clock that is set back takes nothing and gives nothing
	if n := count("a", 50); n != 0 {
		t.Errorf("after the clock went back: %d, want 0", n)
	}
	now = now.Add(2 * time.Hour)
	for i := range 2 * mostClients {
		l.take(fmt.Sprint(i), now)
	}
	if len(l.clients) > mostClients {
		t.Errorf("%d clients are remembered", len(l.clients))
	}
	x := start(t, Options{Models: []string{small(t)}, Rate: 2})
	refused := 0
	for range 20 {
		if status, _, _ := x.call(t, "GET", "/v2", "", nil); status == 429 {
			refused++
		}
	}
	if refused < 10 {
		t.Errorf("%d of 20 refused at 2 a second", refused)
	}
	if status, _, _ := x.call(t, "GET", "/v2/health/live", "", nil); status != 200 {
		t.Errorf("health counts: %d", status)
	}
}

func TestForeignPagesAreRefused(t *testing.T) {
	x := start(t, Options{Models: []string{small(t)}})
	for _, c := range []struct {
		media  string
		header []string
		status int
	}{
		{"application/json", nil, 200},
		{"application/json", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"application/json", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"application/json", []string{"Origin", "https://evil.example"}, 403},
		{"text/plain", nil, 415}, {"application/x-www-form-urlencoded", nil, 415}, {"multipart/form-data; boundary=x", nil, 415},
	} {
		status, h, body := x.call(t, "POST", "/v2/models/g/infer", c.media, []byte(oneRow), c.header...)
		if status != c.status {
			t.Errorf("%s %v: %d %s, want %d", c.media, c.header, status, body, c.status)
		}
		for name, value := range guardHeaders {
			if h.Get(name) != value[0] {
				t.Errorf("%s is %q", name, h.Get(name))
			}
		}
	}
	for host, want := range map[string]int{"localhost": 200, "LOCALHOST:1": 200, "127.0.0.1:99": 200, "[::1]:80": 200, "evil.example": 403, "127.0.0.1.evil.example": 403, "10.0.0.1": 403} {
		r := httptest.NewRequest("GET", "/v2", nil)
		r.Host = host
		w := httptest.NewRecorder()
		x.Handler().ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("host %s: %d, want %d", host, w.Code, want)
		}
	}
}

// authority makes certificates for the test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	a.cert, a.key = a.sign("authority", true)
	return a
}

func (a *authority) sign(name string, ca bool) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: ca, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	parent, signer := a.cert, a.key
	if ca {
		parent, signer = c, key
	}
	raw, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	c, err = x509.ParseCertificate(raw)
	if err != nil {
		a.t.Fatal(err)
	}
	return c, key
}

func (a *authority) pair(name string) tls.Certificate {
	c, key := a.sign(name, false)
	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func TestMutualTLS(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	x := start(t, Options{Models: []string{small(t)}, TLS: &tls.Config{Certificates: []tls.Certificate{a.pair("server")}, ClientCAs: a.pool(), ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}})
	url := strings.Replace(x.url, "http:", "https:", 1) + "/v2"
	for name, c := range map[string]struct {
		config *tls.Config
		works  bool
	}{
		"with a certificate":            {&tls.Config{RootCAs: a.pool(), Certificates: []tls.Certificate{a.pair("client")}}, true},
		"without one":                   {&tls.Config{RootCAs: a.pool()}, false},
		"with a stranger's":             {&tls.Config{RootCAs: a.pool(), Certificates: []tls.Certificate{stranger.pair("client")}}, false},
		"with an outdated TLS":          {&tls.Config{RootCAs: a.pool(), Certificates: []tls.Certificate{a.pair("client")}, MaxVersion: tls.VersionTLS11}, false},
		"who does not trust the server": {&tls.Config{RootCAs: stranger.pool(), Certificates: []tls.Certificate{a.pair("client")}}, false},
	} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: c.config.Clone(), ForceAttemptHTTP2: true}}
		r, err := client.Get(url)
		if (err == nil) != c.works {
			t.Errorf("a client %s over HTTP: %v", name, err)
		}
		if err == nil {
			if r.ProtoMajor != 2 {
				t.Errorf("HTTP/%d over TLS", r.ProtoMajor)
			}
			r.Body.Close()
		}
		client.CloseIdleConnections()
		conn, err := grpc.NewClient(x.conn.Target(), grpc.WithTransportCredentials(credentials.NewTLS(c.config.Clone())))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err = inference.NewGRPCInferenceServiceClient(conn).ServerLive(ctx, &inference.ServerLiveRequest{})
		if (err == nil) != c.works {
			t.Errorf("a client %s over gRPC: %v", name, err)
		}
		cancel()
		conn.Close()
	}
}

// Clients that are slow, gone, or send without end cost the server neither its answers to others nor its memory.
func TestBadClients(t *testing.T) {
	x := start(t, Options{Models: []string{small(t)}, Timeout: 400 * time.Millisecond, MaxBody: 1 << 20})
	host := strings.TrimPrefix(x.url, "http://")
	dial := func() net.Conn {
		c, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(8 * time.Second))
		return c
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	var all sync.WaitGroup
	for name, f := range map[string]func(c net.Conn) string{ // each returns what the server said
		"half a header": func(c net.Conn) string {
			io.WriteString(c, "POST /v2/models/g/infer HTTP/1.1\r\nHost: loc")
			return read(c)
		},
		"half a body": func(c net.Conn) string {
			io.WriteString(c, "POST /v2/models/g/infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"inputs\"")
			return read(c)
		},
		"half a connection": func(c net.Conn) string {
			io.WriteString(c, "POST /v2/models/g/infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"inputs\"")
			c.(*net.TCPConn).CloseWrite()
			return read(c)
		},
		"a GiB announced": func(c net.Conn) string {
			io.WriteString(c, "POST /v2/models/g/infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n{")
			return read(c)
		},
		"a GiB in chunks": func(c net.Conn) string {
			io.WriteString(c, "POST /v2/models/g/infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
			chunk := "10000\r\n" + strings.Repeat(" ", 0x10000) + "\r\n"
			for range 1 << 14 {
				if _, err := io.WriteString(c, chunk); err != nil {
					break
				}
			}
			return read(c)
		},
		"a byte at a time": func(c net.Conn) string {
			for _, b := range []byte("POST /v2/models/g/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n" + strings.Repeat(" ", 200)) {
				if _, err := c.Write([]byte{b}); err != nil {
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
			return read(c)
		},
		"a header without end": func(c net.Conn) string {
			io.WriteString(c, "GET /v2 HTTP/1.1\r\nHost: localhost\r\n")
			for range 1 << 12 {
				if _, err := io.WriteString(c, "X-A: "+strings.Repeat("a", 1000)+"\r\n"); err != nil {
					break
				}
			}
			return read(c)
		},
		"no HTTP": func(c net.Conn) string {
			io.WriteString(c, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
			return read(c)
		},
	} {
		all.Go(func() {
			c := dial()
			defer c.Close()
			said := f(c)
			if strings.HasPrefix(said, "HTTP/1.1 200") || strings.HasPrefix(said, "HTTP/1.1 5") {
				t.Errorf("%s: %.200s", name, said)
			}
			if strings.HasPrefix(name, "a GiB announced") && !strings.HasPrefix(said, "HTTP/1.1 413") {
				t.Errorf("%s: %.200s", name, said)
			}
			if time.Since(begin) > 7*time.Second {
				t.Errorf("%s: held for %v", name, time.Since(begin))
			}
		})
	}
	for range 20 { // meanwhile
		if status, _, body := x.call(t, "POST", "/v2/models/g/infer", "application/json", []byte(oneRow)); status != 200 {
			t.Errorf("another client: %d %s", status, body)
		}
	}
	all.Wait()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
}

// A client that asks for much and does not read is let go.
func TestClientThatDoesNotRead(t *testing.T) {
	x := start(t, Options{Models: []string{small(t)}, Timeout: 300 * time.Millisecond})
	c, err := net.Dial("tcp", strings.TrimPrefix(x.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.(*net.TCPConn).SetReadBuffer(4096)
	const n = 20_000
	body := fmt.Sprintf(`{"inputs":[{"name":"x","shape":[%d,3],"datatype":"FP32","data":[0%s]}]}`, n, strings.Repeat(",1", 3*n-1))
	asked := make(chan error, 1)
	go func() {
		for range 100 {
			if _, err := fmt.Fprintf(c, "POST /v2/models/g/infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
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
	for deadline := time.Now().Add(10 * time.Second); x.running.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("its request still runs")
		}
	}
}

func read(c net.Conn) string {
	text, _ := io.ReadAll(io.LimitReader(c, 10000))
	return string(text)
}

// Told to stop, the server is not ready any more, answers what is under way, and leaves no goroutine.
func TestGracefulStop(t *testing.T) {
	before := runtime.NumGoroutine()
	x := start(t, Options{Models: []string{small(t)}})
	m, _ := x.model("g", "")
	began, finish := make(chan struct{}, 2), make(chan struct{})
	plain := m.merge.Answer
	m.merge.Answer = func(ctx context.Context, in *data.Table, what need) (answer, error) {
		began <- struct{}{}
		<-finish
		return plain(ctx, in, what)
	}
	answers := make(chan error, 2)
	go func() {
		status, _, body := x.call(t, "POST", "/v2/models/g/infer", "application/json", []byte(oneRow))
		if status != 200 {
			answers <- fmt.Errorf("REST: %d %s", status, body)
			return
		}
		answers <- nil
	}()
	<-began
	go func() {
		_, err := x.rpc.ModelInfer(context.Background(), inference.EncodeRequest(&oip.Request{Model: "g", Inputs: []oip.Tensor{input(rows(1, 1, 3, "cat"))}}))
		answers <- err
	}()
	for x.running.Load() < 2 {
		time.Sleep(time.Millisecond)
	}
	ended := make(chan error, 1)
	go func() { ended <- x.stop() }()
	for x.ready() {
		time.Sleep(time.Millisecond)
	}
	select {
	case <-ended:
		t.Error("the server ended before its requests")
	case <-time.After(50 * time.Millisecond):
	}
	close(finish)
	for range 2 {
		if err := <-answers; err != nil {
			t.Errorf("a request under way: %v", err)
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	x.conn.Close()
	http.DefaultClient.CloseIdleConnections()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before {
		stacks := make([]byte, 1<<16)
		t.Errorf("%d goroutines, %d before:\n%s", n, before, stacks[:runtime.Stack(stacks, true)])
	}
}

// A newer file is served without a request that fails; a damaged one leaves the old model.
func TestHotReload(t *testing.T) {
	path := small(t)
	x := start(t, Options{Models: []string{path}, Poll: 5 * time.Millisecond})
	first, _ := x.model("g", "")
	var stop atomic.Bool
	versions := make(map[string]int)
	var mutex sync.Mutex
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for !stop.Load() {
				a := x.infer(t, "g", oip.Request{Inputs: []oip.Tensor{input(rows(1, 2, 3, "cat"))}})
				mutex.Lock()
				versions[a.Version]++
				mutex.Unlock()
			}
		})
	}
	next := fitGuard(t, 99, 3)
	wait := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s does not happen", what)
			}
		}
	}
	wait("an answer of the first version", func() bool { mutex.Lock(); defer mutex.Unlock(); return len(versions) == 1 })
	saveGuard(t, path, next)
	wait("the new version", func() bool { mutex.Lock(); defer mutex.Unlock(); return len(versions) == 2 })
	second, _ := x.model("g", "")
	if first.version == second.version {
		t.Error("the version stays")
	}
	damaged, _ := os.ReadFile(path)
	damaged[len(damaged)-9] ^= 1
	os.WriteFile(path+".x", damaged, 0o644)
	os.Rename(path+".x", path)
	wait("the failure", func() bool { return second.metrics.reloadsFailed.Load() > 0 })
	if m, _ := x.model("g", ""); m != second {
		t.Error("a damaged file replaced the model")
	}
	if err := x.Reload(true); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a damaged file: %v", err)
	}
	saveGuard(t, path, fitGuard(t, 0, 3))
	if err := x.Reload(true); err != nil {
		t.Error(err)
	}
	if m, _ := x.model("g", ""); m.version != first.version {
		t.Error("the first file does not come back")
	}
	stop.Store(true)
	all.Wait()
}

var metricLine = regexp.MustCompile(`^([a-z_]+)(\{([a-z_]+="[^"\\]*"(,[a-z_]+="[^"\\]*")*)\})? (\S+)$`)

// Every line of /metrics is of the text format, every name has one type and help before it, histograms add up, and the names that
// dashboards look for are there.
func TestMetrics(t *testing.T) {
	x := start(t, Options{Models: []string{small(t)}})
	for range 3 {
		x.infer(t, "g", oip.Request{Inputs: []oip.Tensor{input(rows(1, 2, 3, "cat"))}})
	}
	x.call(t, "POST", "/v2/models/g/infer", "application/json", []byte("{"))
	x.call(t, "GET", "/nothing", "", nil)
	_, h, text := x.call(t, "GET", "/metrics", "", nil)
	if h.Get("Content-Type") != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("type %q", h.Get("Content-Type"))
	}
	kinds, values := map[string]string{}, map[string]float64{}
	var last string
	var rising float64
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if f := strings.Fields(line); strings.HasPrefix(line, "# TYPE ") {
			if kinds[f[2]] != "" {
				t.Errorf("%s stands twice", f[2])
			}
			kinds[f[2]], last = f[3], f[2]
			continue
		} else if strings.HasPrefix(line, "# HELP ") {
			continue
		}
		m := metricLine.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("not a line of the format: %q", line)
			continue
		}
		v, err := strconv.ParseFloat(m[5], 64)
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(m[1], "_bucket"), "_sum"), "_count")
		if err != nil || m[1] != last && (base != last || kinds[last] != "histogram") {
			t.Errorf("%q under %s: %v", line, last, err)
		}
		if strings.HasSuffix(m[1], "_bucket") {
			if strings.Contains(m[3], `le="+Inf"`) {
				rising = 0
			} else if v < rising {
				t.Errorf("%q falls", line)
			} else {
				rising = v
			}
		}
		values[m[1]+"{"+m[3]+"}"] = v
	}
	m, _ := x.model("g", "")
	model := fmt.Sprintf(`model_name="g",model_version="%s"`, m.version)
	for key, want := range map[string]float64{
		`gimbal_requests_total{` + model + `,protocol="rest",outcome="success"}`: 3, `gimbal_requests_total{` + model + `,protocol="rest",outcome="failure"}`: 1,
		`gimbal_request_duration_seconds_count{` + model + `,protocol="rest"}`: 4, `gimbal_ood_score_count{` + model + `}`: 6, `gimbal_p_value_count{` + model + `}`: 6,
		`gimbal_threshold{` + model + `}`: m.keeper.Guard().Threshold(), `gimbal_state_rows{` + model + `}`: 900, `gimbal_drift_statistic{` + model + `}`: m.keeper.Status().Evidence,
		`gimbal_drift_alarms_total{` + model + `}`: 0, `model_infer_request_success_total{` + model + `}`: 3, `model_infer_request_failure_total{` + model + `}`: 1, `seldon_model_drift{` + model + `}`: 0,
		`gimbal_refused_total{status="404"}`: 1, `gimbal_requests_running{}`: 1,
	} {
		if have, ok := values[key]; !ok || have != want {
			t.Errorf("%s is %v (there: %v), want %v", key, have, ok, want)
		}
	}
	if kinds["gimbal_drift_p_value"] != "gauge" || kinds["gimbal_ood_score"] != "histogram" || kinds["gimbal_requests_total"] != "counter" {
		t.Errorf("%v", kinds)
	}
	for i := 0; i < 600 && m.keeper.Status().AlarmRow == 0; i++ { // rows of nothing that the guard knows
		x.infer(t, "g", oip.Request{Inputs: []oip.Tensor{input(rows(uint64(i), 50, 3, "zebu"))}})
	}
	if _, _, text := x.call(t, "GET", "/metrics", "", nil); !strings.Contains(string(text), "gimbal_drift_alarms_total{"+model+"} 1\n") {
		t.Error("the drift alarm does not show")
	}
}

func TestTooManyAtOnce(t *testing.T) {
	x := start(t, Options{Models: []string{small(t)}, MaxRequests: 1})
	m, _ := x.model("g", "")
	began, finish := make(chan struct{}), make(chan struct{})
	plain := m.merge.Answer
	m.merge.Answer = func(ctx context.Context, in *data.Table, what need) (answer, error) {
		close(began)
		<-finish
		return plain(ctx, in, what)
	}
	done := make(chan int)
	go func() {
		status, _, _ := x.call(t, "POST", "/v2/models/g/infer", "application/json", []byte(oneRow))
		done <- status
	}()
	<-began
	if status, h, _ := x.call(t, "GET", "/v2", "", nil); status != 503 || h.Get("Retry-After") == "" {
		t.Errorf("a second request: %d", status)
	}
	close(finish)
	if status := <-done; status != 200 {
		t.Errorf("the first one: %d", status)
	}
}

// Whatever is sent is answered with a refusal or an answer, never with an error of the server's own.
func FuzzREST(f *testing.F) {
	s, err := New(catalog.All(), Options{Models: []string{small(f)}, Loopback: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("POST", "/v2/models/g/infer", "", []byte(oneRow))
	f.Add("POST", "/v2/models/g/infer", "60", []byte(oneRow))
	f.Add("POST", "/v1/models/g/score", "", []byte(`{"input":{"rows":[[1,2,3]]}}`))
	f.Add("POST", "/v1/methods/detect/knn/fit", "", []byte(`{"config":{"neighbors":3},"inputs":{"in":{"file":"x"}},"output":"y"}`))
	f.Add("GET", "/v2/models/%2e%2e/versions/x", "", []byte(nil))
	f.Add("DELETE", "/v1/jobs/x", "", []byte(nil))
	f.Fuzz(func(t *testing.T, verb, path, length string, body []byte) {
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " \r\n\x00") || regexp.MustCompile(`[^A-Z]`).MatchString(verb) || verb == "" {
			return
		}
		r, err := http.NewRequest(verb, "http://localhost"+path, bytes.NewReader(body))
		if err != nil {
			return
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(oip.LengthHeader, length)
		r.RemoteAddr = "127.0.0.1:1"
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s %s: %d %s", verb, path, w.Code, w.Body)
		}
	})
}

func FuzzGRPC(f *testing.F) {
	m, err := loadModel(catalog.All(), "g", small(f), inMemory)
	if err != nil {
		f.Fatal(err)
	}
	m.metrics = &modelMetrics{}
	good := inference.EncodeRequest(&oip.Request{Model: "g", Inputs: []oip.Tensor{input(rows(1, 1, 3, "cat"))}})
	raw, err := proto.Marshal(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	good.RawInputContents = nil
	good.Inputs[0].Contents = &inference.InferTensorContents{Fp32Contents: []float32{1, 2, 3}}
	raw, _ = proto.Marshal(good)
	f.Add(raw)
	s := &Server{}
	f.Fuzz(func(t *testing.T, body []byte) {
		var q inference.ModelInferRequest
		if proto.Unmarshal(body, &q) != nil {
			return
		}
		var e exchange
		raw, err := inference.DecodeRequest(&e.request, &q)
		if err == nil {
			err = s.infer(context.Background(), m, &e)
		}
		if err != nil {
			if statusOf(err) >= 500 {
				t.Errorf("%v", err)
			}
			return
		}
		if _, err := proto.Marshal(inference.EncodeResponse(&e.response, raw)); err != nil {
			t.Error(err)
		}
	})
}
