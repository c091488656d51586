package cli

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// slow are commands whose examples take seconds each; GIMBAL_SLOW=1 runs them too. Their flags are checked always.
var slow = []string{"gimbal demo", "gimbal claim"}

// unending are commands that run until they are stopped; the flags of their examples are checked.
var unending = []string{"gimbal serve", "gimbal sidecar"}

// TestExamples runs every example line of every help, and of every method's help, in a shell.
func TestExamples(t *testing.T) {
	bin := program(t)
	e := newEnv(context.Background(), specs(), strings.NewReader(""), nil, nil)
	seen := map[string]bool{}
	check := func(name, text string, files func(*testing.T)) {
		t.Run(name, func(t *testing.T) {
			lines := exampleLines(text)
			if len(lines) == 0 {
				t.Fatalf("the help has no example:\n%s", text)
			}
			command := strings.ReplaceAll(name, "_", " ")
			if slices.Contains(unending, command) || slices.Contains(slow, command) && os.Getenv("GIMBAL_SLOW") == "" {
				checkFlags(t, newRootCommand(e), lines)
				return
			}
			files(t)
			for _, line := range lines {
				cmd := exec.Command("sh", "-e", "-c", line)
				cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0")
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Errorf("%s\n%v\n%s", line, err, out)
				}
			}
		})
	}
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		r := gimbal(append(strings.Fields(cmd.CommandPath())[1:], "--help")...)
		if r.code != 0 || r.errOut != "" {
			t.Errorf("%s --help: exit %d: %s", cmd.CommandPath(), r.code, r.errOut)
		}
		if key := strings.Join(exampleLines(r.out), "\n"); !seen[key] || key == "" {
			seen[key] = true
			check(strings.ReplaceAll(cmd.CommandPath(), " ", "_"), r.out, fixture)
		}
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	walk(newRootCommand(e))
	for _, s := range specs() {
		r := gimbal("help", s.ID())
		if r.code != 0 {
			t.Errorf("help %s: %s", s.ID(), r.errOut)
		}
		if key := strings.Join(exampleLines(r.out), "\n"); !seen[key] {
			check("help_"+s.ID(), r.out, examplesAlone)
		}
	}
}

// examplesAlone is a folder with what a new user has: the files of gimbal demo --examples.
func examplesAlone(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if r := gimbal("demo", "--examples", dir); r.code != 0 {
		t.Fatal(r.errOut)
	}
	t.Chdir(dir)
}

// checkFlags parses lines without running them.
func checkFlags(t *testing.T, root *cobra.Command, lines []string) {
	t.Helper()
	for _, line := range lines {
		words := strings.Fields(line)
		cmd, rest, err := root.Find(words[1:])
		if err == nil {
			err = cmd.ParseFlags(rest)
		}
		if err != nil || words[0] != "gimbal" {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// exampleLines are the indented lines under the heading Examples.
func exampleLines(help string) []string {
	_, text, _ := strings.Cut(help, "\nExamples:\n")
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "  ") {
			break
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

// program links this test binary as gimbal and returns the folder.
func program(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "gimbal")); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	return dir
}
