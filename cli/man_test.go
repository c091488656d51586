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

// TestManual: every command has a page with its name, its options and its example; the same program writes the same bytes; and man, where there is one, reads them.
func TestManual(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, to := range []string{"one", "two"} {
		if r := gimbal("man", "--to", to); r.code != 0 {
			t.Fatal(r.errOut)
		}
	}
	pages := map[string]string{}
	entries, err := os.ReadDir("one")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		sameFile(t, filepath.Join("one", entry.Name()), filepath.Join("two", entry.Name()))
		pages[entry.Name()] = read(t, filepath.Join("one", entry.Name()))
	}
	count := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Hidden {
			return
		}
		count++
		page, ok := pages[manualName(c)+".1"]
		if !ok {
			t.Errorf("%s has no page", c.CommandPath())
		}
		for _, part := range []string{".SH NAME", ".SH SYNOPSIS", ".SH EXAMPLE"} {
			if !strings.Contains(page, part) && (part != ".SH EXAMPLE" || c.Example != "") {
				t.Errorf("the page of %s has no %s", c.CommandPath(), part)
			}
		}
		for _, c := range c.Commands() {
			walk(c)
		}
	}
	root := newRootCommand(newEnv(context.Background(), specs(), strings.NewReader(""), nil, nil))
	root.InitDefaultHelpCmd()
	walk(root)
	if count != len(pages) {
		t.Errorf("%d pages for %d commands", len(pages), count)
	}
	if !strings.Contains(pages["gimbal-guard-fit.1"], "--alpha") {
		t.Error("the page of guard fit has no --alpha")
	}
	if groff, err := exec.LookPath("groff"); err == nil {
		out, err := exec.Command(groff, "-man", "-Tascii", "-ww", filepath.Join("one", "gimbal-guard-fit.1")).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "guard") {
			t.Errorf("groff: %v\n%s", err, out)
		}
	}
	if r := gimbal("man"); r.code != 2 || !strings.Contains(r.errOut, "--to") {
		t.Errorf("without a folder: exit %d: %s", r.code, r.errOut)
	}
}

// TestCompletion: what a shell asks for is answered with commands, methods, flags and the words that a flag may have.
func TestCompletion(t *testing.T) {
	fixture(t)
	for words, want := range map[string]string{
		"gua":                    "guard",
		"fit detect/maha":        "detect/mahalanobis",
		"fit detect/knn --nei":   "--neighbors",
		"help probe/rid":         "probe/ridgepath",
		"continual ad":           "add",
		"claim continual/ranp":   "continual/ranpac",
		"methods det":            "detect",
		"completion ba":          "bash",
		"papers --family contin": "continual",
		"guard fit --al":         "--alpha",
	} {
		r := gimbal(append([]string{"__complete"}, strings.Fields(words)...)...)
		answers := strings.Split(r.out, "\n")
		if r.code != 0 || !slices.ContainsFunc(answers, func(a string) bool { a, _, _ = strings.Cut(a, "\t"); return a == want }) {
			t.Errorf("%s…: exit %d, %q, want %s among them", words, r.code, answers, want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		r := gimbal("completion", shell)
		if r.code != 0 || !strings.Contains(r.out, "__complete") {
			t.Errorf("completion %s: exit %d, %d bytes", shell, r.code, len(r.out))
		}
		if path, err := exec.LookPath(shell); err == nil && shell != "powershell" {
			write(t, "script", r.out)
			if out, err := exec.Command(path, "-n", "script").CombinedOutput(); err != nil {
				t.Errorf("%s does not read its script: %v\n%s", shell, err, out)
			}
		}
	}
}
