package cli

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// TestDigest: what was added today and what ran is told, in each form; a day that is none, and a form that is none, are said.
func TestDigest(t *testing.T) {
	fixture(t)
	t.Setenv("GIMBAL_PAPERS", "mine.jsonl")
	if r := gimbal("papers", "--add", "references.bib"); r.code != 0 {
		t.Fatal(r.errOut)
	}
	r := gimbal("digest", "--since", "0d")
	if r.code != 0 || !strings.Contains(r.out, "New paper: Regression shrinkage and selection via the lasso") || !strings.HasPrefix(r.out, time.Now().UTC().Format("2006-01-02")) {
		t.Errorf("exit %d: %s%s", r.code, r.out, r.errOut)
	}
	if r := gimbal("digest", "--since", "2026-01-01"); !strings.Contains(r.out, ": the claim holds") {
		t.Errorf("no claim has run: %s%s", r.out, r.errOut)
	}
	var feed struct{ Items []struct{ URL string } }
	if r := gimbal("digest", "--since", "2026-01-01", "--json", "--base", "https://host/"); json.Unmarshal([]byte(r.out), &feed) != nil || len(feed.Items) < 50 || !strings.HasPrefix(feed.Items[0].URL, "https://host/") {
		t.Errorf("%d items as JSON", len(feed.Items))
	}
	if r := gimbal("digest", "--form", "rss", "-o", "news.rss"); r.code != 0 || !strings.Contains(read(t, "news.rss"), "<rss version=\"2.0\">") {
		t.Errorf("exit %d: %s", r.code, r.errOut)
	}
	for args, want := range map[string]string{
		"--since yesterday":                   "--since",
		"--since -3d":                         "--since",
		"--form opml":                         "text, rss, atom, json",
		"--base host":                         "--base",
		"--mail host":                         "--from",
		"--mail host --from a --to b --json":  "sends text",
		"--since 1d --mail h --from x --to y": "address",
	} {
		if r := gimbal(append([]string{"digest"}, strings.Fields(args)...)...); r.code == 0 || !strings.Contains(r.errOut, want) {
			t.Errorf("%s: exit %d: %s", args, r.code, r.errOut)
		}
	}
	if _, err := os.Stat("mine.jsonl"); err != nil {
		t.Error(err)
	}
}

// TestDigestByMail: a mail server gets the text, for each address by itself, and nothing when nothing is new.
func TestDigestByMail(t *testing.T) {
	t.Setenv("GIMBAL_PAPERS", "")
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := make(chan string, 4)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				lines := bufio.NewScanner(c)
				var text strings.Builder
				say := func(s string) { c.Write([]byte(s + "\r\n")) }
				say("220 here")
				body := false
				for lines.Scan() {
					line := lines.Text()
					text.WriteString(line + "\n")
					switch {
					case body && line == ".":
						body = false
						say("250 taken")
						got <- text.String()
					case body:
					case line == "DATA":
						body = true
						say("354 go on")
					case line == "QUIT":
						say("221 bye")
						return
					default:
						say("250 yes")
					}
				}
			}()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	args := []string{"digest", "--mail", "127.0.0.1", "--mail-port", port, "--mail-plain", "--from", "gimbal@example.com", "--to", "a@example.com,b@example.com"}
	if r := gimbal(append(args, "--since", "2026-01-01")...); r.code != 0 {
		t.Fatal(r.errOut)
	}
	for range 2 {
		select {
		case text := <-got:
			if !strings.Contains(text, "RCPT TO:<") || strings.Count(text, "RCPT TO") != 1 || !strings.Contains(text, "the claim") {
				t.Errorf("sent: %.600s", text)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no mail came")
		}
	}
	if r := gimbal(append(args, "--since", "2999-01-01")...); r.code != 0 || !strings.Contains(r.errOut, "nothing is sent") || len(got) > 0 {
		t.Errorf("exit %d: %s, %d mails", r.code, r.errOut, len(got))
	}
	strict := append(args[:0:0], args...)
	strict = append(strict[:5], strict[6:]...)
	if r := gimbal(append(strict, "--since", "2026-01-01")...); r.code == 0 || !strings.Contains(r.errOut, "STARTTLS") {
		t.Errorf("a server without TLS: exit %d: %s", r.code, r.errOut)
	}
}
