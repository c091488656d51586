package atomic

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock takes the system's lock of an open file, which ends with the process, and reports whether another process has it. The locked
// byte lies far behind the text, so that others can read who holds it.
func tryLock(f *os.File) (held bool, err error) {
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{OffsetHigh: 1})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return true, nil
	}
	return false, err
}
