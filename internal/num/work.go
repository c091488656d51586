package num

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

func maxProcs() int { return runtime.GOMAXPROCS(0) }

// busy counts the threads that kernels of some size are running on.
var busy atomic.Int64

// hire returns how many threads a kernel of some size should take: what others, perhaps the callers of the same kernel
// on other goroutines, leave free. dismiss gives them back.
func hire() int {
	free := int64(maxProcs()) - busy.Load()
	workers := max(1, free)
	busy.Add(workers)
	return int(workers)
}

func dismiss(workers int) { busy.Add(-int64(workers)) }

// Parallel calls f on consecutive ranges of 0..n, each of at least grain items, on as many threads as are free.
// f must not let a result depend on how the ranges are cut.
func Parallel(n, grain int, f func(lo, hi int)) {
	ranges := min(maxProcs(), (n+grain-1)/max(grain, 1))
	if ranges <= 1 {
		if n > 0 {
			f(0, n)
		}
		return
	}
	workers := hire() // kernels called by f find the machine taken
	defer dismiss(workers)
	step := (n + ranges - 1) / ranges
	crew(min(workers, ranges), 1, func(int) int { return (n + step - 1) / step }, func(_, _, i int) {
		f(i*step, min((i+1)*step, n))
	})
}

// crew calls f(phase, worker, i) once for every phase and every i below count(phase), on up to the given number of
// goroutines (worker below that number; the caller is one of them). A phase begins when the one before it is done. Who
// takes which i is a matter of chance: f must not let a result depend on it.
func crew(workers, phases int, count func(phase int) int, f func(phase, worker, i int)) {
	if workers <= 1 {
		for phase := range phases {
			for i := range count(phase) {
				f(phase, 0, i)
			}
		}
		return
	}
	j := &crewJob{f: f, phases: make([]crewPhase, phases)}
	for phase := range j.phases {
		j.phases[phase].count = int64(count(phase))
	}
	j.workers.Store(1)
	j.cores.take()
	helpers.call(j, workers-1)
	j.work(0)
}

// crewJob is work that its helpers may join late or not at all: what is left to be taken is all that counts.
type crewJob struct {
	f       func(phase, worker, i int)
	phases  []crewPhase
	workers atomic.Int64 // that have joined
	cores   cores
}

type crewPhase struct{ count, next, done int64 }

func (j *crewJob) work(worker int) {
	for phase := range j.phases {
		p := &j.phases[phase]
		for {
			i := atomic.AddInt64(&p.next, 1) - 1
			if i >= p.count {
				break
			}
			j.f(phase, worker, int(i))
			atomic.AddInt64(&p.done, 1)
			if worker == 0 && j.workers.Load() == 1 {
				letOthersRun() // a helper that was woken on this core waits for it
			}
		}
		// Polling: waking a sleeping thread takes longer than many a phase.
		for spins := 0; atomic.LoadInt64(&p.done) < p.count; spins++ {
			switch {
			case spins > 10000: // by now some milliseconds
				time.Sleep(crewNap)
			case spins > 100:
				runtime.Gosched()
			}
		}
	}
}

// crewNap is how long a worker that has waited long for the others sleeps between looks.
const crewNap = 50 * time.Microsecond

// helperLinger is how long a helper looks out for another job before it ends. Products come in rows; a thread that
// sleeps takes about as long to wake as this, and often wakes on the core that is busy.
const helperLinger = 200 * time.Microsecond

// crewHelpers are the goroutines that look out for a job.
type crewHelpers struct {
	mu   sync.Mutex
	idle []*crewHelper
}

type crewHelper struct{ job atomic.Pointer[crewJob] }

var helpers crewHelpers

// call sets n helpers to work on j.
func (c *crewHelpers) call(j *crewJob, n int) {
	c.mu.Lock()
	for n > 0 && len(c.idle) > 0 {
		last := len(c.idle) - 1
		c.idle[last].job.Store(j)
		c.idle = c.idle[:last]
		n--
	}
	c.mu.Unlock()
	for range n {
		go c.help(j)
	}
}

func (c *crewHelpers) help(j *crewJob) {
	h := new(crewHelper)
	for j != nil {
		worker := int(j.workers.Add(1)) - 1
		j.cores.take()
		j.work(worker)
		j = c.wait(h)
	}
}

// wait returns h's next job, or nil when none came in time.
func (c *crewHelpers) wait(h *crewHelper) *crewJob {
	h.job.Store(nil)
	c.mu.Lock()
	c.idle = append(c.idle, h)
	c.mu.Unlock()
	for start := time.Now(); time.Since(start) < helperLinger; {
		if j := h.job.Load(); j != nil {
			return j
		}
		runtime.Gosched()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, other := range c.idle {
		if other == h {
			c.idle = append(c.idle[:i], c.idle[i+1:]...)
			return nil
		}
	}
	return h.job.Load() // it was called in the last moment
}

// workspace is reusable memory for packed operands.
type workspace struct{ words []float64 }

var workspaces = sync.Pool{New: func() any { return new(workspace) }}

// scratch returns n values of undefined content, on a cache line's start, until release.
func scratch[T Float](n int) (*workspace, []T) {
	var zero T
	words := (n*int(unsafe.Sizeof(zero))+7)/8 + 8
	w := workspaces.Get().(*workspace)
	if len(w.words) < words {
		w.words = make([]float64, words)
	}
	p := unsafe.Pointer(&w.words[0])
	skip := (64 - uintptr(p)&63) & 63
	return w, unsafe.Slice((*T)(unsafe.Add(p, skip)), n)
}

func (w *workspace) release() { workspaces.Put(w) }
