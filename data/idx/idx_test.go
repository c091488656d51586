package idx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/internal/num"
)

// file makes an IDX file as the format's description says.
func file(kind byte, shape []uint32, body ...byte) []byte {
	b := []byte{0, 0, kind, byte(len(shape))}
	for _, s := range shape {
		b = binary.BigEndian.AppendUint32(b, s)
	}
	return append(b, body...)
}

func drain(b []byte, text bool) (*rows.Block, int, error) {
	r, err := NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, 0, err
	}
	features, texts := []int{0}, []int(nil)
	if text {
		features, texts = nil, features
	}
	d, err := r.Select(features, texts)
	if err != nil {
		return nil, 0, err
	}
	block := &rows.Block{}
	for {
		if err := r.Read(block, 3); err == io.EOF {
			return block, d, nil
		} else if err != nil {
			return nil, d, err
		}
	}
}

func TestTypes(t *testing.T) {
	be := binary.BigEndian
	single := be.AppendUint32(be.AppendUint32(nil, math.Float32bits(1.5)), math.Float32bits(-2))
	double := be.AppendUint64(be.AppendUint64(nil, math.Float64bits(1.5)), math.Float64bits(-2))
	for _, c := range []struct {
		b    []byte
		want []float32
	}{
		{file(8, []uint32{2}, 255, 1), []float32{255, 1}},
		{file(9, []uint32{2}, 255, 1), []float32{-1, 1}},
		{file(0xb, []uint32{2}, 255, 254, 1, 0), []float32{-2, 256}},
		{file(0xc, []uint32{2}, 255, 255, 255, 254, 0, 1, 0, 0), []float32{-2, 65536}},
		{file(0xd, []uint32{2}, single...), []float32{1.5, -2}},
		{file(0xe, []uint32{2}, double...), []float32{1.5, -2}},
	} {
		got, d, err := drain(c.b, false)
		if err != nil || d != 1 || got.N != 2 || !slices.Equal(got.X, c.want) {
			t.Errorf("% x: %v %v", c.b, got, err)
		}
	}
	images := file(8, []uint32{2, 2, 3}, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
	got, d, err := drain(images, false)
	if err != nil || d != 6 || got.N != 2 || got.X[7] != 7 {
		t.Errorf("images: %v %v", got, err)
	}
	labels, _, err := drain(file(8, []uint32{3}, 7, 0, 10), true)
	if err != nil || !slices.Equal(labels.Text[0], []string{"7", "0", "10"}) {
		t.Errorf("labels: %v %v", labels, err)
	}
}

func TestRefuses(t *testing.T) {
	nan := binary.BigEndian.AppendUint32(nil, math.Float32bits(float32(math.NaN())))
	for _, c := range []struct {
		b     []byte
		want  error
		words string
	}{
		{nil, data.ErrFormat, "ends inside the IDX header"},
		{[]byte{0, 0, 8}, data.ErrFormat, "ends inside"},
		{[]byte{0, 0, 8, 2, 0, 0, 0, 1}, data.ErrFormat, "ends inside"},
		{[]byte("text"), data.ErrFormat, "is no IDX file"},
		{[]byte{0, 0, 7, 1}, data.ErrFormat, "is no IDX file"},
		{[]byte{0, 0, 8, 0}, data.ErrFormat, "is no IDX file"},
		{file(8, []uint32{3, 2}, 1, 2, 3), data.ErrFormat, "ends early, in row 2 of 3"},
		{file(8, []uint32{1, 2}, 1, 2, 3), data.ErrFormat, "holds more than 1 rows of 2"},
		{file(0xd, []uint32{1, 1}, nan...), data.ErrFinite, "row 1, column 1"},
		{file(8, []uint32{1, 1 << 31, 1 << 31, 1 << 31}), data.ErrShape, "2147483648"},
		{file(8, []uint32{1 << 31, 1 << 31}), data.ErrShape, "at most"},
	} {
		_, _, err := drain(c.b, false)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("% x: %v, want %v with %q", c.b, err, c.want, c.words)
		}
	}
	if _, _, err := drain(file(8, []uint32{1, 2}, 1, 2), true); !errors.Is(err, data.ErrShape) {
		t.Errorf("two columns as labels: %v", err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(file(8, []uint32{2, 2, 3}, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11))
	f.Add(file(0xe, []uint32{1}, 1, 2, 3, 4, 5, 6, 7, 8))
	f.Add(file(0xd, []uint32{3, 0}))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, d, err := drain(b, false)
		if err == nil {
			if len(got.X) != got.N*d || num.Finite(got.X) >= 0 {
				t.Fatalf("%d rows of %d: %v", got.N, d, got.X)
			}
			// The file is exactly as long as header and elements say.
			size := map[byte]int{8: 1, 9: 1, 0xb: 2, 0xc: 4, 0xd: 4, 0xe: 8}[b[2]]
			if want := 4 + 4*int(b[3]) + len(got.X)*size; got.N > 0 && len(b) != want {
				t.Fatalf("%d bytes read as %d", len(b), want)
			}
		}
		drain(b, true)
	})
}

func BenchmarkRead(b *testing.B) {
	const n, d = 60_000, 784
	whole := file(8, []uint32{n, 28, 28}, make([]byte, n*d)...)
	b.SetBytes(n * d * 4)
	for range b.N {
		r, err := NewReader(bytes.NewReader(whole))
		if err != nil {
			b.Fatal(err)
		}
		r.Select([]int{0}, nil)
		var block rows.Block
		for err == nil {
			block.Reset()
			err = r.Read(&block, 2048)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
