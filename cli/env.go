package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gimbal-ml/gimbal/method"
)

// env is what a command sees of the world: streams, methods, and the flags that all commands share.
type env struct {
	specs  []method.Spec
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer

	outTerminal, errTerminal bool
	width                    int // of the terminal, in characters

	json    bool
	quiet   bool
	threads int

	files []io.Closer // to be closed at the end
	line  *progress   // the progress line now on the terminal, or nil
}

func newEnv(ctx context.Context, specs []method.Spec, stdin io.Reader, stdout, stderr io.Writer) *env {
	e := &env{specs: specs, stdin: &interruptible{ctx: ctx, in: stdin}, stdout: &standardOutput{stdout}, stderr: stderr, width: 100}
	e.outTerminal, e.errTerminal = isTerminal(stdout), isTerminal(stderr)
	for _, w := range []io.Writer{stderr, stdout} {
		if f, ok := w.(*os.File); ok {
			if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 20 {
				e.width = width
			}
		}
	}
	return e
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// say tells the user something that is no data. Silent with --quiet.
func (e *env) say(format string, a ...any) {
	if !e.quiet {
		e.clearProgress()
		fmt.Fprintf(e.stderr, format+"\n", a...)
	}
}

// spec finds a method by its ID.
func (e *env) spec(id string) (method.Spec, bool) {
	i := slices.IndexFunc(e.specs, func(s method.Spec) bool { return s.ID() == id })
	if i < 0 {
		return method.Spec{}, false
	}
	return e.specs[i], true
}

// families lists the families that have methods, in the order of the catalog.
func (e *env) families() []string {
	var names []string
	for _, s := range e.specs {
		if !slices.Contains(names, s.Family) {
			names = append(names, s.Family)
		}
	}
	return names
}

// family returns a family's methods.
func (e *env) family(name string) []method.Spec {
	var list []method.Spec
	for _, s := range e.specs {
		if s.Family == name {
			list = append(list, s)
		}
	}
	return list
}

// standardOutput says in its errors what could not be written.
type standardOutput struct{ out io.Writer }

func (s *standardOutput) Write(p []byte) (int, error) {
	n, err := s.out.Write(p)
	if err != nil {
		err = fmt.Errorf("standard output: %w", plainCause(err))
	}
	return n, err
}

// matching is what of a list completes a word.
func matching(list []string, word string) ([]string, cobra.ShellCompDirective) {
	return slices.DeleteFunc(list, func(s string) bool { return !strings.HasPrefix(s, word) }), cobra.ShellCompDirectiveNoFileComp
}

// completeFlag has a shell offer the words that a flag may have.
func completeFlag(cmd *cobra.Command, flag string, words []string) {
	err := cmd.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
		return matching(slices.Clone(words), word)
	})
	if err != nil {
		panic(err) // a flag that the command does not have
	}
}

// interruptible is a reader that gives up waiting when its context ends: a pipe or a keyboard may be silent for ever.
type interruptible struct {
	ctx   context.Context
	in    io.Reader
	ask   chan []byte
	reply chan readResult
	left  []byte
	own   []byte
}

type readResult struct {
	n   int
	err error
}

func (r *interruptible) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.left) > 0 {
		n := copy(p, r.left)
		r.left = r.left[n:]
		return n, nil
	}
	if r.ask == nil {
		r.own = make([]byte, 1<<20) // the waiting reader must not write into memory that the caller took back
		r.ask, r.reply = make(chan []byte), make(chan readResult, 1)
		go func() {
			for b := range r.ask {
				n, err := r.in.Read(b)
				r.reply <- readResult{n, err}
			}
		}()
	}
	select {
	case r.ask <- r.own:
	case <-r.ctx.Done():
		return 0, r.ctx.Err()
	}
	select {
	case got := <-r.reply:
		n := copy(p, r.own[:got.n])
		r.left = r.own[n:got.n]
		if n > 0 {
			return n, nil // an error comes again with the next Read
		}
		return 0, got.err
	case <-r.ctx.Done():
		return 0, r.ctx.Err()
	}
}
