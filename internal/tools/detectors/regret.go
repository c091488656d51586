package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/gimbal-ml/gimbal/metric"
)

// writeRegrets prints one line a strategy: what it reached, and what it left to the oracle's choice. Least regret first.
func writeRegrets(to io.Writer, list []regret) error {
	kinds := []string{"table", "features", "classes"}
	by := map[string]map[string][]regret{}
	for _, r := range list {
		if by[r.strategy] == nil {
			by[r.strategy] = map[string][]regret{}
		}
		for _, k := range []string{"", r.kind} {
			by[r.strategy][k] = append(by[r.strategy][k], r)
		}
	}
	means := map[string]metric.Estimate{}
	var names []string
	for name, sets := range by {
		var lost []float64
		for _, r := range sets[""] {
			lost = append(lost, r.best-r.auroc)
		}
		if len(lost) < 2 {
			continue
		}
		e, err := metric.Mean(lost)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		means[name] = e
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(means[a].Value, means[b].Value), cmp.Compare(a, b))
	})
	fixed := false
	names = slices.DeleteFunc(names, func(name string) bool { // of fixed settings, the defaults, and the best of the others
		if !strings.Contains(name, " --") {
			return false
		}
		best := !fixed && len(by[name][""]) == len(by["oracle"][""])
		fixed = fixed || best
		return !best
	})
	chosen := map[string]float64{}
	for _, r := range by["chosen"][""] {
		chosen[r.set] = r.auroc
	}
	fmt.Fprintln(to, "| strategy | sets | AUROC | regret, 95 % interval over sets | worst | within 1 point | chosen less this, 95 % interval | regret, tables | features | classes |")
	fmt.Fprintln(to, "|---|---|---|---|---|---|---|---|---|---|")
	for _, name := range names {
		sets := by[name][""]
		reached, worst, close := 0.0, 0.0, 0
		for _, r := range sets {
			reached += r.auroc / float64(len(sets))
			worst = max(worst, r.best-r.auroc)
			if r.best-r.auroc <= 0.01 {
				close++
			}
		}
		e := means[name]
		var ours, theirs []float64
		for _, r := range sets {
			ours, theirs = append(ours, chosen[r.set]), append(theirs, r.auroc)
		}
		gain, err := metric.PairedMean(ours, theirs)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintf(to, "| %s | %d | %.2f | %.2f [%.2f, %.2f] | %.2f | %.0f %% | %+.2f [%+.2f, %+.2f] |", name, len(sets), 100*reached, 100*e.Value, 100*e.Low, 100*e.High, 100*worst, 100*float64(close)/float64(len(sets)), 100*gain.Value, 100*gain.Low, 100*gain.High)
		for _, k := range kinds {
			if len(by[name][k]) == 0 {
				fmt.Fprint(to, " – |")
				continue
			}
			sum := 0.0
			for _, r := range by[name][k] {
				sum += (r.best - r.auroc) / float64(len(by[name][k]))
			}
			fmt.Fprintf(to, " %.2f |", 100*sum)
		}
		fmt.Fprintln(to)
	}
	return nil
}

// writeRegretsRaw keeps one tab-separated line a set and strategy.
func writeRegretsRaw(path string, list []regret) error {
	var b strings.Builder
	for _, r := range list {
		fmt.Fprintf(&b, "%s\t%s\t%s\t%s\t%v\t%v\n", r.set, r.kind, r.strategy, r.picked, r.auroc, r.best)
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

func readRegrets(path string) (list []regret, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		p := strings.Split(lines.Text(), "\t")
		if len(p) != 6 {
			return nil, fmt.Errorf("%s, line %d: %d fields, want 6", path, n, len(p))
		}
		r := regret{set: p[0], kind: p[1], strategy: p[2], picked: p[3]}
		for k, to := range []*float64{&r.auroc, &r.best} {
			if *to, err = strconv.ParseFloat(p[4+k], 64); err != nil {
				return nil, fmt.Errorf("%s, line %d: %w", path, n, err)
			}
		}
		list = append(list, r)
	}
	return list, lines.Err()
}
