package cli

import (
	"encoding/json"
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
