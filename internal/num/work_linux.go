package num

import (
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cores are those that a job's threads run on. Linux likes to wake a thread on the core of the one that woke it, and
// leaves both there for some ten milliseconds: longer than most products take.
type cores struct {
	mu    sync.Mutex
	taken unix.CPUSet
}

// take notes the core of this thread, and first moves the thread to another where a thread of the same job has it.
func (c *cores) take() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c.mu.Lock()
	defer c.mu.Unlock()
	core, ok := thisCore()
	if !ok {
		return
	}
	if c.taken.IsSet(core) {
		var all unix.CPUSet
		if unix.SchedGetaffinity(0, &all) != nil {
			return
		}
		left := all
		for i := range left {
			left[i] &^= c.taken[i]
		}
		if left.Count() == 0 || unix.SchedSetaffinity(0, &left) != nil {
			return
		}
		core, ok = thisCore()
		unix.SchedSetaffinity(0, &all) // moves nothing: the thread only may move again
		if !ok {
			return
		}
	}
	c.taken.Set(core)
}

func thisCore() (core int, ok bool) {
	var n uint32
	_, _, errno := syscall.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&n)), 0, 0)
	return int(n), errno == 0
}

func letOthersRun() { syscall.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }
