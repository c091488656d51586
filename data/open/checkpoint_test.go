package open

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
)

func someTensors() *data.Checkpoint {
	return &data.Checkpoint{Meta: map[string]string{"format": "pt"}, Tensors: map[string]data.Tensor{
		"a": data.Float64Tensor([]float64{1, 2, 3}, 3),
		"b": data.CastTensor(data.BF16, []float64{1, 2, 3, 4}, 2, 2),
		"c": data.Int64Tensor([]int64{7}, 1),
	}}
}

func equalTensors(t *testing.T, got, want *data.Checkpoint) {
	t.Helper()
	if !slices.Equal(got.Names(), want.Names()) {
		t.Fatalf("tensors %v, want %v", got.Names(), want.Names())
	}
	for _, name := range want.Names() {
		a, errA := got.Tensors[name].Bytes()
		b, errB := want.Tensors[name].Bytes()
		if err := errors.Join(errA, errB); err != nil || !bytes.Equal(a, b) || !slices.Equal(got.Tensors[name].Shape, want.Tensors[name].Shape) || got.Tensors[name].DType != want.Tensors[name].DType {
			t.Errorf("%s differs (%v)", name, err)
		}
	}
}

func TestCheckpoints(t *testing.T) {
	want := someTensors()
	dir := t.TempDir()
	one, many := filepath.Join(dir, "one.safetensors"), filepath.Join(dir, "model.safetensors.index.json")
	for _, path := range []string{one, many} {
		if err := WriteCheckpoint(t.Context(), path, want, 20); err != nil {
			t.Fatal(err)
		}
	}
	left(t, dir, "one.safetensors", "model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
	gz := filepath.Join(dir, "one.safetensors.gz")
	b, err := os.ReadFile(one)
	if err != nil {
		t.Fatal(err)
	}
	put(t, gz, squeeze(b))
	for _, path := range []string{one, many, dir, gz} {
		got, file, err := Checkpoint(path)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		equalTensors(t, got, want)
		if got.Meta["format"] != "pt" {
			t.Errorf("%s: metadata %v", path, got.Meta)
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
		if _, err := got.Tensors["a"].Bytes(); err == nil && path != gz {
			t.Errorf("%s: read after Close", path)
		}
	}
	w, err := CreateTable(t.Context(), filepath.Join(dir, "t.npz"), WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(rows.Floats("a", []float64{1, 2}), rows.Vectors("w", []float32{1, 2, 3, 4}, 2)), w.Commit()); err != nil {
		t.Fatal(err)
	}
	c, file, err := Checkpoint(filepath.Join(dir, "t.npz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if v, _, err := c.Floats("w", 2, 2); err != nil || !slices.Equal(v, []float64{1, 2, 3, 4}) {
		t.Errorf("%v %v", v, err)
	}
}

func TestCheckpointRefuses(t *testing.T) {
	dir := t.TempDir()
	index := func(weights string) string { return `{"metadata":{},"weight_map":{` + weights + `}}` }
	good := filepath.Join(dir, "good.safetensors")
	if err := WriteCheckpoint(t.Context(), good, someTensors(), 0); err != nil {
		t.Fatal(err)
	}
	whole, _ := os.ReadFile(good)
	for _, c := range []struct {
		name, content string
		want          error
		words         string
	}{
		{"t.txt", "hello", data.ErrFormat, "is no checkpoint that is read"},
		{"t.safetensors", "hello", data.ErrFormat, "t.safetensors: the file ends early"},
		{"cut.safetensors", string(whole[:len(whole)-1]), data.ErrFormat, `tensor "b"`},
		{"model.safetensors.index.json", index(`"a":"good.safetensors","z":"good.safetensors"`), data.ErrFormat, `tensor "z" is missing in good.safetensors`},
		{"model.safetensors.index.json", index(`"a":"../good.safetensors"`), data.ErrFormat, "no file beside the index"},
		{"model.safetensors.index.json", index(`"a":"absent.safetensors"`), os.ErrNotExist, "absent.safetensors"},
		{"model.safetensors.index.json", index(`"a":"cut.safetensors"`), data.ErrFormat, "cut.safetensors"},
	} {
		_, _, err := Checkpoint(put(t, filepath.Join(dir, c.name), []byte(c.content)))
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want %v with %q", c.content, err, c.want, c.words)
		}
	}
	if _, _, err := Checkpoint(t.TempDir()); !errors.Is(err, data.ErrFormat) || !strings.Contains(err.Error(), "neither model.safetensors.index.json nor model.safetensors") {
		t.Errorf("an empty folder: %v", err)
	}
	if err := WriteCheckpoint(t.Context(), filepath.Join(dir, "x.bin"), someTensors(), 0); !errors.Is(err, rows.ErrWrite) {
		t.Errorf("another extension: %v", err)
	}
}

func TestCheckpointLeavesNothingHalf(t *testing.T) {
	full, err := data.LazyTensor(data.F32, []int{4}, func() ([]byte, error) { return nil, syscall.ENOSPC })
	if err != nil {
		t.Fatal(err)
	}
	c := someTensors()
	c.Tensors["z"] = full
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, name := range []string{"one.safetensors", "model.safetensors.index.json"} {
		dir := t.TempDir()
		path := put(t, filepath.Join(dir, name), []byte("old"))
		if err := WriteCheckpoint(t.Context(), path, c, 20); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), `"z"`) {
			t.Errorf("%s: %v", name, err)
		}
		left(t, dir, name)
		if err := WriteCheckpoint(ctx, path, someTensors(), 20); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		left(t, dir, name)
		if b, _ := os.ReadFile(path); string(b) != "old" {
			t.Errorf("%s: the old file is gone", name)
		}
	}
}

func TestTableOfTensors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.safetensors")
	c := &data.Checkpoint{Tensors: map[string]data.Tensor{
		"features": data.CastTensor(data.F32, []float64{1, 2, 3, 4}, 2, 2),
		"labels":   data.Int64Tensor([]int64{3, 5}, 2),
	}}
	if err := WriteCheckpoint(t.Context(), path, c, 0); err != nil {
		t.Fatal(err)
	}
	got, err := Table(t.Context(), path, Options{Label: "labels"})
	if err != nil || !slices.Equal(got.X(), []float32{1, 2, 3, 4}) || got.ClassName(1) != "5" {
		t.Errorf("%v %v", got, err)
	}
}
