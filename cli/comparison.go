package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/metric"
)

// comparison collects predictions on labelled rows, block by block.
type comparison struct {
	rows       int // seen, with a label or not
	unlabelled int // rows without a label
	unknown    int // rows of classes that the model does not know
	labels     []int
	predicted  []int
	confidence []float64 // N: the largest probability
	likelihood []float64 // N×2: the probability of the row's own class, and the rest
}

// add compares a block's labels with its predictions p, whose columns are the classes that the model knows.
// Errors: ErrLabels naming row and class for one that it does not know, unless unknown ones are allowed.
func (c *comparison) add(block, p *data.Table, allowUnknown bool) error {
	index := map[string]int{}
	for k, name := range p.Columns() {
		index[name] = k
	}
	n, _ := block.Dims()
	for i := range n {
		c.rows++
		name := block.ClassName(i)
		k, ok := index[name]
		switch {
		case name == "":
			c.unlabelled++
			continue
		case !ok && allowUnknown:
			c.unknown++
			continue
		case !ok:
			return fmt.Errorf("row %d: class %q is not one of the model's (%s): %w that it knows; --unknown lets such rows pass",
				c.rows, name, some(p.Columns()), data.ErrLabels)
		}
		c.labels = append(c.labels, k)
		c.predicted = append(c.predicted, argmax(p.Row(i)))
		c.confidence = append(c.confidence, min(float64(p.Row(i)[argmax(p.Row(i))]), 1))
		own := min(float64(p.Row(i)[k]), 1)
		c.likelihood = append(c.likelihood, own, 1-own)
	}
	return nil
}

// some lists names, the first few of many.
func some(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
}

// result measures what was collected.
func (c *comparison) result() (object, error) {
	o := object{{"rows", c.rows}, {"compared_rows", len(c.labels)}, {"unknown_class_rows", c.unknown}, {"unlabelled_rows", c.unlabelled}}
	if len(c.labels) == 0 {
		return o, nil
	}
	accuracy, err := metric.Accuracy(c.labels, c.predicted)
	if err != nil {
		return nil, err
	}
	f1, err := metric.MacroF1(c.labels, c.predicted)
	if err != nil {
		return nil, err
	}
	o = append(o, field{"accuracy", accuracy}, field{"macro_f1", f1})
	if n := c.impossible(); n > 0 {
		return append(o, field{"nll", nil}, field{"note", "the negative log-likelihood is infinite: " + plural(n, "row") + " with probability 0 for their own class"}), nil
	}
	// The log-likelihood is that of a two-class problem in which the row's own class is the first.
	nll, err := metric.NLL(c.likelihood, 2, make([]int, len(c.labels)))
	if err != nil {
		return nil, err
	}
	return append(o, field{"nll", nll}), nil
}

// impossible counts rows whose own class got probability 0: their log-likelihood is infinite.
func (c *comparison) impossible() (n int) {
	for i := 0; i < len(c.likelihood); i += 2 {
		if c.likelihood[i] == 0 {
			n++
		}
	}
	return n
}

// sentence puts results into words.
func (o object) sentence() string {
	var parts []string
	for _, f := range o {
		switch v := f.value.(type) {
		case metric.Estimate:
			parts = append(parts, strings.ReplaceAll(f.name, "_", " ")+" "+pretty(v, slices.Contains([]string{"accuracy", "macro_f1"}, f.name)))
		case int:
			if v > 0 {
				parts = append(parts, strings.ReplaceAll(f.name, "_", " ")+" "+count(v))
			}
		case string:
			parts = append(parts, v)
		}
	}
	return strings.Join(parts, ", ")
}
