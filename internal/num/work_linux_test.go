package num

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// One thread that joins a job twice must be sent to another core the second time, and be free to move afterwards.
func TestCoresTake(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, after unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Skip("this system does not tell which cores a thread may use:", err)
	}
	if before.Count() < 2 {
		t.Skip("one core only")
	}
	var c cores
	c.take()
	c.take()
	if got := c.taken.Count(); got != 2 {
		t.Errorf("two threads of a job sit on %d cores, want 2", got)
	}
	if err := unix.SchedGetaffinity(0, &after); err != nil || after != before {
		t.Errorf("the thread may use cores %v afterwards, %v before (%v)", after, before, err)
	}
	for range before.Count() { // more threads than cores: the rest stay where they are
		c.take()
	}
	if got := c.taken.Count(); got > before.Count() {
		t.Errorf("%d cores are taken of %d", got, before.Count())
	}
}
