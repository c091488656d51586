package scan

import (
	"errors"
	"io"
	"runtime"
	"sync"
)

// Window is the part of a stream that is in memory: Bytes() from the first byte not yet consumed.
type Window struct {
	in         io.Reader
	buf        []byte
	start, end int
	err        error // io.EOF or what reading failed with
}

// NewWindow makes a window that holds size bytes at first.
func NewWindow(in io.Reader, size int) *Window { return &Window{in: in, buf: make([]byte, size)} }

// Bytes returns what is there. It is valid until the next Fill.
func (w *Window) Bytes() []byte { return w.buf[w.start:w.end] }

// Skip consumes n bytes.
func (w *Window) Skip(n int) { w.start += n }

// Ended reports whether the stream has no more bytes than the window holds.
func (w *Window) Ended() bool { return w.err == io.EOF }

// Err returns the error that reading failed with, nil at the proper end.
func (w *Window) Err() error {
	if errors.Is(w.err, io.EOF) {
		return nil
	}
	return w.err
}

// Fill reads until the window is full or the stream ends; a window full of unconsumed bytes is doubled first.
func (w *Window) Fill() {
	if w.err != nil {
		return
	}
	if w.start == 0 && w.end == len(w.buf) {
		grown := make([]byte, 2*len(w.buf))
		copy(grown, w.buf)
		w.buf = grown
	} else if w.start > 0 {
		w.end = copy(w.buf, w.buf[w.start:w.end])
		w.start = 0
	}
	n, err := io.ReadFull(w.in, w.buf[w.end:])
	w.end += n
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	w.err = err
}

// Ranges cuts 0..n into a few consecutive ranges and calls f on each, at the same time. It returns the error of the first range
// that has one, so the same error is found however many cores there are, if f stops at its first.
func Ranges(n, grain int, f func(lo, hi int) error) error {
	workers := min(runtime.GOMAXPROCS(0), n/grain)
	if workers <= 1 {
		return f(0, n)
	}
	errs := make([]error, workers)
	var wait sync.WaitGroup
	for i := range workers {
		wait.Go(func() { errs[i] = f(i*n/workers, (i+1)*n/workers) })
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
