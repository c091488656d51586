package cli

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// guidePage says what a page's commands find in their folder and which of them are only parsed.
type guidePage struct {
	// files are copies: the page's name for a file of the fixture. A format is found by content, whatever the name.
	files map[string]string
	// before are commands that the page takes for granted.
	before []string
	// data are files of the public data sets, by the page's names. Where they are missing the page is skipped.
	data map[string]string
	// slow pages read public data or take long: GIMBAL_SLOW=1 runs them, else their flags are checked.
	slow bool
	// python are the beginnings of commands that read what the page's Python wrote: without it their flags are checked.
	python []string
	// parsed are the beginnings of commands whose flags are checked, always: what they read is the user's.
	parsed []string
}

// guidePages are the pages with commands. A page that is missing here fails.
var guidePages = map[string]guidePage{
	"README.md": {files: map[string]string{"train.parquet": "train.csv", "new.parquet": "new.csv", "more.parquet": "more.csv", "gone.parquet": "gone.csv", "window.parquet": "ood.csv", "today.npz": "train.csv"},
		before: []string{"gimbal continual add --state year.state --method continual/prototypes --data a.csv --label y"}},
	"continual.md": {before: []string{"gimbal continual add --state tuned.state --method continual/finetune --data catalogue/02.parquet --label label --group supplier"}},
	"detectors.md": {files: map[string]string{"familiar.jsonl": "texts.jsonl", "other.jsonl": "texts.jsonl", "new.jsonl": "texts.jsonl", "train.csv": "train.csv"},
		parsed: []string{"gimbal fit detect/mahalanobis", "gimbal fit detect/odin", "gimbal score m.gimbal --in new.npz"}},
	"drift.md":           {before: []string{"cut -d, -f1-4 train.csv > reference.parquet", "cut -d, -f1-4 ood.csv > window.parquet", "cut -d, -f1-4 ood.csv > today.parquet"}},
	"papers.md":          {},
	"formats.md":         {},
	"scratch.md":         {},
	"from-python.md":     {python: []string{"gimbal guard fit --train features.npy"}},
	"reproducibility.md": {},
	"labels.md":          {slow: true, data: map[string]string{"cifar10_resnet20.safetensors": "weights/cifar10_resnet20.safetensors", "sign_digits_400.zip": "sign_digits/sign_digits_400.zip"}},
	"moments.md":         {files: map[string]string{"monday.parquet": "a.csv", "tuesday.parquet": "b.csv", "withdrawn.parquet": "gone.csv"}},
	"real-data.md":       {slow: true, data: map[string]string{"adbench": "features_adbench"}},
	"serve.md":           {files: map[string]string{"train.parquet": "train.csv"}},
	"start.md":           {files: map[string]string{"train.parquet": "train.csv", "new.parquet": "new.csv", "labelled.parquet": "more.csv", "gone.parquet": "gone.csv"}},
	"weights.md":         {},
}

// guideCommand is one that a page shows, and whether the page shows it fail or drift.
type guideCommand struct {
	text   string
	fails  bool
	python bool // a block of it
}

var guideFence = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```")

// guideCommands are the commands of a page's blocks: lines of sh, and of console those after a $, each up to where its quotes and
// backslashes end.
func guideCommands(page string) (commands []guideCommand) {
	for _, block := range guideFence.FindAllStringSubmatch(page, -1) {
		if block[1] == "python" {
			commands = append(commands, guideCommand{text: block[2], python: true})
		}
		if block[1] != "sh" && block[1] != "console" {
			continue
		}
		lines := strings.Split(strings.TrimSuffix(block[2], "\n"), "\n")
		for i := 0; i < len(lines); i++ {
			line, prompt := strings.CutPrefix(lines[i], "$ ")
			if block[1] == "console" && !prompt {
				if len(commands) > 0 && strings.HasPrefix(line, "gimbal: ") {
					commands[len(commands)-1].fails = true
				}
				continue
			}
			for i+1 < len(lines) && (strings.HasSuffix(line, "\\") || strings.Count(line, "'")%2 > 0) {
				i++
				line += "\n" + lines[i]
			}
			if line != "" {
				commands = append(commands, guideCommand{text: line})
			}
		}
	}
	return commands
}

// TestGuide runs every command of the guide and of the README as it stands there, page by page; what is Python, by the one that GIMBAL_PYTHON names.
func TestGuide(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("skipped: there is no shell")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(root, "docs", "guide", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, path := range append(paths, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name, commands := filepath.Base(path), guideCommands(string(text))
		page, known := guidePages[name]
		if known {
			seen++
		}
		if known != (len(commands) > 0) {
			t.Errorf("%s has %d commands: give it a line in guidePages, or take it out", name, len(commands))
		}
		if len(commands) > 0 {
			t.Run(name, func(t *testing.T) { runGuide(t, root, string(text), page, commands) })
		}
	}
	if seen != len(guidePages) {
		t.Errorf("%d of %d pages of guidePages are there", seen, len(guidePages))
	}
}

func runGuide(t *testing.T, root, text string, page guidePage, commands []guideCommand) {
	bin := program(t)
	e := newEnv(context.Background(), specs(), strings.NewReader(""), nil, nil)
	run := !page.slow || os.Getenv("GIMBAL_SLOW") != ""
	if run {
		fixture(t)
		for to, from := range page.files {
			b, err := os.ReadFile(from)
			if err == nil {
				err = os.WriteFile(to, b, 0o666)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		for to, from := range page.data {
			path := filepath.Join(guideData(root), filepath.FromSlash(from))
			if _, err := os.Stat(path); err != nil {
				t.Skipf("skipped: there is no %s (say with GIMBAL_DATA where the public data is)", path)
			}
			if err := os.Symlink(path, to); err != nil {
				t.Fatal(err)
			}
		}
		for _, block := range guideFence.FindAllStringSubmatch(text, -1) {
			if block[1] == "yaml" && strings.Contains(block[2], "merge_method") {
				if err := os.WriteFile("recipe.yaml", []byte(block[2]), 0o666); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0", "GIMBAL_DATA="+guideData(root))
	shell := func(text string) (string, error) {
		cmd := exec.Command("sh", "-e", "-c", text)
		cmd.Env, cmd.Dir = env, dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	before := page.before
	server := ""
	program := "" // Python's blocks so far: each goes on where the last one stopped
	for _, c := range commands {
		if c.python {
			python := os.Getenv("GIMBAL_PYTHON")
			if python == "" || !run {
				continue
			}
			program += strings.ReplaceAll(c.text, "localhost:8080", server)
			cmd := exec.Command(python, "-c", program)
			cmd.Env, cmd.Dir = env, dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s\n%v\n%s", c.text, err, out)
			}
			continue
		}
		switch first := strings.Fields(c.text)[0]; {
		case strings.HasPrefix(c.text, "go test") || strings.HasPrefix(c.text, "GIMBAL_") || strings.HasPrefix(c.text, "go run ./cmd/gimbal demo"):
			continue // this test is of them, the demo has one of its own, and the soak is the same test, for longer
		case first == "python3" || strings.Contains(c.text, "internal/tools/detectors") || strings.Contains(c.text, "internal/tools/labels"):
			continue // minutes and hours of tables; the tools have tests of their own
		case strings.HasPrefix(c.text, "go run ./internal/tools/load") || strings.Contains(c.text, "…") || strings.Contains(c.text, "https://"):
			continue // asks a server that is not there, or leaves words out
		case strings.HasPrefix(c.text, "go run ./docs/guide/scratch") && run:
			cmd := exec.Command("go", append([]string{"run", "./docs/guide/scratch"}, prefixed(dir, strings.Fields(c.text)[3:])...)...)
			cmd.Dir = root
			if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "true") {
				t.Errorf("%s\n%v\n%s", c.text, err, out)
			}
			continue
		case first == "go" && run:
			tool, rest, _ := strings.Cut(strings.TrimPrefix(c.text, "go run ./internal/tools/"), " ")
			built := filepath.Join(bin, tool)
			build := exec.Command("go", "build", "-o", built, "./internal/tools/"+tool)
			build.Dir = root
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", c.text, err, out)
			}
			rest, folder, into := strings.Cut(rest, " && cd ")
			if out, err := shell(tool + " " + rest); err != nil {
				t.Fatalf("%s: %v\n%s", c.text, err, out)
			}
			for _, line := range before {
				if out, err := shell(line); err != nil {
					t.Fatalf("%s: %v\n%s", line, err, out)
				}
			}
			before = nil
			if into {
				for _, state := range []string{"tuned.state"} {
					if err := os.Rename(filepath.Join(dir, state), filepath.Join(dir, folder, state)); err != nil {
						t.Fatal(err)
					}
				}
				dir = filepath.Join(dir, folder)
			}
			continue
		}
		for _, line := range before {
			if out, err := shell(line); err != nil {
				t.Fatalf("%s: %v\n%s", line, err, out)
			}
		}
		before = nil
		line, _, _ := strings.Cut(c.text, "  #")
		begins := func(p string) bool { return strings.HasPrefix(line, p) }
		parsed := !run || slices.ContainsFunc(page.parsed, begins) || os.Getenv("GIMBAL_PYTHON") == "" && slices.ContainsFunc(page.python, begins)
		unends := strings.HasPrefix(line, "gimbal serve") || strings.HasPrefix(line, "gimbal sidecar")
		switch {
		case run && strings.HasPrefix(line, "gimbal demo --examples"):
			into := strings.Fields(line)[3]
			if out, err := shell("gimbal demo --examples " + into); err != nil {
				t.Fatalf("%s: %v\n%s", line, err, out)
			}
			if strings.HasSuffix(strings.TrimSpace(line), "&& cd "+into) {
				dir = filepath.Join(dir, into)
			}
		case strings.HasPrefix(line, "gimbal") && (parsed || unends):
			checkFlags(t, newRootCommand(e), []string{strings.NewReplacer("\\\n", " ", "'", "").Replace(line)})
			if unends && run && strings.HasPrefix(line, "gimbal serve g.gimbal") && !strings.Contains(line, "postgres") && !strings.Contains(line, "--tls") {
				server = guideServer(t, bin, dir, env, line)
			}
		case strings.HasPrefix(line, "curl") && server == "":
			t.Errorf("%s: no server was started before it", line)
		case run:
			out, err := shell(strings.NewReplacer("localhost:8080", server, "../shared/data", guideData(root)).Replace(line))
			var exit *exec.ExitError
			drift := (strings.HasPrefix(line, "gimbal test") || strings.HasPrefix(line, "gimbal watch")) && asExit(err, &exit) && exit.ExitCode() == exitGate
			if c.fails == (err == nil || drift) {
				t.Errorf("%s\n%v\n%s", line, err, out)
			}
			if strings.HasPrefix(line, "curl") && (strings.Contains(out, `"error"`) || strings.TrimSpace(out) == "") {
				t.Errorf("%s\n%s", line, out)
			}
		}
	}
}

func asExit(err error, to **exec.ExitError) (ok bool) {
	*to, ok = err.(*exec.ExitError)
	return ok
}

// prefixed are paths in a folder.
func prefixed(dir string, paths []string) (out []string) {
	for _, p := range paths {
		out = append(out, filepath.Join(dir, p))
	}
	return out
}

// guideData is where the public data sets are.
func guideData(root string) string {
	if path := os.Getenv("GIMBAL_DATA"); path != "" {
		return path
	}
	return filepath.Join(root, "..", "shared", "data")
}

// guideServer starts what a page starts, elsewhere, and returns its address; it ends with the test.
func guideServer(t *testing.T, bin, dir string, env []string, line string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	cmd := exec.Command(filepath.Join(bin, "gimbal"), append(strings.Fields(line)[1:], "--http", address, "--grpc", "off", "--log-level", "error")...)
	cmd.Env, cmd.Dir = env, dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	}
	t.Cleanup(stop)
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return address
		}
	}
	t.Fatalf("%s: no answer at %s", line, address)
	return ""
}
