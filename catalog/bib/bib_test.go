package bib_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/catalog/bib"
)

func ExampleRead() {
	papers, problems, err := bib.Read(strings.NewReader(`
@article{ledoit2004,
  author  = {Olivier Ledoit and Wolf, Michael},
  title   = "A well-conditioned estimator for large-dimensional covariance matrices",
  journal = {Journal of Multivariate Analysis},
  year    = 2004,
  doi     = {10.1016/S0047-259X(03)00096-4},
}
@article{broken, title = {never closed
`))
	for _, p := range papers {
		fmt.Println(p.Key, p.Year, p.Authors, p.Identifier)
	}
	fmt.Println(problems, err)
	// Output:
	// ledoit2004 2004 [Olivier Ledoit Michael Wolf] doi:10.1016/S0047-259X(03)00096-4
	// [line 9: @article{broken: the value of title is not closed] <nil>
}

func TestBibTeX(t *testing.T) {
	papers, problems, err := bib.Read(strings.NewReader("\ufeff" + `% mail me@example.org
@string{nips = "Advances in " # {Neural Information Processing}}
@comment{anything {at} all}
@inproceedings(mueller, title={{T}ransformers Can Do {B}ayesian Inference --- $n$}, author={M{\"u}ller, Samuel and Ga{\v c}e, {\'E}mile and S{\o}ren \AA berg}, booktitle=nips # " Systems", year={2022}, eprint={2112.10510}, archiveprefix={arXiv})
@misc{untitled, year=2020}
@misc{dated, title={A thing}, year={soon}}
@misc{unkeyed title={A thing}}
@misc{last, title={The "last" one}, url={https://arxiv.org/abs/2301.00001v2}, month=jan}
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(papers) != 3 {
		t.Fatalf("have %d papers, want 3: %+v", len(papers), papers)
	}
	p := papers[0]
	if p.Title != "Transformers Can Do Bayesian Inference – n" || p.Venue != "Advances in Neural Information Processing Systems" ||
		p.Identifier != "arXiv:2112.10510" || p.Year != 2022 || !slices.Equal(p.Authors, []string{"Samuel Müller", "Émile Gače", "Søren Åberg"}) {
		t.Errorf("have %+v", p)
	}
	if papers[1].Key != "dated" || papers[1].Year != 0 || papers[2].Identifier != "arXiv:2301.00001" {
		t.Errorf("have %+v", papers[1:])
	}
	var said []string
	for _, p := range problems {
		said = append(said, p.String())
	}
	want := []string{
		"line 5: @misc{untitled: no title",
		`line 6: "soon" is not a year; the paper is kept without`,
		"line 7: @misc{unkeyed: want a comma after the key",
	}
	if !slices.Equal(said, want) {
		t.Errorf("have problems %q", said)
	}
}

const atom = `<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>arXiv Query</title><id>http://arxiv.org/api/1</id>
<entry><id>http://arxiv.org/abs/2303.08934v1</id><published>2023-03-15T21:01:31Z</published><title>PTMTorrent:
  A Dataset</title><summary> We  present. </summary><author><name>Wenxin Jiang</name></author><author><name>Nicholas Synovic</name></author></entry>
<entry><id>http://arxiv.org/abs/math/0309136</id><published>yesterday</published><updated>2004-01-01T00:00:00Z</updated><title>Old &amp; good</title></entry>
<entry><id>x</id></entry>
</feed>`

func TestAtom(t *testing.T) {
	papers, problems, err := bib.Read(strings.NewReader(atom))
	if err != nil {
		t.Fatal(err)
	}
	if len(papers) != 2 || papers[0].Title != "PTMTorrent: A Dataset" || papers[0].Key != "jiang2023ptmtorrent" || papers[0].Year != 2023 ||
		papers[0].Identifier != "arXiv:2303.08934" || papers[0].Headline != "We present." || len(papers[0].Authors) != 2 {
		t.Fatalf("have %+v", papers)
	}
	if papers[1].Identifier != "arXiv:math/0309136" || papers[1].Year != 2004 || papers[1].Title != "Old & good" {
		t.Errorf("have %+v", papers[1])
	}
	if len(problems) != 2 || !strings.Contains(problems[0].Why, "yesterday") || problems[1].Why != "no title" {
		t.Errorf("have problems %v", problems)
	}
}

func TestOAI(t *testing.T) {
	for form, text := range map[string]string{
		"arXiv": `<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/"><ListRecords><record><header><identifier>oai:arXiv.org:2303.08934</identifier></header><metadata>
<arXiv xmlns="http://arxiv.org/OAI/arXiv/"><id>2303.08934</id><created>2023-03-15</created><authors><author><keyname>Jiang</keyname><forenames>Wenxin</forenames></author></authors><title>PTMTorrent: A Dataset</title><abstract>We present.</abstract></arXiv></metadata></record></ListRecords></OAI-PMH>`,
		"Dublin Core": `<OAI-PMH><ListRecords><record><metadata><oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/" xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title>PTMTorrent: A Dataset</dc:title><dc:creator>Jiang, Wenxin</dc:creator><dc:description>We present.</dc:description><dc:date>2023-03-15</dc:date><dc:identifier>http://arxiv.org/abs/2303.08934</dc:identifier></oai_dc:dc></metadata></record></ListRecords></OAI-PMH>`,
	} {
		papers, problems, err := bib.Read(strings.NewReader(text))
		if err != nil || len(problems) > 0 || len(papers) != 1 {
			t.Fatalf("%s: %v, %v, %v", form, papers, problems, err)
		}
		if p := papers[0]; p.Key != "jiang2023ptmtorrent" || p.Identifier != "arXiv:2303.08934" || p.Authors[0] != "Wenxin Jiang" || p.Headline != "We present." {
			t.Errorf("%s: have %+v", form, p)
		}
	}
}

func TestJSONLines(t *testing.T) {
	papers, problems, err := bib.Read(strings.NewReader(`{"title":"One\u001b[31m thing","authors":["Ünal, Öz"],"year":2020,"state":"runs","methods":["detect/knn"]}

{"title":
{"key":"k"}
`))
	if err != nil || len(papers) != 1 || len(problems) != 2 {
		t.Fatalf("have %v, %v, %v", papers, problems, err)
	}
	p := papers[0]
	if p.Key != "unal2020thing" || p.State != "own" || p.Methods != nil || strings.ContainsRune(p.Title, '\x1b') {
		t.Errorf("have %+v", p)
	}
	if problems[0].Where != "line 3" || problems[1] != (bib.Problem{Where: "line 4", Why: "no title"}) {
		t.Errorf("have %v", problems)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "empty"},
		{"  \n\t", "empty"},
		{"hello", "neither"},
		{"<html><body>404</body></html>", "without entries"},
		{"<feed><entry><title>a</title>", "entry 1"},
		{strings.Replace(atom, "</feed>", "</fee>", 1), "after 3 entries"},
		{`{"title":"` + strings.Repeat("x", 2<<20) + `"}`, "line 1 is longer"},
	} {
		_, _, err := bib.Read(strings.NewReader(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: %v, want %q", c.text, err, c.want)
		}
		if strings.Contains(c.want, "neither") && !errors.Is(err, bib.ErrFormat) {
			t.Errorf("%.40q: %v is not ErrFormat", c.text, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(atom)
	f.Add("@a{b,c={d\\'e}#\"f\",}")
	f.Add(`{"title":"t"}`)
	f.Fuzz(func(t *testing.T, text string) {
		papers, _, _ := bib.Read(strings.NewReader(text))
		for _, p := range papers {
			if p.Title == "" || p.Key == "" {
				t.Errorf("a paper without title or key: %+v", p)
			}
		}
	})
}
