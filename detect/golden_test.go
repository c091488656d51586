package detect_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

// golden is a file of named matrices: what other programs say.
type golden struct {
	columns map[string]int
	values  map[string][]float64
}

func readGolden(t testing.TB, path string) golden {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g := golden{map[string]int{}, map[string][]float64{}}
	for line := range strings.Lines(string(raw)) {
		words := strings.Fields(line)
		if words[0] == "#" {
			continue
		}
		if g.columns[words[0]], err = strconv.Atoi(words[1]); err != nil {
			t.Fatal(err)
		}
		for _, w := range words[2:] {
			x, err := strconv.ParseFloat(w, 64)
			if err != nil {
				t.Fatal(err)
			}
			g.values[words[0]] = append(g.values[words[0]], x)
		}
	}
	return g
}

// of returns the named values; a name that the file lacks is fatal.
func (g golden) of(t testing.TB, name string) []float64 {
	t.Helper()
	if g.values[name] == nil {
		t.Fatalf("the golden file has no %q", name)
	}
	return g.values[name]
}

// table returns the named matrix as a table.
func (g golden) table(t testing.TB, name string) *data.Table {
	t.Helper()
	v, d := g.of(t, name), g.columns[name]
	x := make([]float32, len(v))
	for i := range v {
		x[i] = float32(v[i])
	}
	tab, err := data.NewTable(len(v)/d, d, x)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}
