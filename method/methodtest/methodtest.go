// Package methodtest holds the laws that every method must obey, whoever wrote it. A family's author calls [Run] from a
// test; the package itself is tested on saboteurs, methods with one fault each, which must be caught by the one check
// that is meant for them.
package methodtest

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gimbal-ml/gimbal/method"
)

// Check is one law.
type Check struct {
	Name string
	// When says whether the law can apply, judged by the method's verbs, inputs and needs; nil means always.
	When func(method.Spec) bool
	Run  func(t *T)
	// static checks look at the method without running it, so they make sense even when it does not run.
	static bool
}

// T is what a check works with: the method under test, and a place to say what is wrong with it.
type T struct {
	Spec     method.Spec
	ctx      context.Context
	limit    time.Duration
	failures []string
}

// Errorf notes a failure.
func (t *T) Errorf(format string, args ...any) {
	t.failures = append(t.failures, fmt.Sprintf(format, args...))
}

// stop is what Fatalf panics with.
type stop struct{}

// Fatalf notes a failure and ends the check. Only the check's own goroutine may call it.
func (t *T) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	panic(stop{})
}

// try runs f and notes a panic as a failure, so that the check can go on.
func (t *T) try(what string, f func()) {
	defer func() {
		switch r := recover(); r.(type) {
		case nil:
		case stop:
			panic(r)
		default:
			t.Errorf("%s: panic: %v%s", what, r, origin(debug.Stack()))
		}
	}()
	f()
}

// origin is the place of a panic: the first line of a stack below the runtime's.
func origin(stack []byte) string {
	_, after, _ := strings.Cut(string(stack), "\npanic(")
	for line := range strings.Lines(after) {
		if line, ok := strings.CutPrefix(line, "\t"); ok && !strings.Contains(line, "/runtime/") {
			place, _, _ := strings.Cut(line, " +")
			return " at " + place[strings.LastIndexByte(place, '/')+1:]
		}
	}
	return ""
}

// Failure is a law broken.
type Failure struct{ Check, Text string }

// Failures applies every check that fits the method, and says what is wrong; more are checks of the caller's own.
//
// An exemption turns a check around: the check must then fail, for a reason that Exempt gives. One that passes, has
// no reason or names no check is a failure of the check "exempt".
func Failures(s method.Spec, more ...Check) (all []Failure) {
	run(s, defaultsLimit(), more, func(name string, body func() (string, []string)) {
		_, bad := body()
		for _, text := range bad {
			all = append(all, Failure{name, text})
		}
	})
	return all
}

// Run is [Failures] as a test, one subtest a check.
func Run(t *testing.T, s method.Spec, more ...Check) {
	run(s, defaultsLimit(), more, func(name string, body func() (string, []string)) {
		t.Run(name, func(t *testing.T) {
			note, bad := body()
			if note != "" {
				t.Log(note)
			}
			for _, text := range bad {
				t.Error(text)
			}
		})
	})
}

// FailuresOf applies one check of the caller's own, and says what is wrong.
func FailuresOf(s method.Spec, c Check) (all []Failure) {
	if c.When != nil && !c.When(s) {
		return nil
	}
	t := newT(s.Scaled())
	t.guard(c.Run)
	for _, text := range t.failures {
		all = append(all, Failure{c.Name, text})
	}
	return all
}

// defaultsLimit is how long a method may take on the toy set with its default configuration.
func defaultsLimit() time.Duration {
	if raceEnabled {
		return 20 * time.Second
	}
	return 2 * time.Second
}

// run hands every check that applies to each, which must call the body; the body returns a note and what is wrong.
func run(s method.Spec, limit time.Duration, more []Check, each func(name string, body func() (note string, bad []string))) {
	all := slices.Concat(checks, more)
	var exempt []string
	broken := "" // the gate that failed
	for _, c := range all {
		why, exempted := s.Exempt[c.Name]
		if c.When != nil && !c.When(s) {
			if exempted {
				exempt = append(exempt, fmt.Sprintf("%q does not apply to this method: remove the exemption", c.Name))
			}
			continue
		}
		each(c.Name, func() (note string, bad []string) {
			if broken != "" && !c.static {
				return "not run: " + broken + " failed", nil
			}
			t := newT(s.Scaled())
			if c.static {
				t.Spec = s
			}
			t.limit = limit
			t.guard(c.Run)
			switch {
			case exempted && len(t.failures) == 0:
				exempt = append(exempt, fmt.Sprintf("%q passes: remove the exemption (%s)", c.Name, why))
			case exempted && strings.TrimSpace(why) == "":
				exempt = append(exempt, fmt.Sprintf("%q is exempt without a reason", c.Name))
			case exempted:
				return "exempt: " + why + "; it fails with: " + t.failures[0], nil
			}
			if slices.Contains(gates, c.Name) && len(t.failures) > 0 {
				broken = c.Name
			}
			return "", t.failures
		})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Exempt)) {
		if !slices.ContainsFunc(all, func(c Check) bool { return c.Name == name }) {
			exempt = append(exempt, fmt.Sprintf("no check is called %q", name))
		}
	}
	each("exempt", func() (string, []string) { return "", exempt })
}

// gates are the checks without which later ones say nothing of their own: a method that does not run cannot be tried, and
// one that differs from itself cannot be compared.
var gates = []string{"defaults-run", "deterministic"}

func newT(s method.Spec) *T { return &T{Spec: s, ctx: context.Background()} }

// guard runs a check to its end, be it Fatalf or a panic of the method's.
func (t *T) guard(check func(t *T)) {
	defer func() {
		if r := recover(); r != nil && r != (stop{}) {
			panic(r)
		}
	}()
	t.try("the method", func() { check(t) })
}

// checks are all laws, in the order in which a broken one explains the next.
var checks = []Check{
	{Name: "doc", Run: checkDoc, static: true},
	{Name: "zero-is-honest", Run: checkZeroIsHonest, static: true},
	{Name: "defaults-run", Run: checkDefaultsRun},
	{Name: "input-untouched", Run: checkInputUntouched},
	{Name: "config-untouched", Run: checkConfigUntouched},
	{Name: "deterministic", Run: checkDeterministic},
	{Name: "answers", Run: checkAnswers},
	{Name: "not-constant", When: answersRows, Run: checkNotConstant},
	{Name: "direction", When: hasDirection, Run: checkDirection},
	{Name: "every-knob-matters", When: func(s method.Spec) bool { return len(s.Params) > 0 }, Run: checkEveryKnobMatters},
	{Name: "rows-independent", When: answersRows, Run: checkRowsIndependent},
	{Name: "row-order", When: learnsTables, Run: checkRowOrder},
	{Name: "class-names", When: learnsTables, Run: checkClassNames},
	{Name: "far-from-zero", When: learnsTables, Run: checkFarFromZero},
	{Name: "merge", When: method.Spec.FitsMoments, Run: checkMerge},
	{Name: "save-load", When: method.Spec.Learns, Run: checkSaveLoad},
	{Name: "damage", When: method.Spec.Learns, Run: checkDamage},
	{Name: "shapes", Run: checkShapes},
	{Name: "wrong-width", Run: checkWrongWidth},
	{Name: "inputs", Run: checkInputs},
	{Name: "missing-labels", When: learnsTables, Run: checkMissingLabels},
	{Name: "concurrent", Run: checkConcurrent},
	{Name: "cancel", Run: checkCancel},
	{Name: "update", When: func(s method.Spec) bool { return s.Can("update") }, Run: checkUpdate},
	{Name: "forget", When: func(s method.Spec) bool { return s.Can("forget") }, Run: checkForget},
	{Name: "sets", When: canSets, Run: checkSets},
	{Name: "coverage", When: canSets, Run: checkCoverage},
	{Name: "findings", When: canAudit, Run: checkFindings},
	{Name: "comparison", When: canTest, Run: checkComparison},
	{Name: "window-order", When: canTest, Run: checkWindowOrder},
	{Name: "exchange", When: canTest, Run: checkExchange},
	{Name: "null-rate", When: canTest, Run: checkNullRate},
	{Name: "planted-drift", When: func(s method.Spec) bool { return canTest(s) || canWatch(s) }, Run: checkPlantedDrift},
	{Name: "false-alarms", When: canWatch, Run: checkFalseAlarms},
	{Name: "pieces", When: canWatch, Run: checkPieces},
}

// Names lists the checks, in the order in which they run.
func Names() (names []string) {
	for _, c := range checks {
		names = append(names, c.Name)
	}
	return names
}
