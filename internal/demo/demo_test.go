package demo

import (
	"testing"

	"github.com/gimbal-ml/gimbal/detect"
)

func TestPromisesAreKept(t *testing.T) {
	if testing.Short() {
		t.Skip("plays the whole story")
	}
	for seed := range uint64(3) {
		s, err := Play(t.Context(), detect.Methods(), seed, func(string, int, int) {})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range s.Promises() {
			t.Logf("seed %d: kept %v: %s", seed, p.Kept, p.Text)
			if !p.Kept {
				t.Errorf("seed %d: %s", seed, p.Text)
			}
		}
	}
}
