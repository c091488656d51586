package safetensors

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
)

// Index is the file model.safetensors.index.json: which shard holds which tensor.
type Index struct {
	Meta    map[string]any    `json:"metadata"`
	Weights map[string]string `json:"weight_map"` // tensor → file in the same folder
}

// ParseIndex reads an index. Errors: ErrFormat when it is none, or names a file outside its folder.
func ParseIndex(text []byte) (*Index, error) {
	var x Index
	if err := json.Unmarshal(text, &x); err != nil {
		return nil, fmt.Errorf("no safetensors index (%w): %w", err, data.ErrFormat)
	}
	if len(x.Weights) == 0 {
		return nil, fmt.Errorf("a safetensors index without a weight_map: %w", data.ErrFormat)
	}
	for name, file := range x.Weights {
		if file == "" || file == "." || file == ".." || strings.ContainsAny(file, `/\`) {
			return nil, fmt.Errorf("tensor %q is said to be in %q, which is no file beside the index: %w", name, file, data.ErrFormat)
		}
	}
	return &x, nil
}

// Files returns the names of the shards, sorted.
func (x *Index) Files() []string {
	return slices.Compact(slices.Sorted(maps.Values(x.Weights)))
}

// Join puts shards, by file name, together into one checkpoint. Where shards' metadata differ, the first file's holds. A name that a
// shard has as an alias only (see [data.Checkpoint.Aliases]) stays one.
// Errors: ErrFormat when a shard lacks a tensor that the index says it has.
func (x *Index) Join(shards map[string]*data.Checkpoint) (*data.Checkpoint, error) {
	c := &data.Checkpoint{Meta: map[string]string{}, Tensors: map[string]data.Tensor{}}
	for _, file := range x.Files() {
		for k, v := range shards[file].Meta {
			if _, ok := c.Meta[k]; !ok {
				c.Meta[k] = v
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(x.Weights)) {
		file := x.Weights[name]
		t, ok := shards[file].Tensors[name]
		if _, tied := shards[file].Aliases()[name]; tied {
			continue
		}
		if !ok {
			return nil, fmt.Errorf("tensor %q is missing in %s, where the index says it is: %w", name, file, data.ErrFormat)
		}
		c.Tensors[name] = t
	}
	return c, nil
}

// Split cuts a checkpoint into shards of at most size bytes of elements (a larger tensor has a shard for itself), in order of
// names, called stem-00001-of-00003.safetensors and so on. It returns the shards by file name and their index.
func Split(c *data.Checkpoint, stem string, size int64) (map[string]*data.Checkpoint, *Index) {
	var parts [][]string
	room, total := int64(0), int64(0)
	for _, name := range c.Names() {
		n := bytesOf(c.Tensors[name])
		if len(parts) == 0 || n > room {
			parts = append(parts, nil)
			room = size
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], name)
		room -= n
		total += n
	}
	x := &Index{Meta: map[string]any{"total_size": total}, Weights: map[string]string{}}
	shards := map[string]*data.Checkpoint{}
	for i, part := range parts {
		file := fmt.Sprintf("%s-%05d-of-%05d.safetensors", path.Base(stem), i+1, len(parts))
		shard := &data.Checkpoint{Meta: c.Meta, Tensors: map[string]data.Tensor{}}
		for _, name := range part {
			shard.Tensors[name] = c.Tensors[name]
			x.Weights[name] = file
		}
		shards[file] = shard
	}
	return shards, x
}

// Text returns the index as a file.
func (x *Index) Text() ([]byte, error) {
	b, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(b, '\n'), nil
}
