package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/catalog"
)

func newPapersCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "papers [WORDS…]",
		Short: "List the papers that the methods come from, or those that some words describe",
		Example: `  gimbal papers
  gimbal papers unfamiliar inputs
  gimbal papers covariance --json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			found := catalog.Search(strings.Join(args, " "))
			if e.json {
				return writeJSON(e.stdout, found)
			}
			l := &listing{columns: columns("key", "year", "methods", "identifier", "title", "question")}
			for _, p := range found {
				var year any
				if p.Year > 0 {
					year = p.Year
				}
				l.add(p.Key, year, p.Methods, p.Identifier, p.Title, p.Question)
			}
			if len(found) == 0 {
				e.say("no paper is described by %q", strings.Join(args, " "))
			}
			return e.print(l)
		},
	}
}
