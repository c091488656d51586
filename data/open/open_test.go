package open

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// put writes a file for a test and returns its path.
func put(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := name
	if !filepath.IsAbs(name) {
		path = filepath.Join(t.TempDir(), name)
	}
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func squeeze(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

func squeezeZstd(t testing.TB, b []byte) []byte {
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return e.EncodeAll(b, nil)
}

// sample is a table with all that a table can have, longer than a block.
func sample(t testing.TB, n, d int) *data.Table {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, n*d)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	labels, ids, groups, y := make([]string, n), make([]string, n), make([]string, n), make([]float64, n)
	for i := range n {
		labels[i] = []string{"cat", "ant", "", "a \"b\", c"}[r.IntN(4)]
		ids[i], groups[i], y[i] = fmt.Sprint("row", i), fmt.Sprint("g", i%3), r.NormFloat64()
	}
	tab, err := data.NewTable(n, d, x)
	for _, step := range []func(*data.Table) (*data.Table, error){
		func(u *data.Table) (*data.Table, error) { return u.WithClassNames(labels) },
		func(u *data.Table) (*data.Table, error) { return u.WithIDs(ids) },
		func(u *data.Table) (*data.Table, error) { return u.WithGroups(groups) },
		func(u *data.Table) (*data.Table, error) { return u.WithTargets([][]float64{y}) },
	} {
		if err == nil {
			tab, err = step(tab)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// same fails unless two tables hold the same rows.
func same(t *testing.T, what string, got, want *data.Table) {
	t.Helper()
	n, d := got.Dims()
	if m, e := want.Dims(); n != m || d != e {
		t.Fatalf("%s: %d×%d, want %d×%d", what, n, d, m, e)
	}
	if !slices.Equal(got.X(), want.X()) {
		t.Errorf("%s: other features", what)
	}
	for i := range n {
		if got.ClassName(i) != want.ClassName(i) {
			t.Fatalf("%s: row %d is %q, want %q", what, i, got.ClassName(i), want.ClassName(i))
		}
	}
	if !slices.Equal(got.IDs(), want.IDs()) || !slices.Equal(got.Groups(), want.Groups()) {
		t.Errorf("%s: other ids or groups", what)
	}
	if len(got.Targets()) != len(want.Targets()) {
		t.Fatalf("%s: %d targets", what, len(got.Targets()))
	}
	for k := range want.Targets() {
		if !slices.Equal(got.Targets()[k], want.Targets()[k]) {
			t.Errorf("%s: other targets", what)
		}
	}
}

func TestEveryFormatRoundTrips(t *testing.T) {
	want := sample(t, data.BlockRows+10, 5)
	named, err := want.WithColumns([]string{"a", "b c", "d", "e,f", "g"})
	if err != nil {
		t.Fatal(err)
	}
	for _, ext := range []string{"csv", "tsv", "jsonl", "parquet", "npz", "csv.gz", "tsv.zst", "jsonl.gz"} {
		for _, tab := range []*data.Table{want, named} {
			what := fmt.Sprint(ext, " named ", tab.Columns() != nil)
			path := filepath.Join(t.TempDir(), "t."+ext)
			if err := WriteTable(t.Context(), path, tab, WriteOptions{}); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			o := Options{Label: "label", ID: "id", Group: "group", Targets: []string{"target"}}
			if ext == "npz" {
				o.Label = "y"
			}
			got, err := Table(t.Context(), path, o)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			same(t, what, got, tab)
			if classes := []string{`a "b", c`, "ant", "cat"}; !slices.Equal(got.Classes(), classes) {
				t.Errorf("%s: classes %q", what, got.Classes())
			}
			if tab.Columns() != nil && ext != "npz" && !slices.Equal(got.Columns(), tab.Columns()) {
				t.Errorf("%s: columns %q", what, got.Columns())
			}
			src, err := Source(path, o)
			if err != nil {
				t.Fatal(err)
			}
			if rows := src.Rows(); rows != -1 && rows != data.BlockRows+10 {
				t.Errorf("%s: %d rows", what, rows)
			}
			var classes []string
			for range 2 { // twice: a file is replayable, and classes keep their numbers
				streamed, err := data.Collect(t.Context(), src)
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				same(t, what+" streamed", streamed, tab)
				if classes != nil && !slices.Equal(classes, streamed.Classes()) {
					t.Errorf("%s: classes changed from %q to %q", what, classes, streamed.Classes())
				}
				classes = streamed.Classes()
			}
			if !src.Replayable() || src.Close() != nil || src.Width() != 5 {
				t.Errorf("%s: replayable %v, width %d", what, src.Replayable(), src.Width())
			}
		}
	}
	t.Run("npy", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "t.npy")
		if err := WriteTable(t.Context(), path, want, WriteOptions{}); !errors.Is(err, rows.ErrWrite) || !strings.Contains(err.Error(), "write .npz") {
			t.Errorf("labels into .npy: %v", err)
		}
		bare, _ := data.NewTable(data.BlockRows+10, 5, want.X())
		if err := WriteTable(t.Context(), path, bare, WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		got, err := Table(t.Context(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "npy", got, bare)
	})
}

func TestWholeLabelsStayNumbers(t *testing.T) {
	tab, _ := data.NewTable(3, 1, []float32{1, 2, 3})
	tab, _ = tab.WithClassNames([]string{"10", "2", "10"})
	path := filepath.Join(t.TempDir(), "t.jsonl")
	if err := WriteTable(t.Context(), path, tab, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); !bytes.Contains(b, []byte(`"label":10}`)) {
		t.Errorf("%s", b)
	}
}

func TestBlocksAreBlockRows(t *testing.T) {
	n := 2*data.BlockRows + 1
	path := filepath.Join(t.TempDir(), "t.csv")
	tab, _ := data.NewTable(n, 2, make([]float32, 2*n))
	if err := WriteTable(t.Context(), path, tab, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	src, err := Source(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for b, err := range src.Blocks(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		k, _ := b.Dims()
		sizes = append(sizes, k)
	}
	if !slices.Equal(sizes, []int{data.BlockRows, data.BlockRows, 1}) {
		t.Errorf("blocks of %v rows", sizes)
	}
	if blockRows(1<<20) != 16 || blockRows(1<<30) != 1 || blockRows(2048) != data.BlockRows {
		t.Error("wide tables need smaller blocks")
	}
	for range src.Blocks(t.Context()) {
		break // leaves the file closed
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range src.Blocks(ctx) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
}

func TestStandardInput(t *testing.T) {
	text := "a,b,y\n1,2,x\n3,4,z\n"
	for name, b := range map[string][]byte{"plain": []byte(text), "gzip": squeeze([]byte(text)), "zstd": squeezeZstd(t, []byte(text))} {
		src, err := Source("-", Options{Label: "y", Stdin: bytes.NewReader(b)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if src.Replayable() || src.Rows() != -1 {
			t.Errorf("%s: a pipe is replayable %v, rows %d", name, src.Replayable(), src.Rows())
		}
		got, err := data.Collect(t.Context(), src)
		if err != nil || !slices.Equal(got.X(), []float32{1, 2, 3, 4}) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := data.Collect(t.Context(), src); !errors.Is(err, data.ErrFormat) || !strings.Contains(err.Error(), "only once") {
			t.Errorf("%s: read twice: %v", name, err)
		}
	}
	// Formats that seek are read whole from a pipe.
	want := sample(t, 20, 3)
	for _, ext := range []string{"parquet", "npz"} {
		path := filepath.Join(t.TempDir(), "t."+ext)
		if err := WriteTable(t.Context(), path, want, WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		b, _ := os.ReadFile(path)
		got, err := Table(t.Context(), "-", Options{Stdin: io.MultiReader(bytes.NewReader(b))})
		if err != nil || !slices.Equal(got.X(), want.X()) {
			t.Errorf("%s: %v", ext, err)
		}
		if _, err := Table(t.Context(), "-", Options{Stdin: strings.NewReader("")}); err == nil || !strings.Contains(err.Error(), "standard input: is empty") {
			t.Errorf("empty: %v", err)
		}
	}
}

func TestLabels(t *testing.T) {
	dir := t.TempDir()
	at := func(name, content string) string { return put(t, filepath.Join(dir, name), []byte(content)) }
	table := at("x.csv", "a,b,y\n1,2,1.0\n3,4,0\n5,6,1\n")
	names := func(o Options) string {
		t.Helper()
		got, err := Table(t.Context(), table, o)
		if err != nil {
			t.Fatal(err)
		}
		src, err := Source(table, o)
		if err != nil {
			t.Fatal(err)
		}
		streamed, err := data.Collect(t.Context(), src)
		if err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprint(o), streamed, got)
		var s []string
		n, _ := got.Dims()
		for i := range n {
			s = append(s, got.ClassName(i))
		}
		return strings.Join(s, " ")
	}
	if got := names(Options{Label: "y"}); got != "1 0 1" {
		t.Errorf("a column: %s", got)
	}
	for _, side := range []string{at("l.txt", "cat\ndog\ncat\n"), at("l.csv", "label\ncat\n\"dog\"\ncat"), at("l2.csv", "cat\r\ndog\r\ncat\r\n"), at("l.tsv", "y\ncat\ndog\ncat\n")} {
		if got := names(Options{Label: side, Ignore: []string{"y"}}); got != "cat dog cat" {
			t.Errorf("%s: %s", side, got)
		}
	}
	if got := names(Options{Label: at("gap.txt", "cat\n\ncat\n"), Ignore: []string{"y"}}); got != "cat  cat" {
		t.Errorf("an empty line is an unknown class: %q", got)
	}
	idx := put(t, filepath.Join(dir, "l.idx"), []byte{0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 10})
	if got := names(Options{Label: idx, Ignore: []string{"y"}}); got != "7 0 10" {
		t.Errorf("IDX: %s", got)
	}
	w, err := CreateTable(t.Context(), filepath.Join(dir, "l.npy"), WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(rows.Floats("", []float64{2, -1, 0.5})), w.Commit()); err != nil {
		t.Fatal(err)
	}
	if got := names(Options{Label: filepath.Join(dir, "l.npy"), Ignore: []string{"y"}}); got != "2 -1 0.5" {
		t.Errorf(".npy: %s", got)
	}
	for _, c := range []struct {
		o     Options
		want  error
		words string
	}{
		{Options{Label: "label"}, data.ErrLabels, `x.csv: --label: no column "label", and no file of that name; columns are a, b, y`},
		{Options{Label: at("short.txt", "cat\ndog\n"), Ignore: []string{"y"}}, data.ErrShape, "short.txt has 2 entries"},
		{Options{Label: at("long.txt", "cat\ndog\ncat\ncat\n"), Ignore: []string{"y"}}, data.ErrShape, "long.txt has 4 entries for 3 rows"},
		{Options{Label: table + "x"}, data.ErrLabels, "no file of that name"},
		{Options{Label: at("two.csv", "a,b\n1,2\n3,4\n5,6\n"), Ignore: []string{"y"}}, data.ErrFormat, "two.csv: has 2 columns, want one entry a line"},
		{Options{Label: "y", Ignore: []string{"z"}}, data.ErrFormat, `no column "z"; columns are a, b, y`},
		{Options{Label: "y", Features: []string{"q"}}, data.ErrFormat, `--features: no column "q"`},
		{Options{Label: "y", Ignore: []string{"a", "b"}}, data.ErrFormat, "no column is left for features"},
		{Options{Targets: []string{"t"}}, data.ErrFormat, `--target: no column "t"`},
		{Options{ID: "t"}, data.ErrFormat, `--id: no column "t"`},
		{Options{Group: "t"}, data.ErrFormat, `--group: no column "t"`},
	} {
		_, err := Table(t.Context(), table, c.o)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%+v: %v, want %v with %q", c.o, err, c.want, c.words)
		}
		if _, err := collect(t, table, c.o); !errors.Is(err, c.want) {
			t.Errorf("%+v streamed: %v", c.o, err)
		}
	}
}

func collect(t *testing.T, path string, o Options) (*data.Table, error) {
	src, err := Source(path, o)
	if err != nil {
		return nil, err
	}
	return data.Collect(t.Context(), src)
}

func TestOneArrayNeedsASideFile(t *testing.T) {
	path := put(t, "x.idx", []byte{0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 1, 5, 6})
	if _, err := Table(t.Context(), path, Options{Label: "y"}); !errors.Is(err, data.ErrLabels) || !strings.Contains(err.Error(), "one array without named columns") {
		t.Errorf("%v", err)
	}
	// The number of rows is known: a text side file with one line more has a header, whatever it says.
	side := put(t, "l.txt", []byte("0\n1\n2\n"))
	got, err := Table(t.Context(), path, Options{Label: side})
	if err != nil || got.ClassName(0) != "1" {
		t.Errorf("%v", err)
	}
	side = put(t, "l.txt", []byte("label\nx\n"))
	if got, err = Table(t.Context(), path, Options{Label: side}); err != nil || got.ClassName(0) != "label" {
		t.Errorf("%v", err)
	}
	side = put(t, "l.txt", []byte("1\n"))
	if _, err = Table(t.Context(), path, Options{Label: side}); !errors.Is(err, data.ErrShape) || !strings.Contains(err.Error(), "has 1 entries for 2 rows") {
		t.Errorf("%v", err)
	}
}

func TestFeaturesAreFound(t *testing.T) {
	for text, want := range map[string]string{
		"{\"id\":\"r\",\"n\":9,\"emb\":[1,2],\"text\":\"hi\"}": "[1 2]",
		"{\"a\":1,\"b\":true}":                                 "[1 1]",
		",a,b\n0,1,2\n1,3,4\n":                                 "[1 2 3 4]",
		"1,2\n3,4":                                             "[1 2 3 4]",
	} {
		got, err := Table(t.Context(), put(t, "t", []byte(text)), Options{})
		if err != nil || fmt.Sprint(got.X()) != want {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	two := put(t, "t.jsonl", []byte(`{"p":[1],"q":[2]}`))
	if _, err := Table(t.Context(), two, Options{}); !errors.Is(err, data.ErrFormat) || !strings.Contains(err.Error(), "several columns hold vectors: p, q; --features") {
		t.Errorf("two vectors: %v", err)
	}
	if got, err := Table(t.Context(), two, Options{Features: []string{"q", "p"}}); err != nil || fmt.Sprint(got.X()) != "[2 1]" {
		t.Errorf("both asked for: %v", err)
	}
	if got, err := Table(t.Context(), two, Options{Ignore: []string{"p"}}); err != nil || fmt.Sprint(got.X()) != "[2]" {
		t.Errorf("one ignored: %v", err)
	}
	first := put(t, "t.csv", []byte(",a\nr1,1\nr2,2\n"))
	if got, err := Table(t.Context(), first, Options{ID: "1"}); err != nil || got.IDs()[1] != "r2" || len(got.X()) != 2 {
		t.Errorf("the row index as id: %v", err)
	}
	twice := put(t, "t.csv", []byte("a,a,b\n1,2,3\n"))
	if _, err := Table(t.Context(), twice, Options{Label: "a"}); !errors.Is(err, data.ErrFormat) || !strings.Contains(err.Error(), `two columns are named "a"`) {
		t.Errorf("an ambiguous name: %v", err)
	}
	if got, err := Table(t.Context(), twice, Options{Label: "b"}); err != nil || len(got.X()) != 2 {
		t.Errorf("two features of one name: %v", err)
	}
}

func TestOneClearLine(t *testing.T) {
	for _, c := range []struct {
		name, content string
		o             Options
		want          error
		words         string
	}{
		{"e.csv", "", Options{}, data.ErrFormat, "e.csv: is empty"},
		{"h.csv", "a,b\n", Options{}, data.ErrFormat, "h.csv: holds a header and no rows"},
		{"e.gz", string(squeeze(nil)), Options{}, data.ErrFormat, "e.gz: holds nothing but gzip"},
		{"t.csv.gz", string(squeeze([]byte(strings.Repeat("1,2\n", 9999)))[:40]), Options{}, data.ErrFormat, "t.csv.gz: "},
		{"h.gz", "\x1f\x8b", Options{}, data.ErrFormat, "gzip data end early"},
		{"n.csv", "a,b\n1,x\n", Options{}, data.ErrFormat, `n.csv: line 2, column "b": "x" is no number: cannot be read (--ignore b leaves the column out)`},
		{"m.csv", "a,b\n1,\n", Options{}, data.ErrFormat, `m.csv: line 2, column "b": is empty`},
		{"r.csv", "a,b\n1\n", Options{}, data.ErrShape, "r.csv: line 2: wrong shape: 1 cells, want 2"},
		{"f.csv", "a,b\n1,inf\n", Options{}, data.ErrFinite, `f.csv: line 2, column "b"`},
		{"y.csv", "a,t\n1,2\n3,nan\n", Options{Targets: []string{"t"}}, data.ErrFinite, `y.csv: line 3, target "t": nan is not a finite number`},
		{"y.csv", "a,t\n1,2\n3,\n", Options{Targets: []string{"t"}}, data.ErrFormat, `y.csv: line 3, target "t": "" is no number`},
		{"j.json", `[{"a":1}]`, Options{}, data.ErrFormat, "j.json: line 1: is a JSON array"},
		{"h.h5", "\x89HDF\r\n\x1a\n", Options{}, data.ErrFormat, "h.h5: looks like HDF5; save .npy or Parquet. CSV, TSV, JSON Lines, .npy"},
		{"p.pkl", "\x80\x04\x95", Options{}, data.ErrFormat, "a Python pickle"},
		{"u.csv", "\xff\xfea\x00", Options{}, data.ErrFormat, "UTF-16"},
		{"b.bin", "\x01\x02\x03\x04\x05\x06\x07\x08\x09", Options{}, data.ErrFormat, "begins with 01 02 03 04 05 06 07 08, which no known format does"},
		{"z.zip", "PK\x05\x06" + strings.Repeat("\x00", 18), Options{}, data.ErrFormat, "zip archive without .npy files"},
		{"p.parquet", "PAR1 PAR1", Options{}, data.ErrFormat, "p.parquet: a Parquet file of 9 bytes ends early"},
		{"s.safetensors", "\x10\x00\x00\x00\x00\x00\x00\x00{\"a\"", Options{}, data.ErrFormat, "s.safetensors: the file ends inside its header"},
		{"n.npy", "\x93NUMPY\x01\x00", Options{}, data.ErrFormat, "n.npy: ends inside the .npy header"},
		{"i.idx", "\x00\x00\x08\x02\x00\x00", Options{}, data.ErrFormat, "i.idx: ends inside the IDX header"},
		{"a.csv", "1,2", Options{Format: "xml"}, data.ErrFormat, `format "xml" is not known, want one of csv, tsv`},
		{"a.csv", "1,2", Options{Header: "maybe"}, data.ErrFormat, `header "maybe"`},
		{"a.csv", "1,2", Options{Format: "npy"}, data.ErrFormat, "a.csv: "},
	} {
		_, err := Table(t.Context(), put(t, c.name, []byte(c.content)), c.o)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %v with %q", c.name, err, c.want, c.words)
		}
	}
	if _, err := Table(t.Context(), filepath.Join(t.TempDir(), "no"), Options{}); !errors.Is(err, os.ErrNotExist) || strings.Count(err.Error(), "/no") != 1 {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := Table(t.Context(), t.TempDir(), Options{}); !errors.Is(err, data.ErrFormat) || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("a folder: %v", err)
	}
}

// TestTruncation cuts every format at many places, compressed and not: an error of ours each time, never a short table.
func TestTruncation(t *testing.T) {
	tab := sample(t, 50, 3)
	for _, ext := range []string{"csv", "jsonl", "parquet", "npz"} {
		path := filepath.Join(t.TempDir(), "t."+ext)
		if err := WriteTable(t.Context(), path, tab, WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range [][]byte{whole, squeeze(whole), squeezeZstd(t, whole)} {
			text := bytes.Equal(b, whole) && (ext == "csv" || ext == "jsonl")
			for k := range 20 {
				cut := 1 + k*(len(b)-2)/19
				got, err := Table(t.Context(), "-", Options{Stdin: bytes.NewReader(b[:cut])})
				if err == nil && text { // a text may end after any whole row
					continue
				}
				if err == nil {
					n, _ := got.Dims()
					t.Errorf("%s: %d of %d bytes gave %d rows", ext, cut, len(b), n)
				} else if !errors.Is(err, data.ErrFormat) && !errors.Is(err, data.ErrShape) {
					t.Errorf("%s: %d of %d bytes: %v", ext, cut, len(b), err)
				}
			}
		}
	}
}

func TestAFileThatChanges(t *testing.T) {
	path := put(t, "t.csv", []byte("a\n1\n2\n"))
	src, err := Source(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := data.Collect(t.Context(), src); err != nil {
		t.Fatal(err)
	}
	put(t, path, []byte("a\n1\n2\n3\n"))
	if _, err := data.Collect(t.Context(), src); !errors.Is(err, data.ErrFormat) || !strings.Contains(err.Error(), "has changed") {
		t.Errorf("%v", err)
	}
}

func TestCreateTable(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r.csv")
	w, err := CreateTable(t.Context(), path, WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Write(rows.Strings("id", []string{"a"}), rows.Floats("ood_score", []float64{0.25}), rows.Ints("n", []int{3}), rows.Bools("flag", []bool{true})); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("the file is there before it is whole")
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "id,ood_score,n,flag\na,0.25,3,true\na,0.25,3,true\n" {
		t.Errorf("%s", b)
	}
	var out bytes.Buffer
	w, err = CreateTable(t.Context(), "-", WriteOptions{Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(rows.Ints("n", []int{3})), w.Commit()); err != nil || out.String() != "n\n3\n" {
		t.Errorf("%q %v", out.String(), err)
	}
	for _, c := range []struct{ path, format, words string }{
		{"-", "parquet", "standard output takes csv, tsv and jsonl"},
		{filepath.Join(dir, "x.xls"), "", `format "xls" is not known, want one of csv`},
		{filepath.Join(dir, "x"), "", "is not known"},
		{filepath.Join(dir, "x.npy.gz"), "", "npy is not written in .gz"},
	} {
		if _, err := CreateTable(t.Context(), c.path, WriteOptions{Format: c.format}); !errors.Is(err, rows.ErrWrite) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", c.path, err)
		}
	}
	left(t, dir, "r.csv")
}

// left fails unless dir holds just these files.
func left(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, e := range entries {
		have = append(have, e.Name())
	}
	if slices.Sort(names); !slices.Equal(have, names) {
		t.Errorf("the folder holds %q, want %q", have, names)
	}
}

func TestNothingHalfWritten(t *testing.T) {
	tab := sample(t, 3*data.BlockRows, 2)
	for _, ext := range WriteFormats {
		dir := t.TempDir()
		path := put(t, filepath.Join(dir, "t."+ext), []byte("old"))
		src := data.Source(tab)
		if ext == "npy" {
			bare, _ := data.NewTable(3*data.BlockRows, 2, tab.X())
			src = bare
		}
		// Ctrl-C after the first block.
		ctx, cancel := context.WithCancel(t.Context())
		if err := WriteTable(ctx, path, &cancelling{src, cancel}, WriteOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", ext, err)
		}
		left(t, dir, "t."+ext)
		// A source that fails.
		boom := errors.New("boom")
		if err := WriteTable(t.Context(), path, failing{src, boom}, WriteOptions{}); !errors.Is(err, boom) {
			t.Errorf("%s: %v", ext, err)
		}
		left(t, dir, "t."+ext)
		// A disk that fails: the file is closed under the writer's hands.
		w, err := CreateTable(t.Context(), path, WriteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		w.file.Abort()
		err = w.Write(rows.Floats("a", make([]float64, 1<<20)))
		if err = errors.Join(err, w.Commit()); err == nil {
			t.Errorf("%s: a broken disk passed", ext)
		}
		left(t, dir, "t."+ext)
		if b, _ := os.ReadFile(path); string(b) != "old" {
			t.Errorf("%s: the old file is gone", ext)
		}
	}
}

type cancelling struct {
	data.Source
	cancel func()
}

func (c *cancelling) Blocks(ctx context.Context) iter.Seq2[*data.Table, error] {
	return func(yield func(*data.Table, error) bool) {
		for b, err := range c.Source.Blocks(context.Background()) {
			if !yield(b, err) {
				return
			}
			c.cancel()
		}
	}
}

type failing struct {
	data.Source
	err error
}

func (f failing) Blocks(ctx context.Context) iter.Seq2[*data.Table, error] {
	return func(yield func(*data.Table, error) bool) {
		for b := range f.Source.Blocks(ctx) {
			if !yield(b, nil) {
				return
			}
			break
		}
		yield(nil, f.err)
	}
}
