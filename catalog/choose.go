package catalog

import (
	"fmt"
	"io"
	"strings"

	"github.com/gimbal-ml/gimbal/method"
)

// WriteChoices writes the page of the guide that leads to a method: what each family's package says of when to take which of its methods.
func WriteChoices(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Which method?\n\nBy what you have and what you want, family by family; for what each costs and promises see `gimbal help METHOD`. What stands first is the\ndefault or the plainest. Measured tables: [detectors](detectors.md), [drift](drift.md), [heads](labels.md), [learners](continual.md), [merges](weights.md).\n")
	seen := ""
	for _, s := range All() {
		if s.Family == seen {
			continue
		}
		seen = s.Family
		f, err := method.ReadFamily(s)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", f.Name, strings.ToUpper(f.Text[:1])+f.Text[1:])
		for _, t := range f.Tables {
			if t.Text != "" {
				fmt.Fprintf(&b, "\n%s\n", t.Text)
			}
			columns := t.Columns
			if len(columns) == 0 && len(t.Rows) > 0 {
				columns = []string{"takes", "when"}
			}
			fmt.Fprintf(&b, "\n| method | %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)+1))
			for _, row := range t.Rows {
				fmt.Fprintf(&b, "| %s | %s |\n", strings.Join(row.Methods, ", "), strings.Join(row.Cells, " | "))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
