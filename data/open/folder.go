package open

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gimbal-ml/gimbal/data"
)

// CheckpointPaths lists the checkpoints that a path stands for: those of a folder that holds several, .safetensors and .npz files in
// the order of their names; anything else stands for itself, also a folder that [Checkpoint] opens as one.
// Errors: ErrFormat for a folder without any.
func CheckpointPaths(path string) ([]string, error) {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return []string{path}, nil // whoever opens it says what is wrong
	}
	if _, err := inFolder(path); err == nil {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path) // sorted
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".safetensors" || ext == ".npz") {
			found = append(found, filepath.Join(path, e.Name()))
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: %w as checkpoints: the folder has neither .safetensors nor .npz files", path, data.ErrFormat)
	}
	return found, nil
}
