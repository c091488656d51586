package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/method"
)

func TestUsageErrors(t *testing.T) {
	fixture(t)
	for _, c := range []struct {
		words []string
		args  []string
	}{
		{[]string{`unknown command "metods"`, "did you mean methods?"}, []string{"metods"}},
		{[]string{"unknown flag: --wat"}, []string{"methods", "--wat"}},
		{[]string{"--threads"}, []string{"version", "--threads", "-1"}},
		{[]string{"--threads"}, []string{"version", "--threads", "two"}},
		{[]string{`"extra"`}, []string{"version", "extra"}},
		{[]string{"METHOD is missing", "gimbal methods"}, []string{"fit"}},
		{[]string{"METHOD is missing", "gimbal methods"}, []string{"apply"}},
		{[]string{`"mahalanobis"`, "did you mean detect/mahalanobis?"}, []string{"fit", "mahalanobis", "--train", "train.csv"}},
		{[]string{"--train FILE is missing"}, []string{"fit", "detect/mahalanobis", "-o", "m"}},
		{[]string{"-o MODEL is missing"}, []string{"fit", "detect/mahalanobis", "--train", "train.csv"}},
		{[]string{"--moments and --train"}, []string{"fit", "detect/mahalanobis", "--train", "train.csv", "--moments", "train.moments", "-o", "m"}},
		{[]string{"MODEL is missing"}, []string{"score"}},
		{[]string{"--in FILE is missing"}, []string{"score", "m"}},
		{[]string{`--higher "up"`}, []string{"score", "m", "--in", "new.csv", "--higher", "up"}},
		{[]string{`"tcsh"`}, []string{"completion", "tcsh"}},
		{[]string{`"nosuch"`}, []string{"methods", "nosuch"}},
		{[]string{`"nosuch thing"`}, []string{"help", "nosuch", "thing"}},
		{[]string{"--label"}, []string{"forget", "m", "--in", "gone.csv", "-o", "m"}},
	} {
		refused(t, 2, append(c.words, "--help"), c.args...)
	}
	// A parameter outside its range is a wrong call too; the method says which range.
	refused(t, 2, []string{"--ridge", "(0,1e6]"}, "fit", "detect/mahalanobis", "--train", "train.csv", "--label", "y", "-o", "m", "--ridge", "-1")
	refused(t, 2, []string{"--ridge", "many"}, "fit", "detect/mahalanobis", "--train", "train.csv", "--label", "y", "-o", "m", "--ridge", "many")
	refused(t, 2, []string{"--ridge", "(0,1e6]"}, "fit", "detect/mahalanobis", "--train", "train.csv", "--label", "y", "-o", "m", "--ridge", "0")
}

func TestQuiet(t *testing.T) {
	fixture(t)
	r := gimbal("moments", "train.csv", "--label", "y", "-o", "q.moments", "--quiet")
	if r.code != 0 || r.out != "" || r.errOut != "" {
		t.Errorf("%+v", r)
	}
}

func TestThreads(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	if out := must(t, "version", "--threads", "3"); !strings.Contains(out, "cores\t3\n") {
		t.Errorf("%s", out)
	}
	if now := runtime.GOMAXPROCS(0); now != before {
		t.Errorf("%d cores after the run, %d before", now, before)
	}
}

// toy is a method for what no real one does.
type toy struct {
	// Fail says how.
	Fail string `default:"panic" enum:"panic,wait"`
}

type toyModel struct{}

func (*toyModel) State() *data.Checkpoint { return &data.Checkpoint{} }

func (c toy) Fit(ctx context.Context, _ *data.Table) (*toyModel, error) {
	if c.Fail == "wait" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	panic("the toy broke")
}

var toys = method.Set{Family: "toys"}

var _ = toys.Add(method.Learned(method.Info{Title: "nothing"}, toy.Fit, func(toy, *data.Checkpoint) (*toyModel, error) { return nil, errors.New("no state") }))

func TestPanicAsksForAReport(t *testing.T) {
	fixture(t)
	var out, errOut bytes.Buffer
	code := run(t.Context(), toys.All(), []string{"fit", "toys/toy", "--train", "train.csv", "--label", "y", "-o", "m"}, strings.NewReader(""), &out, &errOut)
	checkRefusal(t, result{code, out.String(), errOut.String()}, 1, []string{"mistake of ours", "cli_test.go:", "the toy broke", "report it"}, nil)
}

func TestCancelledWhileFitting(t *testing.T) {
	fixture(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(interruption{os.Interrupt}) })
	var out, errOut bytes.Buffer
	code := run(ctx, toys.All(), []string{"fit", "toys/toy", "--fail", "wait", "--train", "train.csv", "--label", "y", "-o", "m"}, strings.NewReader(""), &out, &errOut)
	checkRefusal(t, result{code, out.String(), errOut.String()}, 130, []string{"interrupted"}, nil)
}

// endless is a table without end that calls stop after a while.
type endless struct {
	row   []byte
	lines int
	stop  func()
}

func (s *endless) Read(p []byte) (int, error) {
	if s.lines--; s.lines == 0 {
		s.stop()
	}
	n := 0
	for n+len(s.row) <= len(p) {
		n += copy(p[n:], s.row)
	}
	return n, nil
}

func TestInterruptedInTheMiddleOfAWrite(t *testing.T) {
	fixture(t)
	must(t, "fit", "detect/mahalanobis", "--train", "train.csv", "--label", "y", "-o", "m.gimbal")
	write(t, "kept.csv", "old content")
	for _, c := range []struct {
		signal os.Signal
		code   int
		args   []string
	}{
		{os.Interrupt, 130, []string{"score", "m.gimbal", "--in", "-", "-o", "scores.csv"}},
		{os.Interrupt, 130, []string{"score", "m.gimbal", "--in", "-", "-o", "kept.csv"}},
		{syscall.SIGTERM, 143, []string{"predict", "m.gimbal", "--in", "-", "-o", "predictions.tsv"}},
		{os.Interrupt, 130, []string{"moments", "-", "-o", "x.moments"}},
	} {
		before := names(t, ".")
		ctx, cancel := context.WithCancelCause(t.Context())
		in := io.MultiReader(strings.NewReader("a,b,c,d\n"), &endless{row: []byte("1,2,3,4\n"), lines: 3, stop: func() { cancel(interruption{c.signal}) }})
		r := gimbalIn(ctx, in, c.args...)
		checkRefusal(t, r, c.code, []string{"unfinished files are left out"}, c.args)
		if after := names(t, "."); after != before {
			t.Errorf("files were %s, are %s", before, after)
		}
	}
	if read(t, "kept.csv") != "old content" {
		t.Error("the old file was touched")
	}
}

// TestSignal sends a real signal to a real process that waits for input.
func TestSignal(t *testing.T) {
	bin := program(t)
	fixture(t)
	cmd := exec.Command(filepath.Join(bin, "gimbal"), "moments", "-", "-o", "x.moments")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(in, "a,b\n1,2\n3,4"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // so that it waits in Read
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		cmd.Process.Kill()
		t.Fatal("still waiting for input 10 s after the signal")
	}
	if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(errOut.String(), "interrupted") {
		t.Errorf("exit %d: %s", code, errOut.String())
	}
	if _, err := os.Stat("x.moments"); err == nil {
		t.Error("an unfinished state was left")
	}
}

// brokenPipe is an output that fails.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}
}

func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	fixture(t)
	must(t, "fit", "detect/mahalanobis", "--train", "train.csv", "--label", "y", "-o", "m.gimbal")
	full := []string{"/dev/full", "no space left"}
	refused(t, 1, full, "fit", "detect/mahalanobis", "--train", "train.csv", "--label", "y", "-o", "/dev/full")
	refused(t, 1, full, "moments", "train.csv", "--label", "y", "-o", "/dev/full")
	if err := os.Symlink("/dev/full", "full.csv"); err != nil {
		t.Fatal(err)
	}
	refused(t, 1, []string{"full.csv", "no space left"}, "score", "m.gimbal", "--in", "new.csv", "--label", "y", "-o", "full.csv")
	var errOut bytes.Buffer
	code := run(t.Context(), specs(), []string{"score", "m.gimbal", "--in", "new.csv", "--label", "y"}, strings.NewReader(""), brokenPipe{}, &errOut)
	checkRefusal(t, result{code, "", errOut.String()}, 1, []string{"standard output", "no space left"}, nil)
	// A folder that does not exist, and one that is no folder.
	refused(t, 1, []string{"none/m", "no such"}, "fit", "detect/mahalanobis", "--train", "train.csv", "--label", "y", "-o", "none/m")
	refused(t, 1, []string{"tasks", "directory"}, "moments", "train.csv", "--label", "y", "-o", "tasks")
}

func TestRowsGoOutBeforeTheInputEnds(t *testing.T) {
	// Constant memory, seen from outside: with 64 blocks read, the first scores are already out.
	fixture(t)
	must(t, "fit", "detect/mahalanobis", "--train", "train.csv", "--label", "y", "-o", "m.gimbal")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, writer := io.Pipe()
	go func() {
		row := strings.Repeat("1,2,3,4\n", data.BlockRows)
		io.WriteString(writer, "a,b,c,d\n")
		for ctx.Err() == nil {
			if _, err := io.WriteString(writer, row); err != nil {
				return
			}
		}
		writer.Close()
	}()
	outReader, outWriter := io.Pipe()
	done := make(chan int)
	go func() {
		var errOut bytes.Buffer
		done <- run(ctx, specs(), []string{"score", "m.gimbal", "--in", "-"}, reader, outWriter, &errOut)
		outWriter.Close()
	}()
	lines := bufio.NewScanner(outReader)
	for range 3 {
		if !lines.Scan() {
			t.Fatal("no scores")
		}
	}
	cancel()
	go io.Copy(io.Discard, outReader)
	if code := <-done; code != 130 {
		t.Errorf("exit %d", code)
	}
}

func TestProgressLine(t *testing.T) {
	p := &progress{what: "reading x.csv", unit: "rows", total: 4000, done: 1000}
	if got := p.text(2 * time.Second); got != "reading x.csv  1 000 rows  500 rows/s  25 %  ready in 6s" {
		t.Errorf("%q", got)
	}
	p.total = 0
	if got := p.text(100 * time.Millisecond); got != "reading x.csv  1 000 rows" {
		t.Errorf("%q", got)
	}
	var b strings.Builder
	e := &env{stderr: &b, errTerminal: true, width: 40}
	src := e.watch("reading", twoBlocks{}, 0)
	n := 0
	for b, err := range src.Blocks(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		rows, _ := b.Dims()
		n += rows
	}
	if n != 2 || src.rows != 2 || src.total != 2 {
		t.Errorf("%d rows, %d counted, %d expected the next time", n, src.rows, src.total)
	}
	if text := b.String(); !strings.HasPrefix(text, "\r\x1b[Kreading  1 rows") || !strings.HasSuffix(text, "\r\x1b[K") {
		t.Errorf("%q", text)
	}
	b.Reset()
	e.errTerminal = false
	for range e.watch("reading", twoBlocks{}, 0).Blocks(t.Context()) {
	}
	if b.String() != "" {
		t.Errorf("a pipe gets %q", b.String())
	}
}

type twoBlocks struct{}

func (twoBlocks) Replayable() bool { return true }
func (twoBlocks) Blocks(context.Context) iter.Seq2[*data.Table, error] {
	return func(yield func(*data.Table, error) bool) {
		t, err := data.NewTable(1, 1, []float32{1})
		if yield(t, err) {
			yield(t, err)
		}
	}
}

func TestInterruptibleReadsAll(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789"), 300000)
	got, err := io.ReadAll(&interruptible{ctx: t.Context(), in: bytes.NewReader(want)})
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d: %v", len(got), len(want), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	silent, _ := io.Pipe()
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := (&interruptible{ctx: ctx, in: silent}).Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("a silent pipe gives %v", err)
	}
}

func TestAlignedRows(t *testing.T) {
	var b strings.Builder
	w := &alignedWriter{e: &env{width: 60}, out: bufio.NewWriter(&b)}
	for _, n := range []int{1, 20} {
		if err := w.Write(rows.Strings("id", []string{strings.Repeat("x", n)}), rows.Floats("ood_score", []float64{1.5})); err != nil {
			t.Fatal(err)
		}
	}
	if want := "ID  OOD SCORE\nx         1.5\n" + strings.Repeat("x", 20) + "  1.5\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

func TestCompletionKnowsMethods(t *testing.T) {
	out := must(t, "__complete", "fit", "detect/maha")
	if !strings.HasPrefix(out, "detect/mahalanobis") {
		t.Errorf("%q", out)
	}
	if out := must(t, "__complete", "help", "detect/k"); !strings.HasPrefix(out, "detect/k") {
		t.Errorf("%q", out)
	}
}

// TestHelpOfAFamily: it says when to take which method, also where a command bears the family's name.
func TestHelpOfAFamily(t *testing.T) {
	for family, want := range map[string][]string{
		"detect":    {"how unfamiliar is this input", "detect/mahalanobis\n    takes                     features, labels"},
		"continual": {"Usage:\n  gimbal continual", "Which method of the family?", "continual/t3a\n    takes                     features, last layer"},
		"calibrate": {"calibrate/aps, calibrate/raps\n"},
	} {
		r := gimbal("help", family)
		for _, part := range want {
			if r.code != 0 || !strings.Contains(r.out, part) {
				t.Errorf("help %s: exit %d, no %q: %s%s", family, r.code, part, r.out, r.errOut)
			}
		}
	}
	if r := gimbal("help", "detect", "--json"); r.code != 0 || !strings.Contains(r.out, `"detect/mahalanobis"`) {
		t.Errorf("as JSON: exit %d: %.300s", r.code, r.out)
	}
}
