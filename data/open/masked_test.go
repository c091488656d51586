package open

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

// array writes numbers as a .npy file of two columns.
func array(t *testing.T, of string, numbers any) string {
	t.Helper()
	var b bytes.Buffer
	head := "{'descr': '" + of + "', 'fortran_order': False, 'shape': (2, 2), }"
	head += strings.Repeat(" ", 63-(len(head)+10)%64) + "\n"
	b.WriteString("\x93NUMPY\x01\x00")
	for _, part := range []any{uint16(len(head)), []byte(head), numbers} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// TestMaskedLogits: −Inf among logits is a class that is masked out, in all formats that can write it down; nowhere else, and
// no other number that is not finite.
func TestMaskedLogits(t *testing.T) {
	low := math.Inf(-1)
	for name, text := range map[string]string{
		"inf.csv":      "a,b\n1,-inf\n-Infinity,4\n",
		"space.tsv":    "a\tb\n1\t -Inf\n-inf\t4\n",
		"python.jsonl": `{"a": 1, "b": -Infinity}` + "\n" + `{"a": -Infinity, "b": 4}` + "\n",
		"list.jsonl":   `{"x": [1, -Infinity]}` + "\n" + `{"x": [-Infinity, 4]}` + "\n",
		"four.npy":     array(t, "<f4", []float32{1, float32(low), float32(low), 4}),
		"eight.npy":    array(t, "<f8", []float64{1, low, low, 4}),
		"two.npy":      array(t, "<f2", []uint16{0x3c00, 0xfc00, 0xfc00, 0x4400}),
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		src, err := Source(path, Options{Masked: true})
		if err != nil {
			t.Fatal(err)
		}
		in, err := data.Collect(t.Context(), src)
		src.Close()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := []float32{1, data.MaskedLogit, data.MaskedLogit, 4}; !slices.Equal(in.X(), want) {
			t.Errorf("%s: %v, want %v", name, in.X(), want)
		}
		if src, err = Source(path, Options{}); err == nil {
			_, err = data.Collect(t.Context(), src)
			src.Close()
		}
		if !errors.Is(err, data.ErrFinite) {
			t.Errorf("%s, features: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"plus.csv":   "a,b\n1,inf\n",
		"nan.csv":    "a,b\n1,nan\n",
		"plus.jsonl": `{"a": 1, "b": Infinity}` + "\n",
		"nan.npy":    array(t, "<f4", []float32{1, 2, float32(math.NaN()), 4}),
		"plus.npy":   array(t, "<f4", []float32{1, 2, float32(math.Inf(1)), 4}),
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		src, err := Source(path, Options{Masked: true})
		if err == nil {
			_, err = data.Collect(t.Context(), src)
			src.Close()
		}
		if !errors.Is(err, data.ErrFinite) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
