package parquet

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// TestMasked reads −Inf from plain pages and from dictionaries, in both precisions.
func TestMasked(t *testing.T) {
	type line struct {
		Plain  float32 `parquet:"plain"`
		Wide   float64 `parquet:"wide"`
		Picked float32 `parquet:"picked,dict"`
		List   []float64
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[line](&b)
	low := math.Inf(-1)
	if _, err := w.Write([]line{{1, low, 3, []float64{low, 1}}, {float32(low), 5, float32(low), []float64{2, 3}}, {7, low, float32(low), []float64{low, low}}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	read := func(masked bool) ([]float32, error) {
		r, err := Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Select([]int{0, 1, 2, 3}, nil); err != nil {
			t.Fatal(err)
		}
		block := &rows.Block{Masked: masked}
		for {
			if err := r.Read(block, 2); err == io.EOF {
				return block.X, nil
			} else if err != nil {
				return nil, err
			}
		}
	}
	x, err := read(true)
	if err != nil {
		t.Fatal(err)
	}
	const m = float32(data.MaskedLogit)
	if want := []float32{1, m, 3, m, 1, m, 5, m, 2, 3, 7, m, m, m, m}; !slices.Equal(x, want) {
		t.Errorf("%v, want %v", x, want)
	}
	if _, err := read(false); !errors.Is(err, data.ErrFinite) {
		t.Errorf("features: %v", err)
	}
}
