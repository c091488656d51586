package atomic

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// only fails unless dir holds exactly the named files.
func only(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, e := range entries {
		have[e.Name()] = true
	}
	for _, n := range names {
		if !have[n] {
			t.Errorf("%s is missing", n)
		}
		delete(have, n)
	}
	for n := range have {
		t.Errorf("%s was left behind", n)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func say(s string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
}

func TestWriteReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	for _, s := range []string{"one", "two", ""} {
		if err := Write(path, say(s)); err != nil {
			t.Fatal(err)
		}
		if got := content(t, path); got != s {
			t.Errorf("holds %q, want %q", got, s)
		}
		only(t, dir, "a")
	}
}

func TestFullDiskLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	full := func(w io.Writer) error {
		if _, err := w.Write(make([]byte, 1<<17)); err != nil { // more than any buffer: half is on disk already
			return err
		}
		return &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	}
	if err := Write(path, full); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("error %v", err)
	}
	only(t, dir)
	if err := Write(path, say("old")); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, full); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("error %v", err)
	}
	only(t, dir, "a")
	if got := content(t, path); got != "old" {
		t.Errorf("holds %q", got)
	}
}

func TestFailuresOfTheDiskItself(t *testing.T) {
	// A closed descriptor makes write, sync and close fail the way that a broken disk does.
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	f.file.Close()
	if _, err := f.Write([]byte("x")); err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), ".part") {
		t.Errorf("write: %v", err)
	}
	if err := f.Commit(); err == nil {
		t.Error("commit of a broken file passed")
	}
	only(t, dir)
	if err := f.Commit(); err == nil {
		t.Error("second commit passed")
	}
}

func TestAbort(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(f, "half")
	f.Abort()
	f.Abort()
	only(t, dir)
	if err := f.Commit(); err == nil {
		t.Error("commit after abort passed")
	}
	only(t, dir)
}

func TestWriteAtFillsAHeader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Abort()
	io.WriteString(f, "????body")
	if _, err := f.WriteAt([]byte("head"), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); got != "headbody" {
		t.Errorf("holds %q", got)
	}
}

func TestPermissionsAndLinksStay(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "a"), filepath.Join(dir, "link")
	if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o622); err != nil { // no umask would give these
		t.Fatal(err)
	}
	if err := os.Symlink("a", link); err != nil {
		t.Skip(err)
	}
	if err := Write(link, say("new")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v %v", info, err)
	}
	if got := content(t, path); got != "new" {
		t.Errorf("holds %q", got)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o622 {
		t.Errorf("mode %v", info.Mode())
	}
	only(t, dir, "a", "link")
}

func TestPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	for range 2 {
		if err := Private(path); err != nil {
			t.Fatal(err)
		}
		if err := Write(path, say("new")); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 || content(t, path) != "new" {
		t.Errorf("%v, %v", info, err)
	}
}

func TestOddTargets(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, say("x")); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("a directory: %v", err)
	}
	if err := Write(filepath.Join(dir, "no", "such"), say("x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
	if _, err := os.Stat(os.DevNull); err == nil {
		if err := Write(os.DevNull, say("x")); err != nil {
			t.Errorf("%s: %v", os.DevNull, err)
		}
	}
	only(t, dir)
}
