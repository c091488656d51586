package open

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/data/csv"
	"github.com/gimbal-ml/gimbal/data/jsonl"
	"github.com/gimbal-ml/gimbal/data/npy"
	"github.com/gimbal-ml/gimbal/data/parquet"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// WriteOptions say how to write. The zero value goes by the path.
type WriteOptions struct {
	Format string    // one of [WriteFormats]; empty goes by the extension, tsv for "-"
	Stdout io.Writer // what the path "-" writes; nil is the standard output
}

// WriteFormats are the formats that tables are written in.
var WriteFormats = []string{"csv", "tsv", "jsonl", "parquet", "npy", "npz"}

// Writer writes a table of results piece by piece. What is not committed leaves no trace.
type Writer struct {
	ctx    context.Context
	name   string
	format string
	codec  rows.Writer
	flush  []func() error // from the codec outwards
	file   *atomic.File   // nil for the standard output
}

// CreateTable starts a table that will replace path: .csv, .tsv, .jsonl (also .gz and .zst), .parquet, .npy or .npz; "-" is the
// standard output, for CSV, TSV and JSON Lines. Call Write with columns, then Commit; a deferred Abort cleans up after everything else.
// Errors: ErrWrite on a format that is not known or does not fit; what the disk says.
func CreateTable(ctx context.Context, path string, o WriteOptions) (*Writer, error) {
	w := &Writer{ctx: ctx, name: path, format: o.Format}
	if w.format == "" {
		w.format = extension(path)
		if w.format == "ndjson" {
			w.format = "jsonl"
		}
	}
	if path == "-" {
		if err := w.standardOutput(o); err != nil {
			return nil, err
		}
		return w, nil
	}
	if err := w.known(path); err != nil {
		return nil, err
	}
	file, err := atomic.Create(path)
	if err != nil {
		return nil, err
	}
	w.file = file
	if err := w.start(path); err != nil {
		file.Abort()
		return nil, err
	}
	return w, nil
}

// known refuses a format before there is a file.
func (w *Writer) known(path string) error {
	binary := false
	switch w.format {
	case "csv", "tsv", "jsonl":
	case "parquet", "npy", "npz":
		binary = true
	default:
		return fmt.Errorf("%s: format %q is not known, want one of %s: %w", path, w.format, strings.Join(WriteFormats, ", "), rows.ErrWrite)
	}
	if binary && packing(path) != "" {
		return fmt.Errorf("%s: %s is not written in %s; leave that off: %w", path, w.format, packing(path), rows.ErrWrite)
	}
	return nil
}

func packing(path string) string {
	for _, p := range []string{".gz", ".zst"} {
		if strings.HasSuffix(strings.ToLower(path), p) {
			return p
		}
	}
	return ""
}

func (w *Writer) standardOutput(o WriteOptions) error {
	if w.name = "standard output"; o.Format == "" {
		w.format = "tsv"
	}
	out := o.Stdout
	if out == nil {
		out = os.Stdout
	}
	switch w.format {
	case "csv":
		w.codec = csv.NewWriter(out, ',')
	case "tsv":
		w.codec = csv.NewWriter(out, '\t')
	case "jsonl":
		w.codec = jsonl.NewWriter(out)
	default:
		return fmt.Errorf("standard output takes csv, tsv and jsonl, not %q; write a file: %w", w.format, rows.ErrWrite)
	}
	return nil
}

// start puts compression and codec on the file.
func (w *Writer) start(path string) error {
	buffered := bufio.NewWriterSize(w.file, 1<<18)
	var out io.Writer = buffered
	w.flush = []func() error{buffered.Flush}
	switch packing(path) {
	case ".gz":
		z := gzip.NewWriter(buffered)
		out, w.flush = z, []func() error{z.Close, buffered.Flush}
	case ".zst":
		z, err := zstd.NewWriter(buffered, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return err
		}
		out, w.flush = z, []func() error{z.Close, buffered.Flush}
	}
	switch w.format {
	case "csv":
		w.codec = csv.NewWriter(out, ',')
	case "tsv":
		w.codec = csv.NewWriter(out, '\t')
	case "jsonl":
		w.codec = jsonl.NewWriter(out)
	case "parquet":
		w.codec = parquet.NewWriter(out)
	case "npz":
		w.codec = npy.NewArchiveWriter(out, filepath.Dir(path))
	case "npy":
		w.codec = npy.NewWriter(w.file) // buffers by itself, and goes back to the header
	}
	return nil
}

// Write appends rows: columns of equal length, in every call the same names and kinds.
// Errors: ErrShape on other columns or lengths, ErrFinite on NaN and infinities (with row and column), ErrWrite on what the format
// cannot hold; ctx's when it is cancelled.
func (w *Writer) Write(columns ...rows.Values) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	return w.named(w.codec.Write(columns...))
}

func (w *Writer) named(err error) error {
	if err == nil || strings.HasPrefix(err.Error(), w.name+": ") {
		return err
	}
	return fmt.Errorf("%s: %w", w.name, err)
}

// Commit finishes the table and gives it its name. After an error, and when ctx is cancelled, the old file is as it was.
func (w *Writer) Commit() error {
	defer w.Abort()
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if err := w.codec.Close(); err != nil {
		return w.named(err)
	}
	for _, flush := range w.flush {
		if err := flush(); err != nil {
			return w.named(err)
		}
	}
	if w.file == nil {
		return nil
	}
	return w.file.Commit()
}

// Abort removes what was written. After Commit it does nothing.
func (w *Writer) Abort() {
	if a, ok := w.codec.(*npy.ArchiveWriter); ok {
		a.Abort()
	}
	if w.file != nil {
		w.file.Abort()
	}
}
