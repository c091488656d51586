package methodtest

import (
	"maps"
	"slices"
	"strconv"

	"github.com/gimbal-ml/gimbal/method"
)

// alternatives lists legal values of a knob other than its default, as flags would give them.
func alternatives(s method.Spec, p method.Param) (texts []string) {
	var candidates []string
	switch {
	case p.Enum != nil:
		candidates = p.Enum
	case p.Type == "bool":
		candidates = []string{"true"}
	case p.Type == "string":
		candidates = []string{"a", "b"}
	case p.Type == "[]int":
		candidates = []string{"1,3", "1", "2", "0,1", "1,2", "3,1,2"} // the first adds up to the toys' four columns
	case p.Type == "[]float64":
		candidates = []string{"0.5", "0.25", "2", "0.7,0.4,0.3,0.6", "1"} // the lists have as many as the toys have checkpoints
	default:
		number := func(x float64) { candidates = append(candidates, strconv.FormatFloat(x, 'g', -1, 64)) }
		if d, err := strconv.ParseFloat(p.Default, 64); err == nil {
			for _, factor := range []float64{2, 0.5, 10, 0.1, 1000} {
				number(d * factor)
			}
			number(d + 1)
			number(d - 1)
		}
		for _, x := range []float64{0.5, 0.1, 0.9, 0.01, 1e-3, 1, 2, 3, 5, 10, 100, 1000, -1} {
			number(x)
		}
	}
	for _, text := range candidates {
		_, err := s.Configure(map[string]string{p.Name: text})
		if err == nil && !sameText(text, p.Default) && !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return texts
}

// checkEveryKnobMatters: for every knob, and every word of a knob that has words, there is a toy set on which it changes
// what the method says. A knob may matter only beside another's value, so others are moved too.
func checkEveryKnobMatters(t *T) {
	worlds := toys(t.Spec)
	bases := []map[string]string{{}}
	for _, p := range t.Spec.Params {
		for i, text := range alternatives(t.Spec, p) {
			if i == 0 || p.Enum != nil {
				bases = append(bases, map[string]string{p.Name: text})
			}
		}
	}
	plain := map[string][]answer{} // what each base says, by its flags and toy
	say := func(flags map[string]string, y toy) []answer {
		cfg, err := t.Spec.Configure(flags)
		if err != nil {
			return []answer{{verb: "configure", err: err}}
		}
		return withoutStates(t.observe(cfg, y))
	}
	matters := func(p method.Param, text string) bool {
		for i, base := range bases {
			if _, moved := base[p.Name]; moved {
				continue
			}
			flags := maps.Clone(base)
			flags[p.Name] = text
			for _, y := range worlds {
				key := strconv.Itoa(i) + y.name
				if plain[key] == nil {
					plain[key] = say(base, y)
				}
				if difference(say(flags, y), plain[key], 0) != "" {
					return true
				}
			}
		}
		return false
	}
	for _, p := range t.Spec.Params {
		texts := alternatives(t.Spec, p)
		if len(texts) == 0 {
			t.Errorf("knob --%s has no legal value but its default", p.Name)
			continue
		}
		if p.Enum != nil {
			for _, text := range texts {
				if !matters(p, text) {
					t.Errorf("knob --%s=%s changes nothing on any toy set", p.Name, text)
				}
			}
			continue
		}
		if !slices.ContainsFunc(texts, func(text string) bool { return matters(p, text) }) {
			t.Errorf("knob --%s changes nothing on any toy set, tried %v", p.Name, texts)
		}
	}
}
