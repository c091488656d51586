package catalog_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/catalog"
	"github.com/gimbal-ml/gimbal/method"
)

// TestEveryMethodCanBeChosen: the doc of each family's package says of each of its methods once when to take it, in tables that are whole.
func TestEveryMethodCanBeChosen(t *testing.T) {
	read := map[string][]string{}
	for _, s := range catalog.All() {
		if read[s.Family] == nil {
			f, err := method.ReadFamily(s)
			if err != nil {
				t.Fatal(err)
			}
			read[s.Family] = []string{}
			if f.Text == "" || len(f.Tables) == 0 {
				t.Errorf("%s says %q and has %d tables", s.Family, f.Text, len(f.Tables))
			}
			for _, table := range f.Tables {
				for _, row := range table.Rows {
					if len(row.Methods) == 0 {
						t.Errorf("%s: the row %q is about no method", s.Family, row.Cells)
					}
					if len(row.Cells) != max(len(table.Columns), 2) || slices.Contains(row.Cells, "") {
						t.Errorf("%s: %v has %q for the columns %q: two spaces or more stand between columns", s.Family, row.Methods, row.Cells, table.Columns)
					}
					read[s.Family] = append(read[s.Family], row.Methods...)
				}
			}
		}
		if n := count(read[s.Family], s.ID()); n != 1 {
			t.Errorf("the doc of package %s says %d times when to take %s", s.Family, n, fmt.Sprintf("[%s]", s.Name))
		}
	}
}

// TestChoicesPage: the guide has what the packages say.
func TestChoicesPage(t *testing.T) {
	var b bytes.Buffer
	if err := catalog.WriteChoices(&b); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join("..", "docs", "guide", "choose.md"))
	if err != nil || !bytes.Equal(page, b.Bytes()) {
		t.Errorf("docs/guide/choose.md is not what the packages say (%v): gimbal methods --page docs/guide/choose.md", err)
	}
}

func count(list []string, what string) (n int) {
	for _, v := range list {
		if v == what {
			n++
		}
	}
	return n
}
