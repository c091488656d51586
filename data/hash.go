package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// hashKey is the metadata entry that holds a sealed checkpoint's own hash.
const hashKey = "sha256"

// Hash returns the SHA-256 of everything in the checkpoint but a seal: metadata and tensors in the order of their names,
// each with type, shape and bytes. Equal checkpoints have equal hashes, whatever file they came from.
func (c *Checkpoint) Hash() (string, error) {
	h := sha256.New()
	word := func(b []byte) {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(b))))
		h.Write(b)
	}
	for _, key := range slices.Sorted(maps.Keys(c.Meta)) {
		if key != hashKey {
			word([]byte(key))
			word([]byte(c.Meta[key]))
		}
	}
	for _, name := range c.Names() {
		t := c.Tensors[name]
		word([]byte(name))
		word([]byte(t.DType))
		word(fmt.Append(nil, t.Shape))
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(t.Len()*t.DType.Size())))
		err := t.Pieces(func(b []byte) error { h.Write(b); return nil })
		if err != nil {
			return "", fmt.Errorf("tensor %q: %w", name, err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Seal writes the checkpoint's hash into its metadata, so that damage is noticed when it is read.
func (c *Checkpoint) Seal() error {
	h, err := c.Hash()
	if err != nil {
		return err
	}
	if c.Meta == nil {
		c.Meta = map[string]string{}
	}
	c.Meta[hashKey] = h
	return nil
}

// Unseal checks the hash that [Checkpoint.Seal] wrote. Errors: ErrFormat when there is none or the content is another.
func (c *Checkpoint) Unseal() error {
	want, ok := c.Meta[hashKey]
	if !ok {
		return fmt.Errorf("no content hash: %w as a Gimbal file", ErrFormat)
	}
	have, err := c.Hash()
	if err != nil {
		return err
	}
	if have != want {
		return fmt.Errorf("content hash is %.12s…, its seal says %.12s…: the file is damaged and %w", have, want, ErrFormat)
	}
	return nil
}

// Prefix returns the part of the checkpoint whose names, of tensors and of metadata, begin with prefix, the prefix cut off.
func (c *Checkpoint) Prefix(prefix string) *Checkpoint {
	out := &Checkpoint{Meta: map[string]string{}, Tensors: map[string]Tensor{}}
	for name, t := range c.Tensors {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			out.Tensors[rest] = t
		}
	}
	for key, text := range c.Meta {
		if rest, ok := strings.CutPrefix(key, prefix); ok {
			out.Meta[rest] = text
		}
	}
	return out
}

// Add copies another checkpoint in, each name of a tensor or of metadata behind prefix.
func (c *Checkpoint) Add(prefix string, other *Checkpoint) {
	for name, t := range other.Tensors {
		c.Tensors[prefix+name] = t
	}
	for key, text := range other.Meta {
		c.Meta[prefix+key] = text
	}
}
