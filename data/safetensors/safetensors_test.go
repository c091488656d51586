package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
)

func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(b []byte) (*data.Checkpoint, error) { return Read(bytes.NewReader(b), int64(len(b))) }

// file puts a header and a body together.
func file(header string, body int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, body)...)
}

func TestReadsWhatPythonWrote(t *testing.T) {
	c, err := parse(golden(t, "types.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"format": "np", "note": "<&> é \" \\"}; !maps.Equal(c.Meta, want) {
		t.Errorf("metadata %v", c.Meta)
	}
	if len(c.Tensors) != 13 {
		t.Errorf("tensors %v", c.Names())
	}
	for _, name := range c.Names() {
		v, _, err := c.Floats(name, 3)
		want := []float64{0, 1, 2}
		if name == "?" {
			want[2] = 1
		}
		if err != nil || !slices.Equal(v, want) {
			t.Errorf("%s (%s): %v %v", name, c.Tensors[name].DType, v, err)
		}
	}
}

// TestWritesWhatPythonWrites: with one element type both orders of tensors agree, and the bytes are the reference implementation's.
func TestWritesWhatPythonWrites(t *testing.T) {
	want := golden(t, "one_type.safetensors")
	c, err := parse(want)
	if err != nil {
		t.Fatal(err)
	}
	if v, _, err := c.Floats("scalar"); err != nil || v[0] != 2.5 {
		t.Errorf("scalar %v %v", v, err)
	}
	if _, _, err := c.Floats("empty", 0, 4); err != nil {
		t.Error(err)
	}
	var out bytes.Buffer
	if err := Write(&out, c); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("wrote\n%q, want\n%q", out.Bytes(), want)
	}
}

func TestRoundTripIsStable(t *testing.T) {
	c, err := parse(golden(t, "types.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	var one, two bytes.Buffer
	if err := Write(&one, c); err != nil {
		t.Fatal(err)
	}
	d, err := parse(one.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(&two, d); err != nil || !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Errorf("other bytes the second time: %v", err)
	}
	head := 8 + int(binary.LittleEndian.Uint64(one.Bytes()))
	if head%8 != 0 {
		t.Errorf("elements begin at byte %d", head)
	}
	entries, _, err := readHeader(bytes.NewReader(one.Bytes()), int64(one.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if size := int64(data.DType(*e.DType).Size()); e.offset%size != 0 {
			t.Errorf("%s at byte %d", e.name, e.offset)
		}
		want, _ := c.Tensors[e.name].Bytes()
		if got, err := d.Tensors[e.name].Bytes(); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: % x, want % x (%v)", e.name, got, want, err)
		}
	}
	if !maps.Equal(d.Meta, c.Meta) {
		t.Errorf("metadata %v", d.Meta)
	}
}

func TestRefuses(t *testing.T) {
	entry := func(name, dtype, shape string, from, to int) string {
		return fmt.Sprintf(`"%s":{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`, name, dtype, shape, from, to)
	}
	a := entry("a", "F32", "[2]", 0, 8)
	for _, c := range []struct {
		b     []byte
		want  error
		words string
	}{
		{nil, data.ErrFormat, "ends early"},
		{[]byte{1, 2, 3}, data.ErrFormat, "ends early"},
		{file("", 0), data.ErrFormat, "want a JSON object"},
		{file("{", 0), data.ErrFormat, "header"},
		{file("{}", 0)[:9], data.ErrFormat, "ends inside its header"},
		{append(binary.LittleEndian.AppendUint64(nil, maxHeader+1), make([]byte, 99)...), data.ErrFormat, "at most 100000000"},
		{append(binary.LittleEndian.AppendUint64(nil, 1<<63), make([]byte, 99)...), data.ErrFormat, "at most"},
		{file("{"+a+"}", 7), data.ErrFormat, `tensor "a": ends at byte 8 of 7`},
		{file("{"+a+"}", 9), data.ErrFormat, "1 bytes after the last tensor"},
		{file("{"+a+","+entry("b", "F32", "[2]", 4, 12)+"}", 12), data.ErrFormat, `tensor "b": bytes 4 to 12 overlap tensor "a"`},
		{file("{"+a+","+entry("b", "F32", "[2]", 0, 8)+"}", 8), data.ErrFormat, "overlap"},
		{file("{"+a+","+entry("b", "F32", "[2]", 12, 20)+"}", 20), data.ErrFormat, `tensor "b": begins at byte 12 and leaves a hole from 8`},
		{file("{"+entry("a", "F32", "[2]", 4, 12)+"}", 12), data.ErrFormat, "hole from 0"},
		{file("{"+entry("a", "F32", "[2]", -8, 0)+"}", 0), data.ErrFormat, "bytes -8 to 0"},
		{file("{"+entry("a", "F32", "[2]", 8, 0)+"}", 8), data.ErrFormat, "bytes 8 to 0"},
		{file("{"+entry("a", "F32", "[3]", 0, 8)+"}", 8), data.ErrShape, `tensor "a": wrong shape: 8 bytes for F32 [3], want 12`},
		{file("{"+entry("a", "F32", "[-2]", 0, 8)+"}", 8), data.ErrShape, `tensor "a"`},
		{file("{"+entry("a", "F32", "[4611686018427387905,4]", 0, 16)+"}", 16), data.ErrShape, `tensor "a"`},
		{file("{"+entry("a", "F8_E4M3", "[8]", 0, 8)+"}", 8), data.ErrFormat, `"F8_E4M3"`},
		{file("{"+a+","+a+"}", 8), data.ErrFormat, `tensor "a" is listed twice`},
		{file(`{"a":{"dtype":"F32","shape":[2]}}`, 8), data.ErrFormat, "two data_offsets"},
		{file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}}`, 8), data.ErrFormat, "two data_offsets"},
		{file(`{"a":{"dtype":"F32","shape":[2.5],"data_offsets":[0,8]}}`, 8), data.ErrFormat, `tensor "a"`},
		{file(`{"__metadata__":{"a":1}}`, 0), data.ErrFormat, "__metadata__"},
		{file(`{}{}`, 0), data.ErrFormat, "more than one JSON object"},
		{file(`[]`, 0), data.ErrFormat, "want a JSON object"},
	} {
		_, err := parse(c.b)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%.120q: %v, want %v with %q", c.b, err, c.want, c.words)
		}
		if _, err := NewTable(bytes.NewReader(c.b), int64(len(c.b))); err == nil {
			t.Errorf("%.120q as a table passed", c.b)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	boom := errors.New("boom")
	lazy, err := data.LazyTensor(data.F32, []int{2}, func() ([]byte, error) { return nil, boom })
	if err != nil {
		t.Fatal(err)
	}
	c := &data.Checkpoint{Tensors: map[string]data.Tensor{"w": lazy}}
	if err := Write(io.Discard, c); !errors.Is(err, boom) || !strings.Contains(err.Error(), `tensor "w"`) {
		t.Errorf("a failing tensor: %v", err)
	}
	c.Tensors = map[string]data.Tensor{"__metadata__": data.Float64Tensor(nil, 0)}
	if err := Write(io.Discard, c); !errors.Is(err, rows.ErrWrite) {
		t.Errorf("a reserved name: %v", err)
	}
	c.Tensors = map[string]data.Tensor{"w": {}}
	if err := Write(io.Discard, c); !errors.Is(err, rows.ErrWrite) {
		t.Errorf("no type: %v", err)
	}
}

// TestOneTensorAtATime: the writer asks for a tensor only when it is about to write it.
func TestOneTensorAtATime(t *testing.T) {
	var asked []string
	c := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
	for _, name := range []string{"c", "a", "b"} {
		lazy, err := data.LazyTensor(data.F32, []int{1}, func() ([]byte, error) { asked = append(asked, name); return make([]byte, 4), nil })
		if err != nil {
			t.Fatal(err)
		}
		c.Tensors[name] = lazy
	}
	count := 0
	err := Write(writer(func(p []byte) (int, error) {
		if count != len(asked) {
			t.Errorf("%d tensors asked for before write %d", len(asked), count)
		}
		count++
		return len(p), nil
	}), c)
	if err != nil || !slices.Equal(asked, []string{"a", "b", "c"}) {
		t.Errorf("asked for %v, %v", asked, err)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestShards(t *testing.T) {
	c := &data.Checkpoint{Meta: map[string]string{"format": "pt"}, Tensors: map[string]data.Tensor{}}
	for i, name := range []string{"a", "b", "c", "d"} {
		c.Tensors[name] = data.Float64Tensor(make([]float64, i+1), i+1) // 8, 16, 24, 32 bytes
	}
	shards, x := Split(c, "model", 24)
	if want := []string{"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors"}; !slices.Equal(x.Files(), want) {
		t.Fatalf("files %v", x.Files())
	}
	if got := fmt.Sprint(shards[x.Files()[0]].Names(), shards[x.Files()[1]].Names(), shards[x.Files()[2]].Names()); got != "[a b] [c] [d]" {
		t.Errorf("shards %s", got)
	}
	text, err := x.Text()
	if err != nil {
		t.Fatal(err)
	}
	y, err := ParseIndex(text)
	if err != nil || !maps.Equal(y.Weights, x.Weights) || y.Meta["total_size"] != 80. {
		t.Errorf("%s: %v", text, err)
	}
	d, err := y.Join(shards)
	if err != nil || !slices.Equal(d.Names(), c.Names()) || !maps.Equal(d.Meta, c.Meta) {
		t.Errorf("joined %v %v", d, err)
	}
	// An index may list a tied tensor under the name that its shard left out.
	y.Weights["tied"] = x.Files()[1]
	shards[x.Files()[1]].Meta = map[string]string{"format": "pt", "tied": "c"}
	if d, err := y.Join(shards); err != nil || d.Aliases()["tied"] != "c" || len(d.Tensors) != 4 {
		t.Errorf("with an alias: %v %v", d, err)
	}
	delete(y.Weights, "tied")
	delete(shards[x.Files()[1]].Tensors, "c")
	if _, err := y.Join(shards); !errors.Is(err, data.ErrFormat) || !strings.Contains(err.Error(), `tensor "c" is missing in model-00002`) {
		t.Errorf("a missing tensor: %v", err)
	}
	for _, bad := range []string{"", "[]", "{}", `{"weight_map":{"a":"../x"}}`, `{"weight_map":{"a":"/etc/x"}}`, `{"weight_map":{"a":""}}`, `{"weight_map":{"a":1}}`} {
		if _, err := ParseIndex([]byte(bad)); !errors.Is(err, data.ErrFormat) {
			t.Errorf("index %s: %v", bad, err)
		}
	}
}

func TestTable(t *testing.T) {
	c := &data.Checkpoint{Tensors: map[string]data.Tensor{
		"features": data.CastTensor(data.F16, []float64{1, 2, 3, 4.5}, 2, 2),
		"labels":   data.Int64Tensor([]int64{3, -1}, 2),
	}}
	var out bytes.Buffer
	if err := Write(&out, c); err != nil {
		t.Fatal(err)
	}
	r, err := NewTable(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Select([]int{0}, []int{1}); err != nil {
		t.Fatal(err)
	}
	var b rows.Block
	if err := r.Read(&b, 9); err != nil || !slices.Equal(b.X, []float32{1, 2, 3, 4.5}) || !slices.Equal(b.Text[0], []string{"3", "-1"}) {
		t.Errorf("%v %v", b, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(golden(f, "one_type.safetensors"))
	f.Add(golden(f, "types.safetensors"))
	f.Add(file("{}", 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parse(b)
		if err != nil {
			return
		}
		total := 0
		for _, name := range c.Names() {
			x, err := c.Tensors[name].Bytes()
			if err != nil {
				t.Fatalf("%q: %v", name, err)
			}
			total += len(x)
		}
		if n := binary.LittleEndian.Uint64(b); total != len(b)-8-int(n) {
			t.Fatalf("tensors hold %d bytes of %d", total, len(b)-8-int(n))
		}
		var one, two bytes.Buffer
		if err := Write(&one, c); err != nil {
			t.Fatal(err)
		}
		d, err := parse(one.Bytes())
		if err != nil {
			t.Fatalf("cannot read what was written: %v", err)
		}
		if err := Write(&two, d); err != nil || !bytes.Equal(one.Bytes(), two.Bytes()) {
			t.Fatalf("not stable: %v", err)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	c := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
	for i := range 8 {
		c.Tensors[fmt.Sprint(i)] = data.CastTensor(data.F32, make([]float64, 1<<20), 1<<20)
	}
	var out bytes.Buffer
	if err := Write(&out, c); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(out.Len()))
	for range b.N {
		c, err := parse(out.Bytes())
		if err != nil {
			b.Fatal(err)
		}
		for _, x := range c.Tensors {
			if _, err := x.Bytes(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
