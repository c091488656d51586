package weights

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// sources are checkpoints of one architecture, each with what errors call it. The first one says what the result looks like.
type sources struct {
	list data.Checkpoints
	who  []string
}

// numbered calls checkpoints by their files, or by their positions in the input.
func numbered(list data.Checkpoints) sources {
	s := sources{list: list}
	for i, c := range list {
		s.who = append(s.who, called(c, fmt.Sprintf("checkpoint %d", i+1)))
	}
	return s
}

// called is the file that a checkpoint was read from, or another name where there is none.
func called(c *data.Checkpoint, otherwise string) string {
	if c == nil || c.Origin == "" {
		return otherwise
	}
	return c.Origin
}

// onto puts the checkpoint from which the others were tuned before them.
func onto(base *data.Checkpoint, list data.Checkpoints) sources {
	s := numbered(list)
	return sources{append(data.Checkpoints{base}, s.list...), append([]string{called(base, "the base")}, s.who...)}
}

// listed is how many differences an error spells out; the rest is counted.
const listed = 4

// align returns the sources with all tensors that any of them stores stored in each, where an alias can be resolved, and refuses
// those that do not hold the same ones: names, shapes, element types, and the values of those that are no floating-point numbers,
// for which arithmetic has no meaning. One error lists the differences from the first one.
func (s sources) align() (sources, error) {
	if len(s.list) == 0 {
		return s, fmt.Errorf("%w: no checkpoints", method.ErrInput)
	}
	for i, c := range s.list {
		if c == nil {
			return s, fmt.Errorf("%w: %s is missing", method.ErrInput, s.who[i])
		}
	}
	s.list = s.list.Resolved()
	var found []string
	first := s.list[0]
	for i, c := range s.list {
		names := map[string]bool{}
		for name := range c.Tensors {
			names[name] = true
		}
		for name := range first.Tensors {
			names[name] = true
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			have, ok := c.Tensors[name]
			want, known := first.Tensors[name]
			switch {
			case !ok:
				found = append(found, fmt.Sprintf("%s lacks %q", s.who[i], name))
			case !known:
				found = append(found, fmt.Sprintf("only %s has %q", s.who[i], name))
			case have.DType != want.DType || !slices.Equal(have.Shape, want.Shape):
				has, wants := fmt.Sprintf("%s %v", have.DType, have.Shape), fmt.Sprintf("%s %v", want.DType, want.Shape)
				if have.DType == want.DType { // perhaps not that of the files
					has, wants = fmt.Sprint(have.Shape), fmt.Sprint(want.Shape)
				}
				found = append(found, fmt.Sprintf("%q is %s in %s, %s in %s", name, has, s.who[i], wants, s.who[0]))
			case i > 0 && !want.DType.Float():
				same, err := equalTensors(want, have)
				if err != nil {
					return s, fmt.Errorf("%s, tensor %q: %w", s.who[i], name, err)
				}
				if !same {
					found = append(found, fmt.Sprintf("%q is %s, which cannot be blended, and has other values in %s than in %s", name, want.DType, s.who[i], s.who[0]))
				}
			}
		}
	}
	if len(found) == 0 {
		return s, nil
	}
	more := ""
	if rest := len(found) - listed; rest > 0 {
		more = fmt.Sprintf("; and %d more", rest)
	}
	return s, fmt.Errorf("%w: the %d checkpoints are not of one architecture, %d differences: %s%s", data.ErrShape, len(s.list), len(found), strings.Join(found[:min(len(found), listed)], "; "), more)
}

// equalTensors compares two tensors of one type and shape.
func equalTensors(a, b data.Tensor) (bool, error) {
	return equalElements(a, b, a.Len())
}

// equalElements compares the first n elements.
func equalElements(a, b data.Tensor, n int) (bool, error) {
	size := a.DType.Size()
	x, y := make([]byte, min(n, stretch)*size), make([]byte, min(n, stretch)*size)
	for lo := 0; lo < n; lo += stretch {
		k := min(n-lo, stretch) * size
		if err := a.Fill(x[:k], lo); err != nil {
			return false, err
		}
		if err := b.Fill(y[:k], lo); err != nil {
			return false, err
		}
		if !bytes.Equal(x[:k], y[:k]) {
			return false, nil
		}
	}
	return true, nil
}

// meta is the metadata that all sources share, without a seal.
func (s sources) meta() map[string]string {
	shared := map[string]string{}
	for key, text := range s.list[0].Meta {
		if !slices.ContainsFunc(s.list, func(c *data.Checkpoint) bool { other, ok := c.Meta[key]; return !ok || other != text }) {
			shared[key] = text
		}
	}
	delete(shared, "sha256")
	return shared
}

// stems names for each tensor the first one, in order of names, that has the same bytes in every source: tensors that were tied when
// they were saved under two names. What is drawn for a tensor is drawn for its stem, so that tied tensors stay equal.
func (s sources) stems() (map[string]string, error) {
	const head = 1024 // elements that tell nearly all tensors apart
	stems, groups := map[string]string{}, map[string][]string{}
	for _, name := range s.list[0].Names() {
		t := s.list[0].Tensors[name]
		kind := fmt.Sprint(t.DType, t.Shape)
		stems[name] = name
		for _, other := range groups[kind] {
			same := true
			for _, n := range []int{min(head, t.Len()), t.Len()} {
				for i, c := range s.list {
					var err error
					if same, err = equalElements(c.Tensors[name], c.Tensors[other], n); err != nil {
						return nil, fmt.Errorf("%s, tensor %q: %w", s.who[i], name, err)
					}
					if !same {
						break
					}
				}
				if !same {
					break
				}
			}
			if same {
				stems[name] = other
				break
			}
		}
		if stems[name] == name && t.DType.Float() {
			groups[kind] = append(groups[kind], name)
		}
	}
	return stems, nil
}
