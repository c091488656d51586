package encode

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/gimbal-ml/gimbal/internal/graph"
)

// tokensLayer is the only layer of a tokenizer.
const tokensLayer = "tokens"

// loadTokens makes a tokenizer a model whose features are a text's token numbers, as many as Options.Input.Length or the
// tokenizer's own truncation says, with −1 behind the text's end: what detectors on texts take.
func loadTokens(path string, o Options) (*Model, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t, err := ReadTokenizer(text)
	if err != nil {
		return nil, named(path, err)
	}
	in := Input{Kind: KindText, Length: t.length}.joined(o.Input)
	if err := in.check(); err != nil {
		return nil, named(path, err)
	}
	switch {
	case o.Layer != "" && o.Layer != tokensLayer || o.Pool != "":
		return nil, fmt.Errorf("%s: %w: a tokenizer has one layer, %s, and nothing to pool", path, ErrOption, tokensLayer)
	case in.Length == 0:
		return nil, fmt.Errorf("%s: %w: how many tokens a text has at most must be said with --length: they become columns", path, ErrOption)
	}
	m := &Model{Name: strings.TrimSuffix(filepath.Base(path), ".json"), Layer: tokensLayer, Input: in, Dim: in.Length, text: t, batch: blockRows}
	m.memory = sync.Pool{New: func() any { return new(graph.Memory) }}
	return m, nil
}

// tokens are the features of a model without a network.
func (m *Model) tokens(ready []prepared) []float32 {
	x := make([]float32, len(ready)*m.Dim)
	for i, p := range ready {
		row := x[i*m.Dim : (i+1)*m.Dim]
		for j := range row {
			row[j] = -1
		}
		for j, token := range p.tokens {
			row[j] = float32(token)
		}
	}
	return x
}
