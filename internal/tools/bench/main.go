// Command bench measures the kernels side by side with their peers and prints the Markdown table of docs/benchmarks.md:
//
//	./bench/install.sh && go run ./internal/tools/bench
//
// Each row is the median of seven rounds (of one where a round takes minutes), ours and the peer's in turn, at each number of threads. A peer that is not
// installed leaves its rows out, and says so. A second table has the peak resident memory of the engine's rows.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/gimbal-ml/gimbal/internal/num"
)

const rounds = 7

func main() {
	dir := flag.String("bench", "bench", "folder of the peers")
	only := flag.String("only", "", "regular expression of the rows to measure")
	memory := flag.String("memory", "", "all prints the table of memory alone, merges that of merges of large checkpoints; a row's name does its work and prints the bytes resident before and at most")
	flag.Parse()
	work := func() error { return run(*dir, *only) }
	switch {
	case *memory == "all":
		work = func() error {
			match, err := regexp.Compile(*only)
			if err != nil {
				return err
			}
			return memoryRows(*dir, match)
		}
	case *memory == "merges":
		work = func() error { return mergeMemory(*dir) }
	case *memory != "":
		work = func() error { return ownMemory(*memory) }
	}
	if err := work(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(dir, only string) error {
	match, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	peak := roofline()
	fmt.Println("| work | threads | ours | peer | its time | ratio | to reach | rate |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for _, r := range slices.Concat(rows(), houseRows(dir), weightsRows(dir), headRows(), engineRows(), continualRows()) {
		if !match.MatchString(r.name) {
			continue
		}
		for _, threads := range r.threads {
			if threads > runtime.NumCPU() {
				continue
			}
			if err := r.measure(dir, threads, peak); err != nil {
				fmt.Fprintf(os.Stderr, "bench: %s on %d threads left out: %v\n", r.name, threads, err)
			}
		}
	}
	if err := memoryRows(dir, match); err != nil {
		fmt.Fprintf(os.Stderr, "bench: memory left out: %v\n", err)
	}
	return nil
}

// ceiling is what one thread of this machine can do at most, in operations a nanosecond.
type ceiling struct{ single, double float64 }

// check refuses a time that the machine cannot reach: then the side did not do the work that the row names.
func (c ceiling) check(side string, flops, ns float64, threads int, double bool) error {
	top := c.single
	if double {
		top = c.double
	}
	// A fifth is left for a clock that rose since the roofline was measured.
	if rate, limit := flops/ns, 1.2*top*float64(threads); rate > limit {
		return fmt.Errorf("%s: %.0f GFLOP/s on %d threads, above the machine's %.0f: it did other work than the row says", side, rate, threads, limit)
	}
	return nil
}

// roofline prints what this machine can do at most: multiply-adds from the nearest cache, bytes from memory.
func roofline() ceiling {
	x, low, high := make([]float32, 64<<20), make([]float32, 1024), make([]float32, 1024)
	for i := range x {
		x[i] = float32(i)
	}
	read := time.Hour
	for range rounds {
		start := time.Now()
		num.Bounds(low, high, x, len(x)/len(low), len(low))
		read = min(read, time.Since(start))
	}
	c := ceiling{num.Peak[float32]() / 1e9, num.Peak[float64]() / 1e9}
	fmt.Printf("%s/%s, %d cores, path %s. Roofline of one thread, measured now: float32 %.0f GFLOP/s, float64 %.0f GFLOP/s, reading memory %.1f GB/s.\n\n",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), num.Path(), c.single, c.double, float64(4*len(x))/read.Seconds()/1e9)
	return c
}

// row is one comparison.
type row struct {
	name    string
	threads []int
	peer    string // openblas, python, torch or engine
	label   string // what the peer runs
	request func(reps int) string
	flops   float64 // that either side does at least; 0: not known

	double, peerDouble bool // the sides compute in float64
	goal               float64
	rounds             int            // measured; 0: seven. Rows that take minutes are measured less often
	once               bool           // either side works once, without a trial before: a peer needs minutes
	reached            func() float64 // objective of our last work, less is better; nil: it has none
	prepare            func() func()  // returns the work to time
}

// measure prints the row at a number of threads.
func (r *row) measure(dir string, threads int, peak ceiling) (err error) {
	defer func() {
		switch failed := recover().(type) {
		case nil:
		case rowFailed:
			err = failed.error
		default:
			panic(failed)
		}
	}()
	command := []string{filepath.Join(dir, "out", "openblas")}
	switch r.peer {
	case "python":
		command = []string{filepath.Join(dir, ".venv", "bin", "python"), filepath.Join(dir, "peer.py")}
	case "torch", "engine":
		python, err := torchPython(dir)
		if err != nil {
			return err
		}
		command = []string{python, filepath.Join(dir, map[string]string{"torch": "peer.py", "engine": "engine.py"}[r.peer])}
	}
	p, err := startPeer(command, threads)
	if err != nil {
		return err
	}
	defer p.stop()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
	ours, theirs, err := r.times(p)
	if err != nil {
		return err
	}
	a, b := median(ours), median(theirs)
	if err := peak.check("ours", r.flops, a, threads, r.double); err != nil {
		return err
	}
	if err := peak.check(r.label, r.flops, b, threads, r.peerDouble); err != nil {
		return err
	}
	rate := ""
	if r.flops > 0 {
		rate = fmt.Sprintf("%.0f GFLOP/s", r.flops/a)
	}
	label := r.label
	if r.reached != nil {
		label += fmt.Sprintf("; objective %.6f, ours %.6f", p.reached, r.reached())
	}
	fmt.Printf("| %s | %d | %s | %s | %s | %.2f | %g | %s |\n", r.name, threads, span(a), label, span(b), b/a, r.goal, rate)
	return nil
}

// times measures both sides in turn, in nanoseconds.
func (r *row) times(p *peer) (ours, theirs []float64, err error) {
	work := r.prepare()
	start := time.Now()
	work()
	first := time.Since(start)
	if r.once {
		t, err := p.ask(r.request(1))
		return []float64{float64(first.Nanoseconds())}, []float64{t}, err
	}
	reps := int(20*time.Millisecond/(first+1)) + 1
	if _, err := p.ask(r.request(reps)); err != nil { // its warm-up, as the call above was ours
		return nil, nil, err
	}
	n := r.rounds
	if n == 0 {
		n = rounds
	}
	for range n {
		time.Sleep(60 * time.Millisecond) // the peer's threads go on polling for a while after their work
		for warm := time.Now(); time.Since(warm) < 20*time.Millisecond; {
			work()
		}
		start := time.Now()
		for range reps {
			work()
		}
		ours = append(ours, float64(time.Since(start).Nanoseconds())/float64(reps))
		t, err := p.ask(r.request(reps))
		if err != nil {
			return nil, nil, err
		}
		theirs = append(theirs, t)
	}
	return ours, theirs, nil
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// span writes nanoseconds with three digits.
func span(ns float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}} {
		if ns >= unit.size {
			return strconv.FormatFloat(ns/unit.size, 'g', 3, 64) + " " + unit.name
		}
	}
	return strconv.FormatFloat(ns, 'g', 3, 64) + " ns"
}
