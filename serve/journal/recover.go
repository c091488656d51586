package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gimbal-ml/gimbal/data/atomic"
)

const (
	logPrefix      = "log-"
	snapshotPrefix = "snapshot-"
)

func logName(first uint64) string     { return fmt.Sprintf("%s%020d", logPrefix, first) }
func snapshotName(last uint64) string { return fmt.Sprintf("%s%020d", snapshotPrefix, last) }

// numbered returns the numbers of the folder's files with the prefix, ascending.
func numbered(dir, prefix string) (numbers []uint64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if rest, ok := strings.CutPrefix(e.Name(), prefix); ok {
			if n, err := strconv.ParseUint(rest, 10, 64); err == nil && len(rest) == 20 {
				numbers = append(numbers, n)
			}
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// recover rebuilds the state and leaves the log ready to be appended to.
func (j *Journal) recover(restore Restore) error {
	if err := removeParts(j.dir); err != nil {
		return err
	}
	snapshots, err := numbered(j.dir, snapshotPrefix)
	if err != nil {
		return err
	}
	if n := len(snapshots); n > 0 {
		j.last = snapshots[n-1]
		j.recovery.Snapshot = j.last
		if err := readSnapshot(filepath.Join(j.dir, snapshotName(j.last)), j.last, restore.Snapshot); err != nil {
			return err
		}
	}
	logs, err := numbered(j.dir, logPrefix)
	if err != nil {
		return err
	}
	begin := len(logs) // the log that the first command after the snapshot stands in
	for begin > 0 && (begin == len(logs) || logs[begin] > j.last+1) {
		begin--
	}
	live := logs[begin:]
	if len(live) > 0 && live[0] > j.last+1 {
		return fmt.Errorf("%s: %w: commands %d to %d are missing: the log before it is gone", filepath.Join(j.dir, logName(live[0])), ErrDamaged, j.last+1, live[0]-1)
	}
	for i, first := range live {
		if i > 0 && first != j.last+1 {
			return fmt.Errorf("%s: %w: it begins with command %d, the log before it ends with %d", filepath.Join(j.dir, logName(first)), ErrDamaged, first, j.last)
		}
		if err := j.replay(first, i == len(live)-1, restore.Record); err != nil {
			return err
		}
	}
	j.written, j.synced = j.last, j.last
	if j.next != j.last+1 { // no log, or one that broke off before a snapshot that has its commands
		err = j.begin()
	} else {
		j.log, err = j.disk(filepath.Join(j.dir, logName(live[len(live)-1])), os.O_WRONLY|os.O_APPEND)
	}
	if err != nil {
		return err
	}
	// Records that only the system had are now relied on, so the disk is to have them before anything is said of them.
	if err := j.log.Sync(); err != nil {
		return errors.Join(err, j.log.Close())
	}
	return j.clean()
}

// replay applies the commands of one log file after j.last.
func (j *Journal) replay(first uint64, newest bool, apply func(uint64, []byte) error) error {
	path := filepath.Join(j.dir, logName(first))
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if len(b) < logHeader || string(b[:len(logMagic)]) != logMagic || binary.LittleEndian.Uint64(b[len(logMagic):]) != first {
		return fmt.Errorf("%s: %w at offset 0: its header is not that of log %d", path, ErrDamaged, first)
	}
	expect := first
	at := logHeader
	for at < len(b) {
		r, ok := readRecord(b[at:])
		if !ok {
			if expect > j.recovery.Snapshot && (!newest || durableAfter(b[at+1:]) >= expect) {
				return fmt.Errorf("%s: %w at offset %d: command %d, which was acknowledged, is not whole; restore the folder from a copy", path, ErrDamaged, at, expect)
			}
			j.recovery.Cut, j.recovery.CutFile = int64(len(b)-at), path
			if err := truncate(path, int64(at)); err != nil {
				return err
			}
			break
		}
		if r.sequence != expect {
			return fmt.Errorf("%s: %w at offset %d: it holds command %d where %d is due", path, ErrDamaged, at, r.sequence, expect)
		}
		if r.kind == command && r.sequence > j.recovery.Snapshot {
			if err := apply(r.sequence, r.payload); err != nil {
				return fmt.Errorf("%s: command %d at offset %d: %w", path, r.sequence, at, err)
			}
			j.recovery.Records++
		}
		j.last = max(j.last, r.sequence)
		expect++
		at += r.size
	}
	if j.next = expect; newest {
		j.size = int64(at)
	} else {
		j.base += int64(at)
	}
	return nil
}

func truncate(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Sync(), f.Close())
}

// begin makes the log file for the next command and appends to it from now on.
func (j *Journal) begin() error {
	path := filepath.Join(j.dir, logName(j.last+1))
	head := binary.LittleEndian.AppendUint64([]byte(logMagic), j.last+1)
	if err := atomic.Write(path, func(w io.Writer) error { _, err := w.Write(head); return err }); err != nil { // synced and renamed: a log that has its name has its header
		return err
	}
	log, err := j.disk(path, os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return err
	}
	j.log, j.size = log, logHeader
	return nil
}

// clean removes what the newest snapshot made needless. What cannot be removed is left: it costs space, nothing else.
func (j *Journal) clean() error {
	snapshots, err := numbered(j.dir, snapshotPrefix)
	if err != nil {
		return err
	}
	newest := uint64(0)
	if n := len(snapshots); n > 0 {
		newest = snapshots[n-1]
		for _, s := range snapshots[:n-1] {
			err = errors.Join(err, remove(filepath.Join(j.dir, snapshotName(s))))
		}
	}
	logs, other := numbered(j.dir, logPrefix)
	err = errors.Join(err, other)
	for i := range logs {
		if i+1 < len(logs) && logs[i+1] <= newest+1 {
			err = errors.Join(err, remove(filepath.Join(j.dir, logName(logs[i]))))
		}
	}
	return err
}

// removeParts removes the unfinished files of a process that was killed while it wrote them. The lock says that nobody is writing now.
func removeParts(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), ".")
		if ok && strings.HasSuffix(rest, ".part") && (strings.HasPrefix(rest, logPrefix) || strings.HasPrefix(rest, snapshotPrefix)) {
			if err := remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
