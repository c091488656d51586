package cli

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const watchedFeed = `<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><entry><id>http://arxiv.org/abs/2601.00001v1</id><title>A Paper from a Feed</title><published>2026-01-01T00:00:00Z</published><author><name>Ada Nobody</name></author><summary>What?</summary></entry></feed>`

// TestWatchOnce: a folder and a feed are read, what is not of theirs is left, a broken file keeps nobody from the others, and nothing is lost.
func TestWatchOnce(t *testing.T) {
	fixture(t)
	feed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/feed":
			fmt.Fprint(w, watchedFeed)
		case "/away":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case "/big":
			for range 17 {
				w.Write(make([]byte, 1<<20))
			}
		case "/short": // says that there is more than comes
			w.Header().Set("Content-Length", "5000")
			fmt.Fprint(w, watchedFeed[:100])
		case "/broken":
			fmt.Fprint(w, "<feed><entry>")
		default:
			http.NotFound(w, r)
		}
	}))
	defer feed.Close()
	if err := os.Mkdir("inbox", 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, "inbox/a.bib", read(t, "references.bib"))
	write(t, "inbox/notes.txt", "no papers")
	write(t, "inbox/b.bib", "@article{broken, title=")
	r := gimbal("papers", "--watch", "inbox,"+feed.URL+"/feed", "--every", "0", "--library", "mine.jsonl", "--json")
	if !strings.Contains(r.out, `"added": 2`) || !strings.Contains(r.errOut, "b.bib") {
		t.Errorf("exit %d: %s%s", r.code, r.out, r.errOut)
	}
	whole := read(t, "mine.jsonl")
	if !strings.Contains(whole, "A Paper from a Feed") || !strings.Contains(whole, "lasso") || !strings.Contains(whole, `"added"`) {
		t.Errorf("the library: %s", whole)
	}
	for path, want := range map[string]string{"/away": "leads to", "/big": "16 MB", "/short": "EOF", "/none": "404", "/broken": "/broken"} {
		r := gimbal("papers", "--watch", feed.URL+path, "--every", "0", "--library", "mine.jsonl")
		if r.code == 0 || !strings.Contains(r.errOut, want) {
			t.Errorf("%s: exit %d: %s", path, r.code, r.errOut)
		}
		if read(t, "mine.jsonl") != whole {
			t.Errorf("%s has changed the library", path)
		}
	}
	for place, want := range map[string]string{"nowhere": "nowhere", "ftp://host/feed": "http://", "train.csv": "no folder"} {
		if r := gimbal("papers", "--watch", place, "--every", "0", "--library", "mine.jsonl"); r.code == 0 || !strings.Contains(r.errOut, want) {
			t.Errorf("%s: exit %d: %s", place, r.code, r.errOut)
		}
	}
}

// TestWatchAgain: a feed that has not changed is not sent again, one that has is, and one that hangs is given up.
func TestWatchAgain(t *testing.T) {
	var asked, sent atomic.Int64
	feed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("If-None-Match") == `"one"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		sent.Add(1)
		w.Header().Set("ETag", `"one"`)
		fmt.Fprint(w, watchedFeed)
	}))
	defer feed.Close()
	e := newEnv(t.Context(), specs(), strings.NewReader(""), &strings.Builder{}, &strings.Builder{})
	s := &shelf{e: e, path: "unused"}
	p, err := newPlace(feed.URL)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := p.look(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if asked.Load() != 3 || sent.Load() != 1 || len(s.gathered) != 1 {
		t.Errorf("asked %d times, sent %d times, %d papers", asked.Load(), sent.Load(), len(s.gathered))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	hanging, err := newPlace("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	hanging.client.Timeout = 200 * time.Millisecond
	if err := hanging.look(t.Context(), s); err == nil || !strings.Contains(err.Error(), "deadline") && !strings.Contains(err.Error(), "Timeout") {
		t.Errorf("a feed that hangs: %v", err)
	}
}

// TestWatchKeepsWhatOthersAdd: papers that somebody adds between two looks stay, a file that becomes readable is read, no password is printed, and what
// was read before an interruption is kept.
func TestWatchKeepsWhatOthersAdd(t *testing.T) {
	fixture(t)
	if err := os.Mkdir("inbox", 0o777); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	e := newEnv(ctx, specs(), strings.NewReader(""), &strings.Builder{}, &strings.Builder{})
	e.quiet = true
	s := &shelf{e: e, path: "mine.jsonl"}
	done := make(chan error, 1)
	go func() { done <- s.watch(ctx, []string{"inbox"}, 20*time.Millisecond) }()
	must(t, "papers", "--add", "references.bib", "--library", "mine.jsonl")
	write(t, "inbox/c.jsonl", `{"key": "nobody2020late", "title": "Late", "question": "When?"}`+"\n")
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if strings.Contains(read(t, "mine.jsonl"), "Late") {
			break
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("interrupted: %v", err)
	}
	if whole := read(t, "mine.jsonl"); !strings.Contains(whole, "lasso") || !strings.Contains(whole, "Late") {
		t.Errorf("the library: %s", whole)
	}
	if r := gimbal("papers", "--watch", "http://user:secret@127.0.0.1:1/feed", "--every", "0", "--library", "mine.jsonl"); r.code == 0 || strings.Contains(r.errOut, "secret") {
		t.Errorf("exit %d: %s", r.code, r.errOut)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	write(t, "inbox/d.jsonl", `{"key": "nobody2021last", "title": "Last", "question": "When?"}`+"\n")
	if err := (&shelf{e: e, path: "mine.jsonl"}).watch(ended, []string{"inbox"}, time.Hour); err != nil || !strings.Contains(read(t, "mine.jsonl"), "Last") {
		t.Errorf("interrupted in its first look: %v", err)
	}
}
