package serve

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// sources joins the Go files of a folder, of tests or of the rest.
func sources(t *testing.T, folder string, tests bool) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") != tests {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// Every threat in docs/security.md names a test, and every test named there exists where it says.
func TestThreatsHaveTests(t *testing.T) {
	text, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z]+)`")
	rows := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || strings.HasPrefix(cells[1], " threat") || strings.HasPrefix(cells[1], "---") {
			continue
		}
		rows++
		if !name.MatchString(cells[3]) {
			t.Errorf("no test for:%s", cells[1])
		}
		for part := range strings.SplitSeq(cells[3], ";") {
			folder := "serve"
			if where := regexp.MustCompile("`([a-z/]+)`:").FindStringSubmatch(part); where != nil {
				folder = where[1]
			}
			for _, test := range name.FindAllStringSubmatch(part, -1) {
				if !strings.Contains(sources(t, folder, true), "func "+test[1]+"(") {
					t.Errorf("%s names %s, which is not in %s", strings.TrimSpace(cells[1]), test[1], folder)
				}
			}
		}
	}
	if rows < 20 {
		t.Errorf("%d threats were found", rows)
	}
}

// No clock can touch what a guard learned and in which order: those who keep it read none.
func TestStateReadsNoClock(t *testing.T) {
	for _, folder := range []string{"serve/live", "serve/journal", "guard"} {
		text := sources(t, folder, false)
		if len(text) == 0 {
			t.Errorf("%s is empty", folder)
		}
		if found := regexp.MustCompile(`\btime\.(Now|Since|Until)\b`).FindString(text); found != "" {
			t.Errorf("%s calls %s", folder, found)
		}
	}
}
