// Package site is what a server shows to people who read: the catalog of papers with its search, the methods, the claims with their
// verdicts, and the guide; and the live page, whose script asks the server's routes. The pages themselves tell nothing of what is served, load nothing
// from elsewhere, and but for the live one need no script.
package site

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"

	"github.com/gimbal-ml/gimbal/catalog"
	"github.com/gimbal-ml/gimbal/claims"
	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/digest"
	"github.com/gimbal-ml/gimbal/docs"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/report"
)

//go:embed site.html
var siteHTML string

//go:embed site.css
var siteCSS string

//go:embed live.html
var liveHTML []byte

//go:embed live.js
var liveJS []byte

// Site answers for the pages. It is safe for concurrent use.
type Site struct {
	// Base is the server's address as its readers know it, for links in feeds; empty takes the one that was asked. It is set before the pages are served.
	Base string
	// Trend counts what is looked at; nil counts nothing. It is set before the pages are served.
	Trend *digest.Trend
	// Letters is the path of a page on which what is new can be asked for by e-mail; empty for none. It is set before the pages are served.
	Letters string

	specs     []method.Spec
	library   *catalog.Library
	claims    []claim.Claim
	markdown  goldmark.Markdown
	templates *template.Template
	style     []byte
	mux       *http.ServeMux
}

// New makes the pages for methods and papers.
func New(specs []method.Spec, library *catalog.Library) *Site {
	s := &Site{
		specs: specs, library: library, claims: claims.All(),
		markdown: goldmark.New(goldmark.WithExtensions(extension.Table), goldmark.WithParserOptions(parser.WithAutoHeadingID())),
		style:    []byte(report.Stylesheet() + siteCSS),
		mux:      http.NewServeMux(),
	}
	s.templates = template.Must(template.New("").Funcs(template.FuncMap{
		"join": strings.Join, "claim": claims.Stored, "link": link, "split": strings.Fields, "dict": dict,
		"anchor": func(id string) string { return strings.ReplaceAll(id, "/", "") }, // as on the page of claims that the guide links to
		"key": func(source string) string { // of the paper that a claim's source begins with
			key, _, _ := strings.Cut(source, ",")
			if _, known := catalog.Lookup(key); !known {
				return ""
			}
			return key
		},
		"changed": func(r *claim.Result) string { // since when a verdict is what it is, where it was another one
			if was, at, ok := r.Changed(); ok {
				return fmt.Sprintf("since %s; %s before", at.When, was)
			}
			return ""
		},
		"title": func(s string) string { return strings.ToUpper(s[:1]) + s[1:] },
	}).Parse(siteHTML))
	for pattern, handle := range map[string]func(r *http.Request) (page, error){
		"GET /papers":                  s.papers,
		"GET /papers/{key}":            s.paper,
		"GET /methods":                 s.methods,
		"GET /methods/{family}/{name}": s.method,
		"GET /claims":                  s.claimList,
		"GET /claims/{family}/{name}":  s.claim,
		"GET /guide":                   s.guide,
	} {
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			s.answer(w, r, func(r *http.Request) (page, error) {
				p, err := handle(r)
				if err == nil && strings.Count(r.URL.Path, "/") > 1 { // one paper, method or claim
					s.Trend.Count(r.URL.Path, time.Now())
				}
				return p, err
			})
		})
	}
	s.mux.HandleFunc("GET /guide/{name}", func(w http.ResponseWriter, r *http.Request) {
		if name := r.PathValue("name"); strings.HasSuffix(name, ".svg") {
			s.drawing(w, r, name)
			return
		}
		s.answer(w, r, s.guidePage)
	})
	s.mux.HandleFunc("GET /digest", func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, s.digest) })
	for _, form := range digest.Forms[1:] {
		s.mux.HandleFunc("GET /digest."+form.Name, func(w http.ResponseWriter, r *http.Request) { s.feed(w, r, form.Name, form.Type) })
	}
	s.mux.HandleFunc("GET /guide/scratch/main.go", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		http.ServeFileFS(w, r, docs.Guide, "guide/scratch/main.go")
	})
	s.mux.Handle("GET /claims.md", http.RedirectHandler("/claims", http.StatusSeeOther)) // where the guide's links lead
	for _, name := range []string{"serve-wide.png", "serve-narrow.png"} {
		s.mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, docs.Guide, name) })
	}
	for _, name := range []string{"security", "glossary", "benchmarks", "decisions"} {
		s.mux.Handle("GET /"+name+".md", http.RedirectHandler("/guide/"+name, http.StatusSeeOther))
	}
	s.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", livePolicy)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(liveHTML)
	})
	s.mux.HandleFunc("GET /live.js", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		w.Write(liveJS)
	})
	s.mux.HandleFunc("GET /site.css", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		w.Write(s.style)
	})
	return s
}

// Serves reports whether a request is for one of the pages.
func (s *Site) Serves(r *http.Request) bool {
	_, pattern := s.mux.Handler(r)
	return pattern != ""
}

// policy lets the pages have their own style and their own forms, and nothing else.
const policy = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// livePolicy is that of the live page, which asks its own server and runs its own script.
const livePolicy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

// ServeHTTP answers with a page.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	s.mux.ServeHTTP(w, r)
}

// page is what the template around all pages needs.
type page struct {
	Title string
	Part  string // which entry of the navigation it belongs to
	Kind  string // template of its body
	Body  any
}

var errNotFound = errors.New("there is no such page")

func (s *Site) answer(w http.ResponseWriter, r *http.Request, handle func(r *http.Request) (page, error)) {
	status := http.StatusOK
	p, err := handle(r)
	switch {
	case errors.Is(err, errNotFound):
		status, p = http.StatusNotFound, page{Title: "Not found", Kind: "missing", Body: err.Error()}
	case err != nil:
		status, p = http.StatusBadRequest, page{Title: "Not understood", Kind: "missing", Body: err.Error()}
	}
	var b bytes.Buffer
	if err := s.templates.ExecuteTemplate(&b, "page", struct {
		page
		Content template.HTML
	}{p, s.render(p)}); err != nil {
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes()) // a reader that is gone is no error
}

// render makes the body of a page. An error in a template is a mistake of ours, which the tests of all pages find.
func (s *Site) render(p page) template.HTML {
	var b bytes.Buffer
	if err := s.templates.ExecuteTemplate(&b, p.Kind, p.Body); err != nil {
		return template.HTML("<p>" + template.HTMLEscapeString(err.Error()) + "</p>")
	}
	return template.HTML(b.String())
}

// most is how many papers a page lists.
const most = 50

func (s *Site) papers(r *http.Request) (page, error) {
	q := r.URL.Query()
	words := q.Get("q")
	f := catalog.Filter{Family: q.Get("family"), Input: q.Get("input"), State: q.Get("state"), Kind: q.Get("kind")}
	if text := q.Get("since"); text != "" {
		year, err := strconv.Atoi(text)
		if err != nil {
			return page{}, fmt.Errorf("since %.20q is not a year", text)
		}
		f.Since = year
	}
	limit := most
	if strings.TrimSpace(words) == "" {
		limit = s.library.Len()
	}
	found := s.library.Search(words, f, limit)
	var families []string
	for _, p := range catalog.Papers() {
		if p.Family != "" && !slices.Contains(families, p.Family) {
			families = append(families, p.Family)
		}
	}
	slices.Sort(families)
	return page{Title: "Papers", Part: "papers", Kind: "papers", Body: map[string]any{
		"Words": words, "Filter": f, "Since": q.Get("since"), "Found": found, "Families": families, "Nouns": catalog.Nouns,
		"States": strings.Fields("runs partly planned cited own"), "Kinds": strings.Fields("method theory study data survey"),
	}}, nil
}

func (s *Site) paper(r *http.Request) (page, error) {
	p, ok := s.library.Find(r.PathValue("key"))
	if !ok {
		return page{}, fmt.Errorf("%w: no paper is called %.60q", errNotFound, r.PathValue("key"))
	}
	title := p.Title
	if p.Name != "" {
		title = p.Name
	}
	return page{Title: title, Part: "papers", Kind: "paper", Body: map[string]any{"Paper": p, "Similar": s.library.Similar(p.Key, 6)}}, nil
}

func (s *Site) methods(*http.Request) (page, error) {
	type family struct {
		Name  string
		Specs []method.Spec
	}
	var list []family
	for _, spec := range s.specs {
		if len(list) == 0 || list[len(list)-1].Name != spec.Family {
			list = append(list, family{Name: spec.Family})
		}
		last := &list[len(list)-1]
		last.Specs = append(last.Specs, spec)
	}
	return page{Title: "Methods", Part: "methods", Kind: "methods", Body: list}, nil
}

func (s *Site) method(r *http.Request) (page, error) {
	id := r.PathValue("family") + "/" + r.PathValue("name")
	i := slices.IndexFunc(s.specs, func(spec method.Spec) bool { return spec.ID() == id })
	if i < 0 {
		return page{}, fmt.Errorf("%w: no method is called %.60q", errNotFound, id)
	}
	spec := s.specs[i]
	h, err := spec.Help()
	if err != nil {
		return page{}, err
	}
	fields := map[string]string{}
	for name, text := range h.Fields {
		fields[name] = method.Unlink(text)
	}
	paper, _ := s.library.Find(spec.Paper)
	return page{Title: id, Part: "methods", Kind: "method", Body: map[string]any{"Spec": spec, "Doc": tell(h.Doc), "Fields": fields, "Paper": paper}}, nil
}

func (s *Site) claimList(*http.Request) (page, error) {
	return page{Title: "Claims", Part: "claims", Kind: "claims", Body: s.claims}, nil
}

func (s *Site) claim(r *http.Request) (page, error) {
	id := r.PathValue("family") + "/" + r.PathValue("name")
	i := slices.IndexFunc(s.claims, func(c claim.Claim) bool { return c.ID == id })
	if i < 0 {
		return page{}, fmt.Errorf("%w: no claim is called %.60q", errNotFound, id)
	}
	return page{Title: "Claim of " + id, Part: "claims", Kind: "claimed", Body: claimView{s.claims[i], claims.Stored(id)}}, nil
}

// claimView is a claim with its result, nil where it did not run.
type claimView struct {
	claim.Claim
	Result *claim.Result
}

// Show prints an interval in the claim's unit.
func (v claimView) Show(i claim.Interval, signed bool) string { return claims.Show(v.Claim, i, signed) }

// news are the latest things of all.
func (s *Site) news() []digest.Item {
	items := digest.New(s.library.Papers(), time.Time{})
	return items[:min(len(items), 100)]
}

func (s *Site) digest(*http.Request) (page, error) {
	return page{Title: "What is new", Part: "digest", Kind: "digest", Body: struct {
		Letters string
		Trend   []digest.Trending
		Items   []digest.Item
	}{s.Letters, s.Trend.Top(8, time.Now()), s.news()}}, nil
}

// feed answers with the latest things in a form for readers of feeds. Links lead to the address that was asked.
func (s *Site) feed(w http.ResponseWriter, r *http.Request, form, kind string) {
	base := "http://" + r.Host
	if r.TLS != nil {
		base = "https://" + r.Host
	}
	base = cmp.Or(s.Base, base)
	items := s.news()
	var b bytes.Buffer
	if err := digest.Write(&b, form, base, items); err != nil {
		http.Error(w, "the feed could not be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(b.Bytes())))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b.Bytes())) // says 304 where the reader has it
}

// guideEntry is a page of the guide in its list.
type guideEntry struct{ Name, Title, Lead string }

func (s *Site) guide(*http.Request) (page, error) {
	files, err := fs.Glob(docs.Guide, "guide/*.md")
	if err != nil {
		return page{}, err
	}
	var list []guideEntry
	for _, file := range files {
		text, err := docs.Guide.ReadFile(file)
		if err != nil {
			return page{}, err
		}
		title, rest, _ := strings.Cut(strings.TrimPrefix(string(text), "# "), "\n")
		lead, _, _ := strings.Cut(strings.TrimSpace(rest), "\n\n")
		list = append(list, guideEntry{strings.TrimSuffix(path.Base(file), ".md"), title, strings.ReplaceAll(lead, "`", "")})
	}
	slices.SortStableFunc(list, func(a, b guideEntry) int { // what comes first reads first
		return strings.Compare(strconv.FormatBool(a.Name != "start"), strconv.FormatBool(b.Name != "start"))
	})
	return page{Title: "Guide", Part: "guide", Kind: "guide", Body: list}, nil
}

func (s *Site) guidePage(r *http.Request) (page, error) {
	name := strings.TrimSuffix(r.PathValue("name"), ".md") // as the pages link to one another
	text, err := docs.Guide.ReadFile("guide/" + name + ".md")
	if err != nil {
		text, err = docs.Guide.ReadFile(name + ".md")
	}
	if err != nil {
		return page{}, fmt.Errorf("%w: the guide has no page %.60q", errNotFound, name)
	}
	title, _, _ := strings.Cut(strings.TrimPrefix(string(text), "# "), "\n")
	var b bytes.Buffer
	if err := s.markdown.Convert(text, &b); err != nil {
		return page{}, err
	}
	return page{Title: title, Part: "guide", Kind: "prose", Body: template.HTML(b.String())}, nil // our own text
}

// drawing answers with a picture of the guide.
func (s *Site) drawing(w http.ResponseWriter, r *http.Request, name string) {
	text, err := docs.Guide.ReadFile("guide/" + name)
	if err != nil {
		s.answer(w, r, func(*http.Request) (page, error) {
			return page{}, fmt.Errorf("%w: the guide has no drawing %.60q", errNotFound, name)
		})
		return
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'") // it may be opened by itself
	w.Write(text)
}

// told is a doc comment in parts: paragraphs, then the lines of its template, such as Score: what comes out.
type told struct {
	Text  []string
	Facts []struct{ Name, Text string }
}

var factLine = regexp.MustCompile(`^([A-Z][a-z]+(?: on)?): *(.*)`)

func tell(doc string) (t told) {
	for part := range strings.SplitSeq(strings.TrimSpace(method.Unlink(doc)), "\n\n") {
		var now []string
		inFacts := false
		for line := range strings.Lines(part) {
			line = strings.TrimSpace(line)
			if m := factLine.FindStringSubmatch(line); m != nil && (len(now) == 0 || inFacts) {
				t.Facts = append(t.Facts, struct{ Name, Text string }{m[1], m[2]})
				inFacts = true
				continue
			}
			if inFacts {
				t.Facts[len(t.Facts)-1].Text += " " + line
				continue
			}
			now = append(now, line)
		}
		if len(now) > 0 {
			t.Text = append(t.Text, strings.Join(now, " "))
		}
	}
	return t
}

// link is where a paper's identifier leads.
func link(identifier string) string {
	if number, ok := strings.CutPrefix(identifier, "arXiv:"); ok {
		return "https://arxiv.org/abs/" + number
	}
	if number, ok := strings.CutPrefix(identifier, "doi:"); ok {
		return "https://doi.org/" + number
	}
	return ""
}

// dict makes a map of names and values, for templates that take several.
func dict(pairs ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}
