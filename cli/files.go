package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/data/safetensors"
)

// errNoRows is what an input without rows is.
var errNoRows = fmt.Errorf("%w as a table: no rows", data.ErrFormat)

// tableFlags say which columns of a table are what: the same flags for every command that reads tables.
type tableFlags struct {
	label, group, id         string
	target, ignore, features []string
	format, header           string
	masked                   bool // features are logits, of which −Inf is one that is masked out
}

func (f *tableFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.label, "label", "", "`COLUMN` with the class of each row, an empty cell is no class; or a file with an entry a row")
	flags.StringVar(&f.group, "group", "", "`COLUMN` with the group (customer, patient, site) of each row")
	flags.StringVar(&f.id, "id", "", "`COLUMN` with the name of each row, which goes along into the output")
	flags.StringSliceVar(&f.target, "target", nil, "`COLUMNS` with numbers to regress on, separated by commas")
	flags.StringSliceVar(&f.ignore, "ignore", nil, "`COLUMNS` to leave out, separated by commas")
	flags.StringSliceVar(&f.features, "features", nil, "`COLUMNS` to use, separated by commas; by default those of the model, or all that are left")
	flags.StringVar(&f.format, "format", "", "`FORMAT` of the input: "+joined(open.Formats)+"; found by its content by default")
	flags.StringVar(&f.header, "header", "", "`yes` or no: whether the first row of CSV and TSV holds names; found out by default")
}

func (f *tableFlags) options() open.Options {
	return open.Options{Format: f.format, Header: f.header, Features: f.features, Ignore: f.ignore, Label: f.label, Targets: f.target, Group: f.group, ID: f.id, Masked: f.masked}
}

// openSource opens tables as one stream whose progress is shown; "-" is standard input. fitted are the columns of a model or
// a state: where a file has names, those are the features, whatever else it holds.
func (e *env) openSource(_ context.Context, paths []string, flags *tableFlags, fitted []string) (*watched, error) {
	var all joinedSources
	total := 0
	for i, path := range paths {
		if path == "-" && slices.Contains(paths[i+1:], "-") {
			return nil, &usageError{"standard input (-) can be read only once"}
		}
		src, err := e.openTable(path, flags.options(), fitted)
		if err != nil {
			return nil, err
		}
		all = append(all, src)
		if n := src.Rows(); n < 0 || total < 0 {
			total = -1
		} else {
			total += n
		}
	}
	w := e.watch("reading "+listed(paths), all, total)
	w.paths, w.idName = paths, flags.id
	return w, nil
}

// openFor opens tables for a model to be asked about.
func (e *env) openFor(ctx context.Context, m *model, paths []string, flags *tableFlags) (*watched, error) {
	own := *flags
	own.masked = m.spec.Inputs[0].Name == logitSlot
	return e.openSource(ctx, paths, &own, m.columns)
}

// openTable opens one table. Unless the user names features, it looks for the fitted ones by name; a file without names is taken as it is.
// Errors: those of [open.Source]; ErrShape when a file with names lacks some of the fitted ones.
func (e *env) openTable(path string, o open.Options, fitted []string) (*open.Stream, error) {
	pipe := &recorder{in: e.stdin}
	o.Stdin = pipe
	if len(o.Features) > 0 || fitted == nil {
		pipe.keep = false
		return open.Source(path, o)
	}
	o.Features, pipe.keep = fitted, true
	src, err := open.Source(path, o)
	if err == nil {
		pipe.forget()
		return src, nil
	}
	o.Features, o.Stdin = nil, pipe.again()
	plain, other := open.Source(path, o)
	if other != nil {
		return nil, err
	}
	names := plain.Columns()
	if names == nil {
		return plain, nil
	}
	plain.Close()
	for _, name := range fitted {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("%s: %w: column %q is missing, one of %d that were learned from; have %d columns: %s", path, data.ErrShape, name, len(fitted), len(names), some(names))
		}
	}
	return nil, err
}

// recorder keeps what was read from a pipe, so that reading can begin again.
type recorder struct {
	mutex sync.Mutex
	in    io.Reader
	seen  []byte
	keep  bool
	ended bool
}

func (r *recorder) Read(p []byte) (int, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.ended {
		return 0, io.EOF
	}
	n, err := r.in.Read(p)
	if r.keep {
		r.seen = append(r.seen, p[:n]...)
	}
	return n, err
}

// forget ends the recording and lets reading go on.
func (r *recorder) forget() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.keep, r.seen = false, nil
}

// again ends this reader, also for a goroutine that still holds it, and returns one that begins at the first byte.
func (r *recorder) again() io.Reader {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.ended = true
	return io.MultiReader(bytes.NewReader(r.seen), r.in)
}

// readCheckpoint opens a checkpoint, whose tensors are read when they are asked for; the file is closed when the command ends.
func (e *env) readCheckpoint(path string) (*data.Checkpoint, error) {
	c, file, err := open.Checkpoint(path)
	if err != nil {
		return nil, err
	}
	e.files = append(e.files, file)
	return c, nil
}

// closeFiles closes what readCheckpoint opened.
func (e *env) closeFiles() {
	for _, f := range e.files {
		f.Close() // only read from
	}
	e.files = nil
}

// shardBytes is how large the files of a checkpoint in shards get, as elsewhere.
const shardBytes = 5 << 30

// writeCheckpoint writes a safetensors file, whole or not at all; "-" is standard output. A path that ends in
// .safetensors.index.json gets shards.
func (e *env) writeCheckpoint(ctx context.Context, path string, c *data.Checkpoint) error {
	if path == "-" {
		return safetensors.Write(&stoppable{ctx, e.stdout}, c)
	}
	if strings.HasSuffix(path, indexEnd) {
		return open.WriteCheckpoint(ctx, path, c, shardBytes)
	}
	return atomic.Write(path, func(w io.Writer) error { return safetensors.Write(&stoppable{ctx, w}, c) })
}

// stoppable is a writer that fails when its context has ended, so that an interrupted file is not finished.
type stoppable struct {
	ctx context.Context
	out io.Writer
}

func (s *stoppable) Write(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.out.Write(p)
}

// size returns a file's bytes.
func (e *env) size(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, plainCause(err))
	}
	return info.Size(), nil
}

// plainCause is what package os found wrong, without the operation and the path.
func plainCause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// named puts the files before an error that does not name them yet.
func named(paths []string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	for _, p := range paths {
		if strings.Contains(err.Error(), p) {
			return err
		}
	}
	return fmt.Errorf("%s: %w", listed(paths), err)
}

// joined lists words in a message.
func joined(words []string) string { return strings.Join(words, ", ") }

// isTableName reports whether a file's name is that of a table.
func isTableName(name string) bool {
	name = strings.TrimSuffix(name, ".gz")
	for _, end := range []string{".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".parquet", ".npy", ".npz", ".safetensors"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}
