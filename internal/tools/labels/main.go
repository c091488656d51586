// Command labels measures every head that learns from one labelled table over budgets of labels, on real sets, and prints the
// Markdown table of docs/guide/labels.md:
//
//	go run ./internal/tools/labels -skip 'adjustment|tau|shift|group|zeroshot|moment|diff'
//
// For each set and seed the given number of rows of every class is drawn, smaller draws being part of larger ones, and every
// head is fitted with the settings that it has when none are named; rows of the set that were not drawn are asked about. Columns
// are brought to mean zero and deviation one by the largest draw, without labels.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/catalog"
	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/encode"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

type options struct {
	data, only, skip string
	seeds            int
}

func main() {
	var o options
	flag.StringVar(&o.data, "data", filepath.Join("..", "shared", "data"), "folder of the public data")
	flag.StringVar(&o.only, "only", "^(probe|continual)/", "regular expression of the methods to measure")
	flag.StringVar(&o.skip, "skip", "^$", "regular expression of those to leave out")
	flag.IntVar(&o.seeds, "seeds", 3, "how many random draws of each set")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, o); err != nil {
		fmt.Fprintln(os.Stderr, "labels:", err)
		os.Exit(1)
	}
}

// budgets are labelled rows a class, and asked how many rows are asked about.
var budgets = []int{1, 2, 5, 10, 20, 50, 100, 200}

const asked = 1000

// set is a table with a name.
type set struct {
	name  string
	table *data.Table
}

// sets reads what is measured on: tables of numbers, and features of images by two networks.
func sets(ctx context.Context, folder string) (out []set, err error) {
	env := claim.Env{Data: folder}
	for _, name := range []string{"optdigits", "satimage", "pendigits", "letter"} {
		t, err := open.Table(ctx, env.Path("pmlb", "class", name+".tsv.gz"), open.Options{Label: "target"})
		if err != nil {
			return nil, err
		}
		out = append(out, set{name, t})
	}
	fashion, err := env.Images("fashion_mnist", "t10k")
	if err != nil {
		return nil, err
	}
	if fashion, err = encoded(fashion); err != nil {
		return nil, err
	}
	out = append(out, set{"Fashion-MNIST, fractal encoder", fashion})
	var x []float32
	var labels []string
	for _, class := range []string{"0", "4", "6"} { // airplane, deer, frog; rows marked 1 are of any other class
		t, err := env.Features("features_adbench", "CV_by_ResNet18", "CIFAR10_"+class+".npz")
		if err != nil {
			return nil, err
		}
		n, _ := t.Dims()
		for i := range n {
			if t.ClassName(i) == "0" {
				x, labels = append(x, t.Row(i)...), append(labels, class)
			}
		}
	}
	cifar, err := data.NewTable(len(labels), len(x)/len(labels), x)
	if err != nil {
		return nil, err
	}
	if cifar, err = cifar.WithClassNames(labels); err != nil {
		return nil, err
	}
	return append(out, set{"CIFAR-10, three classes, ResNet-18", cifar}), nil
}

// encoded returns the features that the program's own network has of gray images.
func encoded(in *data.Table) (*data.Table, error) {
	m, err := encode.Load("fractal", encode.Options{})
	if err != nil {
		return nil, err
	}
	n, d := in.Dims()
	side := int(math.Sqrt(float64(d)))
	samples := make([]encode.Sample, n)
	for i := range samples {
		pixels := make([]byte, d)
		for j, v := range in.Row(i) {
			pixels[j] = byte(math.Round(255 * float64(v)))
		}
		samples[i] = encode.Sample{Name: fmt.Sprint("image ", i+1), Picture: &encode.Picture{H: side, W: side, C: 1, Pixels: pixels}}
	}
	x := make([]float32, n*m.Dim)
	if err := m.Encode(x, samples); err != nil {
		return nil, err
	}
	t, err := data.NewTable(n, m.Dim, x)
	if err != nil {
		return nil, err
	}
	labels, err := in.Labels()
	if err != nil {
		return nil, err
	}
	return t.WithLabels(labels, in.Classes())
}

// draw returns, for each budget that every class has rows for beside those asked about, the rows to learn from; and the rows
// asked about.
func draw(t *data.Table, seed uint64) (train []*data.Table, test *data.Table, err error) {
	n, d := t.Dims()
	labels, err := t.Labels()
	if err != nil {
		return nil, nil, err
	}
	order := rand.New(rand.NewPCG(seed, 1)).Perm(n)
	test = t.Pick(order[:min(asked, n/3)])
	rest := order[min(asked, n/3):]
	counts := make([]int, len(t.Classes()))
	chosen := make([][]int, len(budgets))
	for _, i := range rest {
		counts[labels[i]]++
		for b, rows := range budgets {
			if counts[labels[i]] <= rows {
				chosen[b] = append(chosen[b], i)
			}
		}
	}
	mean, scale := make([]float64, d), make([]float64, d)
	last := chosen[len(chosen)-1]
	for _, i := range last {
		for j, v := range t.Row(i) {
			mean[j] += float64(v) / float64(len(last))
		}
	}
	for _, i := range last {
		for j, v := range t.Row(i) {
			scale[j] += (float64(v) - mean[j]) * (float64(v) - mean[j]) / float64(len(last))
		}
	}
	even := func(in *data.Table) (*data.Table, error) {
		n, _ := in.Dims()
		x := make([]float32, 0, n*d)
		for i := range n {
			for j, v := range in.Row(i) {
				z := float64(v) - mean[j]
				if scale[j] > 0 {
					z /= math.Sqrt(scale[j])
				}
				x = append(x, float32(z))
			}
		}
		out, err := data.NewTable(n, d, x)
		if err != nil {
			return nil, err
		}
		labels, err := in.Labels()
		if err != nil {
			return nil, err
		}
		return out.WithLabels(labels, in.Classes())
	}
	if test, err = even(test); err != nil {
		return nil, nil, err
	}
	for b, rows := range budgets {
		if slices.Min(counts) < rows {
			break
		}
		x, err := even(t.Pick(chosen[b]))
		if err != nil {
			return nil, nil, err
		}
		train = append(train, x)
	}
	return train, test, nil
}

// row is a head with its accuracy by budget, and in them by set and seed; NaN where it refused.
type row struct {
	name     string
	accuracy [][]float64
}

func run(ctx context.Context, w io.Writer, o options) error {
	only, err := regexp.Compile(o.only)
	if err != nil {
		return err
	}
	skip, err := regexp.Compile(o.skip)
	if err != nil {
		return err
	}
	var heads []method.Spec
	var rows []row
	for _, s := range catalog.All() {
		if only.MatchString(s.ID()) && !skip.MatchString(s.ID()) && s.Can("predict") && len(s.Inputs) > 0 && s.Inputs[0].Kind == data.KindTable && optional(s.Inputs[1:]) {
			heads = append(heads, s)
			rows = append(rows, row{s.ID(), make([][]float64, len(budgets))})
		}
	}
	all, err := sets(ctx, o.data)
	if err != nil {
		return err
	}
	for _, in := range all {
		for seed := range o.seeds {
			fmt.Fprintf(os.Stderr, "%s, draw %d\n", in.name, seed+1)
			train, test, err := draw(in.table, uint64(seed))
			if err != nil {
				return fmt.Errorf("%s: %w", in.name, err)
			}
			for h, s := range heads {
				for b, t := range train {
					rows[h].accuracy[b] = append(rows[h].accuracy[b], measure(ctx, s, t, test))
				}
			}
		}
	}
	return write(w, rows)
}

func optional(slots []method.Slot) bool {
	return !slices.ContainsFunc(slots, func(s method.Slot) bool { return !s.Optional })
}

// measure is the accuracy of a head; NaN where it refuses to learn.
func measure(ctx context.Context, s method.Spec, train, test *data.Table) float64 {
	m, err := s.Fit(ctx, s.Config(), data.Bundle{s.Inputs[0].Name: train})
	if err != nil {
		return math.NaN()
	}
	p, err := m.(method.Predictor).Predict(test)
	if err != nil {
		return math.NaN()
	}
	a, err := claim.Accuracy(p, test)
	if err != nil {
		return math.NaN()
	}
	return a
}

// write prints the table: means over sets and draws, the best of a budget and all that cannot be told from it in bold.
func write(w io.Writer, rows []row) error {
	mean := func(r row, b int) float64 {
		m, err := metric.Mean(r.accuracy[b])
		if err != nil || m.Value != m.Value {
			return math.NaN()
		}
		return m.Value
	}
	best := make([]int, len(budgets))
	for b := range budgets {
		best[b] = -1
		for h, r := range rows {
			if v := mean(r, b); v == v && (best[b] < 0 || v > mean(rows[best[b]], b)) {
				best[b] = h
			}
		}
	}
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	sum := func(r row) (s float64) {
		for b := range budgets {
			if v := mean(r, b); v == v {
				s += v
			}
		}
		return s
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch x, y := sum(rows[a]), sum(rows[b]); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	var head strings.Builder
	head.WriteString("| head |")
	for _, n := range budgets {
		fmt.Fprintf(&head, " %d |", n)
	}
	fmt.Fprintf(&head, "\n|---|%s\n", strings.Repeat("---|", len(budgets)))
	if _, err := io.WriteString(w, head.String()); err != nil {
		return err
	}
	for _, h := range order {
		line := "| " + rows[h].name + " |"
		for b := range budgets {
			v := mean(rows[h], b)
			switch {
			case v != v:
				line += " – |"
			case h == best[b] || tied(rows[best[b]].accuracy[b], rows[h].accuracy[b]):
				line += fmt.Sprintf(" **%.1f** |", 100*v)
			default:
				line += fmt.Sprintf(" %.1f |", 100*v)
			}
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// tied says that the 95 % interval of the paired difference holds zero.
func tied(a, b []float64) bool {
	d, err := metric.PairedMean(a, b)
	return err == nil && d.Low <= 0
}
