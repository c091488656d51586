package claim

import "slices"

// Run is what is kept of a run after the claim ran again: how it came out, and of what.
type Run struct {
	Verdict    Verdict  `json:"verdict"`
	Difference Interval `json:"difference"`
	Seeds      int      `json:"seeds"`
	Program    string   `json:"program"`
	Machine    string   `json:"machine"`
	When       string   `json:"when"`
	// Commit is the one that the result was stored with, where it is known.
	Commit string `json:"commit,omitempty"`
}

// Run is the short form of the result itself.
func (r *Result) Run() Run {
	return Run{Verdict: r.Verdict, Difference: r.Difference, Seeds: len(r.Outcomes), Program: r.Program, Machine: r.Machine, When: r.When, Commit: r.Commit}
}

// Runs lists all runs, oldest first; the last one is the result itself.
func (r *Result) Runs() []Run { return append(slices.Clone(r.Earlier), r.Run()) }

// Follow makes the result one run more of a claim that ran before: nothing of its history is lost. A nil before has none.
func (r *Result) Follow(before *Result) {
	if before != nil {
		r.Earlier = before.Runs()
	}
}

// Changed says in which run the verdict last became another one, and what it was before; false when it never did.
func (r *Result) Changed() (was Verdict, at Run, ok bool) {
	runs := r.Runs()
	for i := len(runs) - 1; i > 0; i-- {
		if runs[i].Verdict != runs[i-1].Verdict {
			return runs[i-1].Verdict, runs[i], true
		}
	}
	return "", Run{}, false
}
