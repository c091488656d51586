// Package browser drives a headless Chromium in tests: real keys, real layout. It speaks the DevTools protocol over a pipe, which needs no
// network and no further library.
package browser

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// Page is a tab.
type Page struct {
	t       testing.TB
	session string
	in      io.Writer

	mutex sync.Mutex
	next  int
	wait  map[int]chan reply
	err   error // of the pipe
}

type reply struct {
	ID     int
	Result json.RawMessage
	Error  *struct{ Message string }
}

// patience is how long a browser may take for one thing.
const patience = 30 * time.Second

// Open starts a browser with an empty page, or skips the test where there is none. Both end with the test.
func Open(t testing.TB) *Page {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no chromium here to open the page with")
	}
	ours, theirs := pipe(t), pipe(t)
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--hide-scrollbars", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir())
	cmd.ExtraFiles = []*os.File{ours[0], theirs[1]} // its 3 to read, 4 to write
	if err := cmd.Start(); err != nil {
		t.Skipf("the browser does not run here: %v", err)
	}
	ours[0].Close()
	theirs[1].Close()
	p := &Page{t: t, in: ours[1], wait: map[int]chan reply{}}
	go p.read(theirs[0])
	t.Cleanup(func() {
		_, _ = p.call("", "Browser.close", nil) // it may be gone
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		ours[1].Close()
		theirs[0].Close()
	})
	var target struct {
		ID string `json:"targetId"`
	}
	p.must(&target, "Target.createTarget", map[string]any{"url": "about:blank"})
	var attached struct {
		Session string `json:"sessionId"`
	}
	p.must(&attached, "Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true})
	p.session = attached.Session
	p.must(nil, "Page.enable", nil)
	return p
}

func pipe(t testing.TB) [2]*os.File {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return [2]*os.File{r, w}
}

// read hands over replies, which end in a zero byte; events are dropped.
func (p *Page) read(from io.Reader) {
	var text []byte
	block := make([]byte, 1<<16)
	for {
		n, err := from.Read(block)
		for _, part := range bytes.SplitAfter(block[:n], []byte{0}) {
			text = append(text, part...)
			if len(text) == 0 || text[len(text)-1] != 0 {
				continue
			}
			var r reply
			if json.Unmarshal(text[:len(text)-1], &r) == nil && r.ID > 0 {
				p.mutex.Lock()
				if c := p.wait[r.ID]; c != nil {
					c <- r
				}
				delete(p.wait, r.ID)
				p.mutex.Unlock()
			}
			text = text[:0]
		}
		if err != nil {
			p.mutex.Lock()
			p.err = fmt.Errorf("the browser ended: %w", err)
			for _, c := range p.wait {
				close(c)
			}
			p.wait = map[int]chan reply{}
			p.mutex.Unlock()
			return
		}
	}
}

func (p *Page) call(session, method string, params any) (json.RawMessage, error) {
	done := make(chan reply, 1)
	p.mutex.Lock()
	if p.err != nil {
		defer p.mutex.Unlock()
		return nil, p.err
	}
	p.next++
	p.wait[p.next] = done
	text, err := json.Marshal(map[string]any{"id": p.next, "method": method, "params": params, "sessionId": session})
	if session == "" {
		text, err = json.Marshal(map[string]any{"id": p.next, "method": method, "params": params})
	}
	if err == nil {
		_, err = p.in.Write(append(text, 0))
	}
	p.mutex.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case r, ok := <-done:
		switch {
		case !ok:
			return nil, errors.New("the browser ended")
		case r.Error != nil:
			return nil, errors.New(r.Error.Message)
		}
		return r.Result, nil
	case <-time.After(patience):
		return nil, fmt.Errorf("no answer in %s", patience)
	}
}

// must calls a method of the protocol and reads its result.
func (p *Page) must(out any, method string, params any) {
	p.t.Helper()
	result, err := p.call(p.session, method, params)
	if err == nil && out != nil {
		err = json.Unmarshal(result, out)
	}
	if err != nil {
		p.t.Fatalf("%s: %v", method, err)
	}
}

// Size sets the window in CSS pixels, and whether the reader prefers dark.
func (p *Page) Size(width, height int, dark bool) {
	p.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	p.must(nil, "Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false})
	p.must(nil, "Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}})
}

// Go opens an address and waits until it is loaded.
func (p *Page) Go(url string) {
	p.t.Helper()
	p.must(nil, "Page.navigate", map[string]any{"url": url})
	p.Until("document.readyState === 'complete' && location.href !== 'about:blank'")
}

// Eval returns what an expression gives, which may be a promise, as JSON into out.
func (p *Page) Eval(out any, expression string) {
	p.t.Helper()
	if err := p.eval(out, expression); err != nil {
		p.t.Fatalf("%.200s: %v", expression, err)
	}
}

func (p *Page) eval(out any, expression string) error {
	raw, err := p.call(p.session, "Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true})
	if err != nil {
		return err
	}
	var r struct {
		Result    struct{ Value json.RawMessage }
		Exception *struct {
			Text      string
			Exception struct{ Description string }
		} `json:"exceptionDetails"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	if r.Exception != nil {
		return errors.New(r.Exception.Text + " " + r.Exception.Exception.Description)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(r.Result.Value, out)
}

// Until waits until an expression is true, and fails the test with what the page says if that takes too long.
func (p *Page) Until(expression string) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		var ok bool
		err := p.eval(&ok, "Boolean("+expression+")")
		if ok && err == nil {
			return
		}
		if time.Now().After(end) {
			var text string
			_ = p.eval(&text, "document.body.innerText")
			p.t.Fatalf("in vain waited for %s (%v); the page says:\n%s", expression, err, text)
		}
	}
}

// Type enters text where the focus is.
func (p *Page) Type(text string) {
	p.t.Helper()
	p.must(nil, "Input.insertText", map[string]any{"text": text})
}

// Press presses keys one after the other: Tab, Shift+Tab, Enter, Escape, Space.
func (p *Page) Press(keys ...string) {
	p.t.Helper()
	codes := map[string]int{"Tab": 9, "Enter": 13, "Escape": 27, "Space": 32}
	for _, name := range keys {
		plain, shift := strings.CutPrefix(name, "Shift+")
		key := map[string]any{"key": plain, "code": plain, "windowsVirtualKeyCode": codes[plain]}
		switch plain {
		case "Enter":
			key["text"] = "\r"
		case "Space":
			key["key"], key["text"] = " ", " "
		}
		if shift {
			key["modifiers"] = 8
		}
		for _, kind := range []string{"keyDown", "keyUp"} {
			key["type"] = kind
			p.must(nil, "Input.dispatchKeyEvent", key)
		}
	}
}

// Screenshot returns the page as PNG, the whole of it however long.
func (p *Page) Screenshot() []byte {
	p.t.Helper()
	var r struct{ Data string }
	p.must(&r, "Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true})
	b, err := base64.StdEncoding.DecodeString(r.Data)
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}
