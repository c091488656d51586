package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/gimbal-ml/gimbal/data/atomic"
)

func newManCommand(e *env) *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "man --to FOLDER",
		Short: "Write a manual page for every command",
		Long: `Man writes the helps of all commands as manual pages of section 1, gimbal.1 and gimbal-COMMAND.1. Their date is that of the program's
commit, so that the same program writes the same bytes.`,
		Example: `  gimbal man --to man && ls man`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needFlags(cmd, "to"); err != nil {
				return err
			}
			n, err := writeManual(cmd.Root(), to)
			if err != nil {
				return err
			}
			if e.json {
				return e.printObject(object{{"folder", to}, {"pages", n}})
			}
			e.say("%s: %s; man -l %s shows the first", to, plural(n, "page"), filepath.Join(to, "gimbal.1"))
			return nil
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "`FOLDER` to write the pages to; pages in it are replaced")
	return cmd
}

// writeManual writes a page for a command and for each below it.
func writeManual(cmd *cobra.Command, dir string) (pages int, err error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return 0, err
	}
	date := time.Unix(0, 0).UTC()
	if text, ok := versions().get("time").(string); ok {
		if t, err := time.Parse(time.RFC3339, text); err == nil {
			date = t
		}
	}
	header := &doc.GenManHeader{Section: "1", Date: &date, Source: fmt.Sprintf("gimbal %v", versions().get("gimbal")), Manual: "Gimbal"}
	var walk func(cmd *cobra.Command) error
	walk = func(cmd *cobra.Command) error {
		name := manualName(cmd)
		cmd.DisableAutoGenTag = true
		var b bytes.Buffer
		own := *header
		if err := doc.GenMan(cmd, &own, &b); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := atomic.Write(filepath.Join(dir, name+".1"), func(w io.Writer) error { _, err := w.Write(b.Bytes()); return err }); err != nil {
			return err
		}
		pages++
		for _, c := range cmd.Commands() {
			// A page is made of help alone, not of those that cobra puts below every group while it writes.
			if help := c.Name() == "help"; help && c.Parent() == cmd.Root() || !help && c.IsAvailableCommand() {
				if err := walk(c); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return pages, walk(cmd)
}

// manualName is a command's words with dashes between them, as git's pages have it.
func manualName(cmd *cobra.Command) string {
	return strings.NewReplacer(" ", "-", "/", "-").Replace(cmd.CommandPath())
}
