package probe

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

// labelled returns the names of the classes that have rows, in [data.CompareClasses] order, and each row's place among
// them, for heads that need the rows themselves.
func labelled(in *data.Table) (classes []string, labels []int, err error) {
	n, d := in.Dims()
	if n == 0 || d == 0 {
		return nil, nil, fmt.Errorf("%w: a table of %d rows and %d feature columns has nothing to learn from", data.ErrShape, n, d)
	}
	of, err := in.Labels()
	if err != nil {
		return nil, nil, err
	}
	names := in.Classes()
	rows := make([]int, len(names))
	free := 0
	for _, l := range of {
		if l < 0 {
			free++
			continue
		}
		rows[l]++
	}
	if free > 0 {
		return nil, nil, fmt.Errorf("%w: %d of %d rows have none (name the column with --label)", data.ErrLabels, free, n)
	}
	for l, name := range names {
		if rows[l] > 0 {
			classes = append(classes, name)
		}
	}
	slices.SortFunc(classes, data.CompareClasses)
	place := make([]int, len(names))
	for l, name := range names {
		place[l] = slices.Index(classes, name)
	}
	labels = make([]int, n)
	for i, l := range of {
		labels[i] = place[l]
	}
	return classes, labels, nil
}

// sortedRows returns the rows' numbers in an order that does not depend on the one in which they came: by their values, the name
// of the class, and the group.
func sortedRows(in *data.Table) []int {
	n, _ := in.Dims()
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	groups := in.Groups()
	slices.SortStableFunc(order, func(a, b int) int {
		o := cmp.Or(slices.Compare(in.Row(a), in.Row(b)), strings.Compare(in.ClassName(a), in.ClassName(b)))
		if o == 0 && groups != nil {
			o = strings.Compare(groups[a], groups[b])
		}
		return o
	})
	return order
}

// centred returns the columns' means and variances, without losing digits far from zero.
func centred(in *data.Table) (mean, variance []float64) {
	n, d := in.Dims()
	shift := make([]float64, d) // of the mean from the first row
	first := in.Row(0)
	mean, variance = make([]float64, d), make([]float64, d)
	for i := range n {
		for j, v := range in.Row(i) {
			shift[j] += (float64(v) - float64(first[j])) / float64(n)
		}
	}
	for j, v := range first {
		mean[j] = float64(v) + shift[j]
	}
	for i := range n {
		for j, v := range in.Row(i) {
			e := float64(v) - float64(first[j]) - shift[j]
			variance[j] += e * e / float64(n)
		}
	}
	return mean, variance
}

// classWeights returns, for each class, the weight of one of its rows and its share of all weight, which adds up to one:
// balanced, every class that has rows has the same share.
func classWeights(labels []int, k int, balanced bool) (weight, share []float64) {
	counts, present := make([]float64, k), 0.0
	for _, l := range labels {
		counts[l]++
	}
	for _, n := range counts {
		if n > 0 {
			present++
		}
	}
	weight, share = make([]float64, k), make([]float64, k)
	for c, n := range counts {
		weight[c] = 1 / float64(len(labels))
		if balanced && n > 0 {
			weight[c] = 1 / (n * present)
		}
		share[c] = n * weight[c]
	}
	return weight, share
}

// meanVariance returns the mean over columns of the variance of all rows. Errors: ErrDegenerate when there is none.
func meanVariance(s *moments.State) (mean float64, err error) {
	variance := s.Variance()
	for _, v := range variance {
		mean += v / float64(len(variance))
	}
	if !(mean > 0) {
		return 0, fmt.Errorf("%w: all %d rows are equal, so no feature tells classes apart", method.ErrDegenerate, s.Rows())
	}
	return mean, nil
}
