package recipe

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Setting is a parameter: the first of its cases whose filter fits a tensor.
type Setting []Case

// Case is one value of a parameter, or one for each layer.
type Case struct {
	// Filter is what a tensor's name must contain; "" and "*" fit all.
	Filter string
	// Values are one value, or several of a gradient: numbers are spaced evenly from the first layer to the last and
	// interpolated; of words the one at or before the layer is taken.
	Values []string
}

// Value makes a setting that is the same everywhere.
func Value(text string) Setting { return Setting{{Values: []string{text}}} }

// Gradient makes a setting that runs from the first layer to the last.
func Gradient(numbers ...float64) Setting {
	var c Case
	for _, v := range numbers {
		c.Values = append(c.Values, strconv.FormatFloat(v, 'g', -1, 64))
	}
	return Setting{c}
}

// UnmarshalYAML reads a value, a list of values, or a list of values under filters.
func (s *Setting) UnmarshalYAML(n *yaml.Node) error {
	wrong := func(n *yaml.Node) error {
		return fmt.Errorf("%w: line %d: want a value, a list of values, or a list of filter and value", ErrRecipe, n.Line)
	}
	values := func(n *yaml.Node) (list []string, err error) {
		switch n.Kind {
		case yaml.ScalarNode:
			return []string{n.Value}, nil
		case yaml.SequenceNode:
			for _, e := range n.Content {
				if e.Kind != yaml.ScalarNode {
					return nil, wrong(e)
				}
				list = append(list, e.Value)
			}
			if len(list) > 0 {
				return list, nil
			}
		}
		return nil, wrong(n)
	}
	cases := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode && len(n.Content) > 0 && n.Content[0].Kind == yaml.MappingNode {
		cases = n.Content
	}
	for _, c := range cases {
		if c.Kind != yaml.MappingNode {
			list, err := values(c)
			if err != nil {
				return err
			}
			*s = append(*s, Case{Values: list})
			continue
		}
		if err := known(c, "filter", "value"); err != nil {
			return err
		}
		var one Case
		for i := 0; i+1 < len(c.Content); i += 2 {
			key, value := c.Content[i].Value, c.Content[i+1]
			if key == "filter" {
				one.Filter = value.Value
				if value.Tag == "!!null" {
					one.Filter = ""
				}
				continue
			}
			var err error
			if one.Values, err = values(value); err != nil {
				return err
			}
		}
		if one.Values == nil {
			return wrong(c)
		}
		*s = append(*s, one)
	}
	return nil
}

// MarshalYAML writes a setting as mergekit reads it.
func (s Setting) MarshalYAML() (any, error) {
	words := func(c Case) any {
		list := make([]any, len(c.Values))
		for i, v := range c.Values {
			list[i] = v
			if x, err := strconv.ParseFloat(v, 64); err == nil {
				list[i] = x
			} else if b, err := strconv.ParseBool(v); err == nil {
				list[i] = b
			}
		}
		if len(list) == 1 {
			return list[0]
		}
		return list
	}
	if len(s) == 1 && s[0].Filter == "" {
		return words(s[0]), nil
	}
	var list []map[string]any
	for _, c := range s {
		m := map[string]any{"value": words(c)}
		if c.Filter != "" {
			m["filter"] = c.Filter
		}
		list = append(list, m)
	}
	return list, nil
}

// at is the setting's value for a tensor; at is the tensor's place among the layers, 0 for the first and 1 for the last. False where
// no filter fits.
func (s Setting) at(tensor string, at float64) (string, bool) {
	for _, c := range s {
		if c.Filter != "" && c.Filter != "*" && !strings.Contains(tensor, c.Filter) {
			continue
		}
		last := len(c.Values) - 1
		place := at * float64(last)
		i := int(place)
		numbers := make([]float64, len(c.Values))
		for k, v := range c.Values {
			x, err := strconv.ParseFloat(v, 64)
			if err != nil {
				return c.Values[i], true
			}
			numbers[k] = x
		}
		if last == 0 {
			return c.Values[0], true
		}
		rest := place - float64(i)
		return strconv.FormatFloat((1-rest)*numbers[i]+rest*numbers[min(i+1, last)], 'g', -1, 64), true
	}
	return "", false
}
