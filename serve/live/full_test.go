//go:build unix

package live_test

import (
	"errors"
	"os/signal"
	"syscall"
	"testing"

	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/serve/journal"
	"github.com/gimbal-ml/gimbal/serve/live"
)

// limit makes writes fail that would let a file grow beyond so many bytes, and returns what takes that back.
func limit(t *testing.T, bytes uint64) (restore func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Skip(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	now := before
	now.Cur = bytes
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &now); err != nil {
		t.Skip(err)
	}
	return func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
		signal.Reset(syscall.SIGXFSZ)
	}
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	g := open(t, dir, live.Config{})
	acknowledged := first()
	restore := limit(t, 1500)
	var failed error
	for i := range uint64(60) {
		r := rows(100+i, 3, "a", "b")
		if failed = g.Learn(t.Context(), r, true); failed != nil {
			break
		}
		acknowledged = must(acknowledged.Update(t.Context(), r, true))
	}
	if !errors.Is(failed, journal.ErrFailed) || !errors.Is(failed, syscall.EFBIG) {
		t.Fatalf("a full disk: %v", failed)
	}
	if !errors.Is(g.Failed(), journal.ErrFailed) {
		t.Errorf("it says that all is well: %v", g.Failed())
	}
	if g.Guard().Hash() != acknowledged.Hash() {
		t.Error("what was refused is scored with")
	}
	seen, err := g.Observe(rows(5, 2, "a"))
	if !errors.Is(err, journal.ErrFailed) || len(seen.Decisions) != 2 {
		t.Errorf("rows must be judged all the same: %d decisions, %v", len(seen.Decisions), err)
	}
	if err := g.Learn(t.Context(), rows(6, 2, "a"), true); !errors.Is(err, journal.ErrFailed) {
		t.Errorf("learning on a full disk: %v", err)
	}
	restore()
	if err := g.Snapshot(t.Context()); err != nil { // the writer does it by itself within seconds
		t.Fatal(err)
	}
	if g.Failed() != nil || g.Learn(t.Context(), rows(7, 2, "a"), true) != nil {
		t.Error("room was made, and it still refuses")
	}
	acknowledged = must(acknowledged.Update(t.Context(), rows(7, 2, "a"), true))
	want := must(g.Hash(t.Context()))
	g.Close()
	h := must(live.Open(dir, detect.Methods(), first(), live.Config{}))
	defer h.Close()
	if h.Guard().Hash() != acknowledged.Hash() || must(h.Hash(t.Context())) != want {
		t.Error("after a restart not what was acknowledged")
	}
}
