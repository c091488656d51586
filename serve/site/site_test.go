package site

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/catalog"
)

func newSite() *Site { return New(catalog.All(), catalog.NewLibrary(catalog.Papers())) }

func get(s *Site, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", strings.ReplaceAll(path, " ", "%20"), nil))
	return w
}

var (
	hrefs   = regexp.MustCompile(`(?:href|action|src)="([^"]*)"`)
	outside = regexp.MustCompile(`(?i)<(script|iframe|object|embed)|\ssrc="(?:https?:)?//|url\(|style="|\son[a-z]+="`)
	ids     = regexp.MustCompile(`\sid="([^"]*)"`)
)

// TestEveryPage follows every link from the four parts: each page is there, whole, and needs nothing that its policy forbids.
func TestEveryPage(t *testing.T) {
	s := newSite()
	seen := map[string]bool{}
	next := []string{"/papers", "/methods", "/claims", "/guide", "/digest"}
	for len(next) > 0 {
		at := next[0]
		next = next[1:]
		if seen[at] {
			continue
		}
		seen[at] = true
		w := get(s, at)
		body := w.Body.String()
		if to := w.Header().Get("Location"); w.Code == http.StatusSeeOther {
			next = append(next, to)
			continue
		}
		if w.Code != http.StatusOK {
			t.Errorf("%s: status %d", at, w.Code)
			continue
		}
		if strings.HasSuffix(at, ".png") || strings.HasSuffix(at, ".svg") {
			if !strings.HasPrefix(w.Header().Get("Content-Type"), "image/") {
				t.Errorf("%s is %s", at, w.Header().Get("Content-Type"))
			}
			continue
		}
		if at == "/live.js" {
			continue
		}
		if kind, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";"); strings.HasPrefix(at, "/digest.") || strings.HasSuffix(at, ".go") {
			if want := map[string]string{"/digest.rss": "application/rss+xml", "/digest.atom": "application/atom+xml", "/digest.json": "application/feed+json", "/guide/scratch/main.go": "text/plain"}[at]; kind != want || len(body) < 1000 {
				t.Errorf("%s: %d bytes of %s, want %s", at, len(body), kind, want)
			}
			continue
		}
		if at == "/site.css" {
			if w.Header().Get("Content-Type") != "text/css; charset=utf-8" || len(body) < 1000 {
				t.Errorf("style of %d bytes, %s", len(body), w.Header().Get("Content-Type"))
			}
			continue
		}
		if m := outside.FindString(body); m != "" && at != "/" {
			t.Errorf("%s has %q", at, m)
		}
		for _, bad := range []string{"error calling", "executing \"", "can&#39;t evaluate", "<nil>", "%!", "NaN", "ZgotmplZ"} {
			if strings.Contains(body, bad) && !(bad == "NaN" && strings.HasPrefix(at, "/guide/")) { // which speaks of it
				t.Errorf("%s says %q", at, bad)
			}
		}
		if !strings.HasSuffix(strings.TrimSpace(body), "</html>") || strings.Count(body, "<h1") != 1 {
			t.Errorf("%s: %d main headings", at, strings.Count(body, "<h1"))
		}
		here := map[string]bool{}
		for _, m := range ids.FindAllStringSubmatch(body, -1) {
			if here[m[1]] {
				t.Errorf("%s: id %s is there twice", at, m[1])
			}
			here[m[1]] = true
		}
		base, _ := url.Parse(at)
		for _, m := range hrefs.FindAllStringSubmatch(body, -1) {
			u, err := base.Parse(strings.ReplaceAll(m[1], "&amp;", "&"))
			switch {
			case err != nil:
				t.Errorf("%s links to %q: %v", at, m[1], err)
			case u.Scheme == "data", u.Host != "":
			case strings.HasPrefix(m[1], "#"):
				if !here[m[1][1:]] {
					t.Errorf("%s links to %s, which is not on it", at, m[1])
				}
			default:
				next = append(next, u.Path)
			}
		}
	}
	if len(seen) < 300 {
		t.Errorf("only %d pages", len(seen))
	}
}

func TestPapersPage(t *testing.T) {
	s := newSite()
	body := get(s, "/papers?q=average+several+fine-tuned+checkpoints&state=").Body.String()
	if i := strings.Index(body, "/papers/wortsman2022soups"); i < 0 || strings.Index(body, `href="/papers/`) < i-10 {
		t.Error("the soup is not the first answer")
	}
	if !strings.Contains(body, `value="average several fine-tuned checkpoints"`) {
		t.Error("the question is not kept")
	}
	body = get(s, "/papers?family=weights&state=planned&since=2023").Body.String()
	if strings.Contains(body, "wortsman2022soups") || !strings.Contains(body, `<option selected>weights`) {
		t.Error("filters do not filter, or are not kept")
	}
	if w := get(s, "/papers?since=soon"); w.Code != 400 || !strings.Contains(w.Body.String(), "not a year") {
		t.Errorf("since=soon: %d", w.Code)
	}
	for _, q := range []string{strings.Repeat("why ", 3000), "?!", "<script>alert(1)</script>", "\x00\xff"} {
		w := get(s, "/papers?q="+url.QueryEscape(q))
		if w.Code != 200 || strings.Contains(w.Body.String(), "<script") {
			t.Errorf("%.20q: %d", q, w.Code)
		}
	}
}

func TestMissingPages(t *testing.T) {
	s := newSite()
	for _, path := range []string{"/papers/nobody", "/methods/detect/nothing", "/claims/detect/nothing", "/guide/nothing", "/guide/..%2f..%2fREADME"} {
		w := get(s, path)
		if w.Code != 404 || !strings.Contains(w.Body.String(), "Nothing here") {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	for path, want := range map[string]bool{"/papers": true, "/guide/start": true, "/site.css": true, "/": true, "/live.js": true, "/v2/models": false, "/other": false} {
		if have := s.Serves(httptest.NewRequest("GET", path, nil)); have != want {
			t.Errorf("%s: serves %v", path, have)
		}
	}
	if s.Serves(httptest.NewRequest("POST", "/papers", nil)) {
		t.Error("takes a POST")
	}
	for name, want := range map[string]string{"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"} {
		if have := get(s, "/papers").Header().Get(name); have != want {
			t.Errorf("%s: %q", name, have)
		}
	}
}

// BenchmarkSearchPage answers a question with a page.
func BenchmarkSearchPage(b *testing.B) {
	s := newSite()
	for b.Loop() {
		get(s, "/papers?q=my+model+forgets+old+classes+when+I+tune+it")
	}
}

func TestClaimShowsItsRuns(t *testing.T) {
	s := newSite()
	for path, want := range map[string]string{"/claims": "since 2026-11-24; holds before", "/claims/drift/adwin": "<code>8d7456c</code>"} {
		if body := get(s, path).Body.String(); !strings.Contains(body, want) {
			t.Errorf("%s lacks %q", path, want)
		}
	}
	if body := get(s, "/claims/detect/lof").Body.String(); strings.Contains(body, "<h2>Runs</h2>") {
		t.Error("a claim that ran once shows a table of runs")
	}
}

// TestPapersOfTheUser finds a paper that the user added, marked as such, by words and by each filter, and not by a filter that it fails.
func TestPapersOfTheUser(t *testing.T) {
	library := catalog.NewLibrary(catalog.Papers())
	if err := library.Add(catalog.Paper{Key: "doe2021zebra", Title: "Zebra crossings seen by frozen encoders", Year: 2021, Family: "detect", Inputs: []string{"table"}, Kind: "method", State: "own"}); err != nil {
		t.Fatal(err)
	}
	s := New(catalog.All(), library)
	const link = `href="/papers/doe2021zebra"`
	for query, want := range map[string]bool{
		"q=zebra+crossings": true, "state=own": true, "family=detect": true, "input=table": true, "since=2021": true, "kind=method": true,
		"state=runs": false, "family=weights": false, "input=checkpoint": false, "since=2022": false, "kind=survey": false,
	} {
		if w := get(s, "/papers?"+query); w.Code != http.StatusOK || strings.Contains(w.Body.String(), link) != want {
			t.Errorf("?%s: status %d, shows the user's paper: %v, want %v", query, w.Code, !want, want)
		}
	}
	if body := get(s, "/papers?state=own").Body.String(); strings.Count(body, `href="/papers/`) != 1 || !strings.Contains(body, ">own<") {
		t.Error("state own does not list the user's paper alone, marked")
	}
	for _, words := range []string{strings.Repeat("x", 10_000), strings.Repeat("zebra+", 1667), "%3F%21%E2%80%A6"} {
		if w := get(s, "/papers?q="+words); w.Code != http.StatusOK {
			t.Errorf("a question of %d characters, %.10q: status %d", len(words), words, w.Code)
		}
	}
}

// TestFeedIsAskedForAgain: a reader that has a feed is told so, and links lead to the server that it asked.
func TestFeedIsAskedForAgain(t *testing.T) {
	s := newSite()
	first := get(s, "/digest.atom")
	tag := first.Header().Get("ETag")
	if first.Code != http.StatusOK || tag == "" || !strings.Contains(first.Body.String(), `href="http://example.com/claims/`) {
		t.Fatalf("status %d, tag %q, %.300s", first.Code, tag, first.Body.String())
	}
	r := httptest.NewRequest(http.MethodGet, "/digest.atom", nil)
	r.Header.Set("If-None-Match", tag)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("asked again: status %d, %d bytes", w.Code, w.Body.Len())
	}
}
