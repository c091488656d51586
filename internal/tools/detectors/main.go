// Command detectors compares this project's outlier detectors with PyOD's and scikit-learn's on real tables, and prints the
// Markdown tables of docs/guide/detectors.md:
//
//	python3 -m venv /tmp/pyod && /tmp/pyod/bin/pip install pyod scikit-learn numba
//	go run ./internal/tools/detectors -python /tmp/pyod/bin/python
//
// Every file of the folders holds rows X and marks y, 0 for normal and 1 for odd. For each of three seeds at most 10,000 rows
// are drawn, 70 % of the normal ones are learned from, and the others are told from the odd ones. Columns are brought to
// [0, 1] by the training rows' range. Both sides get the same float32 numbers, run with the settings that they have when
// none are named, and use one thread.
//
// With -choose it measures instead how far the choice of package choose, which sees familiar rows alone, falls short of the
// best candidate in hindsight: on the same files, one split each, on pixels of three image sets and on hashed questions.
package main

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gimbal-ml/gimbal/catalog"
	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

func main() {
	var o options
	flag.StringVar(&o.data, "data", filepath.Join("..", "shared", "data"), "folder of the public data")
	flag.StringVar(&o.python, "python", "python3", "Python that has the peers")
	flag.StringVar(&o.script, "script", filepath.Join("bench", "pyod_table.py"), "the peers' side")
	flag.StringVar(&o.only, "only", "", "regular expression of the pairs to measure")
	flag.StringVar(&o.files, "files", "", "regular expression of the files to measure on")
	flag.IntVar(&o.seeds, "seeds", 3, "how many random splits of each file")
	flag.StringVar(&o.raw, "raw", "", "file for one tab-separated line a pair and file")
	flag.StringVar(&o.from, "from", "", "print the tables of such a file instead of measuring")
	flag.BoolVar(&o.choose, "choose", false, "measure instead what choosing without unfamiliar rows is worth")
	flag.Parse()
	work := run
	if o.choose {
		work = runChoose
	}
	if err := work(o); err != nil {
		fmt.Fprintln(os.Stderr, "detectors:", err)
		os.Exit(1)
	}
}

type options struct {
	data, python, script, only, files, raw, from string
	seeds                                        int
	choose                                       bool
}

// folders of the public data that are compared on.
var folders = []string{"adbench_classical", filepath.Join("features_adbench", "CV_by_ResNet18"), filepath.Join("features_adbench", "NLP_by_BERT")}

// pair is one of our detectors and its peer.
type pair struct {
	name, peer string
	at         int // number among the peer's pairs
	spec       method.Spec
	config     any
	results    []result // one a file on which both ran
	refused    []string
}

// result is the mean over the splits of a file: ours, then the peer's.
type result struct {
	file        string
	auroc, aupr [2]float64
	seconds     [2]float64
}

func run(o options) error {
	if o.from != "" {
		pairs, err := readRaw(o.from)
		if err != nil {
			return err
		}
		return write(os.Stdout, pairs)
	}
	runtime.GOMAXPROCS(1)
	only, err := regexp.Compile(o.only)
	if err != nil {
		return err
	}
	match, err := regexp.Compile(o.files)
	if err != nil {
		return err
	}
	p, err := startPeer(o.python, o.script)
	if err != nil {
		return err
	}
	defer p.stop()
	pairs, err := p.pairs()
	if err != nil {
		return err
	}
	pairs = slices.DeleteFunc(pairs, func(x *pair) bool { return !only.MatchString(x.name + " " + x.peer) })
	folder, err := os.MkdirTemp("", "detectors")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	files, count := 0, 0
	for _, dir := range folders {
		found, err := filepath.Glob(filepath.Join(o.data, dir, "*.npz"))
		if err != nil {
			return err
		}
		for _, file := range found {
			count++
			if !match.MatchString(file) {
				continue
			}
			files++
			name, err := filepath.Rel(o.data, file)
			if err != nil {
				return err
			}
			fmt.Fprintln(os.Stderr, name)
			table, err := claim.Env{Data: o.data}.Features(name)
			if err != nil {
				return err
			}
			if err := measure(p, pairs, name, table, uint64(count), o.seeds, folder); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if files == 0 {
		return fmt.Errorf("%w: no files below %s in %v", claim.ErrMissing, o.data, folders)
	}
	if o.raw != "" {
		if err := writeRaw(o.raw, pairs); err != nil {
			return err
		}
	}
	return write(os.Stdout, pairs)
}

// measure runs every pair on the splits of one file.
func measure(p *peer, pairs []*pair, name string, table *data.Table, number uint64, seeds int, folder string) error {
	sums, done := make([]result, len(pairs)), make([]int, len(pairs))
	for seed := range seeds {
		s, err := newSplit(table, number, uint64(seed))
		if err != nil {
			return err
		}
		if err := p.data(folder, s); err != nil {
			return err
		}
		for k, x := range pairs {
			if err := x.measure(p, s, folder, seed, &sums[k]); err != nil {
				note := fmt.Sprintf("%s against %s on %s: %v", x.name, x.peer, name, err)
				fmt.Fprintln(os.Stderr, "left out:", note)
				x.refused = append(x.refused, note)
				continue
			}
			done[k]++
		}
	}
	for k, x := range pairs {
		if done[k] < seeds {
			continue // compared on whole files only
		}
		r := result{file: name}
		for side := range 2 {
			r.auroc[side] = sums[k].auroc[side] / float64(seeds)
			r.aupr[side] = sums[k].aupr[side] / float64(seeds)
			r.seconds[side] = sums[k].seconds[side] / float64(seeds)
		}
		x.results = append(x.results, r)
	}
	return nil
}

// measure adds what both sides reach on one split.
func (x *pair) measure(p *peer, s *split, folder string, seed int, to *result) error {
	runtime.GC() // what the side before left behind is not its successor's time
	start := time.Now()
	m, err := x.spec.Fit(context.Background(), x.config, data.Bundle{x.spec.Inputs[0].Name: s.train})
	if err != nil {
		return err
	}
	ours, err := m.(method.Scorer).Score(s.test)
	if err != nil {
		return err
	}
	seconds := time.Since(start).Seconds()
	theirs, took, err := p.run(x.at, seed, folder, len(ours))
	if err != nil {
		return err
	}
	var one result
	one.seconds = [2]float64{seconds, took}
	for side, scores := range [][]float64{ours, theirs} {
		normal, odd := scores[:s.normal], scores[s.normal:]
		a, err := metric.AUROC(normal, odd, metric.Interval{ValueOnly: true})
		if err != nil {
			return err
		}
		b, err := metric.AveragePrecision(normal, odd, metric.Interval{ValueOnly: true})
		if err != nil {
			return err
		}
		one.auroc[side], one.aupr[side] = a.Value, b.Value
	}
	for side := range 2 {
		to.auroc[side] += one.auroc[side]
		to.aupr[side] += one.aupr[side]
		to.seconds[side] += one.seconds[side]
	}
	return nil
}

// specOf finds one of our detectors by its name and flags.
func specOf(text string) (method.Spec, any, error) {
	id, rest, _ := strings.Cut(text, " ")
	specs := catalog.All()
	i := slices.IndexFunc(specs, func(s method.Spec) bool { return s.ID() == id })
	if i < 0 {
		return method.Spec{}, nil, fmt.Errorf("%w: no method %q", method.ErrConfig, id)
	}
	flags := map[string]string{}
	for _, f := range strings.Fields(rest) {
		name, value, _ := strings.Cut(strings.TrimPrefix(f, "--"), "=")
		flags[name] = value
	}
	config, err := specs[i].Configure(flags)
	return specs[i], config, err
}

// writeFloats writes rows as raw little-endian float32 numbers.
func writeFloats(path string, x []float32) error {
	b := make([]byte, 0, 4*len(x))
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return os.WriteFile(path, b, 0o644)
}
