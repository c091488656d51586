package encode

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/idx"
	"github.com/gimbal-ml/gimbal/data/open"
)

// imageNames and soundNames are the endings of files that are taken from folders and archives.
var (
	imageNames = []string{".jpg", ".jpeg", ".png", ".gif"}
	soundNames = []string{".wav", ".wave"}
)

// Images lists the images in a path, in the order of their names: a folder with all below it, a zip archive, an IDX file (also .gz),
// or one JPEG, PNG or GIF. An image's id is its name in the folder or archive, or its number from 0 on in an IDX file; its label is
// the name of the folder that it lies in. Errors name the file.
func Images(from string) iter.Seq2[Sample, error] {
	return func(yield func(Sample, error) bool) {
		head, err := beginning(from)
		if err == nil && (idx.Is(head) || bytes.HasPrefix(head, []byte("\x1f\x8b"))) {
			idxImages(from, yield)
			return
		}
		files(from, head, err, imageNames, yield)
	}
}

// Sounds lists the WAV files in a path, as [Images] lists images: a folder, a zip archive or one file.
func Sounds(from string) iter.Seq2[Sample, error] {
	return func(yield func(Sample, error) bool) {
		head, err := beginning(from)
		files(from, head, err, soundNames, yield)
	}
}

// Texts lists the texts of a file: see [open.Texts]. Without ids they are numbered from 0 on.
func Texts(ctx context.Context, from string, o open.Options) iter.Seq2[Sample, error] {
	return func(yield func(Sample, error) bool) {
		row := 0
		for text, err := range open.Texts(ctx, from, o) {
			s := Sample{Name: fmt.Sprintf("%s, text %d", from, row+1), ID: text.ID, Label: text.Label, Text: text.Text}
			if s.ID == "" {
				s.ID = strconv.Itoa(row)
			}
			row++
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

// beginning returns a file's first bytes; nothing for a folder.
func beginning(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 4)
	n, err := io.ReadFull(f, head)
	if err == io.EOF {
		return nil, fmt.Errorf("%s: is empty: %w", path, data.ErrFormat)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return head[:n], err
}

// files lists a folder, an archive or one file.
func files(from string, head []byte, err error, endings []string, yield func(Sample, error) bool) {
	var folder fs.FS
	switch {
	case err != nil:
		yield(Sample{}, err)
		return
	case head == nil:
		folder = os.DirFS(from)
	case bytes.HasPrefix(head, []byte("PK")):
		archive, err := zip.OpenReader(from)
		if err != nil {
			yield(Sample{}, fmt.Errorf("%s: %w as a zip archive: %w", from, data.ErrFormat, err))
			return
		}
		folder = archive // samples are read after the list has ended: the file closes itself when the last of them is gone
	default:
		yield(Sample{Name: from, ID: filepath.Base(from), Read: func() ([]byte, error) { return readAll(os.DirFS(filepath.Dir(from)), filepath.Base(from)) }}, nil)
		return
	}
	var names []string
	err = fs.WalkDir(folder, ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && slices.Contains(endings, strings.ToLower(path.Ext(name))) && !hidden(name) {
			names = append(names, name)
		}
		return err
	})
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("%w: no file ends in %s", data.ErrFormat, strings.Join(endings, ", "))
	}
	if err != nil {
		yield(Sample{}, fmt.Errorf("%s: %w", from, err))
		return
	}
	slices.Sort(names)
	for _, name := range names {
		s := Sample{Name: from + "/" + name, ID: name, Read: func() ([]byte, error) { return readAll(folder, name) }}
		if dir := path.Dir(name); dir != "." {
			s.Label = path.Base(dir)
		}
		if !yield(s, nil) {
			return
		}
	}
}

// hidden reports whether a name, or a folder on its way, begins with a dot, or is what macOS adds to archives.
func hidden(name string) bool {
	return slices.ContainsFunc(strings.Split(name, "/"), func(s string) bool { return strings.HasPrefix(s, ".") || s == "__MACOSX" })
}

// mostBytes is the largest file that is decoded.
const mostBytes = 1 << 30

func readAll(folder fs.FS, name string) ([]byte, error) {
	f, err := folder.Open(name)
	if err != nil {
		return nil, plain(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, mostBytes+1))
	if err != nil {
		return nil, plain(err)
	}
	if len(raw) > mostBytes {
		return nil, fmt.Errorf("%w: more than %d bytes", data.ErrFormat, mostBytes)
	}
	return raw, nil
}

// plain is what a file system found wrong, without the path, which the sample's name says.
func plain(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func idxImages(from string, yield func(Sample, error) bool) {
	fail := func(err error) { yield(Sample{}, fmt.Errorf("%s: %w", from, plain(err))) }
	f, err := os.Open(from)
	if err != nil {
		fail(err)
		return
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<16)
	if head, _ := in.Peek(2); bytes.Equal(head, []byte("\x1f\x8b")) {
		z, err := gzip.NewReader(in)
		if err != nil {
			fail(fmt.Errorf("the gzip data are damaged (%w): %w", err, data.ErrFormat))
			return
		}
		in = bufio.NewReaderSize(z, 1<<16)
	}
	images, err := idx.NewImages(in)
	if err != nil {
		fail(err)
		return
	}
	for i := range images.N {
		pixels, err := images.Next()
		if err != nil {
			fail(err)
			return
		}
		id := strconv.Itoa(i)
		if !yield(Sample{Name: from + ", image " + id, ID: id, Picture: &Picture{H: images.H, W: images.W, C: 1, Pixels: pixels}}, nil) {
			return
		}
	}
}

// Values lists the rows of a table as samples: what a network without a front end reads. Ids and labels are the table's; without ids,
// rows are numbered from 0 on.
func Values(ctx context.Context, from string, o open.Options) iter.Seq2[Sample, error] {
	return func(yield func(Sample, error) bool) {
		src, err := open.Source(from, o)
		if err != nil {
			yield(Sample{}, err)
			return
		}
		defer src.Close()
		row := 0
		for t, err := range src.Blocks(ctx) {
			if err != nil {
				yield(Sample{}, err)
				return
			}
			n, _ := t.Dims()
			for i := range n {
				s := Sample{Name: fmt.Sprintf("%s, row %d", from, row+1), ID: strconv.Itoa(row), Values: slices.Clone(t.Row(i))}
				if t.IDs() != nil {
					s.ID = t.IDs()[i]
				}
				if t.HasLabels() {
					s.Label = t.ClassName(i)
				}
				row++
				if !yield(s, nil) {
					return
				}
			}
		}
	}
}

// Labels are the entries of a file with one a sample: IDX, .npy, one column of CSV, or text with one a line.
func Labels(ctx context.Context, from string) ([]string, error) {
	var labels []string
	head, err := beginning(from)
	if err != nil {
		return nil, err
	}
	if isWords := len(head) > 0 && head[0] >= ' ' && head[0] < 0x7f; isWords {
		raw, err := os.ReadFile(from)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(raw)) {
			labels = append(labels, strings.TrimRight(line, "\r\n"))
		}
		return labels, nil
	}
	src, err := open.Source(from, open.Options{})
	if err != nil {
		return nil, err
	}
	defer src.Close()
	for t, err := range src.Blocks(ctx) {
		if err != nil {
			return nil, err
		}
		n, d := t.Dims()
		if d != 1 {
			return nil, fmt.Errorf("%s: %w: %d columns, want one with labels", from, data.ErrShape, d)
		}
		for i := range n {
			labels = append(labels, strconv.FormatFloat(float64(t.Row(i)[0]), 'g', -1, 32))
		}
	}
	return labels, nil
}

// Labelled gives samples the labels of a list, in order. Errors: ErrShape when there are more samples than labels, or fewer.
func Labelled(samples iter.Seq2[Sample, error], labels []string, from string) iter.Seq2[Sample, error] {
	return func(yield func(Sample, error) bool) {
		i := 0
		for s, err := range samples {
			if err == nil && i == len(labels) {
				err = fmt.Errorf("%s: %w: %d labels for more samples", from, data.ErrShape, len(labels))
			}
			if err != nil {
				yield(s, err)
				return
			}
			s.Label = labels[i]
			i++
			if !yield(s, nil) {
				return
			}
		}
		if i < len(labels) {
			yield(Sample{}, fmt.Errorf("%s: %w: %d labels for %d samples", from, data.ErrShape, len(labels), i))
		}
	}
}
