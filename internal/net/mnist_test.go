package net

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// idxFile reads the bytes behind an IDX file's header from the data folder, or skips the test.
func idxFile(t *testing.T, folder, name string, header int) []byte {
	t.Helper()
	root := os.Getenv("GIMBAL_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	f, err := os.Open(filepath.Join(root, folder, name))
	if err != nil {
		t.Skipf("no %s under $GIMBAL_DATA", filepath.Join(folder, name))
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b[header:]
}

// digits is the network of TestImages.
func digits(g *Graph, x *Node) *Node {
	pool := Window{Stride: [2]int{2, 2}}
	h := g.MaxPool(g.ReLU(g.convNorm("0", x, 24, 3, 1)), 2, pool)
	h = g.MaxPool(g.ReLU(g.convNorm("1", h, 48, 3, 1)), 2, pool)
	h = g.ReLU(g.convNorm("2", h, 64, 3, 1))
	return g.Dense("head", g.Dropout(g.Reshape(h, h.shape[0], -1), 0.3), 10)
}

// TestImages trains from scratch: at least 0.99 on MNIST and 0.90 on Fashion-MNIST, a minute each on two idle cores.
func TestImages(t *testing.T) {
	if os.Getenv("GIMBAL_SLOW") == "" {
		t.Skip("set GIMBAL_SLOW=1 to train on real images")
	}
	for folder, want := range map[string]float64{"mnist": 0.99, "fashion_mnist": 0.90} {
		t.Run(folder, func(t *testing.T) {
			images := append(idxFile(t, folder, "train-images-idx3-ubyte.gz", 16), idxFile(t, folder, "t10k-images-idx3-ubyte.gz", 16)...)
			labels := append(idxFile(t, folder, "train-labels-idx1-ubyte.gz", 8), idxFile(t, folder, "t10k-labels-idx1-ubyte.gz", 8)...)
			feed := func(x *Node, l *Ints, rows []int) {
				for i, row := range rows {
					to := x.Value()[i*784 : i*784+784]
					for j, v := range images[row*784 : row*784+784] {
						to[j] = float32(v) / 255
					}
					l.Values[i] = int32(labels[row])
				}
			}
			ps := NewParams(1)
			trainer, err := NewTrainer(Loop{
				Epochs: 5, Batch: 128, Optimiser: Optimiser{Rule: Adam, Rate: 2e-3}, Schedule: Schedule{Cosine: true, Warmup: 100}, Seed: 1,
			}, ps, Task{Rows: 60000, Build: func(g *Graph, rows int) (*Node, func(Batch)) {
				x, l := g.Input(rows, 28, 28, 1), g.Ints(rows)
				return g.CrossEntropy(digits(g, x), l, Targets{}), func(b Batch) { feed(x, l, b.Rows) }
			}})
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if _, err := trainer.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			took := time.Since(start)
			g := NewGraph(ps)
			g.Training = false
			x, l := g.Input(1000, 28, 28, 1), g.Ints(1000)
			z := digits(g, x)
			p, err := g.Infer(z)
			if err != nil {
				t.Fatal(err)
			}
			right, rows := 0, make([]int, 1000)
			for block := range 10 {
				for i := range rows {
					rows[i] = 60000 + block*1000 + i
				}
				feed(x, l, rows)
				p.Forward()
				for i, label := range l.Values {
					row := z.Value()[i*10 : i*10+10]
					if slices.Index(row, slices.Max(row)) == int(label) {
						right++
					}
				}
			}
			t.Logf("accuracy %.4f after %.0f s of training", float64(right)/10000, took.Seconds())
			if accuracy := float64(right) / 10000; accuracy < want {
				t.Errorf("accuracy %.4f, want %.2f", accuracy, want)
			}
		})
	}
}
