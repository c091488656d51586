package alarm

import (
	"errors"
	"html/template"
	"net/http"
)

// LinkPath is where [Notifier.Handler] is to be served.
const LinkPath = "/alarms/link"

var page = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Drift alarms by e-mail</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem;color-scheme:light dark}button{font:inherit;padding:.5rem 1rem}</style>
<h1>Drift alarms by e-mail</h1>
<p role="status">{{.Text}}</p>
{{if .Button}}<form method="post"><button>{{.Button}}</button></form>{{end}}</html>
`))

type pageData struct{ Text, Button string }

// Handler serves the page behind the links in e-mail. Opening it changes nothing, for programs that look into e-mail open links too: a person
// presses the button, or a mail program posts (RFC 8058). The token itself is the permission, so that the page needs no session.
func (n *Notifier) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
			"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
		} {
			w.Header().Set(name, value)
		}
		token := r.URL.Query().Get("token")
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			kind, address, err := n.open(token)
			if err != nil {
				n.show(w, http.StatusNotFound, pageData{Text: "This link does not hold, or no longer."})
				return
			}
			data := pageData{"Send drift alarms to " + address + "?", "Confirm"}
			if kind == leaving {
				data = pageData{"Send no more drift alarms to " + address + "?", "Leave"}
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
				n.show(w, http.StatusOK, pageData{Text: "Drift alarms go to " + address + " from now on."})
			default:
				n.show(w, http.StatusOK, pageData{Text: "No more drift alarms go to " + address + "."})
			}
		default:
			w.Header().Set("Allow", "GET, HEAD, POST")
			n.show(w, http.StatusMethodNotAllowed, pageData{Text: "Open this page with a browser."})
		}
	})
}

func (n *Notifier) show(w http.ResponseWriter, code int, data pageData) {
	w.WriteHeader(code)
	_ = page.Execute(w, data) // the reader went away
}
