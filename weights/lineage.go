package weights

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
)

// lineageFormat begins every manifest.
const lineageFormat = "gimbal lineage 1"

// Lineage says what a checkpoint was made of: a manifest that is a function of recipe and inputs alone.
type Lineage struct {
	Format string `json:"format"`
	// Recipe is the merge, in a form that is the same for equal recipes.
	Recipe string `json:"recipe"`
	// Inputs are the hashes of the checkpoints' content (see [data.Checkpoint.Hash]), by the names that the recipe has for them.
	Inputs map[string]string `json:"inputs"`
	// Tensors are the SHA-256 of every tensor's bytes in the result.
	Tensors map[string]string `json:"tensors"`
	// SHA256 is the hash of all of the above.
	SHA256 string `json:"sha256"`
}

// NewLineage reads inputs and result once each and writes their hashes down.
func NewLineage(recipe string, inputs map[string]*data.Checkpoint, result *data.Checkpoint) (*Lineage, error) {
	l := &Lineage{Format: lineageFormat, Recipe: recipe, Inputs: map[string]string{}, Tensors: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		h, err := inputs[name].Hash()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		l.Inputs[name] = h
	}
	for _, name := range result.Names() {
		h, err := tensorHash(result.Tensors[name])
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		l.Tensors[name] = h
	}
	l.SHA256 = l.hash()
	return l, nil
}

func tensorHash(t data.Tensor) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, t.DType, t.Shape)
	err := t.Pieces(func(b []byte) error { h.Write(b); return nil })
	return hex.EncodeToString(h.Sum(nil)), err
}

func (l *Lineage) hash() string {
	rest := *l
	rest.SHA256 = ""
	text, _ := json.Marshal(rest) // strings and maps of strings: nothing can fail, and keys are sorted
	h := sha256.Sum256(text)
	return hex.EncodeToString(h[:])
}

// Text writes the manifest.
func (l *Lineage) Text() ([]byte, error) {
	text, err := json.MarshalIndent(l, "", "  ")
	return append(text, '\n'), err
}

// ParseLineage reads a manifest. Errors: ErrFormat when it is none or was changed.
func ParseLineage(text []byte) (*Lineage, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var l Lineage
	if err := d.Decode(&l); err != nil || l.Format != lineageFormat {
		return nil, fmt.Errorf("no manifest of a merge: %w", data.ErrFormat)
	}
	if l.hash() != l.SHA256 {
		return nil, fmt.Errorf("the manifest's own hash is %.12s…, it says %.12s…: it was changed, and %w", l.hash(), l.SHA256, data.ErrFormat)
	}
	return &l, nil
}

// Check holds a checkpoint to the manifest of its making and lists what is wrong, a line for each tensor.
// Errors: what a tensor fails with, with its name.
func (l *Lineage) Check(c *data.Checkpoint) ([]string, error) {
	var bad []string
	for _, name := range slices.Sorted(maps.Keys(l.Tensors)) {
		t, ok := c.Tensors[name]
		if !ok {
			bad = append(bad, fmt.Sprintf("tensor %q is missing", name))
			continue
		}
		h, err := tensorHash(t)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		if h != l.Tensors[name] {
			bad = append(bad, fmt.Sprintf("tensor %q has another hash", name))
		}
	}
	for _, name := range c.Names() {
		if l.Tensors[name] == "" {
			bad = append(bad, fmt.Sprintf("tensor %q is not in the manifest", name))
		}
	}
	return bad, nil
}
