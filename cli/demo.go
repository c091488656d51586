package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/internal/demo"
)

type demoOptions struct {
	seed   uint64
	output string
}

func newDemoCommand(e *env) *cobra.Command {
	o := &demoOptions{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the main job on data made here, and write a report",
		Long: `Demo plays the main job from end to end on data that the program makes itself, and writes a report. A guard learns known
classes; a stream arrives that is first clean, then damaged step by step, then holds classes never seen; five labels teach
each new class; one customer's rows are forgotten. Exit 3 when a promise was not kept.`,
		Example: `  gimbal demo
  gimbal demo --seed 2 -o story.html`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(e, cmd, o) },
	}
	cmd.Flags().Uint64Var(&o.seed, "seed", 0, "makes other data")
	addOutput(cmd, &o.output, "`FILE` to write, HTML (default gimbal-report.html)")
	return cmd
}

func runDemo(e *env, cmd *cobra.Command, o *demoOptions) error {
	if o.output == "" {
		o.output = "gimbal-report.html"
	}
	start := time.Now()
	story, err := demo.Play(cmd.Context(), e.specs, o.seed, func(title string, done, total int) {
		e.track("demo: "+title, "chapters", total).set(done, total)
	})
	e.clearProgress()
	if err != nil {
		return err
	}
	page := story.Page(fmt.Sprintf("gimbal %v, %s", versions().get("gimbal"), time.Now().UTC().Format("2006-01-02 15:04 MST")))
	if o.output == "-" {
		return page.HTML(e.stdout)
	}
	if err := atomic.Write(o.output, func(w io.Writer) error { return page.HTML(w) }); err != nil {
		return err
	}
	broken := 0
	var list []object
	for _, p := range story.Promises() {
		mark := "kept  "
		if !p.Kept {
			mark = "BROKEN"
			broken++
		}
		list = append(list, object{{"kept", p.Kept}, {"measured", p.Text}})
		if !e.json {
			fmt.Fprintf(e.stdout, "%s  %s\n", mark, p.Text)
		}
	}
	if e.json {
		if err := e.printObject(object{{"seed", o.seed}, {"promises", list}, {"output", o.output}, {"seconds", time.Since(start).Seconds()}}); err != nil {
			return err
		}
	}
	e.say("%s: the whole story, in %s", o.output, since(start))
	if broken > 0 {
		return gate("%d promises were not kept", broken)
	}
	return nil
}
