package open

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/data/npy"
	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/data/safetensors"
)

// indexName is the end of the name of a file that lists shards.
const indexName = ".safetensors.index.json"

// Checkpoint opens named tensors: a .safetensors file, an index of shards (model.safetensors.index.json), a folder that holds either
// (as model.…), or a .npz archive. Tensors are read when asked for, so the checkpoint must not be used after it is closed.
// Errors name the file and the tensor: ErrFormat on what cannot be read, ErrShape where bytes do not fit a shape.
func Checkpoint(path string) (*data.Checkpoint, io.Closer, error) {
	origin := path
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		file, err := inFolder(path)
		if err != nil {
			return nil, nil, err
		}
		path = file
	}
	in, err := openInput(path, nil)
	if err != nil {
		return nil, nil, err
	}
	c, files, err := in.checkpoint()
	if err != nil {
		in.close()
		return nil, nil, in.named(err)
	}
	c.Origin = origin
	return c, append(files, in), nil
}

// inFolder finds the checkpoint in a folder as model hubs lay it out.
func inFolder(dir string) (string, error) {
	for _, name := range []string{"model" + indexName, "model.safetensors"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return filepath.Join(dir, name), nil
		}
	}
	return "", fmt.Errorf("%s: the folder has neither model%s nor model.safetensors: %w", dir, indexName, data.ErrFormat)
}

// closers are the files that a checkpoint reads from.
type closers []*input

// Files is what [Checkpoint] returns to be closed: it also says which files tensors are read from.
type Files interface {
	io.Closer
	Paths() []string
}

// Paths names the files.
func (c closers) Paths() (paths []string) {
	for _, in := range c {
		paths = append(paths, in.path)
	}
	return paths
}

// Close closes them all.
func (c closers) Close() error {
	for _, in := range c {
		in.close()
	}
	return nil
}

func (in *input) checkpoint() (*data.Checkpoint, closers, error) {
	text := bytes.TrimLeft(in.head, " \t\r\n")
	switch {
	case safetensors.Is(in.head):
		at, size, err := in.seekable()
		if err != nil {
			return nil, nil, err
		}
		c, err := safetensors.Read(at, size)
		return c, nil, err
	case bytes.HasPrefix(text, []byte("{")):
		return in.shards()
	case bytes.HasPrefix(in.head, []byte("PK\x03\x04")):
		at, size, err := in.seekable()
		if err != nil {
			return nil, nil, err
		}
		c, err := npy.Tensors(at, size)
		return c, nil, err
	case extension(in.path) == "safetensors": // let its reader say what is wrong
		at, size, err := in.seekable()
		if err != nil {
			return nil, nil, err
		}
		c, err := safetensors.Read(at, size)
		return c, nil, err
	}
	return nil, nil, fmt.Errorf("is no checkpoint that is read (it begins with % x): want .safetensors, %s or .npz: %w", in.head[:min(8, len(in.head))], strings.TrimPrefix(indexName, "."), data.ErrFormat)
}

// shards opens all files that an index lists.
func (in *input) shards() (*data.Checkpoint, closers, error) {
	text, err := io.ReadAll(in.in)
	if err != nil {
		return nil, nil, err
	}
	x, err := safetensors.ParseIndex(text)
	if err != nil {
		return nil, nil, err
	}
	if in.path == "-" {
		return nil, nil, fmt.Errorf("an index needs the files beside it, give its path: %w", data.ErrFormat)
	}
	var files closers
	parts := map[string]*data.Checkpoint{}
	for _, name := range x.Files() {
		shard, err := openInput(filepath.Join(filepath.Dir(in.path), name), nil)
		if err != nil {
			files.Close()
			return nil, nil, err
		}
		files = append(files, shard)
		at, size, err := shard.seekable()
		if err == nil {
			parts[name], err = safetensors.Read(at, size)
		}
		if err != nil {
			files.Close()
			return nil, nil, shard.named(err)
		}
	}
	c, err := x.Join(parts)
	if err != nil {
		files.Close()
		return nil, nil, err
	}
	return c, files, nil
}

// WriteCheckpoint writes a checkpoint as a .safetensors file or, when the path ends in .safetensors.index.json, as shards of at most
// shard bytes with their index. The files appear when all are whole; the index last. A tensor at a time is in memory.
// Errors: those of tensors and of the disk; ErrWrite on another path; ctx's when it is cancelled.
func WriteCheckpoint(ctx context.Context, path string, c *data.Checkpoint, shard int64) error {
	switch {
	case strings.HasSuffix(path, indexName):
		return writeShards(ctx, path, c, shard)
	case strings.HasSuffix(path, ".safetensors"):
		return atomic.Write(path, func(w io.Writer) error { return safetensors.Write(&cancelled{ctx, w}, c) })
	}
	return fmt.Errorf("%s: a checkpoint is written to NAME.safetensors or NAME%s: %w", path, indexName, rows.ErrWrite)
}

// cancelled stops writing when the context does.
type cancelled struct {
	ctx context.Context
	out io.Writer
}

func (w *cancelled) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.out.Write(p)
}

func writeShards(ctx context.Context, path string, c *data.Checkpoint, size int64) (err error) {
	parts, x := safetensors.Split(c, strings.TrimSuffix(filepath.Base(path), indexName), size)
	text, err := x.Text()
	if err != nil {
		return err
	}
	var files []*atomic.File
	defer func() {
		for _, f := range files {
			f.Abort()
		}
	}()
	add := func(path string, write func(io.Writer) error) error {
		f, err := atomic.Create(path)
		if err != nil {
			return err
		}
		files = append(files, f)
		return write(&cancelled{ctx, f})
	}
	for _, name := range x.Files() {
		err := add(filepath.Join(filepath.Dir(path), name), func(w io.Writer) error { return safetensors.Write(w, parts[name]) })
		if err != nil {
			return err
		}
	}
	if err := add(path, func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
		return err
	}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f.Commit(); err != nil {
			return err
		}
	}
	return nil
}
