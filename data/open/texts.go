package open

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/csv"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// Text is one piece of text with what belongs to it; what the file does not have is "".
type Text struct {
	Text, Label, Group, ID string
}

// textColumns are names that a column with the text is known by.
var textColumns = []string{"text", "sentence", "utterance", "document", "content", "body", "message", "query", "question", "review", "title"}

// Texts reads text with labels, one piece at a time: a column of a CSV, TSV, JSON Lines or Parquet file, or the lines of a plain file.
//
// The column is Options.Text; without it, the only column of text that has no other role, or the one with a usual name (text,
// sentence, utterance, …). A file is taken for plain lines when Format is "lines", or when it is text that is neither JSON nor
// called .csv or .tsv, no column is asked for and its lines do not all have the same number of tabs. Empty lines are passed over.
//
// Errors are those of [Source]. The loop ends after the first.
func Texts(ctx context.Context, path string, o Options) iter.Seq2[Text, error] {
	return func(yield func(Text, error) bool) {
		in, err := openInput(path, o.Stdin)
		if err != nil {
			yield(Text{}, err)
			return
		}
		defer in.close()
		if in.isPlain(o) {
			err = in.plain(ctx, o, yield)
		} else {
			err = in.texts(ctx, o, yield)
		}
		if err != nil && err != errStopped {
			if !errors.Is(err, ctx.Err()) {
				err = in.named(err)
			}
			yield(Text{}, err)
		}
	}
}

// errStopped says that the loop wants no more.
var errStopped = errors.New("stopped")

func (in *input) isPlain(o Options) bool {
	if o.Format != "" || o.Text != "" {
		return o.Format == "lines"
	}
	e := extension(in.path)
	if format, err := sniff(in.head, in.path); err != nil || format != "csv" || e == "csv" {
		return false
	}
	if o.Label != "" || o.ID != "" || o.Group != "" {
		return false
	}
	r, err := csv.NewReader(bytes.NewReader(in.wholeLines()), csv.Options{})
	return err != nil || r.Delimiter() != '\t'
}

// wholeLines returns the head without the line that it may cut.
func (in *input) wholeLines() []byte {
	if len(in.head) < headSize {
		return in.head
	}
	return in.head[:bytes.LastIndexByte(in.head, '\n')+1]
}

// plain reads one text a line; labels and the like come from side files.
func (in *input) plain(ctx context.Context, o Options, yield func(Text, error) bool) error {
	if !isText(in.head) {
		return fmt.Errorf("is no text: %w", data.ErrFormat)
	}
	sides := roles{corpus: role{column: -1},
		label: role{what: "label", column: -1, path: o.Label},
		group: role{what: "group", column: -1, path: o.Group},
		id:    role{what: "id", column: -1, path: o.ID}}
	for _, r := range sides.all() {
		side, err := readSide(r.path, -1)
		if err != nil {
			return fmt.Errorf("%s: %w", r.what, err)
		}
		r.side = side
	}
	const longest = 16 << 20
	scanner := bufio.NewScanner(in.in)
	scanner.Buffer(nil, longest)
	n := 0
	for line := 1; scanner.Scan(); line++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		text := scanner.Text()
		if line == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		if strings.TrimSpace(text) == "" {
			continue
		}
		if err := sides.give(Text{Text: text}, nil, 0, n, yield); err != nil {
			return err
		}
		n++
	}
	if errors.Is(scanner.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("a line of more than %d bytes: %w", longest, data.ErrFormat)
	}
	if scanner.Err() != nil {
		return scanner.Err()
	}
	if n == 0 {
		return fmt.Errorf("holds no text: %w", data.ErrFormat)
	}
	return sides.finish(n)
}

// texts reads a table's column of text.
func (in *input) texts(ctx context.Context, o Options, yield func(Text, error) bool) error {
	r, _, err := in.reader(o)
	if err != nil {
		return err
	}
	p := &pass{in: in, r: r}
	o.Features, o.Targets = nil, nil
	if p.roles, err = assign(r, o); err != nil {
		return err
	}
	j, err := textColumn(r.Columns(), p.text, o)
	if err != nil {
		return err
	}
	p.corpus = role{what: "text", column: slices.Index(p.text, j)}
	if p.corpus.column < 0 {
		p.corpus.column = len(p.text)
		p.text = append(p.text, j)
	}
	if _, err := r.Select(nil, p.text); err != nil {
		return err
	}
	if err := p.readSides(); err != nil {
		return err
	}
	if c, ok := r.(*csv.Reader); ok {
		p.header = c.HasHeader()
	}
	const block = 1024
	var b rows.Block
	for done := 0; ; done += b.N {
		if err := ctx.Err(); err != nil {
			return err
		}
		b.Reset()
		if err := r.Read(&b, block); err == io.EOF {
			if err := p.end(done); err != io.EOF {
				return err
			}
			return nil
		} else if err != nil {
			return err
		}
		for i := range b.N {
			if err := p.give(Text{Text: b.Text[p.corpus.column][i]}, b.Text, i, done+i, yield); err != nil {
				return err
			}
		}
	}
}

// give adds what belongs to row i of the block, row n of the file, and hands the text over.
func (a *roles) give(t Text, block [][]string, i, n int, yield func(Text, error) bool) error {
	for _, to := range []struct {
		r *role
		s *string
	}{{&a.label, &t.Label}, {&a.group, &t.Group}, {&a.id, &t.ID}} {
		switch {
		case to.r.path == "" && to.r.column < 0:
		case to.r.path == "":
			*to.s = block[to.r.column][i]
		case n >= len(to.r.side):
			return fmt.Errorf("%w: %s has %d entries, there are more texts", data.ErrShape, to.r.path, len(to.r.side))
		default:
			*to.s = to.r.side[n]
		}
	}
	t.Label, t.Group = className(t.Label), className(t.Group)
	if !yield(t, nil) {
		return errStopped
	}
	return nil
}

// textColumn finds the column with the text; taken are the columns with other roles.
func textColumn(columns []rows.Column, taken []int, o Options) (int, error) {
	if o.Text != "" {
		j, err := find(columns, o.Text)
		if err == nil && j < 0 {
			err = missing(columns, "--text", o.Text, false, data.ErrFormat)
		}
		return j, err
	}
	var free, known []int
	for j, c := range columns {
		if slices.Contains(taken, j) || slices.Contains(o.Ignore, c.Name) || c.Index || c.Kind != rows.Text {
			continue
		}
		free = append(free, j)
		if slices.Contains(textColumns, strings.ToLower(c.Name)) {
			known = append(known, j)
		}
	}
	switch {
	case len(free) == 1:
		return free[0], nil
	case len(known) == 1:
		return known[0], nil
	}
	return 0, fmt.Errorf("which column holds the text? --text NAME chooses; columns are %s: %w", list(columns), data.ErrFormat)
}
