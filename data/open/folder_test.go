package open

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

func TestCheckpointPaths(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.safetensors", "a.npz", "notes.txt", "hub/model.safetensors", "empty/notes.txt"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string][]string{
		".":             {"a.npz", "b.safetensors"},
		"hub":           {"hub"},
		"b.safetensors": {"b.safetensors"},
		"missing":       {"missing"},
	} {
		have, err := CheckpointPaths(filepath.Join(dir, path))
		for i := range want {
			want[i] = filepath.Join(dir, want[i])
		}
		if err != nil || !slices.Equal(have, want) {
			t.Errorf("%s: %v, want %v (%v)", path, have, want, err)
		}
	}
	if _, err := CheckpointPaths(filepath.Join(dir, "empty")); !errors.Is(err, data.ErrFormat) {
		t.Errorf("a folder without checkpoints: %v", err)
	}
}
