package cli

import (
	"encoding/json"
	"io"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
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
	if r := gimbal("digest", "--form", "rss", "--base", "https://host", "-o", "news.rss"); r.code != 0 || !strings.Contains(read(t, "news.rss"), "<rss version=\"2.0\">") {
		t.Errorf("exit %d: %s", r.code, r.errOut)
	}
	for args, want := range map[string]string{
		"--since yesterday":                   "--since",
		"--since -3d":                         "--since",
		"--form opml":                         "text, rss, atom, json",
		"--form atom":                         "--base",
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
	office, letters := postOffice(t)
	host, port, err := net.SplitHostPort(office)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"digest", "--mail", host, "--mail-port", port, "--from", "gimbal@example.com", "--to", "a@example.com,b@example.com"}
	if r := gimbal(append(args, "--since", "2026-01-01")...); r.code == 0 || !strings.Contains(r.errOut, "STARTTLS") {
		t.Errorf("a server without TLS: exit %d: %s", r.code, r.errOut)
	}
	args = append(args, "--mail-plain")
	if r := gimbal(append(args, "--since", "2026-01-01")...); r.code != 0 {
		t.Fatal(r.errOut)
	}
	for _, to := range []string{"a@example.com", "b@example.com"} {
		select {
		case text := <-letters:
			if !strings.Contains(text, "To: <"+to+">") || !strings.Contains(text, "the claim") {
				t.Errorf("sent to %s: %.600s", to, text)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no mail came")
		}
	}
	if r := gimbal(append(args, "--since", "2999-01-01")...); r.code != 0 || !strings.Contains(r.errOut, "nothing is sent") || len(letters) > 0 {
		t.Errorf("exit %d: %s, %d letters", r.code, r.errOut, len(letters))
	}
}

// TestServeMailsDigests: a person asks on the page, confirms by a link, gets what came since the last digest, once, and leaves by a link; a link of
// the alarms does not hold there.
func TestServeMailsDigests(t *testing.T) {
	fixture(t)
	t.Setenv("GIMBAL_PAPERS", "")
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	office, letters := postOffice(t)
	args := []string{"g.gimbal", "--state-dir", "kept", "--digest-every", "1h", "--alarm-mail", office, "--alarm-from", "guard@example.org", "--alarm-link", "http://guard.example", "--alarm-mail-plain"}
	address, stop := serveRun(t, args...)
	letter := func(want string) string {
		t.Helper()
		select {
		case text := <-letters:
			plain, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(text)))
			if err != nil || !strings.Contains(string(plain), want) {
				t.Errorf("a letter without %q: %v\n%s", want, err, plain)
			}
			found := regexp.MustCompile(`http://guard\.example(/digest/mail/link\?token=[\w-]+)`).FindAllStringSubmatch(string(plain), -1)
			if found == nil {
				t.Fatalf("no link in %s", plain)
			}
			return found[0][1]
		case <-time.After(20 * time.Second):
			t.Fatal("no letter came")
			return ""
		}
	}
	ask := func(verb, path string, form url.Values, status int, want string) {
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
		if b, _ := io.ReadAll(answer.Body); answer.StatusCode != status || !strings.Contains(string(b), want) {
			t.Errorf("%s %s: %d %.300s", verb, path, answer.StatusCode, b)
		}
	}
	ask("GET", "/digest", nil, 200, `href="/digest/mail"`)
	ask("GET", "/papers/mcdonnell2023ranpac", nil, 200, "RanPAC")
	ask("GET", "/digest", nil, 200, `<a href="/papers/mcdonnell2023ranpac"><code>`)
	ask("GET", "/digest/mail", nil, 200, `type="email"`)
	ask("POST", "/digest/mail", url.Values{"address": {"ann@example.org"}}, 202, "on its way")
	confirm := letter("what is new")
	ask("POST", strings.Replace(confirm, "/digest/mail/", "/alarms/", 1), nil, 404, "does not hold")
	ask("POST", confirm, nil, 200, "ann@example.org")
	stop()
	write(t, "kept/digest.day", "2026-01-01\n") // as if the last one had been then
	address, stop = serveRun(t, args...)
	ask("GET", "/digest", nil, 200, `<a href="/papers/mcdonnell2023ranpac"><code>`) // what was looked at is known after a restart
	leave := letter("the claim")
	ask("POST", leave, url.Values{"List-Unsubscribe": {"One-Click"}}, 200, "No more")
	if day := read(t, "kept/digest.day"); strings.TrimSpace(day) != time.Now().UTC().Format("2006-01-02") {
		t.Errorf("the last digest was on %s", day)
	}
	stop()
	write(t, "kept/digest.day", time.Now().UTC().AddDate(0, 0, -3).Format("2006-01-02")+"\n") // a week has not passed yet
	args[4] = "168h"
	address, stop = serveRun(t, args...)
	ask("GET", "/digest.atom", nil, 200, `href="http://guard.example/digest"`)
	stop()
	if len(letters) > 0 {
		t.Errorf("%d letters more", len(letters))
	}
	for args, want := range map[string]string{"--digest-every 1h": "--alarm-mail", "--digest-every 1s --alarm-mail x": "an hour"} {
		if r := gimbal(append([]string{"serve", "g.gimbal"}, strings.Fields(args)...)...); r.code != 2 || !strings.Contains(r.errOut, want) {
			t.Errorf("%s: exit %d: %s", args, r.code, r.errOut)
		}
	}
}
