package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/protocol"
)

// continualState is a run's file, held against other processes while a command changes it.
type continualState struct {
	path string
	lock *atomic.Lock
	run  *protocol.Run // nil when there is no file yet
}

// holdContinual locks a run's file and reads it. The caller must release it.
func (e *env) holdContinual(path string, mayBeMissing bool) (*continualState, error) {
	if path == "-" {
		return nil, &usageError{"--state - : a run lives in a file, not in a pipe"}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "a host without a name"
	}
	who := fmt.Sprintf("process %d on %s, since %s", os.Getpid(), host, time.Now().UTC().Format(time.DateTime+" MST"))
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	lock, err := atomic.Hold(path, who)
	if err != nil {
		return nil, err
	}
	s := &continualState{path: path, lock: lock}
	if s.run, err = e.readContinual(path); errors.Is(err, fs.ErrNotExist) && mayBeMissing {
		err = nil
	}
	if err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	return s, nil
}

func (s *continualState) release() { s.lock.Release() } // the system gives it back in any case

// readContinual reads a run's file.
func (e *env) readContinual(path string) (*protocol.Run, error) {
	c, err := e.readCheckpoint(path)
	if err != nil {
		return nil, err
	}
	defer e.closeFiles() // all is in memory after this
	r, err := protocol.Load(e.specs, c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w%s", path, err, insteadOf(c, protocol.FileKind))
	}
	return r, nil
}

// save writes the run and tells of its last stage.
func (s *continualState) save(ctx context.Context, e *env, r *protocol.Run, done string) error {
	c, err := r.Checkpoint()
	if err != nil {
		return err
	}
	spec, _ := r.Spec()
	hash, err := r.Model().State().Hash()
	if err != nil {
		return err
	}
	last := r.History()[len(r.History())-1]
	if err := e.saveSealed(ctx, s.path, c, done, object{
		{"method", spec.ID()}, {"stage", len(r.History())}, {"task", last.Name}, {"rows", last.Rows}, {"classes", len(r.Classes())},
		{"new_classes", last.New}, {"gone_classes", last.Gone}, {"model_sha256", hash},
	}); err != nil || e.json {
		return err
	}
	e.say("  model %.12s…, %s: %s known%s%s", hash, spec.ID(), plural(len(r.Classes()), "class"), classList(", new ", last.New), classList(", gone ", last.Gone))
	if n := len(last.Measured); n > 0 {
		sum, rows := 0.0, 0
		for _, m := range last.Measured {
			sum += m.Accuracy * float64(m.Rows)
			rows += m.Rows
		}
		e.say("  accuracy %s %% on %s of %s", pretty(sum/float64(rows), true), plural(rows, "test row"), plural(n, "task"))
	}
	return nil
}

// classList puts a few classes into a sentence, nothing when there are none.
func classList(before string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return before + some(names)
}

type continualAddOptions struct {
	state, name, method, encoder string
	inputs, test                 []string
	set                          []string
	ledger                       []string
	again                        bool
	table                        tableFlags
}

func newContinualAddCommand(e *env) *cobra.Command {
	o := &continualAddOptions{}
	cmd := &cobra.Command{
		Use:   "add --state STATE --data FILE --label COLUMN",
		Short: "Learn the next task of a run that waits in a file",
		Long: `Add learns a task and writes the run back: its model, the rows it is measured on, and the accuracy of every task after every
other. The first add begins the run with --method. Adding tasks today, next month and on another machine gives, byte for
byte, the file of one run that never stopped; a run that is killed at any moment is the one before or after the task, and a script
that begins again from its first line adds nothing twice: rows that were added before are passed over with a word (--again adds them).

--ledger keeps sums for each class or group apart, so that they can be forgotten by name; each takes the memory of the model's own.
A second process that would change the run is refused with the name of the one that does.`,
		Example: `  gimbal continual add --state year.state --method continual/prototypes --data a.csv --label y --test new.csv --name january
  gimbal continual add --state year.state --data b.csv --label y --test new.csv --name february`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runContinualAdd(e, cmd, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.state, "state", "", "`FILE` that the run waits in; made by the first add")
	f.StringArrayVar(&o.inputs, "data", nil, "`FILE` with the task's rows; several are read as one")
	f.StringArrayVar(&o.test, "test", nil, "`FILE` with other rows of the task, which the run keeps and measures itself on after every task")
	f.StringVar(&o.name, "name", "", "`NAME` of the task; its classes by default")
	f.StringVar(&o.method, "method", "", "`METHOD` that learns, for the first add")
	f.StringArrayVar(&o.set, "set", nil, "`NAME=VALUE` of a parameter of the method, for the first add")
	f.StringVar(&o.encoder, "encoder", "", "`NAME` and version of what made the features; later adds that name another are refused")
	f.StringSliceVar(&o.ledger, "ledger", nil, "`KINDS` of rows that are to be forgettable by name: "+joined(protocol.Ledgers)+"; for the first add")
	f.BoolVar(&o.again, "again", false, "add the rows even if they were added before")
	o.table.add(cmd)
	return cmd
}

func runContinualAdd(e *env, cmd *cobra.Command, o *continualAddOptions) error {
	ctx := cmd.Context()
	if err := needFlags(cmd, "state", "data", "label"); err != nil {
		return err
	}
	s, err := e.holdContinual(o.state, true)
	if err != nil {
		return err
	}
	defer s.release()
	var columns []string
	if s.run != nil {
		for _, name := range []string{"method", "set", "ledger"} {
			if cmd.Flags().Changed(name) {
				return usage(cmd, "--%s is chosen by the first add, and %s has one already", name, o.state)
			}
		}
		columns = s.run.Columns()
	} else if err := needFlags(cmd, "method"); err != nil {
		return err
	}
	task, err := e.collect(ctx, o.inputs, &o.table, columns)
	if err != nil {
		return err
	}
	var test *data.Table
	if len(o.test) > 0 {
		if columns == nil {
			columns = task.Columns()
		}
		if test, err = e.collect(ctx, o.test, &o.table, columns); err != nil {
			return err
		}
	}
	start := time.Now()
	next, err := o.step(e.steps(ctx, "learning"), e, cmd, s.run, task, test)
	if errors.Is(err, protocol.ErrKnown) { // a script that was broken off begins again from its first line
		e.say("%s: %v; the run stays as it is (--again adds them)", listed(o.inputs), err)
		if e.json {
			return e.printObject(object{{"output", s.path}, {"stage", len(s.run.History())}, {"known", true}})
		}
		return nil
	}
	if err != nil {
		return named(append(o.inputs, o.test...), err)
	}
	n, _ := task.Dims()
	return s.save(ctx, e, next, fmt.Sprintf("stage %d, %s learned in %s", len(next.History()), plural(n, "row"), since(start)))
}

func (o *continualAddOptions) step(ctx context.Context, e *env, cmd *cobra.Command, r *protocol.Run, task, test *data.Table) (*protocol.Run, error) {
	if r != nil {
		return r.Add(ctx, o.encoder, o.name, task, test, o.again)
	}
	spec, ok := e.spec(o.method)
	if !ok {
		return nil, usage(cmd, "--method %s: there is no such method (see gimbal methods)", o.method)
	}
	flags, err := assignments(cmd, "set", o.set)
	if err != nil {
		return nil, err
	}
	cfg, err := spec.Configure(flags)
	if err != nil {
		return nil, err
	}
	return protocol.Begin(ctx, spec, cfg, protocol.Options{Encoder: o.encoder, Ledger: o.ledger}, o.name, task, test)
}

// collect reads whole tables.
func (e *env) collect(ctx context.Context, paths []string, flags *tableFlags, columns []string) (*data.Table, error) {
	src, err := e.openSource(ctx, paths, flags, columns)
	if err != nil {
		return nil, err
	}
	t, err := data.Collect(ctx, src)
	if err != nil {
		return nil, named(paths, err)
	}
	if n, _ := t.Dims(); n == 0 {
		return nil, named(paths, errNoRows)
	}
	return t, nil
}

type continualForgetOptions struct {
	state, class string
	rows         []string
	table        tableFlags
}

func newContinualForgetCommand(e *env) *cobra.Command {
	o := &continualForgetOptions{}
	cmd := &cobra.Command{
		Use:   "forget --state STATE (--rows FILE | --class NAME | --group NAME)",
		Short: "Make the run whose model never saw some rows, a class, or a group",
		Long: `Forget takes rows out of the model: its bytes are those of one that never saw them. Copies of forgotten rows leave the test rows
as well. Rows are given with their labels; a class or a group goes by its name where the run keeps sums for each (--ledger of the first
add; methods with per-class scatters know their classes anyway). The history says that something was forgotten, and keeps what was measured.
Methods that cannot forget say why.`,
		Example: `  gimbal continual forget --state run.state --rows gone.csv --label y
  gimbal continual forget --state run.state --class ant`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runContinualForget(e, cmd, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.state, "state", "", "`FILE` that the run waits in")
	f.StringArrayVar(&o.rows, "rows", nil, "`FILE` with the rows to forget, with their labels; several are read as one")
	f.StringVar(&o.class, "class", "", "`NAME` of a class to forget")
	o.table.add(cmd)
	f.Lookup("group").Usage = "`NAME` of a group to forget; with --rows, the COLUMN with the group of each row"
	return cmd
}

func runContinualForget(e *env, cmd *cobra.Command, o *continualForgetOptions) error {
	ctx := cmd.Context()
	if err := needFlags(cmd, "state"); err != nil {
		return err
	}
	rows, class, group := len(o.rows) > 0, cmd.Flags().Changed("class"), cmd.Flags().Changed("group")
	switch {
	case !rows && !class && !group:
		return usage(cmd, "what to forget is missing: --rows FILE, --class NAME or --group NAME")
	case class && (rows || group):
		return usage(cmd, "--class excludes --rows and --group")
	case rows && o.table.label == "":
		return needFlags(cmd, "label")
	}
	s, err := e.holdContinual(o.state, false)
	if err != nil {
		return err
	}
	defer s.release()
	start := time.Now()
	var next *protocol.Run
	var what string
	switch {
	case rows:
		t, err := e.collect(ctx, o.rows, &o.table, s.run.Columns())
		if err != nil {
			return err
		}
		n, _ := t.Dims()
		what = plural(n, "row")
		if next, err = s.run.ForgetRows(e.steps(ctx, "forgetting"), t); err != nil {
			return named(o.rows, err)
		}
	case class:
		what = "class " + o.class
		next, err = s.run.ForgetClass(e.steps(ctx, "forgetting"), o.class)
	default:
		what = "group " + o.table.group
		next, err = s.run.ForgetGroup(e.steps(ctx, "forgetting"), o.table.group)
	}
	if err != nil {
		return named([]string{o.state}, err)
	}
	return s.save(ctx, e, next, fmt.Sprintf("%s forgotten in %s", what, since(start)))
}

func newContinualExportCommand(e *env) *cobra.Command {
	var state, output string
	cmd := &cobra.Command{
		Use:     "export --state STATE -o MODEL",
		Short:   "Write a run's model as a file of its own, for predict and score",
		Example: `  gimbal continual export --state run.state -o model.gimbal`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needFlags(cmd, "state", "output"); err != nil {
				return err
			}
			r, err := e.readContinual(state)
			if err != nil {
				return err
			}
			m := &model{columns: r.Columns(), fitted: r.Model()}
			m.spec, m.cfg = r.Spec()
			return e.saveModel(cmd.Context(), output, m, "written", object{{"method", m.spec.ID()}})
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "`FILE` that the run waits in")
	addOutput(cmd, &output, "`MODEL` to write")
	return cmd
}
