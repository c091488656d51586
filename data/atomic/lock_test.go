package atomic

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestHold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	l, err := Hold(path, "process 12 since noon")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Hold(path, "another"); !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), "process 12 since noon") {
		t.Errorf("held twice: %v", err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + ".lock"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the lock's file stays: %v", err)
	}
	// A file that a killed process left is no lock.
	if err := os.WriteFile(path+".lock", []byte("process 3\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if l, err = Hold(path, "a"); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path + ".lock"); string(text) != "a\n" {
		t.Errorf("the lock says %q", text)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := Hold(filepath.Join(path, "no", "folder"), "a"); err == nil || errors.Is(err, ErrHeld) {
		t.Errorf("in no folder: %v", err)
	}
}

// TestHoldIsHeldByOne: many ask again and again; never do two hold it.
func TestHoldIsHeldByOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	var inside, had atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				l, err := Hold(path, "x")
				if errors.Is(err, ErrHeld) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if inside.Add(1) != 1 {
					t.Error("held twice at once")
				}
				had.Add(1)
				inside.Add(-1)
				if err := l.Release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if had.Load() < 8 {
		t.Errorf("held %d times", had.Load())
	}
}
