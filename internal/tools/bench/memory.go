package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// memorySteps is how many repetitions a process makes before its memory is read: the first ones allocate.
const memorySteps = 5

// memoryRows prints what the work of rows that have a peer in PyTorch needs in memory: each side does it in a process of its
// own, which says how much was resident before and at most.
func memoryRows(dir string, match *regexp.Regexp) error {
	var rows []*row
	for _, r := range engineRows() {
		if match.MatchString(r.name) {
			rows = append(rows, r)
		}
	}
	python, err := torchPython(dir)
	if len(rows) == 0 || err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	threads := min(2, runtime.NumCPU())
	fmt.Println("\n| peak resident memory, MiB, on 2 threads | ours | PyTorch | ours, beyond an idle process | PyTorch's, beyond its imports | ratio of the last two |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, r := range rows {
		own := exec.Command(self, "-memory", r.name)
		own.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(threads))
		own.Stderr = os.Stderr
		text, err := own.Output()
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		var before, peak float64
		if _, err := fmt.Sscan(string(text), &before, &peak); err != nil {
			return fmt.Errorf("%s: %q: %w", r.name, text, err)
		}
		theirBefore, theirPeak, err := peerMemory(python, dir, r, threads)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		const mib = 1 << 20
		fmt.Printf("| %s | %.0f | %.0f | %.0f | %.0f | %.2f |\n", r.name, peak/mib, theirPeak/mib, (peak-before)/mib, (theirPeak-theirBefore)/mib, (theirPeak-theirBefore)/(peak-before))
	}
	return nil
}

func peerMemory(python, dir string, r *row, threads int) (before, peak float64, err error) {
	p, err := startPeer([]string{python, filepath.Join(dir, "engine.py")}, threads)
	if err != nil {
		return 0, 0, err
	}
	defer p.stop()
	if before, err = p.ask("resident"); err != nil {
		return 0, 0, err
	}
	if _, err = p.ask(r.request(memorySteps)); err != nil {
		return 0, 0, err
	}
	peak, err = p.ask("peak")
	return before, peak, err
}

// ownMemory does a row's work in this process and prints how many bytes were resident before and at most.
func ownMemory(name string) error {
	for _, r := range engineRows() {
		if r.name != name {
			continue
		}
		if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil { // the peak begins anew
			return err
		}
		before, err := resident("VmRSS")
		if err != nil {
			return err
		}
		work := r.prepare()
		for range memorySteps {
			work()
		}
		peak, err := resident("VmHWM")
		if err != nil {
			return err
		}
		fmt.Println(before, peak)
		return nil
	}
	return fmt.Errorf("no row is called %q", name)
}

// resident reads a size out of what Linux says of this process, in bytes.
func resident(field string) (int, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(text), field+":")
	if !ok {
		return 0, fmt.Errorf("/proc/self/status has no %s", field)
	}
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	return kib << 10, err
}
