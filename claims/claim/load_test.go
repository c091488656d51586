package claim

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/npy"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// writeIDX writes a compressed IDX file of unsigned bytes.
func writeIDX(t *testing.T, path string, sizes []uint32, values []byte) {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte{0, 0, 8, byte(len(sizes))})
	binary.Write(z, binary.BigEndian, sizes)
	z.Write(values)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestImages(t *testing.T) {
	env := Env{t.TempDir()}
	if _, err := env.Images("set", "train"); !errors.Is(err, ErrMissing) {
		t.Errorf("no files: %v", err)
	}
	writeIDX(t, env.Path("set", "train-images-idx3-ubyte.gz"), []uint32{3, 1, 2}, []byte{0, 255, 51, 102, 204, 0})
	if _, err := env.Images("set", "train"); !errors.Is(err, ErrMissing) {
		t.Errorf("no labels: %v", err)
	}
	writeIDX(t, env.Path("set", "train-labels-idx1-ubyte.gz"), []uint32{3}, []byte{2, 0, 2})
	got, err := env.Images("set", "train")
	if err != nil {
		t.Fatal(err)
	}
	labels, _ := got.Labels()
	if !slices.Equal(got.X(), []float32{0, 1, 0.2, 0.4, 0.8, 0}) || !slices.Equal(labels, []int{2, 0, 2}) || !slices.Equal(got.Classes(), []string{"0", "1", "2"}) {
		t.Errorf("pixels %v, labels %v of %v", got.X(), labels, got.Classes())
	}
	writeIDX(t, env.Path("set", "train-labels-idx1-ubyte.gz"), []uint32{2}, []byte{2, 0})
	if _, err := env.Images("set", "train"); !errors.Is(err, data.ErrShape) {
		t.Errorf("two labels for three images: %v", err)
	}
}

func TestFeatures(t *testing.T) {
	env := Env{t.TempDir()}
	if _, err := env.Features("a.npz"); !errors.Is(err, ErrMissing) {
		t.Errorf("no file: %v", err)
	}
	var b bytes.Buffer
	w := npy.NewArchiveWriter(&b, t.TempDir())
	if err := w.Write(rows.Vectors("X", []float32{1, 2, 3, 4, 5, 6}, 3), rows.Ints("y", []int{1, 0})); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(env.Path("a.npz"), b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	got, err := env.Features("a.npz")
	if err != nil {
		t.Fatal(err)
	}
	labels, _ := got.Labels()
	if n, d := got.Dims(); n != 2 || d != 3 || !slices.Equal(got.Row(1), []float32{4, 5, 6}) || !slices.Equal(labels, []int{1, 0}) {
		t.Errorf("%d×%d, second row %v, labels %v", n, d, got.Row(1), labels)
	}
	if err := os.WriteFile(env.Path("b.npz"), []byte("nothing"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := env.Features("b.npz"); !errors.Is(err, data.ErrFormat) {
		t.Errorf("no archive: %v", err)
	}
}

// counted is a table whose i-th row is the number i, of class i modulo k.
func counted(t *testing.T, n, k int) *data.Table {
	t.Helper()
	x, labels := make([]float32, n), make([]int, n)
	for i := range n {
		x[i], labels[i] = float32(i), i%k
	}
	table, err := data.NewTable(n, 1, x)
	if err == nil {
		table, err = table.WithLabels(labels, Numbers(k))
	}
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestSample(t *testing.T) {
	all := counted(t, 60, 5)
	got, err := Sample(all, Random(1, 0), 20, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	labels, _ := got.Labels()
	seen := map[float32]bool{}
	for i, v := range got.X() {
		if seen[v] {
			t.Errorf("row %v was drawn twice", v)
		}
		seen[v] = true
		if want := []int{3, 1}[labels[i]]; int(v)%5 != want || got.ClassName(i) != Numbers(5)[want] {
			t.Errorf("row %v of class %d has label %d, named %q", v, int(v)%5, labels[i], got.ClassName(i))
		}
	}
	if slices.IsSorted(got.X()) {
		t.Error("rows are in their old order")
	}
	again, _ := Sample(all, Random(1, 0), 20, 3, 1)
	other, _ := Sample(all, Random(1, 1), 20, 3, 1)
	if !slices.Equal(again.X(), got.X()) || slices.Equal(other.X(), got.X()) {
		t.Error("a seed and stream must give the same rows, another stream others")
	}
	if whole, err := Sample(all, Random(1, 0), 0); err != nil || len(whole.X()) != 60 {
		t.Errorf("all rows: %v", err)
	}
	if _, err := Sample(all, Random(1, 0), 25, 3, 1); !errors.Is(err, data.ErrShape) {
		t.Errorf("25 of 24 rows: %v", err)
	}
}

func TestShots(t *testing.T) {
	all := counted(t, 17, 5)
	got, err := Shots(all, 3)
	if err != nil || !slices.Equal(got.X(), []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}) {
		t.Errorf("%v: %v", got, err)
	}
	if _, err := Shots(all, 4); !errors.Is(err, data.ErrShape) {
		t.Errorf("4 of 3 rows: %v", err)
	}
}
