package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

// tally is one method's AUROC over all tasks.
type tally struct {
	auroc    [][]float64 // file, seed; a file without a result has none
	estimate []any       // file: the estimate of the first seed, or nil
	reason   []any       // file: why there is none
	fit, use float64     // seconds, all files and seeds
}

func runCompareFolder(e *env, cmd *cobra.Command, o *compareOptions, list []method.Spec) error {
	ctx := cmd.Context()
	switch {
	case !(o.split > 0 && o.split < 1):
		return usage(cmd, "--split %v: want more than 0 and less than 1", o.split)
	case o.seeds < 1:
		return usage(cmd, "--seeds %d: want 1 or more", o.seeds)
	}
	choice, err := e.pickHead(cmd, o.head)
	if err != nil {
		return err
	}
	files, err := taskFiles(o.folder)
	if err != nil {
		return err
	}
	ids := []string{}
	tallies := map[string]*tally{}
	for _, s := range list {
		if s.Learns() {
			ids = append(ids, s.ID())
			tallies[s.ID()] = &tally{auroc: make([][]float64, len(files)), estimate: make([]any, len(files)), reason: make([]any, len(files))}
		}
	}
	flags := o.table
	flags.label = o.anomaly
	for k, path := range files {
		src, err := e.openSource(ctx, []string{path}, &flags, nil)
		if errors.Is(err, data.ErrLabels) {
			return fmt.Errorf("--anomaly %s: %w", o.anomaly, err)
		}
		if err != nil {
			return err
		}
		t, err := data.Collect(ctx, src)
		if err != nil {
			return named([]string{path}, err)
		}
		task, err := newTask(t, o.anomaly)
		if err != nil {
			return named([]string{path}, err)
		}
		for seed := range o.seeds {
			line := e.track(filepath.Base(path), "splits", len(files)*o.seeds)
			line.set(k*o.seeds+seed, len(files)*o.seeds)
			if err := runTask(ctx, list, choice, task, o.split, seed, k, tallies); err != nil {
				return named([]string{path}, err)
			}
		}
	}
	l, plotted := meansOverFiles(ids, tallies), "auroc"
	if o.perFile {
		l, plotted = eachFile(ids, tallies, o.folder, files), "first_split"
	}
	if err := e.writeReport(o.report, "Detectors compared over "+plural(len(files), "file"), plotted, l); err != nil {
		return err
	}
	e.say("%s, %s each, %s of the normal rows learned", plural(len(files), "file"), plural(o.seeds, "split"), pretty(o.split, false))
	return e.print(l)
}

// runTask measures every method on one split of one file.
func runTask(ctx context.Context, list []method.Spec, choice headChoice, k *task, share float64, seed, file int, tallies map[string]*tally) error {
	train, in, ood := k.cut(share, seed)
	c, err := newContest(ctx, nil, learners(list), choice, train)
	if err != nil {
		return err
	}
	known, err := c.scores(ctx, in)
	if err != nil {
		return err
	}
	unknown, err := c.scores(ctx, ood)
	if err != nil {
		return err
	}
	for i, a := range c.arms {
		y := tallies[a.spec.ID()]
		var v metric.Estimate
		if a.err == nil {
			v, a.err = metric.AUROC(known[i], unknown[i])
		}
		if a.err != nil {
			y.reason[file] = a.reason()
			continue
		}
		y.auroc[file] = append(y.auroc[file], v.Value)
		if seed == 0 {
			y.estimate[file] = v
		}
		y.fit += a.fit.Seconds()
		y.use += a.used.Seconds()
	}
	return nil
}

// meansOverFiles is one line a method: the mean AUROC over the files for which it has one in every split.
func meansOverFiles(ids []string, tallies map[string]*tally) *listing {
	l := &listing{columns: []column{{name: "method"}, {name: "auroc", title: "MEAN AUROC %", percent: true}, {name: "files"}, {name: "fit_seconds", title: "FIT s"}, {name: "score_seconds", title: "SCORE s"}, {name: "note"}}}
	means := map[string]float64{}
	for _, id := range ids {
		y := tallies[id]
		var whole [][]float64
		var note any
		failed := 0
		for k, values := range y.auroc {
			if y.reason[k] != nil {
				failed++
				note = y.reason[k]
				continue
			}
			whole = append(whole, values)
		}
		if failed > 0 && len(whole) > 0 {
			note = fmt.Sprintf("no result for %s: %v", plural(failed, "file"), note)
		}
		mean, err := meanOfFiles(whole)
		if err != nil {
			if note == nil {
				note = oneLine(err)
			}
			l.add(id, nil, 0, nil, nil, note)
			continue
		}
		means[id] = mean.Value
		l.add(id, mean, len(whole), y.fit, y.use, note)
	}
	sortByMean(l, means)
	return l
}

// meanOfFiles is the mean over files of the mean over seeds, with a bootstrap interval over both.
//
// A resample draws numbers 0..F·S−1. Its place f·S+s stands for seed s of the f-th file drawn: the file is the number at f·S
// divided by S, the seed the remainder of the number at f·S+s. Quotient and remainder of a uniform number are
// independent and uniform, and all rows once, in order, give every file with every seed.
func meanOfFiles(auroc [][]float64) (metric.Estimate, error) {
	if len(auroc) == 0 {
		return metric.Estimate{}, errors.New("no result for any file")
	}
	files, seeds := len(auroc), len(auroc[0])
	return metric.Bootstrap(0, files*seeds, func(index []int) float64 {
		sum := 0.0
		for f := range files {
			values := auroc[index[f*seeds]/seeds]
			for s := range seeds {
				sum += values[index[f*seeds+s]%seeds]
			}
		}
		return sum / float64(files*seeds)
	})
}

// eachFile is one line a method and file: the mean AUROC over the splits, and DeLong's interval of the first. A method that has
// no result for any file is listed once, at the end.
func eachFile(ids []string, tallies map[string]*tally, folder string, files []string) *listing {
	l := &listing{columns: []column{{name: "method"}, {name: "file"}, {name: "auroc", title: "MEAN AUROC %", percent: true}, {name: "first_split", title: "FIRST SPLIT %", percent: true}, {name: "note"}}}
	for k, path := range files {
		name, err := filepath.Rel(folder, path)
		if err != nil {
			name = path
		}
		for _, id := range ids {
			y := tallies[id]
			if y.never() != nil {
				continue
			}
			row := []any{id, name, nil, y.estimate[k], y.reason[k]}
			if y.reason[k] == nil {
				mean := 0.0
				for _, v := range y.auroc[k] {
					mean += v / float64(len(y.auroc[k]))
				}
				row[2] = mean
			}
			l.add(row...)
		}
	}
	for _, id := range ids {
		if reason := tallies[id].never(); reason != nil {
			l.add(id, "all "+plural(len(files), "file"), nil, nil, reason)
		}
	}
	return l
}

// never is why there is no result for any file, the first one's reason; nil when there is one for some.
func (y *tally) never() any {
	if slices.Contains(y.reason, nil) {
		return nil
	}
	return y.reason[0]
}
