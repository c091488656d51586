// Package claims lists every claim and writes down how they came out.
package claims

import (
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/claims/continual"
	"github.com/gimbal-ml/gimbal/claims/detect"
	"github.com/gimbal-ml/gimbal/claims/drift"
	"github.com/gimbal-ml/gimbal/claims/pretrain"
	"github.com/gimbal-ml/gimbal/claims/probe"
	"github.com/gimbal-ml/gimbal/claims/weights"
)

// All returns the claims, sorted by ID.
func All() []claim.Claim {
	all := slices.Concat(continual.Claims(), detect.Claims(), drift.Claims(), pretrain.Claims(), probe.Claims(), weights.Claims())
	slices.SortFunc(all, func(a, b claim.Claim) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// ResultPath is where a claim's stored result lies below a folder: detect/knn → detect/knn.json.
func ResultPath(folder, id string) string {
	return filepath.Join(folder, filepath.FromSlash(id)+".json")
}

// Read returns a stored result; nil when there is none yet.
func Read(folder, id string) (*claim.Result, error) {
	text, err := os.ReadFile(ResultPath(folder, id))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ResultPath(folder, id), err)
	}
	r := &claim.Result{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", ResultPath(folder, id), err)
	}
	return r, nil
}

//go:embed results
var results embed.FS

// Stored returns a claim's result as it was when the program was built; nil when it had none.
func Stored(id string) *claim.Result {
	text, err := results.ReadFile("results/" + id + ".json")
	if err != nil {
		return nil
	}
	r := &claim.Result{}
	if err := json.Unmarshal(text, r); err != nil {
		panic("claims: results/" + id + ".json: " + err.Error()) // it is part of the program
	}
	return r
}

// WriteMarkdown writes the page docs/claims.md from the stored results.
func WriteMarkdown(w io.Writer, folder string) error {
	var b strings.Builder
	b.WriteString(`# Claims

Each method's paper says that it beats a baseline. Here that comparison is run again, small, over seeds. *Holds* means that the
95 % interval of the paired difference lies above the margin, *fails* that it lies below, *open* that it holds both. What fails is
shown as it is. This page is written by ` + "`gimbal claim --page docs/claims.md`" + ` from ` + "`claims/results/`" + `; ` + "`gimbal claim ID`" + ` runs one again.

| claim | verdict | difference | method | baseline |
|---|---|---|---|---|
`)
	var stored []*claim.Result
	for _, c := range All() {
		r, err := Read(folder, c.ID)
		if err != nil {
			return err
		}
		stored = append(stored, r)
		if r == nil {
			fmt.Fprintf(&b, "| [%s](#%s) | not run | | %s | %s |\n", c.ID, anchor(c.ID), c.Arms[0], c.Arms[1])
			continue
		}
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s: %s | %s: %s |\n", c.ID, anchor(c.ID), verdict(r), Show(c, r.Difference, true), c.Arms[0], Show(c, r.Arms[0].Interval, false), c.Arms[1], Show(c, r.Arms[1].Interval, false))
	}
	for i, c := range All() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", c.ID, c.Statement)
		fmt.Fprintf(&b, "- Source: %s\n- Here: %s\n- Data: %s\n- Metric: %s%s\n- Again: `gimbal claim %s`\n", c.Paper, c.ScaleDown, c.Data, c.Metric, margin(c), c.ID)
		r := stored[i]
		if r == nil {
			continue
		}
		fmt.Fprintf(&b, "\n**%s**: %s minus %s is %s over %d seeds (%.0f s, %s, %s, %s).\n\n| arm | %s |\n|---|---|\n",
			r.Verdict, c.Arms[0], c.Arms[1], Show(c, r.Difference, true), len(r.Outcomes), r.Seconds, r.Machine, r.Program, r.When, c.Metric)
		for _, a := range r.Arms {
			fmt.Fprintf(&b, "| %s | %s |\n", a.Name, Show(c, a.Interval, false))
		}
		if len(r.Facts) > 0 {
			b.WriteString("\n| also measured | |\n|---|---|\n")
			for _, f := range r.Facts {
				fmt.Fprintf(&b, "| %s | %.4g |\n", f.Name, f.Value)
			}
		}
		writeRuns(&b, c, r)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// verdict is how a result came out, and what it said before it last changed.
func verdict(r *claim.Result) string {
	if was, at, ok := r.Changed(); ok {
		return fmt.Sprintf("%s (since %s; %s before)", r.Verdict, at.When, was)
	}
	return string(r.Verdict)
}

// writeRuns writes the table of all runs of a claim that ran more than once.
func writeRuns(b *strings.Builder, c claim.Claim, r *claim.Result) {
	if len(r.Earlier) == 0 {
		return
	}
	b.WriteString("\n| run | verdict | difference | seeds | stored with |\n|---|---|---|---|---|\n")
	for _, run := range r.Runs() {
		fmt.Fprintf(b, "| %s | %s | %s | %d | %s |\n", run.When, run.Verdict, Show(c, run.Difference, true), run.Seeds, run.Commit)
	}
}

func anchor(id string) string { return strings.ReplaceAll(id, "/", "") }

func margin(c claim.Claim) string {
	text := ", higher is better"
	if c.LowerIsBetter {
		text = ", lower is better"
	}
	if c.Margin != 0 {
		m := fmt.Sprintf("%.3g", c.Margin)
		if c.Percent {
			m = fmt.Sprintf("%.3g points", 100*c.Margin)
		}
		text += "; must differ by more than " + m
	}
	return text
}

// Show prints an interval in the claim's unit.
func Show(c claim.Claim, v claim.Interval, signed bool) string {
	scale := 1.0
	if c.Percent {
		scale = 100
	}
	format := "%.4g [%.4g, %.4g]"
	if c.Percent {
		format = "%.2f [%.2f, %.2f]"
	}
	if signed {
		format = strings.Replace(format, "%", "%+", 1)
	}
	return fmt.Sprintf(format, scale*v.Value, scale*v.Low, scale*v.High)
}
