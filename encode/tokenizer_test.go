package encode

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

// tokenizerCases are tokenizers with texts and their numbers by the tokenizers package.
func tokenizerCases(t *testing.T) map[string]struct {
	Tokenizer json.RawMessage      `json:"tokenizer"`
	Texts     [][2]json.RawMessage `json:"texts"`
} {
	all := map[string]struct {
		Tokenizer json.RawMessage      `json:"tokenizer"`
		Texts     [][2]json.RawMessage `json:"texts"`
	}{}
	golden(t, "tokenizers.json", &all)
	return all
}

func TestTokenizersGolden(t *testing.T) {
	for name, c := range tokenizerCases(t) {
		t.Run(name, func(t *testing.T) {
			tokenizer, err := ReadTokenizer(c.Tokenizer)
			if err != nil {
				t.Fatal(err)
			}
			for _, pair := range c.Texts {
				var text string
				var want []int32
				if err := errors.Join(json.Unmarshal(pair[0], &text), json.Unmarshal(pair[1], &want)); err != nil {
					t.Fatal(err)
				}
				have, err := tokenizer.Encode(text, 0)
				if err != nil || !slices.Equal(have, want) {
					t.Errorf("%q: %v, want %v (%v)", text, have, want, err)
				}
			}
		})
	}
}

func TestTokenizerRefusals(t *testing.T) {
	raw := string(tokenizerCases(t)["bert uncased"].Tokenizer)
	for _, c := range []struct {
		old, new string
		words    []string
	}{
		{`"type":"BertNormalizer"`, `"type":"Precompiled"`, []string{"normalizer Precompiled"}},
		{`"type":"WordPiece"`, `"type":"Unigram"`, []string{"model Unigram"}},
		{`"type":"BertPreTokenizer"`, `"type":"Metaspace"`, []string{"pre-tokenizer Metaspace"}},
		{`"unk_token":"[UNK]"`, `"unk_token":"[NONE]"`, []string{"[NONE]", "220"}},
	} {
		_, err := ReadTokenizer([]byte(strings.Replace(raw, c.old, c.new, 1)))
		if !errors.Is(err, data.ErrFormat) {
			t.Errorf("%s: %v", c.new, err)
			continue
		}
		for _, w := range c.words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v lacks %q", c.new, err, w)
			}
		}
	}
	if _, err := ReadTokenizer([]byte(raw[:len(raw)/2])); !errors.Is(err, data.ErrFormat) {
		t.Errorf("half a file: %v", err)
	}
	tokenizer, err := ReadTokenizer([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tokenizer.Encode("the dog", 1); !errors.Is(err, data.ErrShape) {
		t.Errorf("one token: %v", err)
	}
	if ids, err := tokenizer.Encode("the quick brown fox", 4); err != nil || len(ids) != 4 || ids[3] != 3 {
		t.Errorf("four tokens: %v, %v", ids, err)
	}
}
