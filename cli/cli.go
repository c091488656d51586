// Package cli is the command line: it turns words into calls of the packages below and their results into text.
//
// Data goes to standard output, talk to standard error. A listing is aligned on a terminal, tab-separated in a pipe, and
// JSON with --json. Exit codes: 0 done, 1 failed, 2 called wrongly, 3 a gate did not hold (drift found, a claim fails),
// 130 interrupted (143 when by SIGTERM). A file is written whole or not at all.
//
// One command a file: newXCommand builds its flags, runX does its work. No command knows a method by name: flags, help and
// inputs are read off [method.Spec].
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/gimbal-ml/gimbal/method"
)

// Main runs the program on the process's own arguments and streams, with the given methods, and returns its exit code.
// The first Ctrl-C or SIGTERM stops the work in order, a second one at once.
func Main(specs []method.Spec) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		s := <-signals
		signal.Stop(signals)
		cancel(interruption{s})
	}()
	return run(ctx, specs, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// run is Main with everything that it takes from the process named: the seam for tests.
func run(ctx context.Context, specs []method.Spec, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	e := newEnv(ctx, specs, stdin, stdout, stderr)
	defer e.closeFiles()
	defer func() {
		if r := recover(); r != nil {
			e.clearProgress()
			fmt.Fprintln(stderr, bugReport(r))
			code = exitFailed
		}
	}()
	cores := runtime.GOMAXPROCS(0)
	defer func() {
		if e.threads > 0 {
			runtime.GOMAXPROCS(cores)
		}
	}()
	root := newRootCommand(e)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	e.clearProgress()
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause // whatever failed did so because it was stopped
		}
		fmt.Fprintln(stderr, "gimbal: "+oneLine(err))
	}
	return exitCode(err)
}

// bugReport is what a panic, which only our own mistakes cause, says to the user.
func bugReport(r any) string {
	where := ""
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for panicked := false; ; {
		f, more := frames.Next()
		if panicked && !strings.HasPrefix(f.Function, "runtime.") { // what called panic, or broke a law of the language
			where = fmt.Sprintf(" at %s:%d", path.Base(f.File), f.Line)
			break
		}
		panicked = panicked || f.Function == "runtime.gopanic"
		if !more {
			break
		}
	}
	text := fmt.Sprintf("gimbal: a mistake of ours, not yours%s: %v. Please report it with the command line (GIMBAL_TRACE=1 prints more).", where, r)
	if os.Getenv("GIMBAL_TRACE") != "" {
		text += "\n" + string(debug.Stack())
	}
	return text
}
