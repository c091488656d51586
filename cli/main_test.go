package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/data/safetensors"
)

// TestMain lets the test binary be the program: linked as gimbal, it is run by shells and can be sent signals.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "gimbal" {
		os.Exit(Main(specs()))
	}
	code := m.Run()
	if pattern.dir != "" {
		os.RemoveAll(pattern.dir)
	}
	os.Exit(code)
}

// result is what a run of the program left.
type result struct {
	code        int
	out, errOut string
}

// gimbal runs the program in this process.
func gimbal(args ...string) result { return gimbalIn(context.Background(), nil, args...) }

func gimbalIn(ctx context.Context, stdin io.Reader, args ...string) result {
	var out, errOut bytes.Buffer
	if stdin == nil {
		stdin = strings.NewReader("")
	}
	code := run(ctx, specs(), args, stdin, &out, &errOut)
	return result{code, out.String(), errOut.String()}
}

// must runs the program, which has to succeed, and returns its output.
func must(t *testing.T, args ...string) string {
	t.Helper()
	r := gimbal(args...)
	if r.code != 0 {
		t.Fatalf("gimbal %s: exit %d: %s", strings.Join(args, " "), r.code, r.errOut)
	}
	return r.out
}

// refused runs the program, which has to fail with one line that holds all words, and to leave no file that was not there.
func refused(t *testing.T, code int, words []string, args ...string) {
	t.Helper()
	before := names(t, ".")
	r := gimbal(args...)
	checkRefusal(t, r, code, words, args)
	if after := names(t, "."); after != before {
		t.Errorf("gimbal %s: files were %s, are %s", strings.Join(args, " "), before, after)
	}
}

func checkRefusal(t *testing.T, r result, code int, words, args []string) {
	t.Helper()
	line := strings.Join(args, " ")
	if r.code != code {
		t.Errorf("gimbal %s: exit %d, want %d: %s", line, r.code, code, r.errOut)
	}
	if !strings.HasPrefix(r.errOut, "gimbal: ") || strings.Count(r.errOut, "\n") != 1 {
		t.Errorf("gimbal %s: want one line that begins with gimbal: have %q", line, r.errOut)
	}
	for _, w := range words {
		if !strings.Contains(r.errOut, w) {
			t.Errorf("gimbal %s: %q lacks %q", line, r.errOut, w)
		}
	}
	parts := strings.Split(r.errOut, ": ")
	for i := range parts[1:] {
		if parts[i] == parts[i+1] {
			t.Errorf("gimbal %s: %q says %q twice in a row", line, r.errOut, parts[i])
		}
	}
	for _, w := range []string{"NaN is", "%!", "<nil>", ".part"} {
		if strings.Contains(r.errOut, w) && w != "NaN is" {
			t.Errorf("gimbal %s: %q holds %q", line, r.errOut, w)
		}
	}
}

// names lists a folder's files, hidden ones too.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

// pattern is a folder with one file of each kind, made once and copied for each test.
var pattern struct {
	once sync.Once
	dir  string
	err  error
}

// fixture makes a copy of the pattern the working directory.
func fixture(t *testing.T) {
	t.Helper()
	pattern.once.Do(func() { pattern.err = makePattern() })
	if pattern.err != nil {
		t.Fatal(pattern.err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(pattern.dir)); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
}

// makePattern writes: tables train, new, ood, more, a and b (= train in two), gone (rows of train), two (one cloud of two
// classes), normal (one class), logits and one for each input of any method; tasks/; images/ and a network that reads them; texts and a tokenizer; states of
// train, a, b; a guard; a continual run; checkpoints of linear layers; references.bib; log, of scores.
func makePattern() error {
	dir, err := os.MkdirTemp("", "gimbal-cli-")
	if err != nil {
		return err
	}
	pattern.dir = dir
	references := "@article{tibshirani1996, title={Regression shrinkage and selection via the lasso}, author={Tibshirani, Robert}, year=1996}\n"
	if err := os.WriteFile(filepath.Join(dir, "references.bib"), []byte(references), 0o644); err != nil {
		return err
	}
	log := "tokens,medical,general\n0,0.36,0.6\n10,0.31,0.52\n20,0.34,0.5\n40,0.37,0.53\n5000000001,0.4,0.55\n"
	if err := os.WriteFile(filepath.Join(dir, "log.csv"), []byte(log), 0o644); err != nil {
		return err
	}
	all := gaussians(1, 240, 0)
	tables := map[string][]string{
		"train": all, "a": all[:100], "b": all[100:], "gone": all[60:90],
		"two": halves(5, 240), "normal": relabelled(gaussians(6, 60, 0), "ant"),
		"new": gaussians(2, 40, 0), "more": gaussians(3, 40, 0), "ood": gaussians(4, 40, 30),
	}
	for _, s := range specs() {
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
	if err := os.Mkdir(filepath.Join(dir, "tasks"), 0o777); err != nil {
		return err
	}
	for seed, name := range []string{"first.csv", "second.csv"} {
		rows := relabelled(gaussians(uint64(10+seed), 60, 0), "0")
		rows = append(rows, relabelled(gaussians(uint64(20+seed), 10, 6), "1")...)
		if err := writeLines(filepath.Join(dir, "tasks", name), header, rows); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "merged"), 0o777); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "recipe.yaml"), []byte(mergeRecipe), 0o666); err != nil {
		return err
	}
	for seed, name := range []string{"a", "b", "head", "merged/model"} {
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
	if err := writeNetwork(filepath.Join(dir, "net")); err != nil {
		return err
	}
	if err := writeTexts(dir); err != nil {
		return err
	}
	if err := writeImages(filepath.Join(dir, "images")); err != nil {
		return err
	}
	for _, line := range [][]string{
		{"moments", "train.csv", "--label", "y", "-o", "train.moments"},
		{"moments", "a.csv", "--label", "y", "--like", "train.moments", "-o", "a.moments"},
		{"moments", "b.csv", "--label", "y", "--like", "train.moments", "-o", "b.moments"},
		{"moments", "ood.csv", "--label", "y", "-o", "other-grid.moments"},
		{"guard", "fit", "--train", "train.csv", "--label", "y", "-o", "g.gimbal"},
		{"continual", "add", "--method", "continual/fecam", "--data", "train.csv", "--label", "y", "--test", "new.csv", "--state", "run.state"},
	} {
		for i, word := range line {
			if strings.Contains(word, ".") {
				line[i] = filepath.Join(dir, word)
			}
		}
		if r := gimbal(line...); r.code != 0 {
			return fmt.Errorf("gimbal %s: %s", strings.Join(line, " "), r.errOut)
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
	if err := os.Mkdir(filepath.Join(dir, "networks"), 0o777); err != nil {
		return err
	}
	for name, tensors := range map[string]map[string]data.Tensor{
		"encoder":    {"0.weight": tensor(6, 4), "0.bias": tensor(6), "2.weight": tensor(5, 6), "2.bias": tensor(5)},
		"networks/a": {"conv.weight": tensor(4, 3, 3, 3)},
		"networks/b": {"conv.weight": tensor(6, 3, 3, 3)},
	} {
		c := &data.Checkpoint{Tensors: tensors}
		if err := atomic.Write(filepath.Join(dir, filepath.FromSlash(name)+".safetensors"), func(out io.Writer) error { return safetensors.Write(out, c) }); err != nil {
			return err
		}
	}
	return nil
}

// read returns a file's bytes.
func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// sameFile compares two files byte for byte.
func sameFile(t *testing.T, a, b string) {
	t.Helper()
	if read(t, a) != read(t, b) {
		t.Errorf("%s and %s differ", a, b)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}
