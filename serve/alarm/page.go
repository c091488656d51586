package alarm

import (
	"errors"
	"html/template"
	"net/http"
)

var page = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Topic}} by e-mail</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem;color-scheme:light dark}button{font:inherit;padding:.5rem 1rem}</style>
<h1>{{.Topic}} by e-mail</h1>
<p role="status">{{.Text}}</p>
{{if .Button}}<form method="post">{{if .Ask}}<p><label>E-mail address <input type="email" name="address" required autocomplete="email"></label></p>{{end}}<button>{{.Button}}</button></form>{{end}}</html>
`))

type pageData struct {
	Text, Button string
	Ask          bool // for an address
	Topic        string
}

// Mails reports whether e-mail is sent, to whoever asks for it. A nil notifier tells nobody.
func (n *Notifier) Mails() bool { return n != nil && n.people != nil }

// Handler serves the page to ask for e-mail, and the one behind the links in it. Opening it changes nothing, for programs that look into e-mail open links too: a person
// presses the button, or a mail program posts (RFC 8058). The token itself is the permission, so that the page needs no session.
func (n *Notifier) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
			"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
		} {
			w.Header().Set(name, value)
		}
		if r.URL.Path == n.SubscribePath() {
			n.ask(w, r)
			return
		}
		token := r.URL.Query().Get("token")
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			kind, address, err := n.open(token)
			if err != nil {
				n.show(w, http.StatusNotFound, pageData{Text: "This link does not hold, or no longer."})
				return
			}
			data := pageData{Text: "Send " + n.config.Topic.Name + " to " + address + "?", Button: "Confirm"}
			if kind == leaving {
				data = pageData{Text: "Send no more of " + n.config.Topic.Name + " to " + address + "?", Button: "Leave"}
			}
			n.show(w, http.StatusOK, data)
		case http.MethodPost:
			done, address, err := n.Redeem(token)
			switch {
			case errors.Is(err, ErrToken):
				n.show(w, http.StatusNotFound, pageData{Text: "This link does not hold, or no longer."})
			case err != nil:
				n.show(w, http.StatusInternalServerError, pageData{Text: "That could not be written down. Please try again."})
			case done == "confirmed":
				n.show(w, http.StatusOK, pageData{Text: n.config.Topic.title() + ": to " + address + " from now on."})
			default:
				n.show(w, http.StatusOK, pageData{Text: "No more of " + n.config.Topic.Name + " to " + address + "."})
			}
		default:
			w.Header().Set("Allow", "GET, HEAD, POST")
			n.show(w, http.StatusMethodNotAllowed, pageData{Text: "Open this page with a browser."})
		}
	})
}

// ask serves the page on which a person leaves an address. A post from another site is refused: it could make letters come to anybody.
func (n *Notifier) ask(w http.ResponseWriter, r *http.Request) {
	form := pageData{Text: n.config.Topic.title() + " can be sent to you by e-mail. A first letter has a link to confirm it, each one a link to leave.", Button: "Send me the link", Ask: true}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		n.show(w, http.StatusOK, form)
	case http.MethodPost:
		if n.origins.Check(r) != nil {
			n.show(w, http.StatusForbidden, pageData{Text: "This form can be sent from this page only."})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 4096)
		err := n.Subscribe(r.PostFormValue("address"))
		switch {
		case errors.Is(err, ErrAddress):
			form.Text = "That is no e-mail address."
			n.show(w, http.StatusBadRequest, form)
		case errors.Is(err, ErrOften):
			n.show(w, http.StatusTooManyRequests, pageData{Text: "A link was sent to this address a short while ago. Please wait some minutes."})
		case err != nil:
			n.show(w, http.StatusInternalServerError, pageData{Text: "That did not work. Please try again."})
		default:
			n.show(w, http.StatusAccepted, pageData{Text: "A letter is on its way. Open its link within two days."})
		}
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		n.show(w, http.StatusMethodNotAllowed, pageData{Text: "Open this page with a browser."})
	}
}

func (n *Notifier) show(w http.ResponseWriter, code int, data pageData) {
	data.Topic = n.config.Topic.title()
	w.WriteHeader(code)
	_ = page.Execute(w, data) // the reader went away
}
