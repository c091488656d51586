package atomic

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// ErrHeld says that another process holds a lock.
var ErrHeld = errors.New("locked by another process")

// Lock is a file that one process holds at a time: whoever changes a file of the same name but for the .lock at its end.
// A process that ends, however it does, holds it no longer.
type Lock struct {
	path string
	file *os.File
}

// Hold takes the lock of path, the file path.lock, and writes into it who holds it, one line. It does not wait.
// Errors: ErrHeld with what the holder wrote; those of package os.
func Hold(path, who string) (*Lock, error) {
	path += ".lock"
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, plain(err))
		}
		held, err := tryLock(f)
		if err == nil && held {
			line, _ := io.ReadAll(io.LimitReader(f, 1000)) // it may be empty when the holder has only just begun
			f.Close()
			return nil, fmt.Errorf("%s: %w: %s", path, ErrHeld, orUnnamed(strings.TrimSpace(string(line))))
		}
		if err == nil && !same(path, f) { // its last holder removed it before this one had it
			f.Close()
			continue
		}
		if err == nil {
			if err = f.Truncate(0); err == nil {
				_, err = f.WriteAt([]byte(who+"\n"), 0)
			}
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("%s: %w", path, plain(err))
		}
		return &Lock{path, f}, nil
	}
}

func orUnnamed(who string) string {
	if who == "" {
		return "one that has only just begun"
	}
	return who
}

// same reports whether a path still leads to an open file.
func same(path string, f *os.File) bool {
	a, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	b, other := f.Stat()
	return err == nil && other == nil && os.SameFile(a, b)
}

// Release gives the lock back and removes its file.
func (l *Lock) Release() error {
	return errors.Join(os.Remove(l.path), l.file.Close())
}
