package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/catalog"
)

func TestPapers(t *testing.T) {
	fixture(t)
	t.Setenv("GIMBAL_PAPERS", "none.jsonl")
	if r := gimbal("papers", "soup"); r.code != 1 || !strings.Contains(r.errOut, "none.jsonl") {
		t.Errorf("a library that is named and missing: exit %d, %s", r.code, r.errOut)
	}
	t.Setenv("GIMBAL_PAPERS", "")
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	var found []catalog.Paper
	if err := json.Unmarshal([]byte(must(t, "papers", "average", "several", "fine-tuned", "checkpoints", "--json")), &found); err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 || found[0].Key != "wortsman2022soups" || found[0].State == "" {
		t.Errorf("found %+v", found[:min(1, len(found))])
	}
	if out := must(t, "papers", "zzzz", "--json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("nothing found prints %q", out)
	}
	for _, word := range []string{"wortsman2022soups", "soups", "weights/soup", "2203.05482"} {
		if out := must(t, "papers", word); !strings.Contains(out, "weights/soup, claim ") || !strings.Contains(out, "lin2024spurious") {
			t.Errorf("%s: %s", word, out)
		}
	}
	for args, want := range map[string]string{
		"--input cats": "no noun", "--state done": "--state", "--limit -1": "negative", "--add nothing.bib": "nothing.bib", "--add train.csv": "train.csv",
	} {
		if r := gimbal(append([]string{"papers"}, strings.Fields(args)...)...); r.code == 0 || !strings.Contains(r.errOut, want) {
			t.Errorf("%s: exit %d, %s", args, r.code, r.errOut)
		}
	}
}

func TestPapersAdd(t *testing.T) {
	fixture(t)
	library := filepath.Join("new", "papers.jsonl")
	write(t, "more.bib", "@misc{one, title={Quokkas of the outback}, year=2020}\n@misc{broken\n@misc{two, title={Wombats}, year=when}\n")
	r := gimbal("papers", "--add", "references.bib,more.bib", "--library", library, "--json")
	if r.code != 0 || !strings.Contains(r.errOut, "more.bib, line 2: @misc{broken") || !strings.Contains(r.errOut, `more.bib, line 3: "when"`) {
		t.Fatalf("exit %d, %s", r.code, r.errOut)
	}
	var said map[string]any
	if err := json.Unmarshal([]byte(r.out), &said); err != nil {
		t.Fatal(err)
	}
	if said["added"] != 3.0 || said["problems"] != 2.0 || said["papers"] != 3.0 {
		t.Errorf("said %v", said)
	}
	if out := must(t, "papers", "quokka", "--library", library); !strings.Contains(out, "one\t2020\town") {
		t.Errorf("found %s", out)
	}
	before, err := os.ReadFile(library)
	if err != nil {
		t.Fatal(err)
	}
	must(t, "papers", "--add", "references.bib", "--library", library)
	after, _ := os.ReadFile(library)
	if string(before) != string(after) {
		t.Error("papers that were there already change the library")
	}
	write(t, "bad.jsonl", "<feed>")
	if r := gimbal("papers", "--add", "bad.jsonl", "--library", library); r.code != 1 {
		t.Errorf("exit %d for a broken feed", r.code)
	}
	if now, _ := os.ReadFile(library); string(now) != string(after) {
		t.Error("a broken feed changes the library")
	}
}

// TestPapersOfOneKey adds different papers that share a key: none may be lost, and adding them again may not double them.
func TestPapersOfOneKey(t *testing.T) {
	fixture(t)
	write(t, "same.bib", "@misc{a, title={Quokkas}}\n@misc{a, title={Wombats}}\n@misc{a, title={quokkas}}\n@misc{lee2018simple, title={Numbats}}\n")
	r := gimbal("papers", "--add", "same.bib", "--library", "own.jsonl", "--json")
	if r.code != 0 || !strings.Contains(r.errOut, `another paper has the key "a"`) || !strings.Contains(r.errOut, `kept as "lee2018simpleb"`) {
		t.Fatalf("exit %d, %s", r.code, r.errOut)
	}
	for range 2 {
		var said map[string]any
		if err := json.Unmarshal([]byte(must(t, "papers", "--add", "same.bib", "--library", "own.jsonl", "--json")), &said); err != nil {
			t.Fatal(err)
		}
		if said["added"] != 0.0 || said["known_before"] != 4.0 || said["papers"] != 3.0 {
			t.Errorf("added again, said %v", said)
		}
	}
	if out := must(t, "papers", "--state", "own", "--library", "own.jsonl"); !strings.Contains(out, "ab\t") || !strings.Contains(out, "Numbats") {
		t.Errorf("the library holds %s", out)
	}
}

// TestPapersKeepsABrokenLibrary: adding writes the library anew, and must not drop the entry that it cannot read.
func TestPapersKeepsABrokenLibrary(t *testing.T) {
	fixture(t)
	const text = "{\"title\":\"Quokkas\"}\n{\"title\":\n"
	write(t, "own.jsonl", text)
	refused(t, 1, []string{"own.jsonl", "line 2", "mend"}, "papers", "--add", "references.bib", "--library", "own.jsonl")
	if now, err := os.ReadFile("own.jsonl"); err != nil || string(now) != text {
		t.Errorf("the library holds %q, %v", now, err)
	}
	if r := gimbal("papers", "quokkas", "--library", "own.jsonl"); r.code != 0 || !strings.Contains(r.out, "Quokkas") || !strings.Contains(r.errOut, "line 2") {
		t.Errorf("reading it: exit %d, %s, %s", r.code, r.out, r.errOut)
	}
}

func TestPapersOddQuestions(t *testing.T) {
	for _, words := range []string{strings.Repeat("x", 10_000), strings.Repeat("forgets ", 1250), "?!… ---"} {
		if r := gimbal("papers", "--", words); r.code != 0 || len(r.errOut) > 200 {
			t.Errorf("%.12q, %d characters: exit %d, %.200s", words, len(words), r.code, r.errOut)
		}
	}
}
