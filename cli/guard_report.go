package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/report"
)

func newGuardReportCommand(e *env) *cobra.Command {
	o := &guardRunOptions{}
	cmd := &cobra.Command{
		Use:   "report GUARD --in FILE [-o FILE.html]",
		Short: "Judge rows and tell about them on one page",
		Long: `Report judges a stream as run does and writes one self-contained HTML page: false alarms, drift, scores, the most unfamiliar
rows, and with --label the accuracy of what was accepted. Without -o it is told on the terminal.`,
		Example: `  gimbal guard report g.gimbal --in new.csv --label y -o report.html
  gimbal guard report g.gimbal --in new.csv --label y`,
		Args: exactly("GUARD"),
		RunE: func(cmd *cobra.Command, args []string) error { return runGuardReport(e, cmd, args[0], o) },
	}
	o.add(cmd)
	addOutput(cmd, &o.output, "`FILE` to write, HTML")
	return cmd
}

func runGuardReport(e *env, cmd *cobra.Command, path string, o *guardRunOptions) error {
	run, src, err := o.begin(e, cmd, path)
	if err != nil {
		return err
	}
	for b, err := range src.Blocks(cmd.Context()) {
		if err != nil {
			return err
		}
		if _, _, err := run.Observe(b); err != nil {
			return named(o.inputs, err)
		}
	}
	run.Flush()
	refused, n := run.Refused()
	if n == 0 {
		return named(o.inputs, errNoRows)
	}
	page := &report.Page{
		Title:     "What the guard saw",
		Subtitle:  fmt.Sprintf("%s judged by %s", listed(o.inputs), path),
		Generated: fmt.Sprintf("gimbal %v, %s", versions().get("gimbal"), time.Now().UTC().Format("2006-01-02 15:04 MST")),
		Sections:  append(run.Sections(), run.Guard().About()),
	}
	if e.json {
		return e.printObject(object{{"rows", n}, {"refused", refused}, {"alarm_row", run.Stream().AlarmRow()}, {"windows", run.Windows()}})
	}
	if o.output == "" {
		return page.Text(e.stdout, e.width)
	}
	if o.output == "-" {
		return page.HTML(e.stdout)
	}
	if err := atomic.Write(o.output, func(w io.Writer) error { return page.HTML(w) }); err != nil {
		return err
	}
	e.say("%s: %s told, %s refused", o.output, plural(n, "row"), count(refused))
	return nil
}
