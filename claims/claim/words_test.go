package claim

import (
	"compress/gzip"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

func TestWords(t *testing.T) {
	env := Env{t.TempDir()}
	if _, err := env.Words("a.csv.gz"); !errors.Is(err, ErrMissing) {
		t.Errorf("no file: %v", err)
	}
	if _, err := env.Table(t.Context(), "y", "a.csv.gz"); !errors.Is(err, ErrMissing) {
		t.Errorf("no file: %v", err)
	}
	f, err := os.Create(env.Path("a.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	z.Write([]byte("y,size,colour\n2,1,red\n1,3,blue\n2,2,red\n"))
	z.Close()
	f.Close()
	w, err := env.Words("a.csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	in, err := w.Indicators("y", "colour", "size")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(in.Columns(), []string{"colour=red", "size=2", "size=3"}) || !slices.Equal(in.X(), []float32{1, 0, 0, 0, 0, 1, 1, 1, 0}) || in.ClassName(1) != "1" {
		t.Errorf("columns %v, values %v, class of the second row %q", in.Columns(), in.X(), in.ClassName(1))
	}
	if _, err := w.Indicators("y", "weight"); !errors.Is(err, data.ErrShape) {
		t.Errorf("a column that is not there: %v", err)
	}
}
