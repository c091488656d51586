// Package digest says what is new since a day: papers that were added, claims that ran again, verdicts that changed. It writes that as text, and as
// RSS, Atom and JSON feeds for readers of those.
package digest

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gimbal-ml/gimbal/catalog"
	"github.com/gimbal-ml/gimbal/claims"
)

// Day is how days are written, in claims' results and in a person's library.
const Day = "2006-01-02"

// Item is one thing that is new.
type Item struct {
	// ID names it for ever: a reader that has seen it does not show it again.
	ID, Title, Text string
	// Turn says that a verdict became another one.
	Turn bool
	// Path is where the server's pages tell more, such as /claims/continual/ewc.
	Path string
	When time.Time // the day, UTC
}

// New lists what is new from a day on: the latest first, within a day changed verdicts before the rest, and then by ID.
func New(papers []catalog.Paper, since time.Time) []Item {
	items := append(claimItems(), paperItems(papers)...)
	items = slices.DeleteFunc(items, func(i Item) bool { return i.When.Before(since) })
	slices.SortFunc(items, func(a, b Item) int {
		return cmp.Or(b.When.Compare(a.When), later(a.Turn, b.Turn), cmp.Compare(a.ID, b.ID))
	})
	return items
}

// later orders what is true before what is not.
func later(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// claimItems is an item for every stored run of every claim but for those that said the same on the same day.
func claimItems() (items []Item) {
	for _, c := range claims.All() {
		r := claims.Stored(c.ID)
		if r == nil {
			continue
		}
		runs := r.Runs()
		for i, run := range runs {
			at, err := time.Parse(Day, run.When)
			if err != nil { // a result of a program that wrote no day
				continue
			}
			title, turn := fmt.Sprintf("%s: the claim %s", c.ID, is(string(run.Verdict))), false
			switch {
			case i > 0 && runs[i-1].Verdict == run.Verdict && runs[i-1].When == run.When:
				continue // the same once more on one day
			case i > 0 && runs[i-1].Verdict != run.Verdict:
				turn = true
				title = fmt.Sprintf("%s: the claim %s now, it %s before", c.ID, is(string(run.Verdict)), was(string(runs[i-1].Verdict)))
			case i > 0:
				title += " still"
			}
			items = append(items, Item{
				ID: fmt.Sprintf("claim/%s/%d", c.ID, i+1), Path: "/claims/" + c.ID, When: at, Title: title, Turn: turn,
				Text: fmt.Sprintf("%s %s minus %s is %s over %d seeds (%s). Again: gimbal claim %s", c.Statement, c.Arms[0], c.Arms[1], claims.Show(c, run.Difference, true), run.Seeds, c.Metric, c.ID),
			})
		}
	}
	return items
}

// is and was put a verdict into a sentence.
func is(verdict string) string {
	if verdict == "open" {
		return "is open"
	}
	return verdict
}

func was(verdict string) string {
	switch verdict {
	case "open":
		return "was open"
	case "holds":
		return "held"
	}
	return "failed"
}

// paperItems is an item for every paper that says when it was added.
func paperItems(papers []catalog.Paper) (items []Item) {
	for _, p := range papers {
		at, err := time.Parse(Day, p.Added)
		if err != nil {
			continue
		}
		text := p.Question
		if who := strings.Join(p.Authors, ", "); who != "" {
			text = strings.TrimSpace(text + " By " + who + ".")
		}
		items = append(items, Item{ID: "paper/" + p.Key, Path: "/papers/" + p.Key, When: at, Title: "New paper: " + p.Title, Text: text})
	}
	return items
}

// Forms are the ways in which a digest is written, with their media types.
var Forms = []struct{ Name, Type string }{
	{"text", "text/plain; charset=utf-8"}, {"rss", "application/rss+xml; charset=utf-8"}, {"atom", "application/atom+xml; charset=utf-8"}, {"json", "application/feed+json; charset=utf-8"},
}

// ErrForm says that no digest is written so.
var ErrForm = errors.New("no form of a digest")

// Title is a digest's own.
const Title = "Gimbal: papers and claims"

// Write writes items in a form. base is the address of the server whose pages tell more, without a slash at its end; without one, text and JSON have no
// links, and those of RSS and Atom are paths, which readers need the feed's own address for. Errors: ErrForm, and those of w.
func Write(w io.Writer, form, base string, items []Item) error {
	switch form {
	case "text":
		return writeText(w, base, items)
	case "rss":
		return writeXML(w, rssOf(base, items))
	case "atom":
		return writeXML(w, atomOf(base, items))
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(jsonOf(base, items))
	}
	return fmt.Errorf("%w: %q", ErrForm, form)
}

func writeText(w io.Writer, base string, items []Item) error {
	var b strings.Builder
	if len(items) == 0 {
		b.WriteString("Nothing is new.\n")
	}
	for i, item := range items {
		if day := item.When.Format(Day); i == 0 || day != items[i-1].When.Format(Day) {
			if i > 0 {
				b.WriteString("\n")
			}
			b.WriteString(day + "\n")
		}
		fmt.Fprintf(&b, "- %s\n  %s\n", item.Title, item.Text)
		if base != "" {
			fmt.Fprintf(&b, "  %s%s\n", base, item.Path)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeXML(w io.Writer, v any) error {
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// identity is an item's name for feed readers, the same wherever the server stands.
func (i Item) identity() string { return "tag:gimbal,2026:" + i.ID }

// updated is the day of the latest item, the zero of feeds without any: no clock is read.
func updated(items []Item) time.Time {
	if len(items) == 0 {
		return time.Unix(0, 0).UTC()
	}
	return items[0].When
}

type rss struct {
	XMLName xml.Name `xml:"rss"`
	Version string   `xml:"version,attr"`
	Channel struct {
		Title       string    `xml:"title"`
		Link        string    `xml:"link"`
		Description string    `xml:"description"`
		Built       string    `xml:"lastBuildDate"`
		Items       []rssItem `xml:"item"`
	} `xml:"channel"`
}

type rssItem struct {
	Title       string `xml:"title"`
	Link        string `xml:"link"`
	Description string `xml:"description"`
	GUID        struct {
		Permanent bool   `xml:"isPermaLink,attr"`
		Text      string `xml:",chardata"`
	} `xml:"guid"`
	Date string `xml:"pubDate"`
}

func rssOf(base string, items []Item) rss {
	feed := rss{Version: "2.0"}
	feed.Channel.Title, feed.Channel.Link, feed.Channel.Description = Title, base+"/digest", "Papers that were added, claims that ran again, verdicts that changed"
	feed.Channel.Built = updated(items).Format(time.RFC1123Z)
	for _, i := range items {
		it := rssItem{Title: i.Title, Link: base + i.Path, Description: i.Text, Date: i.When.Format(time.RFC1123Z)}
		it.GUID.Text = i.identity()
		feed.Channel.Items = append(feed.Channel.Items, it)
	}
	return feed
}

type atom struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Updated string      `xml:"updated"`
	Links   []atomLink  `xml:"link"`
	Author  string      `xml:"author>name"`
	Entries []atomEntry `xml:"entry"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr,omitempty"`
	Href string `xml:"href,attr"`
}

type atomEntry struct {
	ID      string   `xml:"id"`
	Title   string   `xml:"title"`
	Updated string   `xml:"updated"`
	Link    atomLink `xml:"link"`
	Summary string   `xml:"summary"`
}

func atomOf(base string, items []Item) atom {
	feed := atom{ID: "tag:gimbal,2026:digest", Title: Title, Updated: updated(items).Format(time.RFC3339), Author: "Gimbal",
		Links: []atomLink{{"self", base + "/digest.atom"}, {"alternate", base + "/digest"}}}
	for _, i := range items {
		feed.Entries = append(feed.Entries, atomEntry{ID: i.identity(), Title: i.Title, Updated: i.When.Format(time.RFC3339), Link: atomLink{Href: base + i.Path}, Summary: i.Text})
	}
	return feed
}

type jsonFeed struct {
	Version string     `json:"version"`
	Title   string     `json:"title"`
	Home    string     `json:"home_page_url,omitempty"`
	Feed    string     `json:"feed_url,omitempty"`
	Items   []jsonItem `json:"items"`
}

type jsonItem struct {
	ID    string `json:"id"`
	URL   string `json:"url,omitempty"`
	Title string `json:"title"`
	Text  string `json:"content_text"`
	Date  string `json:"date_published"`
}

func jsonOf(base string, items []Item) jsonFeed {
	feed := jsonFeed{Version: "https://jsonfeed.org/version/1.1", Title: Title, Items: []jsonItem{}}
	if base != "" {
		feed.Home, feed.Feed = base+"/digest", base+"/digest.json"
	}
	for _, i := range items {
		at := ""
		if base != "" {
			at = base + i.Path
		}
		feed.Items = append(feed.Items, jsonItem{i.identity(), at, i.Title, i.Text, i.When.Format(time.RFC3339)})
	}
	return feed
}
