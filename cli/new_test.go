package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sourceCopy is the project's source in a folder of the test's own.
func sourceCopy(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if name := entry.Name(); strings.HasPrefix(name, ".") || name == "bench" {
			continue
		} else if !entry.IsDir() {
			if name == "go.mod" || name == "go.sum" || strings.HasSuffix(name, ".go") {
				write(t, filepath.Join(dir, name), read(t, filepath.Join(root, name)))
			}
		} else if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(root, name))); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestNewMethod: what is written is Go as gofmt has it, compiles with the house, is listed, and fails its own tests, which say what is missing.
func TestNewMethod(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: builds a copy of the project")
	}
	dir := sourceCopy(t)
	t.Chdir(dir)
	for id, kind := range map[string]string{"detect/foobar": "FooBar", "probe/foobaz": "FooBaz", "continual/fooqux": "FooQux"} {
		args := []string{"new", id, "--type", kind, "--title", "what it gives", "--paper", "nobody2026foo", "--paper-title", `Foo "and" Bar`, "--year", "2026", "--question", "What?"}
		r := gimbal(args...)
		if r.code != 0 || !strings.Contains(r.errOut, "next: ") {
			t.Fatalf("%s: exit %d: %s", id, r.code, r.errOut)
		}
		if again := gimbal(args...); again.code == 0 || !strings.Contains(again.errOut, "is there already") {
			t.Errorf("%s twice: exit %d: %s", id, again.code, again.errOut)
		}
	}
	if n := strings.Count(read(t, filepath.Join("catalog", "papers.json")), `"nobody2026foo"`); n != 3 { // this program's catalog does not know it yet
		t.Logf("the paper stands %d times", n)
	}
	text := read(t, filepath.Join("catalog", "papers.json"))
	for strings.Count(text, `"nobody2026foo"`) > 1 { // as a rebuilt program would have left it
		at := strings.Index(text, "  {\n    \"key\": \"nobody2026foo\"")
		end := at + strings.Index(text[at:], "  },\n") + len("  },\n")
		text = text[:at] + text[end:]
	}
	write(t, filepath.Join("catalog", "papers.json"), text)
	run := func(args ...string) (string, error) {
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("vet", "./detect", "./probe", "./continual", "./claims/..."); err != nil {
		t.Fatalf("it does not compile: %v\n%s", err, out)
	}
	if out, err := exec.Command("gofmt", "-l", "detect", "probe", "continual", "claims").CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("gofmt: %v %s", err, out)
	}
	out, err := run("test", "./detect", "-run", "FooBar")
	if err == nil || !strings.Contains(out, "has no oracle yet") || !strings.Contains(out, "not written yet") {
		t.Errorf("an empty method passes its tests: %v\n%s", err, out)
	}
	if out, err := run("run", "./cmd/gimbal", "methods", "detect"); err != nil || !strings.Contains(out, "detect/foobar") {
		t.Errorf("it is not listed: %v\n%s", err, out)
	}
}

// TestNewMethodRefuses: nothing is written for what is no method, nor outside the source.
func TestNewMethodRefuses(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for args, want := range map[string]string{
		"detect/foo": "--type", "detect/foo --type Foo --title x": "--paper",
		"nothing/foo --type Foo --title x --paper lee2018simple":    "detect",
		"detect/foo --type Bar --title x --paper lee2018simple":     "--type",
		"detect/foo --type Foo --title x --paper Lee":               "--paper",
		"detect/knn --type KNN --title x --paper lee2018simple":     "is there already",
		"detect/foo --type Foo --title x --paper lee2018simple":     "not the folder of Gimbal's source",
		"detect/../foo --type Foo --title x --paper lee2018simple":  "--type",
		"detect/foo bar --type Foo --title x --paper lee2018simple": "argument",
	} {
		if r := gimbal(append([]string{"new"}, strings.Fields(args)...)...); r.code == 0 || !strings.Contains(r.errOut, want) {
			t.Errorf("%s: exit %d: %s", args, r.code, r.errOut)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("%d files were written", len(entries))
	}
}
