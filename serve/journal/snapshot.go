package journal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"github.com/gimbal-ml/gimbal/data/atomic"
)

// A snapshot file is the magic, the number of the last command in it, the state, and its checksum: CRC-32C of all before it.
const (
	snapshotMagic  = "GIMBSNP1"
	snapshotHeader = 16
	snapshotFooter = 4
)

// Mark is a place in the order of commands at which a snapshot is taken.
type Mark struct {
	journal  *Journal
	sequence uint64
}

// Mark begins a new log file after the last command given out. The caller must see to it that nobody calls Put between the moment that its
// state was taken and the end of Mark; writing the snapshot may then go on beside further commands.
// After a failure nothing is begun yet: a snapshot of what is in memory, once saved, is what counts, and the log goes on from there.
func (j *Journal) Mark() (*Mark, error) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if j.closed {
		return nil, j.usable()
	}
	if j.failed == nil {
		if err := j.sync(j.last); err != nil {
			return nil, err
		}
	}
	j.idle()
	m := &Mark{j, j.last}
	if j.failed != nil || j.size <= logHeader { // or nothing came since the last mark
		return m, nil
	}
	return m, j.turn()
}

// turn goes on in a new log file.
func (j *Journal) turn() error {
	old, size := j.log, j.size
	if err := j.begin(); err != nil {
		return fmt.Errorf("journal: %s: %w", j.dir, err)
	}
	j.base += size
	if err := old.Close(); err != nil && j.failed == nil { // it is synced, or broken anyway
		return fmt.Errorf("journal: %s: %w", j.dir, err)
	}
	return nil
}

// Sequence returns the number of the last command before the mark.
func (m *Mark) Sequence() uint64 { return m.sequence }

// Save writes the state as it was at the mark: to a temporary file, synced, renamed; then the log before it is removed.
// When it fails the old snapshot and the whole log are still there.
func (m *Mark) Save(write func(io.Writer) error) error {
	j := m.journal
	path := filepath.Join(j.dir, snapshotName(m.sequence))
	err := atomic.Write(path, func(w io.Writer) error {
		sum := crc32.New(castagnoli)
		both := io.MultiWriter(w, sum)
		if _, err := both.Write(binary.LittleEndian.AppendUint64([]byte(snapshotMagic), m.sequence)); err != nil {
			return err
		}
		if err := write(both); err != nil {
			return err
		}
		_, err := w.Write(binary.LittleEndian.AppendUint32(nil, sum.Sum32()))
		return err
	})
	if err != nil {
		return fmt.Errorf("journal: snapshot: %w", err)
	}
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if j.closed {
		return j.usable()
	}
	j.base = 0
	if j.failed != nil && j.last == m.sequence { // Put refused all that came since, so this is all that memory holds
		j.pending = j.pending[:0]
		if err := j.turn(); err != nil {
			return err
		}
		j.base, j.failed, j.written, j.synced = 0, nil, j.last, j.last
		j.changed.Broadcast()
	}
	if err := j.clean(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

func readSnapshot(path string, sequence uint64, restore func(io.Reader) error) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	body := info.Size() - snapshotHeader - snapshotFooter
	if body < 0 {
		return fmt.Errorf("%s: %w: %d bytes are no snapshot", path, ErrDamaged, info.Size())
	}
	sum := crc32.New(castagnoli)
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, snapshotHeader+body)); err != nil {
		return err
	}
	var head [snapshotHeader]byte
	var foot [snapshotFooter]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return err
	}
	if _, err := f.ReadAt(foot[:], snapshotHeader+body); err != nil {
		return err
	}
	le := binary.LittleEndian
	if string(head[:8]) != snapshotMagic || le.Uint64(head[8:]) != sequence || le.Uint32(foot[:]) != sum.Sum32() {
		return fmt.Errorf("%s: %w: its checksum does not fit its content; restore the folder from a copy", path, ErrDamaged)
	}
	if err := restore(bufio.NewReaderSize(io.NewSectionReader(f, snapshotHeader, body), 1<<16)); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
