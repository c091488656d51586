// Package atomic writes files that are whole or not there: bytes go to a temporary file beside the target, are synced,
// and the name changes hands in one step. Whoever stops half-way (an error, a full disk, Ctrl-C) leaves the old file as it was.
package atomic

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Write calls write and then puts what it wrote in path's place. When write or the disk fails, path is left as it was.
func Write(path string, write func(io.Writer) error) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	buffered := bufio.NewWriterSize(f, 1<<16)
	if err := write(buffered); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	return f.Commit()
}

// Private makes an empty file that only its owner may read, for what replaces it to keep its permissions. A file that is there stays as it is.
func Private(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// File is a file under way: written under a temporary name until [File.Commit]. It is not buffered.
type File struct {
	target string
	file   *os.File
	direct bool // the target is a device or a pipe: nothing to rename
	done   bool
}

// Create starts a file that will replace path. A symbolic link is followed; a device or a named pipe is written directly.
// The new file keeps the permissions of the one that it replaces.
func Create(path string) (*File, error) {
	target := path
	if real, err := filepath.EvalSymlinks(path); err == nil {
		target = real
	}
	mode := fs.FileMode(0o666)
	info, err := os.Stat(target)
	switch {
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%s: is a directory, want the name of a file", path)
	case err == nil && !info.Mode().IsRegular():
		file, err := os.OpenFile(target, os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		return &File{target: target, file: file, direct: true}, nil
	case err == nil:
		mode = info.Mode().Perm()
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	file, err := temporary(target, mode)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, plain(err))
	}
	if info != nil { // the umask does not hold for a file that was there before
		if err := file.Chmod(mode); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", path, plain(err)), file.Close(), os.Remove(file.Name()))
		}
	}
	return &File{target: target, file: file}, nil
}

// plain drops the temporary name, which means nothing to a user, from an error of package os.
func plain(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func temporary(target string, mode fs.FileMode) (*os.File, error) {
	dir, name := filepath.Split(target)
	for {
		path := dir + "." + name + "." + rand.Text()[:10] + ".part"
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
		if !errors.Is(err, fs.ErrExist) {
			return file, err
		}
	}
}

// Write appends p. Errors name the target, not the temporary file.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.file.Write(p)
	return n, f.named(err)
}

// WriteAt writes p at an offset, to fill in a header whose content the rows decide.
func (f *File) WriteAt(p []byte, offset int64) (int, error) {
	n, err := f.file.WriteAt(p, offset)
	return n, f.named(err)
}

func (f *File) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", f.target, plain(err))
}

// Commit makes the file durable and gives it its name. After an error the target is as it was.
func (f *File) Commit() error {
	if f.done {
		return fmt.Errorf("%s: %w", f.target, fs.ErrClosed)
	}
	defer f.Abort()
	if f.direct {
		f.done = true
		return f.named(f.file.Close())
	}
	if err := f.file.Sync(); err != nil {
		return f.named(err)
	}
	if err := f.file.Close(); err != nil {
		return f.named(err)
	}
	if err := os.Rename(f.file.Name(), f.target); err != nil {
		return fmt.Errorf("%s: %w", f.target, err)
	}
	f.done = true
	return f.named(syncDir(filepath.Dir(f.target)))
}

// Abort removes what was written. After Commit or another Abort it does nothing, so that it can be deferred.
func (f *File) Abort() {
	if f.done {
		return
	}
	f.done = true
	f.file.Close() // already closed when Commit failed late; either way only the name is left to remove
	if !f.direct {
		os.Remove(f.file.Name())
	}
}

// syncDir makes a rename durable. Windows syncs no directories and does it with the file.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
