// Package live keeps one guard that many clients score with, teach and correct at once, and that a killed process takes up again where it was.
//
// Scoring reads an immutable guard behind a pointer and waits for nobody. Everything that changes the state is a command in a
// journal: it is applied, made durable, and only then acknowledged; replaying the journal gives the same state to the byte.
package live

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/serve/journal"
)

// ErrBase says that a folder's state began with another guard than the one given.
var ErrBase = errors.New("another guard")

// Config says how a live guard keeps its state. The zero value is a good one.
type Config struct {
	// SnapshotBytes is how long the log may grow before the whole state is written and the log begun anew. Default 32 MiB.
	SnapshotBytes int64
}

// Guard is a guard that learns while it is asked. It is safe for concurrent use.
type Guard struct {
	specs   []method.Spec
	config  Config
	journal *journal.Journal
	now     atomic.Pointer[version]
	unsaved atomic.Pointer[error] // why the last snapshot failed

	order sync.Mutex // between a command's place in the journal and its effect on watch
	watch watch

	requests chan *request
	kick     chan struct{} // the log is long, or failed: look at it
	closing  chan struct{}
	closed   sync.Once
	stopped  chan struct{}
	closeErr error
}

// version is what scoring needs; it never changes.
type version struct {
	serving    *guard.Guard            // own, joined with what other replicas learned
	own        *guard.Guard            // what this one learned
	base       *guard.Guard            // what all replicas began with
	others     map[string]*guard.Guard // by the replica's name
	generation uint64                  // changes so far
}

// Open takes up the state in a folder, or begins one there with the guard first. First may be nil when there is one. Errors: ErrBase when the state
// began with another guard than first; those of [journal.Open]; ErrState when this program cannot read it.
func Open(dir string, specs []method.Spec, first *guard.Guard, c Config) (*Guard, error) {
	if c.SnapshotBytes <= 0 {
		c.SnapshotBytes = 32 << 20
	}
	g := &Guard{
		specs: specs, config: c,
		requests: make(chan *request, 1024), kick: make(chan struct{}, 1), closing: make(chan struct{}), stopped: make(chan struct{}),
	}
	r := &replay{guard: g}
	var err error
	if g.journal, err = journal.Open(dir, journal.Restore{Snapshot: r.snapshot, Record: r.record}); err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	if err := g.begin(dir, first, r); err != nil {
		return nil, errors.Join(fmt.Errorf("live: %w", err), g.journal.Close())
	}
	go g.run()
	return g, nil
}

// begin finishes the replay, or writes the first snapshot.
func (g *Guard) begin(dir string, first *guard.Guard, r *replay) error {
	if err := r.flush(); err != nil {
		return err
	}
	if v := r.version; v != nil {
		if first != nil && first.Hash() != v.base.Hash() {
			return fmt.Errorf("%s: %w: its state began with the guard %.12s…, the one given is %.12s…; name another folder, or leave out the guard to go on with this one", dir, ErrBase, v.base.Hash(), first.Hash())
		}
		g.now.Store(v)
		return nil
	}
	if first == nil {
		return fmt.Errorf("%s holds no state yet, and no guard was given to begin with", dir)
	}
	g.now.Store(&version{serving: first, own: first, base: first})
	g.watch = newWatch(first, 1)
	return g.snapshot()
}

// Guard returns the guard at work: immutable, and superseded by the next change.
func (g *Guard) Guard() *guard.Guard { return g.now.Load().serving }

// Own returns the guard of what this replica learned alone, for other replicas to [Guard.Join].
func (g *Guard) Own() *guard.Guard { return g.now.Load().own }

// Base returns the guard that the state began with.
func (g *Guard) Base() *guard.Guard { return g.now.Load().base }

// Recovered says what Open found in the folder.
func (g *Guard) Recovered() journal.Recovery { return g.journal.Recovered() }

// Decide judges rows and leaves no trace. It never waits.
func (g *Guard) Decide(in *data.Table) ([]guard.Decision, error) { return g.Guard().Decide(in) }

// Observed is what [Guard.Observe] says of rows.
type Observed struct {
	Decisions []guard.Decision
	Rang      bool // the drift alarm rang at one of these rows
	Status    Status
}

// Observe judges rows, watches them for drift and counts them. It returns once they survive the end of this process; loss of power may
// take back the last ones. Errors: those of Decide, with no decisions; [journal.ErrFailed], with decisions, when the rows could
// not be written down: they were judged and not watched.
func (g *Guard) Observe(in *data.Table) (Observed, error) {
	v := g.now.Load()
	ds, err := v.serving.Decide(in)
	if err != nil || len(ds) == 0 {
		return Observed{}, err
	}
	out := Observed{Decisions: ds}
	payload := encodeObserve(v.generation, ds)
	g.order.Lock()
	n, err := g.journal.Put(payload)
	if err == nil {
		out.Rang = g.watch.observe(v.generation, ds)
	}
	out.Status = g.watch.status()
	g.order.Unlock()
	if err == nil {
		err = g.journal.Flush(n)
	}
	if err != nil {
		g.look()
		return out, fmt.Errorf("live: %w", err)
	}
	if g.journal.Size() > g.config.SnapshotBytes {
		g.look()
	}
	return out, nil
}

// look asks the writer to look after the journal.
func (g *Guard) look() {
	select {
	case g.kick <- struct{}{}:
	default: // it was asked already
	}
}

// Status says how the stream of observed rows stands.
func (g *Guard) Status() Status {
	g.order.Lock()
	defer g.order.Unlock()
	return g.watch.status()
}

// Failed returns why the state cannot be written down at present, nil when all is well. Scoring goes on regardless, and the writer tries
// again every few seconds.
func (g *Guard) Failed() error {
	if err := g.journal.Err(); err != nil {
		return err
	}
	if err := g.unsaved.Load(); err != nil {
		return *err
	}
	return nil
}

// Learn learns labelled rows, of known classes or of new ones, as [guard.Guard.Update] does; with teach none is spared for calibration.
// When it returns without error the rows are on disk and every later decision knows them. When ctx ends first they may yet be learned:
// the caller must not change them.
func (g *Guard) Learn(ctx context.Context, rows *data.Table, teach bool) error {
	return g.change(ctx, guard.Change{Rows: rows, Teach: teach})
}

// Forget takes rows back, as [guard.Guard.Forget] does. What holds of Learn holds of it.
func (g *Guard) Forget(ctx context.Context, rows *data.Table) error {
	return g.change(ctx, guard.Change{Rows: rows, Forget: true})
}

// SetAlpha changes the false-alarm rate. What holds of Learn holds of it.
func (g *Guard) SetAlpha(ctx context.Context, alpha float64) error {
	if alpha == 0 {
		return fmt.Errorf("live: %w: a false-alarm rate of 0 is not between 0 and 1", method.ErrConfig)
	}
	return g.change(ctx, guard.Change{Alpha: alpha})
}

func (g *Guard) change(ctx context.Context, c guard.Change) error {
	if c.Rows != nil {
		if n, _ := c.Rows.Dims(); n == 0 {
			return nil
		}
	}
	_, err := g.ask(ctx, &request{kind: change, change: c, payload: encodeChange(c)})
	return err
}

// Rearm begins a new stream for the drift alarm, after it rang and the cause was seen to.
func (g *Guard) Rearm(ctx context.Context) error {
	_, err := g.ask(ctx, &request{kind: rearm, payload: []byte{byte(rearm)}})
	return err
}

// Join takes in what another replica learned, its [Guard.Own], in place of what it sent before. Replicas that took in the same of each
// other have equal guards, to the bit, whatever the order. Errors: those of [guard.Combine].
func (g *Guard) Join(ctx context.Context, name string, other *guard.Guard) error {
	payload, err := encodeJoin(name, other)
	if err != nil {
		return fmt.Errorf("live: %w", err)
	}
	_, err = g.ask(ctx, &request{kind: join, name: name, other: other, payload: payload})
	return err
}

// Replace puts another guard in place of this one and of all that it learned: a new model was deployed.
func (g *Guard) Replace(ctx context.Context, with *guard.Guard) error {
	payload, err := encodeJoin("", with)
	if err != nil {
		return fmt.Errorf("live: %w", err)
	}
	payload[0] = byte(replace)
	_, err = g.ask(ctx, &request{kind: replace, other: with, payload: payload})
	return err
}

// Hash returns the SHA-256 of the whole state: the guard, what replicas sent, the stream's standing.
func (g *Guard) Hash(ctx context.Context) (string, error) {
	return g.ask(ctx, &request{kind: hash})
}

// Snapshot writes the whole state now.
func (g *Guard) Snapshot(ctx context.Context) error {
	_, err := g.ask(ctx, &request{kind: snapshot})
	return err
}

// Close finishes what was asked, writes a snapshot and gives the folder back. Decide still works afterwards.
func (g *Guard) Close() error {
	g.closed.Do(func() {
		close(g.closing)
		<-g.stopped
	})
	return g.closeErr
}
