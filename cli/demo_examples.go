package cli

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/data/safetensors"
	"github.com/gimbal-ml/gimbal/moments"
)

// writeExamples writes what the examples in the helps of methods read: tables train, new, more, ood (far away), a and b (train in two), gone (rows of
// train), two (one cloud of two classes), normal (one class), logits, and one for each input of any method; checkpoints of linear layers; states
// of moments of train, a and b.
func (e *env) writeExamples(ctx context.Context, dir string) error {
	all := gaussians(1, 240, 0)
	tables := map[string][]string{
		"train": all, "a": all[:100], "b": all[100:], "gone": all[60:90],
		"two": halves(5, 240), "normal": relabelled(gaussians(6, 60, 0), "ant"),
		"new": gaussians(2, 40, 0), "more": gaussians(3, 40, 0), "ood": gaussians(4, 40, 30),
	}
	for _, s := range e.specs {
		for _, slot := range s.Inputs {
			name := slotFlag(slot)
			if !s.Learns() {
				name = slot.Name
			}
			if slot.Kind == data.KindTable && tables[name] == nil {
				tables[name] = all
			}
		}
	}
	for _, name := range []string{"tokens", "general"} {
		tables[name] = tokenRows(240)
	}
	for name, rows := range tables {
		head := header
		if name == "logits" { // one column a class
			head = "ant,bee,cat,y"
			rows = slices.Clone(rows)
			for i, row := range rows {
				c := strings.Split(row, ",")
				rows[i] = strings.Join(slices.Delete(c, 3, 4), ",")
			}
		}
		if name == "runs" { // of a training, each with its size and loss
			head, rows = "parameters,tokens,loss,y", nil
			for size := 1.0; size <= 64; size *= 4 {
				for tokens := 100.0; tokens <= 1600; tokens *= 4 {
					rows = append(rows, fmt.Sprintf("%g,%g,%g,run", size, tokens, 1+2/math.Sqrt(size)+30/tokens))
				}
			}
		}
		if err := writeLines(filepath.Join(dir, name+".csv"), head, rows); err != nil {
			return err
		}
	}
	for seed, name := range []string{"a", "b", "head"} {
		if err := writeLinear(filepath.Join(dir, name+".safetensors"), uint64(seed)); err != nil {
			return err
		}
	}
	if err := writeLayers(dir); err != nil {
		return err
	}
	ones := slices.Repeat([]float64{1}, 12)
	for name, tensors := range map[string]map[string]data.Tensor{
		"a-precision": {"head.weight": data.CastTensor(data.F32, ones, 3, 4)},
		"b-precision": {"head.weight": data.CastTensor(data.F32, ones, 3, 4)},
		"a-adapter":   {"base_model.model.head.lora_A.weight": data.CastTensor(data.F32, ones[:8], 2, 4), "base_model.model.head.lora_B.weight": data.CastTensor(data.F32, ones[:6], 3, 2)},
	} {
		err := atomic.Write(filepath.Join(dir, name+".safetensors"), func(out io.Writer) error {
			return safetensors.Write(out, &data.Checkpoint{Tensors: tensors})
		})
		if err != nil {
			return err
		}
	}
	var whole *moments.State
	for _, name := range []string{"train", "a", "b"} {
		t, err := open.Table(ctx, filepath.Join(dir, name+".csv"), open.Options{Label: "y"})
		if err != nil {
			return err
		}
		st, err := moments.FromSource(ctx, t, moments.Options{Like: whole})
		if err != nil {
			return err
		}
		if whole == nil {
			whole = st
		}
		c := st.Checkpoint()
		if err := c.Seal(); err != nil {
			return err
		}
		if err := atomic.Write(filepath.Join(dir, name+".moments"), func(out io.Writer) error { return safetensors.Write(out, c) }); err != nil {
			return err
		}
	}
	return nil
}

const header = "a,b,c,d,y"

// gaussians are rows of three classes in four columns, shifted.
func gaussians(seed uint64, n int, shift float64) []string {
	r := rand.New(rand.NewPCG(seed, 99))
	rows := make([]string, n)
	for i := range rows {
		c := i % 3
		var row strings.Builder
		for j := range 4 {
			x := shift + r.NormFloat64()
			if j == c {
				x += 4
			}
			fmt.Fprintf(&row, "%.4f,", x)
		}
		rows[i] = row.String() + []string{"ant", "bee", "cat"}[c]
	}
	return rows
}

// tokenRows are texts of four tokens, each class's from a circle of its own.
func tokenRows(n int) []string {
	rows := make([]string, n)
	for i := range rows {
		from := i % 3 * 5
		rows[i] = fmt.Sprintf("%d,%d,%d,%d,%s", from+i%5, from+(i+1)%5, from+(i+2)%5, from+(i+3)%5, []string{"ant", "bee", "cat"}[i%3])
	}
	return rows
}

// halves are rows of one cloud in four columns, of two classes, a plane between them.
func halves(seed uint64, n int) []string {
	r := rand.New(rand.NewPCG(seed, 99))
	rows := make([]string, n)
	for i := range rows {
		x := r.NormFloat64()
		rows[i] = fmt.Sprintf("%.4f,%.4f,%.4f,%.4f,%s", x, r.NormFloat64(), r.NormFloat64(), r.NormFloat64(), map[bool]string{true: "ant", false: "bee"}[x > 0])
	}
	return rows
}

// relabelled replaces the last cell of each row.
func relabelled(rows []string, label string) []string {
	out := make([]string, len(rows))
	for i, row := range rows {
		out[i] = row[:strings.LastIndexByte(row, ',')+1] + label
	}
	return out
}

func writeLines(path, head string, rows []string) error {
	text := strings.Join(rows, "\n") + "\n"
	if head != "" {
		text = head + "\n" + text
	}
	return os.WriteFile(path, []byte(text), 0o666)
}

// writeLinear writes a linear layer from the four columns to the three classes that is nearly right.
func writeLinear(path string, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 5))
	w := make([]float64, 12)
	for i := range w {
		w[i] = 0.3 * r.NormFloat64()
		if i/4 == i%4 {
			w[i]++
		}
	}
	c := &data.Checkpoint{
		Meta:    map[string]string{},
		Tensors: map[string]data.Tensor{"head.weight": data.CastTensor(data.F32, w, 3, 4), "head.bias": data.CastTensor(data.F32, []float64{0, 0, 0}, 3)},
	}
	return atomic.Write(path, func(out io.Writer) error { return safetensors.Write(out, c) })
}

// writeLayers writes encoder.safetensors, two linear layers on the columns of the tables, and a folder networks with two checkpoints
// of convolutions.
func writeLayers(dir string) error {
	r := rand.New(rand.NewPCG(7, 5))
	tensor := func(shape ...int) data.Tensor {
		n := 1
		for _, s := range shape {
			n *= s
		}
		v := make([]float64, n)
		for i := range v {
			v[i] = 0.5 * r.NormFloat64()
		}
		return data.CastTensor(data.F32, v, shape...)
	}
	if err := os.MkdirAll(filepath.Join(dir, "networks"), 0o777); err != nil {
		return err
	}
	for _, file := range []struct {
		name    string
		tensors map[string]data.Tensor
	}{
		{"encoder", map[string]data.Tensor{"0.weight": tensor(6, 4), "0.bias": tensor(6), "2.weight": tensor(5, 6), "2.bias": tensor(5)}},
		{"networks/a", map[string]data.Tensor{"conv.weight": tensor(4, 3, 3, 3)}},
		{"networks/b", map[string]data.Tensor{"conv.weight": tensor(6, 3, 3, 3)}},
	} {
		c := &data.Checkpoint{Tensors: file.tensors}
		if err := atomic.Write(filepath.Join(dir, filepath.FromSlash(file.name)+".safetensors"), func(out io.Writer) error { return safetensors.Write(out, c) }); err != nil {
			return err
		}
	}
	return nil
}
