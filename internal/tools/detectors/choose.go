package main

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/gimbal-ml/gimbal/catalog"
	"github.com/gimbal-ml/gimbal/choose"
	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/metric"
)

// What a choice without unfamiliar rows is measured on: at most so many rows to choose and learn from, and to test with.
const chooseTrain, chooseTest = 1500, 1500

// chosenSet is one real set: rows to choose by and learn from, and rows that only the oracle may see.
type chosenSet struct {
	name, kind string
	train, in  *data.Table
	ood        []*data.Table
}

// regret is how a strategy did on one set.
type regret struct {
	set, kind, strategy, picked string
	auroc, best                 float64
}

// runChoose measures the choice against the best candidate in hindsight on all sets whose name matches.
func runChoose(o options) error {
	if o.from != "" {
		list, err := readRegrets(o.from)
		if err != nil {
			return err
		}
		return writeRegrets(os.Stdout, list)
	}
	match, err := regexp.Compile(o.files)
	if err != nil {
		return err
	}
	var family []choose.Candidate
	for _, c := range choose.Candidates(catalog.All()) {
		if c.Spec.Family == "detect" && c.TakesRows() {
			family = append(family, c)
		}
	}
	var all []regret
	err = eachChosenSet(o.data, match, func(s chosenSet) error {
		list, err := measureChoice(s, family)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		all = append(all, list...)
		for _, r := range list {
			fmt.Fprintf(os.Stderr, "%s\t%s\t%.2f of %.2f\t%s\n", r.set, r.strategy, 100*r.auroc, 100*r.best, r.picked)
		}
		if o.raw != "" {
			return writeRegretsRaw(o.raw, all)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("%w: no sets in %s match %q", claim.ErrMissing, o.data, o.files)
	}
	return writeRegrets(os.Stdout, all)
}

// measureChoice lets every strategy pick a candidate and asks the oracle what that was worth.
func measureChoice(s chosenSet, family []choose.Candidate) (list []regret, err error) {
	ctx := context.Background()
	fit := choose.FitRows(family)
	ranking, err := choose.Rank(ctx, choose.Options{}, s.train, len(family), fit)
	if err != nil {
		return nil, err
	}
	fitted, err := fit(ctx, s.train)
	if err != nil {
		return nil, err
	}
	auroc := make([]float64, len(family)) // 0 for one that refuses the set
	for c, f := range fitted {
		if f.Err != nil {
			continue
		}
		known, err := f.Score(s.in)
		if err != nil {
			return nil, err
		}
		for _, t := range s.ood {
			unknown, err := f.Score(t)
			if err != nil {
				return nil, err
			}
			a, err := metric.AUROC(known, unknown, metric.Interval{ValueOnly: true})
			if err != nil {
				return nil, err
			}
			auroc[c] += a.Value / float64(len(s.ood))
		}
	}
	best := 0
	for c := range auroc {
		if auroc[c] > auroc[best] {
			best = c
		}
	}
	note := func(strategy string, c int) {
		list = append(list, regret{s.name, s.kind, strategy, family[c].Words(), auroc[c], auroc[best]})
	}
	note("oracle", best)
	note("chosen", ranking.Results[0].Candidate)
	by := func(figure func(choose.Result) float64) int {
		at := ranking.Results[0]
		for _, r := range ranking.Results {
			if r.Err == nil && figure(r) > figure(at) {
				at = r
			}
		}
		return at.Candidate
	}
	note("chosen by held-out rows alone", by(func(r choose.Result) float64 { return r.Kinds[0] }))
	note("chosen by made rows alone", by(func(r choose.Result) float64 {
		sum := 0.0
		for _, v := range r.Kinds[1:] {
			sum += v
		}
		return sum
	}))
	for k, name := range ranking.Kinds {
		if k > 0 {
			note("chosen by "+name+" rows alone", by(func(r choose.Result) float64 { return r.Kinds[k] }))
		}
	}
	within := ranking.Results[0].Candidate
	for _, c := range ranking.Tied() {
		if auroc[c] > auroc[within] {
			within = c
		}
	}
	note("best of the tied, in hindsight", within)
	for c, f := range family { // what a user takes who does not choose
		if fitted[c].Err == nil {
			note("always "+f.Words(), c)
		}
	}
	return list, nil
}

// eachChosenSet visits the real sets.
func eachChosenSet(folder string, match *regexp.Regexp, f func(chosenSet) error) error {
	env := claim.Env{Data: folder}
	count := 0
	for _, dir := range folders {
		files, err := filepath.Glob(env.Path(dir, "*.npz"))
		if err != nil {
			return err
		}
		for _, file := range files {
			count++
			if !match.MatchString(file) {
				continue
			}
			t, err := env.Features(dir, filepath.Base(file))
			if err != nil {
				return err
			}
			s, err := newSplit(t, uint64(count), 0)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			n, _ := s.test.Dims()
			kind := "table"
			if strings.HasPrefix(dir, "features") {
				kind = "features"
			}
			err = f(chosenSet{
				strings.TrimSuffix(filepath.Base(file), ".npz"), kind, few(s.train, chooseTrain),
				few(s.test.Slice(0, s.normal), chooseTest), []*data.Table{few(s.test.Slice(s.normal, n), chooseTest)},
			})
			if err != nil {
				return err
			}
		}
	}
	images := []string{"fashion_mnist", "mnist", "notmnist"}
	for _, known := range images {
		if !match.MatchString(known) {
			continue
		}
		part := "train"
		if known == "notmnist" {
			part = "t10k" // it has no other: its first rows are learned, its last tested
		}
		train, err := halved(env, known, part)
		if err != nil {
			return err
		}
		in, err := halved(env, known, "t10k")
		if err != nil {
			return err
		}
		n, _ := in.Dims()
		s := chosenSet{known, "classes", few(train, chooseTrain), in.Slice(max(n-chooseTest, 0), n), nil}
		for _, other := range images {
			if other != known {
				t, err := halved(env, other, "t10k")
				if err != nil {
					return err
				}
				s.ood = append(s.ood, few(t, chooseTest))
			}
		}
		if err := f(s); err != nil {
			return err
		}
	}
	if !match.MatchString("clinc150") {
		return nil
	}
	s, err := intents(env.Path("clinc150", "data_full.json.gz"))
	if err != nil {
		return err
	}
	return f(s)
}

// few is the first rows of a table.
func few(t *data.Table, most int) *data.Table {
	n, _ := t.Dims()
	return t.Slice(0, min(n, most))
}

// halved reads images and takes the mean of each 2×2 pixels, 196 columns, rows in an order of their own.
func halved(env claim.Env, set, part string) (*data.Table, error) {
	t, err := env.Images(set, part)
	if err != nil {
		return nil, err
	}
	n, _ := t.Dims()
	if t, err = claim.Sample(t, rand.New(rand.NewPCG(0, 0)), min(n, 2*chooseTrain)); err != nil {
		return nil, err
	}
	n, _ = t.Dims()
	x := make([]float32, 0, n*196)
	for i := range n {
		row := t.Row(i)
		for y := 0; y < 28; y += 2 {
			for c := 0; c < 28; c += 2 {
				at := 28*y + c
				x = append(x, (row[at]+row[at+1]+row[at+28]+row[at+29])/4)
			}
		}
	}
	small, err := data.NewTable(n, 196, x)
	if err != nil {
		return nil, err
	}
	labels, err := t.Labels()
	if err != nil {
		return nil, err
	}
	return small.WithLabels(labels, t.Classes())
}

// intents reads CLINC150: questions of 150 intents to learn from, others of them, and questions of none.
func intents(path string) (s chosenSet, err error) {
	f, err := os.Open(path)
	if err != nil {
		return s, fmt.Errorf("%w: %w", claim.ErrMissing, err)
	}
	defer f.Close()
	plain, err := gzip.NewReader(f)
	if err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	parts := map[string][][2]string{}
	if err := json.Unmarshal(text, &parts); err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	s = chosenSet{name: "clinc150", kind: "classes"}
	tables := map[string]*data.Table{}
	for _, name := range []string{"train", "test", "oos_test"} {
		list := parts[name]
		rand.New(rand.NewPCG(0, 0)).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		most := chooseTest
		if name == "train" {
			most = 2 * chooseTrain // ten of each intent, and more
		}
		list = list[:min(len(list), most)]
		const width = 256
		x, labels, classes := make([]float32, len(list)*width), make([]int, len(list)), []string{}
		at := map[string]int{}
		for i, row := range list {
			part.HashText(x[i*width:(i+1)*width], row[0])
			if _, ok := at[row[1]]; !ok {
				at[row[1]] = len(classes)
				classes = append(classes, row[1])
			}
			labels[i] = at[row[1]]
		}
		t, err := data.NewTable(len(list), width, x)
		if err == nil {
			tables[name], err = t.WithLabels(labels, classes)
		}
		if err != nil {
			return s, fmt.Errorf("%s: %w", path, err)
		}
	}
	s.train, s.in, s.ood = tables["train"], tables["test"], []*data.Table{tables["oos_test"]}
	return s, nil
}
