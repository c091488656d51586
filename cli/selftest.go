package cli

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/moments"
)

func newSelftestCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "selftest",
		Short: "Check on this machine, in seconds, that sums are exact and that saved models are what was fitted",
		Long: `Selftest checks the laws that everything else stands on, on data that it makes itself: a state does not depend on the order
of rows, on shards or on threads; what is forgotten leaves no trace; covariances agree with a plain computation, also far
from zero; every method that fits from moments survives saving and loading unchanged. It fails with exit code 1.`,
		Example: `  gimbal selftest`,
		Args:    exactly(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runSelftest(e, cmd.Context()) },
	}
}

func runSelftest(e *env, ctx context.Context) error {
	checks := []struct {
		name string
		run  func(context.Context) error
	}{
		{"order of rows", checkOrder},
		{"shards, merged", checkShards},
		{"rows, forgotten", checkForgotten},
		{"covariance far from zero", checkCovariance},
	}
	for _, s := range e.specs {
		if s.FitsMoments() && s.Needs&moments.Targets == 0 {
			checks = append(checks, struct {
				name string
				run  func(context.Context) error
			}{s.ID() + ", saved and loaded", func(ctx context.Context) error { return checkSaved(ctx, e.specs, s) }})
		}
	}
	l := &listing{columns: columns("check", "result", "seconds")}
	failed := 0
	for _, c := range checks {
		start := time.Now()
		result := "ok"
		if err := c.run(ctx); err != nil {
			if ctx.Err() != nil {
				return err
			}
			result = oneLine(err)
			failed++
		}
		l.add(c.name, result, math.Round(1e3*time.Since(start).Seconds())/1e3)
	}
	if e.json {
		var list []object
		for _, r := range l.rows {
			list = append(list, object{{"check", r[0]}, {"result", r[1]}, {"seconds", r[2]}})
		}
		if err := e.printObject(append(versions(), field{"checks", list})); err != nil {
			return err
		}
	} else {
		var words []string
		for _, f := range versions() {
			words = append(words, f.name+" "+plain(f.value))
		}
		e.say("%s", strings.Join(words, ", "))
		if err := e.print(l); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks failed on this machine: do not trust results made here, and please report it", failed, len(checks))
	}
	return nil
}
