package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/claims"
	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data/atomic"
)

type claimOptions struct {
	data, save, page string
	seeds            int
	all, history     bool
}

func newClaimCommand(e *env) *cobra.Command {
	o := &claimOptions{}
	cmd := &cobra.Command{
		Use:   "claim [ID…]",
		Short: "Run a paper's headline comparison again, small, and say how it came out",
		Long: `Claim runs the comparison behind a method over seeds: the method against the baseline that its paper names, with a paired
95 % interval and a verdict: holds, fails, or open. Without an ID it lists the claims. Some need the public data sets, in
the folder that GIMBAL_DATA or --data names. Exit 3 when a claim fails.

A stored result keeps what earlier runs said: --save adds to it, and --history runs nothing and lists the runs of the claims, or
of all, oldest first, with the commit that a result was stored with where it is known.`,
		Example: `  gimbal claim
  gimbal claim probe/naivebayes --seeds 3
  gimbal claim --history drift/adwin`,
		ValidArgsFunction: func(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
			var ids []string
			for _, c := range claims.All() {
				ids = append(ids, c.ID)
			}
			return matching(ids, word)
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runClaim(e, cmd, args, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "", "`FOLDER` of the public data sets (default GIMBAL_DATA, else ../shared/data)")
	f.IntVar(&o.seeds, "seeds", 0, "how many `SEEDS` to run instead of the claim's own number")
	f.StringVar(&o.save, "save", "", "`FOLDER` to store the results in: claims/results for the project's own")
	f.StringVar(&o.page, "page", "", "write the page of all results stored in --save (default claims/results) to this `FILE`")
	f.BoolVar(&o.history, "history", false, "list the stored runs, the program's own or those in --save, instead of running any")
	f.BoolVar(&o.all, "all", false, "run every claim whose data is there")
	return cmd
}

func runClaim(e *env, cmd *cobra.Command, ids []string, o *claimOptions) error {
	all := claims.All()
	var chosen []claim.Claim
	for _, id := range ids {
		i := slices.IndexFunc(all, func(c claim.Claim) bool { return c.ID == id })
		if i < 0 {
			return usage(cmd, "there is no claim %q", id)
		}
		chosen = append(chosen, all[i])
	}
	if o.all {
		chosen = all
	}
	if o.history {
		if len(ids) == 0 {
			chosen = all
		}
		return o.listRuns(e, chosen)
	}
	if len(chosen) > 0 {
		if err := o.measure(e, cmd, chosen); err != nil {
			return err
		}
	}
	if o.page != "" {
		folder := o.save
		if folder == "" {
			folder = filepath.Join("claims", "results")
		}
		return atomic.Write(o.page, func(w io.Writer) error { return claims.WriteMarkdown(w, folder) })
	}
	if len(chosen) > 0 {
		return nil
	}
	l := &listing{columns: columns("id", "method", "baseline", "metric", "seeds", "needs")}
	for _, c := range all {
		l.add(c.ID, c.Arms[0], c.Arms[1], c.Metric, c.Seeds, joined(c.Needs))
	}
	return e.print(l)
}

func (o *claimOptions) measure(e *env, cmd *cobra.Command, chosen []claim.Claim) error {
	where := claim.Env{Data: o.data}
	if where.Data == "" {
		where.Data = os.Getenv("GIMBAL_DATA")
	}
	if where.Data == "" {
		where.Data = filepath.Join("..", "shared", "data")
	}
	l := &listing{columns: columns("id", "verdict", "difference", "method", "baseline", "seeds", "seconds")}
	var results []*claim.Result
	var failed []string
	for _, c := range chosen {
		line := e.track(c.ID, "seeds", c.Seeds)
		r, err := c.Measure(cmd.Context(), where, o.seeds, line.set)
		if errors.Is(err, claim.ErrMissing) && o.all {
			e.say("skipped %v", err)
			continue
		}
		if err != nil {
			return err
		}
		r.Program, r.Commit = fmt.Sprintf("gimbal %v", versions().get("gimbal")), sourceCommit()
		r.Machine = fmt.Sprintf("%s/%s, %d cores", runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
		r.When = time.Now().UTC().Format("2006-01-02")
		if r.Verdict == claim.Fails {
			failed = append(failed, c.ID)
		}
		results = append(results, r)
		l.add(c.ID, string(r.Verdict), claims.Show(c, r.Difference, true), claims.Show(c, r.Arms[0].Interval, false), claims.Show(c, r.Arms[1].Interval, false), len(r.Outcomes), r.Seconds)
		if o.save != "" {
			before, err := claims.Read(o.save, c.ID)
			if err != nil {
				return err
			}
			r.Follow(before)
			if err := saveResult(claims.ResultPath(o.save, c.ID), r); err != nil {
				return err
			}
		}
	}
	e.clearProgress()
	if e.json {
		text, err := json.MarshalIndent(results, "", " ")
		if err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "%s\n", text)
	} else if err := e.print(l); err != nil {
		return err
	}
	if len(failed) > 0 && o.save == "" {
		return gate("%s did not come out as claimed", joined(failed))
	}
	return nil
}

// listRuns lists the stored runs of claims, oldest first.
func (o *claimOptions) listRuns(e *env, chosen []claim.Claim) error {
	l := &listing{columns: columns("id", "when", "verdict", "difference", "seeds", "commit", "program", "machine")}
	for _, c := range chosen {
		r := claims.Stored(c.ID)
		if o.save != "" {
			var err error
			if r, err = claims.Read(o.save, c.ID); err != nil {
				return err
			}
		}
		if r == nil {
			e.say("%s: no run is stored", c.ID)
			continue
		}
		for _, run := range r.Runs() {
			l.add(c.ID, run.When, string(run.Verdict), claims.Show(c, run.Difference, true), run.Seeds, run.Commit, run.Program, run.Machine)
		}
	}
	return e.print(l)
}

func saveResult(path string, r *claim.Result) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("%s: %w", path, plainCause(err))
	}
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return atomic.Write(path, func(w io.Writer) error { _, err := w.Write(append(text, '\n')); return err })
}

// sourceCommit is the commit that the program was built from or, where it does not say, that of the checkout that it runs in; empty for neither.
func sourceCommit() string {
	hash, _ := versions().get("revision").(string)
	if hash == "" {
		hash = headOf(".git")
	}
	return hash[:min(len(hash), 7)]
}

// headOf reads the commit that a repository stands at; empty where there is none.
func headOf(dir string) string {
	if text, err := os.ReadFile(dir); err == nil { // of a worktree: a file that says where
		dir = strings.TrimSpace(strings.TrimPrefix(string(text), "gitdir:"))
	}
	head, err := os.ReadFile(filepath.Join(dir, "HEAD"))
	if err != nil {
		return ""
	}
	ref, named := strings.CutPrefix(strings.TrimSpace(string(head)), "ref: ")
	if !named {
		return ref
	}
	common := dir
	if text, err := os.ReadFile(filepath.Join(dir, "commondir")); err == nil {
		common = filepath.Join(dir, strings.TrimSpace(string(text)))
	}
	for _, from := range []string{dir, common} {
		if text, err := os.ReadFile(filepath.Join(from, filepath.FromSlash(ref))); err == nil {
			return strings.TrimSpace(string(text))
		}
	}
	packed, err := os.ReadFile(filepath.Join(common, "packed-refs"))
	if err != nil {
		return ""
	}
	for _, line := range strings.Split(string(packed), "\n") {
		if hash, name, ok := strings.Cut(line, " "); ok && name == ref {
			return hash
		}
	}
	return ""
}
