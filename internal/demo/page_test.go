package demo

import (
	"bytes"
	"os"
	"testing"

	"github.com/gimbal-ml/gimbal/detect"
)

func TestPageRenders(t *testing.T) {
	s, err := Play(t.Context(), detect.Methods(), 0, func(string, int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := s.Page("test").HTML(&b); err != nil {
		t.Fatal(err)
	}
	if path := os.Getenv("GIMBAL_DEMO_PAGE"); path != "" {
		if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}
