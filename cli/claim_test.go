package cli

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestClaimKeepsItsHistory stores a claim twice: the second run must stand beside the first, not in its place.
func TestClaimKeepsItsHistory(t *testing.T) {
	t.Chdir(t.TempDir())
	const id = "drift/adwin"
	must(t, "claim", id, "--seeds", "3", "--save", "results")
	must(t, "claim", id, "--seeds", "2", "--save", "results")
	var runs []struct {
		ID      string `json:"id"`
		Verdict string `json:"verdict"`
		Seeds   int    `json:"seeds"`
	}
	read := func(args ...string) {
		t.Helper()
		if err := json.Unmarshal([]byte(must(t, append(args, "--json")...)), &runs); err != nil {
			t.Fatal(err)
		}
	}
	read("claim", "--history", id, "--save", "results")
	if len(runs) != 2 || runs[0].Seeds != 3 || runs[1].Seeds != 2 || runs[0].ID != id {
		t.Errorf("have runs %+v, want one over 3 seeds and then one over 2", runs)
	}
	read("claim", "--history", id) // the program's own: the verdict became another one
	if len(runs) < 2 || runs[0].Verdict != "holds" || runs[1].Verdict != "open" {
		t.Errorf("have runs %+v, want one that holds and then an open one", runs)
	}
	all := len(strings.Split(strings.TrimSpace(must(t, "claim", "--history")), "\n"))
	if one := len(strings.Split(strings.TrimSpace(must(t, "claim", "--history", id)), "\n")); all <= one {
		t.Errorf("the history of all claims has %d lines, that of one %d", all, one)
	}
	refused(t, 2, []string{"detect/nothing"}, "claim", "--history", "detect/nothing")
}

// TestHeadOf: the commit is found in a branch's file, among packed branches, without a branch, and from a worktree; nowhere else.
func TestHeadOf(t *testing.T) {
	t.Chdir(t.TempDir())
	const hash = "0123456789abcdef0123456789abcdef01234567"
	for _, dir := range []string{".git/refs/heads", ".git/worktrees/other"} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what, dir, want string) {
		t.Helper()
		if got := headOf(dir); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	check("nothing", ".git", "")
	write(t, ".git/HEAD", "ref: refs/heads/main\n")
	check("no commit yet", ".git", "")
	write(t, ".git/packed-refs", "# pack-refs with: peeled\n"+hash+" refs/heads/main\n")
	check("packed", ".git", hash)
	write(t, ".git/refs/heads/main", "f"+hash[1:]+"\n")
	check("a branch's file", ".git", "f"+hash[1:])
	write(t, ".git/worktrees/other/HEAD", "ref: refs/heads/main\n")
	write(t, ".git/worktrees/other/commondir", "../..\n")
	write(t, "worktree", "gitdir: .git/worktrees/other\n")
	check("a worktree", "worktree", "f"+hash[1:])
	write(t, ".git/HEAD", hash+"\n")
	check("no branch", ".git", hash)
}
