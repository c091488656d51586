package open

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

// real returns the path of a shared data file, or skips.
func real(t *testing.T, parts ...string) string {
	t.Helper()
	root := os.Getenv("GIMBAL_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(append([]string{root}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no %s under $GIMBAL_DATA", filepath.Join(parts...))
	}
	return path
}

func count(t *testing.T, tab *data.Table) map[string]int {
	t.Helper()
	counts := map[string]int{}
	n, _ := tab.Dims()
	for i := range n {
		counts[tab.ClassName(i)]++
	}
	return counts
}

func TestFashionMNIST(t *testing.T) {
	images := real(t, "fashion_mnist", "t10k-images-idx3-ubyte.gz")
	got, err := Table(t.Context(), images, Options{Label: real(t, "fashion_mnist", "t10k-labels-idx1-ubyte.gz")})
	if err != nil {
		t.Fatal(err)
	}
	n, d := got.Dims()
	if n != 10000 || d != 784 || len(got.Classes()) != 10 || got.Classes()[9] != "9" {
		t.Errorf("%d×%d, classes %v", n, d, got.Classes())
	}
	for name, k := range count(t, got) {
		if k != 1000 {
			t.Errorf("%d images of class %s", k, name)
		}
	}
	sum := 0.0
	for _, v := range got.X() {
		sum += float64(v)
	}
	if mean := sum / float64(n*d) / 255; mean < 0.286 || mean > 0.288 { // numpy: 0.28684927
		t.Errorf("mean pixel %v", mean)
	}
}

// TestADBench reads archives in Fortran order, and of several types.
func TestADBench(t *testing.T) {
	dir := real(t, "adbench_classical")
	files, err := filepath.Glob(filepath.Join(dir, "*.npz"))
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, f := range files {
		got, err := Table(t.Context(), f, Options{Label: "y"})
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if !slices.Equal(got.Classes(), []string{"0", "1"}) {
			t.Errorf("%s: classes %v", f, got.Classes())
		}
	}
	// numpy: X[0], X[-1], y.sum() of 32_shuttle.npz, Fortran order.
	got, err := Table(t.Context(), filepath.Join(dir, "32_shuttle.npz"), Options{Label: "y"})
	if err != nil {
		t.Fatal(err)
	}
	n, d := got.Dims()
	if n != 49097 || d != 9 || count(t, got)["1"] != 3511 {
		t.Errorf("%d×%d, %v", n, d, count(t, got))
	}
}

func TestFrozenFeatures(t *testing.T) {
	got, err := Table(t.Context(), real(t, "features_adbench", "CV_by_ResNet18", "CIFAR10_0.npz"), Options{Label: "y"})
	if err != nil {
		t.Fatal(err)
	}
	if n, d := got.Dims(); n != 5263 || d != 512 || count(t, got)["0"] != 5000 {
		t.Errorf("%d×%d, %v", n, d, count(t, got))
	}
}

func TestPMLB(t *testing.T) {
	dir := real(t, "pmlb", "class")
	files, err := filepath.Glob(filepath.Join(dir, "*.tsv.gz"))
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, f := range files[:min(12, len(files))] {
		got, err := Table(t.Context(), f, Options{Label: "target"})
		if err != nil {
			if strings.Contains(f, "penguins") && strings.Contains(err.Error(), `"NA" is no number`) {
				continue
			}
			t.Errorf("%v", err)
			continue
		}
		src, err := collect(t, f, Options{Label: "target"})
		if err != nil {
			t.Error(err)
			continue
		}
		same(t, f, src, got)
	}
}

func TestTextData(t *testing.T) {
	for _, c := range []struct {
		path    []string
		o       Options
		n       int
		classes int
	}{
		{[]string{"banking77", "train.csv.gz"}, Options{Label: "category"}, 10003, 77},
		{[]string{"goemotions", "dev.tsv.gz"}, Options{Text: "1", Label: "2"}, 5426, 0},
		{[]string{"sentiment3", "yelp_labelled.txt.gz"}, Options{Label: "2"}, 1000, 2},
	} {
		all, err := texts(t, real(t, c.path...), c.o)
		if err != nil {
			t.Errorf("%v: %v", c.path, err)
			continue
		}
		classes := map[string]bool{}
		for _, x := range all {
			classes[x.Label] = true
		}
		if len(all) != c.n || c.classes > 0 && len(classes) != c.classes {
			t.Errorf("%v: %d texts, %d classes", c.path, len(all), len(classes))
		}
	}
}

func TestWeights(t *testing.T) {
	path := real(t, "weights", "cifar10_resnet20.safetensors")
	c, file, err := Checkpoint(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if len(c.Tensors) == 0 {
		t.Fatal("no tensors")
	}
	out := filepath.Join(t.TempDir(), "x.safetensors")
	if err := WriteCheckpoint(t.Context(), out, c, 0); err != nil {
		t.Fatal(err)
	}
	d, other, err := Checkpoint(out)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	equalTensors(t, d, c)
}
