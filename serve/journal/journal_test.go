package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// list is a state: the commands that it was given.
type list struct{ commands []string }

func (l *list) restore() Restore {
	return Restore{
		Snapshot: func(r io.Reader) error {
			b, err := io.ReadAll(r)
			if len(b) > 0 {
				l.commands = strings.Split(string(b), "\n")
			}
			return err
		},
		Record: func(_ uint64, p []byte) error { l.commands = append(l.commands, string(p)); return nil },
	}
}

func (l *list) write(w io.Writer) error {
	_, err := io.WriteString(w, strings.Join(l.commands, "\n"))
	return err
}

func mustOpen(t *testing.T, dir string) (*Journal, *list) {
	t.Helper()
	l := &list{}
	j, err := Open(dir, l.restore())
	if err != nil {
		t.Fatal(err)
	}
	return j, l
}

// say puts a command and waits until it is on disk.
func say(t *testing.T, j *Journal, l *list, text string) {
	t.Helper()
	n, err := j.Put([]byte(text))
	if err == nil {
		err = j.Sync(n)
	}
	if err != nil {
		t.Fatal(err)
	}
	l.commands = append(l.commands, text)
}

func words(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("command %d%s", i, strings.Repeat(".", i%7)))
	}
	return out
}

// abandon leaves a journal as a killed process does: nothing is flushed, the lock ends.
func abandon(j *Journal) { j.lock.release() }

func TestWhatWasSyncedComesBack(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for round := range 6 {
		j, l := mustOpen(t, dir)
		if !slices.Equal(l.commands, want) {
			t.Fatalf("round %d: %q, want %q", round, l.commands, want)
		}
		for i, w := range words(5) {
			say(t, j, l, w)
			if round%2 == 1 && i == 2 { // a snapshot in the middle
				m, err := j.Mark()
				if err != nil {
					t.Fatal(err)
				}
				text := strings.Join(l.commands, "\n")
				say(t, j, l, "beside the snapshot")
				if err := m.Save(func(w io.Writer) error { _, err := io.WriteString(w, text); return err }); err != nil {
					t.Fatal(err)
				}
			}
		}
		want = l.commands
		if round%3 == 0 {
			abandon(j)
		} else if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	logs, _ := numbered(dir, logPrefix)
	snapshots, _ := numbered(dir, snapshotPrefix)
	if len(logs) != 1 || len(snapshots) != 1 {
		t.Errorf("logs %v, snapshots %v: old ones were not removed", logs, snapshots)
	}
}

func newestLog(t *testing.T, dir string) string {
	t.Helper()
	logs, err := numbered(dir, logPrefix)
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	return filepath.Join(dir, logName(logs[len(logs)-1]))
}

// written makes a folder with acknowledged commands, not closed, and returns the log's bytes.
func written(t *testing.T, n int) (dir string, log []byte) {
	t.Helper()
	dir = t.TempDir()
	j, l := mustOpen(t, dir)
	for _, w := range words(n) {
		say(t, j, l, w)
	}
	abandon(j)
	log, err := os.ReadFile(newestLog(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	return dir, log
}

func TestTornTailIsCut(t *testing.T) {
	dir, log := written(t, 4)
	path := newestLog(t, dir)
	starts := []int{logHeader} // of records
	for at := logHeader; at < len(log); {
		r, _ := readRecord(log[at:])
		at += r.size
		starts = append(starts, at)
	}
	for size := logHeader; size <= len(log); size++ {
		if err := os.WriteFile(path, log[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		whole := 0
		for whole < 4 && starts[whole+1] <= size {
			whole++
		}
		j, l := mustOpen(t, dir)
		if !slices.Equal(l.commands, words(4)[:whole]) || j.Recovered().Cut != int64(size-starts[whole]) {
			t.Fatalf("%d of %d bytes: %q, %+v", size, len(log), l.commands, j.Recovered())
		}
		say(t, j, l, "goes on")
		abandon(j)
		if j, again := mustOpen(t, dir); !slices.Equal(again.commands, l.commands) {
			t.Fatalf("%d bytes, then one more command: %q", size, again.commands)
		} else {
			abandon(j)
		}
	}
}

func TestDamageInTheMiddleIsRefused(t *testing.T) {
	dir, log := written(t, 5)
	path := newestLog(t, dir)
	last := bytes.LastIndex(log, binary.LittleEndian.AppendUint32(nil, recordMagic))
	for at := range last {
		bad := bytes.Clone(log)
		bad[at] ^= 0x10
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir, (&list{}).restore())
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "offset") {
			t.Fatalf("byte %d of %d changed: %v", at, len(log), err)
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, bad) {
			t.Fatal("a refused log was changed")
		}
	}
}

func TestDamageToTheLastCommandIsSeenAfterClose(t *testing.T) {
	dir := t.TempDir()
	j, l := mustOpen(t, dir)
	say(t, j, l, "only one")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	path := newestLog(t, dir)
	log, _ := os.ReadFile(path)
	log[logHeader+recordHeader+3] ^= 1
	os.WriteFile(path, log, 0o600)
	if _, err := Open(dir, l.restore()); !errors.Is(err, ErrDamaged) {
		t.Errorf("error %v", err)
	}
}

func TestUnsyncedCommandsMayTearAnywhere(t *testing.T) {
	dir := t.TempDir()
	j, l := mustOpen(t, dir)
	say(t, j, l, "synced")
	for _, w := range words(3) { // in the system's hands only: loss of power may keep the third and lose the first
		n, err := j.Put([]byte(w))
		if err == nil {
			err = j.Flush(n)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	abandon(j)
	path := newestLog(t, dir)
	log, _ := os.ReadFile(path)
	first, _ := readRecord(log[logHeader:])
	copy(log[logHeader+first.size:], make([]byte, 20))
	os.WriteFile(path, log, 0o600)
	j, l = mustOpen(t, dir)
	if !slices.Equal(l.commands, []string{"synced"}) || j.Recovered().Cut == 0 {
		t.Errorf("%q, %+v", l.commands, j.Recovered())
	}
	abandon(j)
}

func TestMissingAndForeignFilesAreRefused(t *testing.T) {
	make3 := func() string {
		dir := t.TempDir()
		j, l := mustOpen(t, dir)
		say(t, j, l, "a")
		m, err := j.Mark()
		if err == nil {
			err = m.Save(l.write)
		}
		if err != nil {
			t.Fatal(err)
		}
		say(t, j, l, "b")
		if _, err := j.Mark(); err != nil { // a second log without a snapshot
			t.Fatal(err)
		}
		say(t, j, l, "c")
		abandon(j)
		return dir
	}
	names := func(dir string) []string {
		list, _ := filepath.Glob(filepath.Join(dir, "*-*"))
		return list
	}
	if n := names(make3()); len(n) != 3 {
		t.Fatalf("files %v", n)
	}
	for k, what := range []string{"the older log", "the newer log", "the snapshot"} {
		dir := make3()
		path := names(dir)[k]
		b, _ := os.ReadFile(path)
		b[len(b)-1] ^= 1
		os.WriteFile(path, b, 0o600)
		_, err := Open(dir, (&list{}).restore())
		if torn := k == 1; torn != (err == nil) { // the end of the newest log alone may be torn
			t.Errorf("last byte of %s changed: %v", what, err)
		}
		dir = make3()
		os.Remove(names(dir)[k])
		l := &list{}
		_, err = Open(dir, l.restore())
		switch k {
		case 0:
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "missing") {
				t.Errorf("without %s: %v", what, err)
			}
		case 2:
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("without %s: %v, %q", what, err, l.commands)
			}
		}
	}
}

func TestSecondServerIsRefused(t *testing.T) {
	dir := t.TempDir()
	j, _ := mustOpen(t, dir)
	_, err := Open(dir, (&list{}).restore())
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("second: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j, _ = mustOpen(t, dir)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Put(nil); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// broken is a disk that fails once so many bytes were written, half-way through a write, or at a sync.
type broken struct {
	left      atomic.Int64
	syncFails atomic.Bool
	syncs     atomic.Int64
}

type brokenFile struct {
	*os.File
	disk *broken
}

func (b *broken) open(path string, flags int) (file, error) {
	f, err := os.OpenFile(path, flags, 0o600)
	return &brokenFile{f, b}, err
}

func (f *brokenFile) Write(p []byte) (int, error) {
	left := f.disk.left.Add(-int64(len(p)))
	if left >= 0 {
		return f.File.Write(p)
	}
	n, _ := f.File.Write(p[:max(0, len(p)+int(left))])
	return n, syscall.ENOSPC
}

func (f *brokenFile) Sync() error {
	f.disk.syncs.Add(1)
	if f.disk.syncFails.Load() {
		return syscall.EIO
	}
	return nil // the test needs no durability, only order
}

func TestFullDiskLosesNothingAcknowledged(t *testing.T) {
	for room := range int64(200) {
		dir := t.TempDir()
		disk := &broken{}
		disk.left.Store(room)
		l := &list{}
		j, err := open(dir, l.restore(), disk.open)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range words(6) {
			n, err := j.Put([]byte(w))
			if err == nil {
				err = j.Sync(n)
			}
			if err != nil {
				if !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("room %d: %v", room, err)
				}
				break
			}
			l.commands = append(l.commands, w)
		}
		if _, err := j.Put([]byte("later")); !errors.Is(err, ErrFailed) {
			t.Fatalf("room %d: a failed journal takes more: %v", room, err)
		}
		if room%2 == 0 { // killed now
			abandon(j)
			j, back := mustOpen(t, dir)
			if !slices.Equal(back.commands, l.commands) {
				t.Fatalf("room %d: %q, acknowledged %q", room, back.commands, l.commands)
			}
			abandon(j)
			continue
		}
		disk.left.Store(1 << 20) // somebody made room
		m, err := j.Mark()
		if err == nil {
			err = m.Save(l.write)
		}
		if err != nil {
			t.Fatal(err)
		}
		say(t, j, l, "revived")
		abandon(j)
		j, back := mustOpen(t, dir)
		if !slices.Equal(back.commands, l.commands) {
			t.Fatalf("room %d, revived: %q, acknowledged %q", room, back.commands, l.commands)
		}
		abandon(j)
	}
}

func TestFailedSyncStopsTheJournal(t *testing.T) {
	disk := &broken{}
	disk.left.Store(1 << 20)
	j, err := open(t.TempDir(), (&list{}).restore(), disk.open)
	if err != nil {
		t.Fatal(err)
	}
	disk.syncFails.Store(true)
	n, _ := j.Put([]byte("x"))
	if err := j.Sync(n); !errors.Is(err, syscall.EIO) || !errors.Is(j.Err(), ErrFailed) {
		t.Errorf("%v, %v", err, j.Err())
	}
	disk.syncFails.Store(false)
	if err := j.Sync(n); err == nil {
		t.Error("a sync after one that failed says that all is well")
	}
	abandon(j)
}

func TestFailedSnapshotKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	j, l := mustOpen(t, dir)
	say(t, j, l, "a")
	m, err := j.Mark()
	if err != nil {
		t.Fatal(err)
	}
	say(t, j, l, "b")
	if err := m.Save(func(w io.Writer) error { io.WriteString(w, "half"); return syscall.ENOSPC }); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	say(t, j, l, "c")
	os.WriteFile(filepath.Join(dir, ".snapshot-1.x.part"), []byte("left by a killed process"), 0o600)
	abandon(j)
	j, back := mustOpen(t, dir)
	if !slices.Equal(back.commands, l.commands) {
		t.Errorf("%q", back.commands)
	}
	if parts, _ := filepath.Glob(filepath.Join(dir, ".*.part")); len(parts) > 0 {
		t.Errorf("left behind: %v", parts)
	}
	abandon(j)
}

func TestOneSyncServesMany(t *testing.T) {
	disk := &broken{}
	disk.left.Store(1 << 30)
	j, err := open(t.TempDir(), (&list{}).restore(), disk.open)
	if err != nil {
		t.Fatal(err)
	}
	// Sixty-four commands are put before anyone waits, so one sync is enough for them all, whoever comes first.
	before := disk.syncs.Load()
	var numbers []uint64
	for range 64 {
		n, err := j.Put([]byte("command"))
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, n)
	}
	var wait sync.WaitGroup
	for _, n := range numbers {
		wait.Go(func() {
			if err := j.Sync(n); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if n := disk.syncs.Load() - before; n != 1 {
		t.Errorf("%d syncs for 64 commands", n)
	}
	abandon(j)
}

func TestManyGoroutines(t *testing.T) {
	dir := t.TempDir()
	j, _ := mustOpen(t, dir)
	var wait sync.WaitGroup
	var order sync.Mutex
	var want []string
	for g := range 16 {
		wait.Go(func() {
			for i := range 40 {
				text := fmt.Sprint(g, " ", i)
				order.Lock()
				n, err := j.Put([]byte(text))
				want = append(want, text)
				order.Unlock()
				if err == nil && i%5 == 0 {
					err = j.Sync(n)
				} else if err == nil {
					err = j.Flush(n)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	abandon(j)
	j, back := mustOpen(t, dir)
	if !slices.Equal(back.commands, want) {
		t.Errorf("%d commands came back, want %d in the order of their numbers", len(back.commands), len(want))
	}
	abandon(j)
}

func TestRestoreErrorsSayWhere(t *testing.T) {
	dir, _ := written(t, 3)
	_, err := Open(dir, Restore{Record: func(n uint64, _ []byte) error {
		if n == 2 {
			return errors.New("no such class")
		}
		return nil
	}})
	if err == nil || !strings.Contains(err.Error(), "command 2 at offset") {
		t.Errorf("error %v", err)
	}
	j, _ := mustOpen(t, dir) // the lock was given back
	abandon(j)
}

func FuzzLog(f *testing.F) {
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		f.Fatal(err)
	}
	defer os.RemoveAll(dir)
	log := binary.LittleEndian.AppendUint64([]byte(logMagic), 1)
	for i := range 3 {
		log = appendRecord(log, command, uint64(i+1), uint64(i), []byte("payload"))
	}
	f.Add(log)
	r := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		bad := bytes.Clone(log)
		bad[r.IntN(len(bad))] = byte(r.Uint32())
		f.Add(bad[:r.IntN(len(bad))])
	}
	path := filepath.Join(dir, logName(1))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		l := &list{}
		j, err := Open(dir, l.restore())
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("error %v", err)
			}
			return
		}
		abandon(j)
		j, again := mustOpen(t, dir) // what was cut once is whole now
		if !slices.Equal(again.commands, l.commands) {
			t.Errorf("first %q, then %q", l.commands, again.commands)
		}
		abandon(j)
		os.Remove(newestLog(t, dir))
	})
}
