package browser

import (
	"bytes"
	"image/png"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Keys reach the page, its size and scheme are what was asked for, and it is seen.
func TestPage(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(`<!doctype html><title>t</title><form><input id="a"><button>Go</button></form><p id="b"></p>
<script>document.forms[0].addEventListener('submit', e => { e.preventDefault(); document.getElementById('b').textContent = document.getElementById('a').value })</script>`))
	}))
	defer s.Close()
	p := Open(t)
	p.Size(390, 500, true)
	p.Go(s.URL)
	p.Press("Tab")
	p.Type("owl ö")
	p.Press("Enter")
	p.Until("document.getElementById('b').textContent === 'owl ö'")
	var seen struct {
		Width int
		Dark  bool
		Focus string
	}
	p.Press("Tab")
	p.Eval(&seen, "({Width: innerWidth, Dark: matchMedia('(prefers-color-scheme: dark)').matches, Focus: document.activeElement.tagName})")
	if seen.Width != 390 || !seen.Dark || seen.Focus != "BUTTON" {
		t.Errorf("%+v", seen)
	}
	p.Press("Shift+Tab")
	p.Until("document.activeElement.id === 'a'")
	if img, err := png.Decode(bytes.NewReader(p.Screenshot())); err != nil || img.Bounds().Dx() != 390 {
		t.Errorf("screenshot: %v", err)
	}
	if err := p.eval(nil, "nothing.at.all"); err == nil {
		t.Error("an expression that fails is no error")
	}
}
