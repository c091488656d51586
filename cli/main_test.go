package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
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

// makePattern writes what [writeExamples] does; ood; tasks/; images/ and a network that reads them; texts and a tokenizer; a state on another grid; a guard;
// a continual run; a merged checkpoint; references.bib; log, of scores.
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
	if err := newEnv(context.Background(), specs(), strings.NewReader(""), io.Discard, io.Discard).writeExamples(context.Background(), dir); err != nil {
		return err
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
	if err := writeLinear(filepath.Join(dir, "merged", "model.safetensors"), 3); err != nil {
		return err
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
