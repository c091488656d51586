// Package journal keeps a state that changes by commands on disk: every command is appended to a log, checksummed and synced before it is
// acknowledged, and from time to time the whole state is written as a snapshot and the log before it dropped. What was
// acknowledged survives kill -9 and loss of power; a log torn at its end is cut, one damaged in the middle is refused.
// Order is given by sequence numbers alone: no clock is read.
package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

var (
	// ErrLocked says that another process has the folder.
	ErrLocked = errors.New("in use")
	// ErrDamaged says that a file of the journal is not what was written.
	ErrDamaged = errors.New("damaged")
	// ErrFailed says that the journal takes nothing more, because the disk refused a write, until a snapshot succeeds.
	ErrFailed = errors.New("state not saved")
	// ErrClosed says that the journal was closed.
	ErrClosed = errors.New("closed")
)

// Restore rebuilds a state from what is on disk.
type Restore struct {
	// Snapshot reads what the function given to [Mark.Save] wrote. It is called first, and only when there is a snapshot.
	Snapshot func(r io.Reader) error
	// Record applies one command. The payload is the caller's only until it returns.
	Record func(sequence uint64, payload []byte) error
}

// Recovery says what [Open] found.
type Recovery struct {
	Snapshot uint64 // sequence number of the last command in the snapshot, 0 without one
	Records  int    // commands applied after it
	Cut      int64  // bytes torn off the end of the log: the rest of a write that was never acknowledged
	CutFile  string
}

// Journal is an open log. It is safe for concurrent use; commands are ordered by [Journal.Put].
type Journal struct {
	dir      string
	lock     *lock
	recovery Recovery
	disk     disk

	mutex   sync.Mutex
	changed *sync.Cond
	log     file
	size    int64  // bytes in log
	base    int64  // bytes in the log before this segment's, since the last snapshot
	pending []byte // encoded and not yet written
	spare   []byte // the buffer that pending takes turns with
	next    uint64 // number that the newest log goes on with, while recovering
	last    uint64 // sequence numbers: given out, handed to the system, on disk
	written uint64
	synced  uint64
	writing bool
	syncing bool
	failed  error
	closed  bool
}

// disk makes the log's files; tests give one that fails.
type disk func(path string, flags int) (file, error)

type file interface {
	io.Writer
	Sync() error
	Close() error
}

func openFile(path string, flags int) (file, error) { return os.OpenFile(path, flags, 0o600) }

// Open takes the folder, which is made when it does not exist, and rebuilds the state in it. Errors: ErrLocked, saying by whom; ErrDamaged
// with file and offset; those of restore, with the number of the command.
func Open(dir string, restore Restore) (*Journal, error) { return open(dir, restore, openFile) }

func open(dir string, restore Restore, disk disk) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	lock, err := acquire(filepath.Join(dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("journal: %s: %w", dir, err)
	}
	j := &Journal{dir: dir, lock: lock, disk: disk}
	j.changed = sync.NewCond(&j.mutex)
	if err := j.recover(restore); err != nil {
		return nil, errors.Join(fmt.Errorf("journal: %w", err), lock.release())
	}
	return j, nil
}

// Recovered says what Open found.
func (j *Journal) Recovered() Recovery { return j.recovery }

// Put gives a command its place in the order and returns its number. It does not wait for the disk: call [Journal.Sync] before the command
// is acknowledged, or [Journal.Flush] when it need not survive loss of power. The caller may use the payload again.
func (j *Journal) Put(payload []byte) (sequence uint64, err error) {
	if len(payload) > maxPayload {
		return 0, fmt.Errorf("journal: a command of %d bytes, at most %d", len(payload), maxPayload)
	}
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if err := j.usable(); err != nil {
		return 0, err
	}
	j.put(command, payload)
	return j.last, nil
}

func (j *Journal) put(kind byte, payload []byte) {
	j.last++
	j.pending = appendRecord(j.pending, kind, j.last, j.synced, payload)
}

func (j *Journal) usable() error {
	if j.closed {
		return fmt.Errorf("journal: %s: %w", j.dir, ErrClosed)
	}
	return j.failed
}

// Flush waits until the system has the command: it then survives the end of this process, but not loss of power.
// Whoever comes first writes for all that wait. Errors: ErrFailed.
func (j *Journal) Flush(sequence uint64) error {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.flush(sequence)
}

func (j *Journal) flush(sequence uint64) error {
	sequence = min(sequence, j.last)
	for j.written < sequence {
		if j.failed != nil {
			return j.failed
		}
		if j.writing {
			j.changed.Wait()
			continue
		}
		batch, upTo, log := j.pending, j.last, j.log
		j.pending, j.spare, j.writing = j.spare[:0], nil, true
		j.mutex.Unlock()
		n, err := log.Write(batch)
		j.mutex.Lock()
		j.writing = false
		if cap(batch) <= keptBuffer {
			j.spare = batch[:0]
		}
		j.size += int64(n)
		if err != nil {
			j.fail(err)
		} else {
			j.written = upTo
		}
		j.changed.Broadcast()
	}
	return nil
}

// keptBuffer is how large a write buffer may be to be used again.
const keptBuffer = 1 << 20

// fail stops the journal: what is in memory may now be ahead of the log, and only a snapshot brings both together again.
func (j *Journal) fail(err error) {
	if j.failed == nil {
		j.failed = fmt.Errorf("journal: %s: %w: %w; what was acknowledged before is safe", j.dir, ErrFailed, err)
	}
}

// Sync waits until the command is on disk; one sync serves all that wait. Errors: ErrFailed.
func (j *Journal) Sync(sequence uint64) error {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.sync(sequence)
}

func (j *Journal) sync(sequence uint64) error {
	if err := j.flush(sequence); err != nil {
		return err
	}
	for j.synced < min(sequence, j.last) {
		if j.failed != nil {
			return j.failed
		}
		if j.syncing {
			j.changed.Wait()
			continue
		}
		upTo, log := j.written, j.log
		j.syncing = true
		j.mutex.Unlock()
		err := log.Sync()
		j.mutex.Lock()
		j.syncing = false
		if err != nil { // the system may have dropped what it could not write: nothing more is to be built on it
			j.fail(err)
		} else {
			j.synced = max(j.synced, upTo)
		}
		j.changed.Broadcast()
	}
	return nil
}

// Last returns the number of the last command given out.
func (j *Journal) Last() uint64 {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.last
}

// Size returns the bytes of log since the last snapshot.
func (j *Journal) Size() int64 {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.base + j.size + int64(len(j.pending))
}

// Err returns why the journal takes nothing more, nil while it does.
func (j *Journal) Err() error {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.usable()
}

// Close writes and syncs what is pending and gives the folder back.
func (j *Journal) Close() error {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if j.closed {
		return nil
	}
	j.idle()
	var err error
	if j.failed == nil {
		// The mark says that all before it was on disk, so that damage to the last command is told from a torn write.
		if err = j.sync(j.last); err == nil {
			j.put(mark, nil)
			err = j.sync(j.last)
		}
	}
	j.closed = true
	j.changed.Broadcast()
	return errors.Join(err, j.log.Close(), j.lock.release())
}

// idle waits until nobody writes or syncs.
func (j *Journal) idle() {
	for j.writing || j.syncing {
		j.changed.Wait()
	}
}
