package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/method"
)

type watchOptions struct {
	inputs []string
	table  tableFlags
	stream string
}

func newWatchCommand(e *env) *cobra.Command {
	o := &watchOptions{}
	cmd := &cobra.Command{
		Use:   "watch MODEL --in FILE",
		Short: "Watch a stream of rows for drift, row by row",
		Long: `Watch looks at rows in their order and rings once, at the row at which the evidence of a change reaches the threshold. The
model says how often that happens without drift, within a horizon of rows or over the whole stream (horizon 0), and how
small a lasting shift it can see. --stream keeps the stream in a file from run to run, to the bit, so that days of runs are one
stream; without it each run is a stream of its own. Exit 3 when the alarm has rung.`,
		Example: e.withModel("watch",
			"  gimbal watch model.gimbal --in new.csv --label y",
			"  gimbal watch model.gimbal --in new.csv --label y --stream today.stream --json",
			"  cat new.csv | gimbal watch model.gimbal --in - --label y --stream today.stream"),
		Args: exactly("MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error { return runWatch(e, cmd, args[0], o) },
	}
	cmd.Flags().StringArrayVar(&o.inputs, "in", nil, "`FILE` with the rows, in their order; several are read as one")
	cmd.Flags().StringVar(&o.stream, "stream", "", "`FILE` that carries the stream from run to run; made when it does not exist")
	o.table.add(cmd)
	return cmd
}

func runWatch(e *env, cmd *cobra.Command, path string, o *watchOptions) error {
	ctx := cmd.Context()
	if err := needFlags(cmd, "in"); err != nil {
		return err
	}
	m, err := e.loadModel(path)
	if err != nil {
		return err
	}
	watcher, ok := m.fitted.(method.Watcher)
	if !ok {
		return cannot(path, m, "watch")
	}
	stream := watcher.Watch()
	if o.stream != "" {
		switch text, err := os.ReadFile(o.stream); {
		case err == nil:
			if err := stream.Resume(text); err != nil {
				return fmt.Errorf("%s: %w", o.stream, err)
			}
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%s: %w", o.stream, plainCause(err))
		}
	}
	src, err := e.openFor(ctx, m, o.inputs, &o.table)
	if err != nil {
		return err
	}
	start, before := time.Now(), stream.Watched().Rows
	for b, err := range src.Blocks(ctx) {
		if err == nil {
			err = stream.Observe(ctx, b)
		}
		if err != nil {
			return named(o.inputs, m.spec.Wrap(err))
		}
	}
	if o.stream != "" {
		text, err := json.Marshal(stream)
		if err != nil {
			return err
		}
		if err := atomic.Write(o.stream, func(w io.Writer) error { _, err := w.Write(append(text, '\n')); return err }); err != nil {
			return err
		}
	}
	w := stream.Watched()
	column := ""
	if w.AlarmRow > 0 {
		column = fmt.Sprint(w.AlarmColumn + 1)
		if w.AlarmColumn < len(m.columns) {
			column = m.columns[w.AlarmColumn]
		}
	}
	if err := e.printObject(object{
		{"method", m.spec.ID()}, {"rows", w.Rows - before}, {"stream_rows", w.Rows}, {"drift", w.AlarmRow > 0}, {"alarm_row", w.AlarmRow}, {"alarm_column", column},
		{"change_row", w.ChangeRow}, {"evidence", w.Evidence}, {"threshold", w.Threshold}, {"level", w.Level}, {"horizon", w.Horizon}, {"visible", w.Visible}, {"within", w.Within},
	}); err != nil {
		return err
	}
	e.say("%s watched in %s; drift alarm %s", plural(w.Rows-before, "row"), since(start), alarmWords(w.AlarmRow, before))
	if w.AlarmRow > 0 {
		return gate("%s: drift: the alarm rang at row %d of the stream, for column %s", listed(o.inputs), w.AlarmRow, column)
	}
	return nil
}
