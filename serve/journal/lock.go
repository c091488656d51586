package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

const lockName = "lock"

// lock keeps other processes out of a folder. The system ends it with the process, however that ends.
type lock struct{ file *os.File }

// holder is what a lock's file says of who has it.
type holder struct {
	PID     int    `json:"pid"`
	Host    string `json:"host"`
	Program string `json:"program"`
}

var errHeld = errors.New("held by another process")

// acquire takes the lock. Errors: ErrLocked, saying who has it.
func acquire(path string) (*lock, error) {
	f, err := openLock(path)
	if errors.Is(err, errHeld) {
		return nil, fmt.Errorf("%w: %s has it; stop that one first, or name another folder", ErrLocked, readHolder(path))
	}
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "" // only a word in a message
	}
	text, err := json.Marshal(holder{os.Getpid(), host, strings.Join(os.Args[:min(len(os.Args), 2)], " ")})
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt(append(text, '\n'), 0)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &lock{f}, nil
}

func readHolder(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return "another process"
	}
	defer f.Close() // read only
	var h holder
	if err := json.NewDecoder(io.LimitReader(f, 1<<12)).Decode(&h); err != nil {
		return "another process"
	}
	return fmt.Sprintf("process %d (%s) on %s", h.PID, h.Program, h.Host)
}

func (l *lock) release() error { return l.file.Close() }
