package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/gimbal-ml/gimbal/metric"
)

// write prints the comparison, then our detectors by themselves.
func write(to io.Writer, pairs []*pair) error {
	fmt.Fprintln(to, "| ours | peer | files | AUROC | the peer's | difference, 95 % interval over files | AUPR | the peer's | difference, 95 % interval | the peer's time over ours, median |")
	fmt.Fprintln(to, "|---|---|---|---|---|---|---|---|---|---|")
	for _, x := range pairs {
		if len(x.results) < 2 {
			fmt.Fprintf(to, "| %s | %s | %d | | | | | | | |\n", x.name, x.peer, len(x.results))
			continue
		}
		var auroc, aupr [2][]float64
		var ratio []float64
		for _, r := range x.results {
			for side := range 2 {
				auroc[side], aupr[side] = append(auroc[side], r.auroc[side]), append(aupr[side], r.aupr[side])
			}
			ratio = append(ratio, r.seconds[1]/r.seconds[0])
		}
		var cells []string
		for _, m := range [][2][]float64{auroc, aupr} {
			d, err := metric.PairedMean(m[0], m[1])
			if err != nil {
				return fmt.Errorf("%s: %w", x.name, err)
			}
			cells = append(cells, fmt.Sprintf("%.2f | %.2f | %+.2f [%+.2f, %+.2f]", 100*mean(m[0]), 100*mean(m[1]), 100*d.Value, 100*d.Low, 100*d.High))
		}
		slices.Sort(ratio)
		fmt.Fprintf(to, "| %s | %s | %d | %s | %.3g |\n", x.name, x.peer, len(x.results), strings.Join(cells, " | "), ratio[len(ratio)/2])
	}
	return writeOurs(to, pairs)
}

// writeOurs prints our detectors on every file, best mean rank first.
func writeOurs(to io.Writer, pairs []*pair) error {
	ranks, first := meanRanks(pairs), map[string]bool{}
	order := make([]int, len(pairs))
	for k := range order {
		order[k] = k
	}
	slices.SortStableFunc(order, func(a, b int) int { // of a detector with several peers, the one with most files first
		return cmp.Or(cmp.Compare(ranks[a], ranks[b]), cmp.Compare(len(pairs[b].results), len(pairs[a].results)))
	})
	fmt.Fprintln(to, "\n| detector | mean rank | AUROC, tables | AUROC, features | AUPR, tables | AUPR, features | milliseconds to fit and score, median |")
	fmt.Fprintln(to, "|---|---|---|---|---|---|---|")
	for _, k := range order {
		x := pairs[k]
		if first[x.name] || len(x.results) == 0 || ranks[k] == 0 {
			continue
		}
		first[x.name] = true
		var auroc, aupr [2][]float64
		var took []float64
		for _, r := range x.results {
			folder := 0
			if strings.HasPrefix(r.file, "features") {
				folder = 1
			}
			auroc[folder], aupr[folder] = append(auroc[folder], r.auroc[0]), append(aupr[folder], r.aupr[0])
			took = append(took, 1000*r.seconds[0])
		}
		slices.Sort(took)
		fmt.Fprintf(to, "| %s | %.1f | %.2f | %.2f | %.2f | %.2f | %.3g |\n", x.name, ranks[k], 100*mean(auroc[0]), 100*mean(auroc[1]), 100*mean(aupr[0]), 100*mean(aupr[1]), took[len(took)/2])
	}
	return nil
}

// meanRanks ranks our detectors by AUROC on every file on which all of them ran, best first, ties shared; a detector with
// several peers counts once.
func meanRanks(pairs []*pair) []float64 {
	ranks := make([]float64, len(pairs))
	var first []int // of each detector
	at := map[string]int{}
	for k, x := range pairs {
		if j, ok := at[x.name]; !ok || len(x.results) > len(pairs[j].results) {
			at[x.name] = k
		}
	}
	for k, x := range pairs {
		if at[x.name] == k {
			first = append(first, k)
		}
	}
	scores := map[string][]float64{}
	for _, k := range first {
		for _, r := range pairs[k].results {
			scores[r.file] = append(scores[r.file], r.auroc[0])
		}
	}
	files := 0.0
	for _, v := range scores {
		if len(v) == len(first) {
			files++
		}
	}
	for n, k := range first {
		for _, r := range pairs[k].results {
			v := scores[r.file]
			if len(v) < len(first) {
				continue
			}
			rank := 0.5
			for _, other := range v {
				switch {
				case other > v[n]:
					rank++
				case other == v[n]:
					rank += 0.5
				}
			}
			ranks[k] += rank / files
		}
	}
	for k, x := range pairs {
		ranks[k] = ranks[at[x.name]]
	}
	return ranks
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// writeRaw writes every pair's result on every file.
func writeRaw(path string, pairs []*pair) error {
	var b strings.Builder
	b.WriteString("ours\tpeer\tfile\tauroc\tpeer_auroc\taupr\tpeer_aupr\tseconds\tpeer_seconds\n")
	for _, x := range pairs {
		for _, r := range x.results {
			fmt.Fprintf(&b, "%s\t%s\t%s\t%.6f\t%.6f\t%.6f\t%.6f\t%.6f\t%.6f\n", x.name, x.peer, r.file, r.auroc[0], r.auroc[1], r.aupr[0], r.aupr[1], r.seconds[0], r.seconds[1])
		}
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// readRaw reads what writeRaw wrote.
func readRaw(path string) (pairs []*pair, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for n, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		f := strings.Split(line, "\t")
		if n == 0 {
			continue
		}
		if len(f) != 9 {
			return nil, fmt.Errorf("%s: line %d has %d columns, want 9", path, n+1, len(f))
		}
		var v [6]float64
		for k := range v {
			if v[k], err = strconv.ParseFloat(f[3+k], 64); err != nil {
				return nil, fmt.Errorf("%s: line %d: %w", path, n+1, err)
			}
		}
		if len(pairs) == 0 || pairs[len(pairs)-1].name != f[0] || pairs[len(pairs)-1].peer != f[1] {
			pairs = append(pairs, &pair{name: f[0], peer: f[1]})
		}
		x := pairs[len(pairs)-1]
		x.results = append(x.results, result{file: f[2], auroc: [2]float64{v[0], v[1]}, aupr: [2]float64{v[2], v[3]}, seconds: [2]float64{v[4], v[5]}})
	}
	return pairs, nil
}
