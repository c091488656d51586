//go:build unix

package atomic

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// tryLock takes the system's lock of an open file, which ends with the process, and reports whether another process has it.
func tryLock(f *os.File) (held bool, err error) {
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return true, nil
		default:
			return false, err
		}
	}
}
