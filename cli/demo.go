package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/internal/demo"
)

type demoOptions struct {
	seed             uint64
	output, examples string
}

func newDemoCommand(e *env) *cobra.Command {
	o := &demoOptions{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the main job on data made here, and write a report",
		Long: `Demo plays the main job from end to end on data that the program makes itself, and writes a report. A guard learns known
classes; a stream arrives that is first clean, then damaged step by step, then holds classes never seen; five labels teach
each new class; one customer's rows are forgotten. Exit 3 when a promise was not kept.

With --examples it writes the small files that the examples of all helps of methods read, instead.`,
		Example: `  gimbal demo
  gimbal demo --seed 2 -o story.html
  gimbal demo --examples try && cd try && gimbal help detect/knn`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(e, cmd, o) },
	}
	cmd.Flags().Uint64Var(&o.seed, "seed", 0, "makes other data")
	addOutput(cmd, &o.output, "`FILE` to write, HTML (default gimbal-report.html)")
	cmd.Flags().StringVar(&o.examples, "examples", "", "new `FOLDER` to write the examples' files to")
	return cmd
}

func runDemo(e *env, cmd *cobra.Command, o *demoOptions) error {
	if o.examples != "" {
		return e.makeExamples(cmd, o.examples)
	}
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

// makeExamples fills a folder that is not there yet, or empty.
func (e *env) makeExamples(cmd *cobra.Command, dir string) error {
	for _, flag := range []string{"seed", "output"} {
		if cmd.Flags().Changed(flag) {
			return usage(cmd, "--examples makes no story: leave out --%s", flag)
		}
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s: the folder is not empty, and files in it would be lost: name a new one", dir)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	if err := e.writeExamples(cmd.Context(), dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if e.json {
		return e.printObject(object{{"folder", dir}, {"files", len(entries)}})
	}
	e.say("%s: %s, among them train.csv, new.csv and more.csv; go there and run what `gimbal help METHOD` shows under Examples", dir, plural(len(entries), "file"))
	return nil
}
