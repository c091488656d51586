package digest_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gimbal-ml/gimbal/catalog"
	"github.com/gimbal-ml/gimbal/claims"
	"github.com/gimbal-ml/gimbal/digest"
)

func day(text string) time.Time {
	t, err := time.Parse(digest.Day, text)
	if err != nil {
		panic(err)
	}
	return t
}

func ExampleNew() {
	papers := []catalog.Paper{{Key: "tibshirani1996regression", Title: "Regression shrinkage and selection via the lasso", Question: "Which columns matter?", Added: "2999-01-02"}}
	digest.Write(os.Stdout, "text", "https://gimbal.example", digest.New(papers, day("2999-01-01")))
	// Output:
	// 2999-01-02
	// - New paper: Regression shrinkage and selection via the lasso
	//   Which columns matter?
	//   https://gimbal.example/papers/tibshirani1996regression
}

// TestEveryRunIsAnItem: as many items as the stored results have runs that said something else or on another day, each with a name of its own, later ones first, and those of changed
// verdicts say so.
func TestEveryRunIsAnItem(t *testing.T) {
	items := digest.New(nil, time.Time{})
	want, changed := 0, 0
	for _, c := range claims.All() {
		r := claims.Stored(c.ID)
		if r == nil {
			continue
		}
		runs := r.Runs()
		want++
		for i := 1; i < len(runs); i++ {
			if runs[i].Verdict != runs[i-1].Verdict || runs[i].When != runs[i-1].When {
				want++
			}
			if runs[i].Verdict != runs[i-1].Verdict {
				changed++
			}
		}
	}
	seen, told := map[string]bool{}, 0
	for i, item := range items {
		if seen[item.ID] || item.Title == "" || item.Text == "" || !strings.HasPrefix(item.Path, "/claims/") {
			t.Errorf("item %+v", item)
		}
		seen[item.ID] = true
		if i > 0 && item.When.After(items[i-1].When) {
			t.Errorf("%s comes after %s, and is later", item.ID, items[i-1].ID)
		}
		if strings.Contains(item.Title, " now, it ") != item.Turn {
			t.Errorf("%s: %v", item.Title, item.Turn)
		}
		if item.Turn {
			told++
		}
	}
	if len(items) != want || told != changed || changed == 0 {
		t.Errorf("%d items for %d runs, %d changes told of %d", len(items), want, told, changed)
	}
	since := items[len(items)/2].When
	for _, item := range digest.New(nil, since) {
		if item.When.Before(since) {
			t.Errorf("%s is from before %s", item.ID, since)
		}
	}
}

// TestFeeds: all forms hold all items, whatever stands in them, with what their standards demand.
func TestFeeds(t *testing.T) {
	odd := `<b>&"quotes"</b> ]]> é 中`
	items := digest.New([]catalog.Paper{{Key: "odd2020", Title: odd, Question: odd, Authors: []string{"A & B"}, Added: "2998-05-06"}}, day("2998-01-01"))
	write := func(form string) []byte {
		var b, again bytes.Buffer
		for _, w := range []*bytes.Buffer{&b, &again} {
			if err := digest.Write(w, form, "https://gimbal.example", items); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(b.Bytes(), again.Bytes()) {
			t.Errorf("%s differs from time to time", form)
		}
		return b.Bytes()
	}
	var rss struct {
		Version string `xml:"version,attr"`
		Channel struct {
			Title, Link, Description string
			Items                    []struct {
				Title   string `xml:"title"`
				Link    string `xml:"link"`
				GUID    string `xml:"guid"`
				PubDate string `xml:"pubDate"`
			} `xml:"item"`
		} `xml:"channel"`
	}
	if err := xml.Unmarshal(write("rss"), &rss); err != nil || rss.Version != "2.0" || len(rss.Channel.Items) != 1 {
		t.Fatalf("rss: %v, %+v", err, rss)
	}
	i := rss.Channel.Items[0]
	if _, err := time.Parse(time.RFC1123Z, i.PubDate); err != nil || i.Title != "New paper: "+odd || i.Link != "https://gimbal.example/papers/odd2020" || i.GUID != "tag:gimbal,2026:paper/odd2020" {
		t.Errorf("rss: %v, %+v", err, i)
	}
	var atom struct {
		XMLName xml.Name
		ID      string `xml:"id"`
		Title   string `xml:"title"`
		Updated string `xml:"updated"`
		Author  string `xml:"author>name"`
		Entries []struct {
			ID      string `xml:"id"`
			Title   string `xml:"title"`
			Updated string `xml:"updated"`
			Link    struct {
				Href string `xml:"href,attr"`
			} `xml:"link"`
		} `xml:"entry"`
	}
	if err := xml.Unmarshal(write("atom"), &atom); err != nil || atom.XMLName.Space != "http://www.w3.org/2005/Atom" || atom.ID == "" || atom.Author == "" || len(atom.Entries) != 1 {
		t.Fatalf("atom: %v, %+v", err, atom)
	}
	if at, err := time.Parse(time.RFC3339, atom.Updated); err != nil || !at.Equal(day("2998-05-06")) || atom.Entries[0].Title != "New paper: "+odd || atom.Entries[0].Link.Href != i.Link || atom.Entries[0].ID != i.GUID {
		t.Errorf("atom: %v, %+v", err, atom)
	}
	var feed struct {
		Version string
		Title   string
		Items   []struct {
			ID, URL, Title string
			Text           string `json:"content_text"`
			Date           string `json:"date_published"`
		}
	}
	if err := json.Unmarshal(write("json"), &feed); err != nil || feed.Version != "https://jsonfeed.org/version/1.1" || len(feed.Items) != 1 || feed.Items[0].Title != "New paper: "+odd || feed.Items[0].ID != i.GUID {
		t.Errorf("json: %v, %+v", err, feed)
	}
	if !bytes.Contains(write("text"), []byte(odd)) {
		t.Error("text has lost a title")
	}
	for _, form := range digest.Forms {
		var b bytes.Buffer
		if err := digest.Write(&b, form.Name, "", nil); err != nil || b.Len() == 0 {
			t.Errorf("%s of nothing: %v, %d bytes", form.Name, err, b.Len())
		}
	}
	if err := digest.Write(&bytes.Buffer{}, "opml", "", items); !errors.Is(err, digest.ErrForm) {
		t.Errorf("opml: %v", err)
	}
	if err := digest.Write(full{}, "rss", "", items); err == nil {
		t.Error("a full disk is no error")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, fmt.Errorf("no space left") }
