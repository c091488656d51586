package encode

import (
	"archive/zip"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/metric"
)

// real returns the path of a shared data file, or skips.
func real(t *testing.T, parts ...string) string {
	t.Helper()
	root := os.Getenv("GIMBAL_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "data")
	}
	path := filepath.Join(append([]string{root}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no %s under $GIMBAL_DATA", filepath.Join(parts...))
	}
	return path
}

func load(t *testing.T, path string, o Options) *Model {
	t.Helper()
	m, err := Load(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// first takes the first n samples.
func first(samples iter.Seq2[Sample, error], n int) iter.Seq2[Sample, error] {
	return func(yield func(Sample, error) bool) {
		for s, err := range samples {
			if n == 0 || !yield(s, err) {
				return
			}
			n--
		}
	}
}

func collect(t *testing.T, src data.Source) *data.Table {
	t.Helper()
	table, err := data.Collect(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// agreement is the share of rows whose largest value is in the column that their class is called after.
func agreement(t *testing.T, table *data.Table) float64 {
	t.Helper()
	n, _ := table.Dims()
	right := 0
	for i := range n {
		if fmt.Sprint(largest(table.Row(i))) == table.ClassName(i) {
			right++
		}
	}
	return float64(right) / float64(n)
}

func largest(row []float32) int {
	best := 0
	for c, v := range row {
		if v > row[best] {
			best = c
		}
	}
	return best
}

// doubt is one minus the largest softmax probability.
func doubt(table *data.Table) []float64 {
	n, _ := table.Dims()
	out := make([]float64, n)
	for i := range n {
		row := table.Row(i)
		top, sum := float64(row[largest(row)]), 0.0
		for _, v := range row {
			sum += math.Exp(float64(v) - top)
		}
		out[i] = 1 - 1/sum
	}
	return out
}

// TestMNISTNets runs the three networks of the outlier-exposure paper on whole test sets (under -short on a part). The numbers to
// reach were computed with the authors' weights in another program: accuracies 0.9906, 0.9908, 0.9897; AUROC of one minus the largest
// probability against notMNIST 0.961, 0.984, 0.986 and against Fashion-MNIST 0.9930, 0.9990, 0.9992, each to half of its last digit.
func TestMNISTNets(t *testing.T) {
	rows := 10000
	tolerance := []float64{0.00005, 0.0005, 0.00005}
	if testing.Short() {
		rows, tolerance = 500, []float64{0.01, 0.02, 0.01}
	}
	if raceEnabled {
		rows, tolerance = 60, []float64{0.04, 0.1, 0.1}
	}
	labels, err := Labels(t.Context(), real(t, "mnist", "t10k-labels-idx1-ubyte.gz"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name                        string
		accuracy, notMNIST, fashion float64
	}{
		{"baseline", 0.9906, 0.961, 0.9930},
		{"oe_tune", 0.9908, 0.984, 0.9990},
		{"oe_scratch", 0.9897, 0.986, 0.9992},
	} {
		m := load(t, real(t, "weights", "mnist_convnet_"+c.name+".safetensors"), Options{Layer: "logits"})
		if m.Name != "mnist-convnet" {
			t.Fatalf("matched %s", m.Name)
		}
		logits := func(set string) *data.Table {
			samples := first(Images(real(t, set, "t10k-images-idx3-ubyte.gz")), rows)
			if set == "mnist" {
				samples = Labelled(samples, labels[:rows], "labels")
			}
			return collect(t, m.Source(samples, set == "mnist"))
		}
		known := logits("mnist")
		if have := agreement(t, known); math.Abs(have-c.accuracy) > tolerance[0] {
			t.Errorf("%s: accuracy %.4f, want %.4f", c.name, have, c.accuracy)
		}
		for i, set := range []string{"notmnist", "fashion_mnist"} {
			have, err := metric.AUROC(doubt(known), doubt(logits(set)))
			if err != nil {
				t.Fatal(err)
			}
			if want := []float64{c.notMNIST, c.fashion}[i]; math.Abs(have.Value-want) > tolerance[i+1] {
				t.Errorf("%s: AUROC against %s %.5f, want %.4f", c.name, set, have.Value, want)
			}
		}
	}
}

// TestKeyWords runs MLPerf Tiny's DS-CNN on its 1000 test rows: 0.901 was found with the same weights in another program.
func TestKeyWords(t *testing.T) {
	m := load(t, real(t, "weights", "mlperf_tiny_kws_dscnn.safetensors"), Options{Layer: "logits"})
	archive, err := zip.OpenReader(real(t, "kws_mfcc", "kws01.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	list, err := archive.Open("y_labels.csv")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(list)
	if err != nil {
		t.Fatal(err)
	}
	samples := func(yield func(Sample, error) bool) {
		for line := range strings.Lines(string(text)) {
			entry := strings.Split(strings.TrimSpace(line), ",")
			raw, err := readAll(archive, entry[0])
			s := Sample{Name: entry[0], ID: entry[0], Label: entry[2], Values: make([]float32, len(raw))}
			for i, q := range raw {
				s.Values[i] = (float32(int8(q)) - 83) * 0.5847029
			}
			if !yield(s, err) {
				return
			}
		}
	}
	if have := agreement(t, collect(t, m.Source(samples, true))); have != 0.901 {
		t.Errorf("accuracy %.4f, want 0.901", have)
	}
}
