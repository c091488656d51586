package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/weights"
)

const (
	soupFiles   = 4
	soupTensors = 64 // of 2048×2048 float32: 1 GiB
	soupSide    = 2048
)

// weightsRows are merges of checkpoints, beside a script and beside copying: both sides read and write files, ours to the disk for good.
func weightsRows(dir string) (out []*row) {
	stem := filepath.Join(dir, "out", "soup")
	for _, p := range []struct {
		label, work string
		goal        float64
	}{
		{"numpy and safetensors, tensor by tensor", "soup", 2},
		{"copying as many bytes, synced", "copy_bytes", 0.8},
	} {
		out = append(out, &row{name: "uniform soup of four 1 GiB checkpoints", threads: []int{2}, peer: "python", label: p.label, goal: p.goal, rounds: 3,
			request: func(int) string { return fmt.Sprintf("%s %d 0 0 %s", p.work, soupFiles, stem) },
			prepare: func() func() { return souping(stem) }})
	}
	const side = 4096
	return append(out, &row{name: "singular value decomposition 4096×4096 float64", threads: []int{2}, peer: "python", label: "numpy (OpenBLAS)", goal: 0.67, rounds: 1,
		request: func(int) string { return fmt.Sprintf("svd %d %d 0", side, side) },
		prepare: func() func() {
			r := rand.New(rand.NewPCG(1, 1))
			a := make([]float64, side*side)
			for i := range a {
				a[i] = r.NormFloat64()
			}
			return func() {
				if _, _, _, ok := num.SVD(a, side, side); !ok {
					must(0, errors.New("the decomposition did not converge"))
				}
			}
		}})
}

// synthetic makes a tensor whose elements are a hash of its name and their places, small and without pattern.
func synthetic(seed uint64, name string, dtype data.DType, shape ...int) data.Tensor {
	key := part.Mix(seed)
	for _, b := range []byte(name) {
		key = part.Mix(key ^ uint64(b))
	}
	return must(data.StreamTensor(dtype, shape, func(dst []byte, lo int) error {
		for i := range len(dst) / dtype.Size() {
			bits := part.Mix(key + uint64(lo+i))
			v := float32(int32(bits)) * 0x1p-36
			switch dtype {
			case data.F32:
				binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
			case data.BF16:
				binary.LittleEndian.PutUint16(dst[2*i:], uint16(math.Float32bits(v)>>16))
			}
		}
		return nil
	}))
}

// souping averages the four files into a fifth, as a user would; the inputs stay for later runs.
func souping(stem string) func() {
	ctx := context.Background()
	for k := range soupFiles {
		path := fmt.Sprintf("%s-%d.safetensors", stem, k)
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		c := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
		for i := range soupTensors {
			name := fmt.Sprintf("layers.%d.weight", i)
			c.Tensors[name] = synthetic(uint64(k), name, data.F32, soupSide, soupSide)
		}
		must(0, open.WriteCheckpoint(ctx, path, c, math.MaxInt64))
	}
	return func() {
		var in data.Checkpoints
		for k := range soupFiles {
			c, file, err := open.Checkpoint(fmt.Sprintf("%s-%d.safetensors", stem, k))
			must(0, err)
			defer file.Close()
			in = append(in, c)
		}
		out := must(weights.Soup{}.Apply(ctx, weights.SoupInput{In: in}))
		must(0, open.WriteCheckpoint(ctx, stem+"-out.safetensors", out, math.MaxInt64))
	}
}

// mergeMemory merges two checkpoints with the tensors of a model of seven thousand million parameters, a tenth of its layers, and prints the
// most memory that the program had in use: what counts is the largest tensor, not how many there are.
func mergeMemory(dir string) error {
	const hidden, inner, vocabulary, layers = 4096, 11008, 32000, 3
	ctx := context.Background()
	binary := filepath.Join(dir, "out", "gimbal")
	build := exec.Command("go", "build", "-o", binary, "./cmd/gimbal")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return err
	}
	parameters := 0
	for seed, model := range []string{"base", "a", "b"} {
		c := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
		parameters = 0
		add := func(name string, shape ...int) {
			t := synthetic(uint64(seed), name, data.BF16, shape...)
			c.Tensors[name] = t
			parameters += t.Len()
		}
		add("model.embed_tokens.weight", vocabulary, hidden)
		add("lm_head.weight", vocabulary, hidden)
		add("model.norm.weight", hidden)
		for l := range layers {
			name := fmt.Sprintf("model.layers.%d.", l)
			for _, n := range []string{"q", "k", "v", "o"} {
				add(name+"self_attn."+n+"_proj.weight", hidden, hidden)
			}
			add(name+"mlp.gate_proj.weight", inner, hidden)
			add(name+"mlp.up_proj.weight", inner, hidden)
			add(name+"mlp.down_proj.weight", hidden, inner)
			add(name+"input_layernorm.weight", hidden)
			add(name+"post_attention_layernorm.weight", hidden)
		}
		path := filepath.Join(dir, "out", "memory-"+model+".safetensors")
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			if err := open.WriteCheckpoint(ctx, path, c, math.MaxInt64); err != nil {
				return err
			}
		}
	}
	fmt.Printf("two checkpoints of %.2f thousand million parameters, BF16, %d layers of a 7B model\n\n| merge | seconds | most memory |\n|---|---|---|\n", float64(parameters)/1e9, layers)
	for _, m := range []string{"linear", "slerp", "ties", "dare_ties", "della"} {
		file := filepath.Join(dir, "out", "memory.yaml")
		path := func(model string) string { return filepath.Join(dir, "out", "memory-"+model+".safetensors") }
		var text strings.Builder
		fmt.Fprintf(&text, "merge_method: %s\nmodels:\n  - {model: %s, parameters: {weight: 0.5, density: 0.5}}\n", m, path("a"))
		if m == "slerp" {
			fmt.Fprintf(&text, "base_model: %s\nparameters: {t: 0.5}\n", path("base"))
		} else {
			fmt.Fprintf(&text, "  - {model: %s, parameters: {weight: 0.5, density: 0.5}}\n", path("b"))
			if m != "linear" {
				fmt.Fprintf(&text, "base_model: %s\n", path("base"))
			}
		}
		if err := os.WriteFile(file, []byte(text.String()), 0o666); err != nil {
			return err
		}
		cmd := exec.Command(binary, "weights", "merge", file, "-o", filepath.Join(dir, "out", "memory-merged.safetensors"), "--no-manifest", "--quiet")
		cmd.Stderr = os.Stderr
		start := time.Now()
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", m, err)
		}
		most := "unknown"
		if use, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			most = fmt.Sprintf("%d MiB", use.Maxrss>>10) // kibibytes on Linux
		}
		fmt.Printf("| %s | %.1f | %s |\n", m, time.Since(start).Seconds(), most)
	}
	return nil
}
