package open

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/csv"
	"github.com/gimbal-ml/gimbal/data/internal/scan"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// readSide reads a file with one entry a row. rows is how many the table has, −1 when unknown: it tells whether a first line of
// text is a header.
func readSide(path string, rows int) ([]string, error) {
	in, err := openInput(path, nil)
	if err != nil {
		return nil, err
	}
	defer in.close()
	format, err := sniff(in.head, path)
	if err != nil {
		return nil, in.named(err)
	}
	var entries []string
	switch format {
	case "npy", "idx":
		r, err := in.decode(format, csv.Find)
		if err != nil {
			return nil, in.named(err)
		}
		entries, err = column(r)
		if err != nil {
			return nil, in.named(err)
		}
	case "csv", "tsv":
		all, err := io.ReadAll(in.in)
		if err == nil {
			entries, err = lines(all, path, rows)
		}
		if err != nil {
			return nil, in.named(err)
		}
	default:
		return nil, in.named(fmt.Errorf("one entry a row is read from .npy, IDX, CSV with one column or lines of text: %w", data.ErrFormat))
	}
	if rows >= 0 && len(entries) != rows {
		return nil, fmt.Errorf("%w: %s has %d entries for %d rows", data.ErrShape, path, len(entries), rows)
	}
	return entries, nil
}

// column reads the only column of a table as text.
func column(r rows.Reader) ([]string, error) {
	if _, err := r.Select(nil, []int{0}); err != nil {
		return nil, err
	}
	var b rows.Block
	for {
		if err := r.Read(&b, data.BlockRows); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
	}
	if len(b.Text) == 0 {
		return nil, fmt.Errorf("holds no entries: %w", data.ErrFormat)
	}
	return b.Text[0], nil
}

// lines reads one entry a line; an empty line is an entry without a value. In a .csv or .tsv file an entry may stand in quotes.
func lines(all []byte, path string, rows int) ([]string, error) {
	delimited := extension(path) == "csv" || extension(path) == "tsv"
	if delimited {
		if r, err := csv.NewReader(bytes.NewReader(all), csv.Options{}); err == nil && len(r.Columns()) > 1 {
			return nil, fmt.Errorf("has %d columns, want one entry a line: %w", len(r.Columns()), data.ErrFormat)
		}
	}
	text := strings.TrimSuffix(strings.TrimPrefix(string(all), "\ufeff"), "\n")
	entries := strings.Split(text, "\n")
	for i, s := range entries {
		s = strings.TrimSuffix(s, "\r")
		if delimited && len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
			s = strings.ReplaceAll(s[1:len(s)-1], `""`, `"`)
		}
		entries[i] = s
	}
	if hasHeader(entries, rows) {
		entries = entries[1:]
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("holds no entries: %w", data.ErrFormat)
	}
	return entries, nil
}

// headers are first lines that are taken for a header.
var headers = []string{"label", "labels", "class", "classes", "target", "targets", "y", "category", "intent", "group", "groups", "id", "ids"}

func hasHeader(entries []string, rows int) bool {
	if rows >= 0 { // one line too many, or as many lines as rows
		return len(entries) == rows+1
	}
	first := strings.ToLower(strings.TrimSpace(entries[0]))
	if slices.Contains(headers, first) {
		return true
	}
	return len(entries) > 1 && first != "" && !scan.IsNumber([]byte(first)) && scan.IsNumber([]byte(entries[1]))
}
