package live

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/gimbal-ml/gimbal/data/safetensors"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/serve/journal"
)

// request is one thing asked of the writer.
type request struct {
	kind    kind
	change  guard.Change
	name    string
	other   *guard.Guard
	payload []byte
	reply   chan reply
}

type reply struct {
	text string
	err  error
}

// ask hands a request to the writer and waits for its answer.
func (g *Guard) ask(ctx context.Context, r *request) (string, error) {
	r.reply = make(chan reply, 1)
	select {
	case <-g.closing:
		return "", fmt.Errorf("live: %w", journal.ErrClosed)
	default:
	}
	select {
	case g.requests <- r:
	case <-ctx.Done():
		return "", ctx.Err()
	case <-g.closing:
		return "", fmt.Errorf("live: %w", journal.ErrClosed)
	}
	select {
	case a := <-r.reply:
		return a.text, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	case <-g.stopped:
		select { // answered in the last moment
		case a := <-r.reply:
			return a.text, a.err
		default:
			return "", fmt.Errorf("live: %w", journal.ErrClosed)
		}
	}
}

// retry is how long the writer waits before it tries again to save what the disk refused.
const retry = 5 * time.Second

// together is how many changes are fitted at once at most.
const together = 256

// run is the writer: the only goroutine that changes the guard.
func (g *Guard) run() {
	defer close(g.stopped)
	tick := time.NewTicker(retry)
	defer tick.Stop()
	for {
		select {
		case r := <-g.requests:
			g.serve(r)
		case <-g.kick:
			g.care(false)
		case <-tick.C:
			g.care(true)
		case <-g.closing:
			for {
				select {
				case r := <-g.requests:
					g.serve(r)
					continue
				default:
				}
				break
			}
			g.closeErr = g.snapshot()
			if err := g.journal.Close(); g.closeErr == nil && err != nil {
				g.closeErr = fmt.Errorf("live: %w", err)
			}
			return
		}
	}
}

// care writes a snapshot when the log is long or broke off. What failed is tried again when it is time.
func (g *Guard) care(again bool) {
	if g.unsaved.Load() != nil && !again {
		return
	}
	if g.journal.Err() != nil || g.journal.Size() > g.config.SnapshotBytes {
		_ = g.snapshot() // Failed says so
	}
}

// serve answers a request, and with it the changes that wait behind it.
func (g *Guard) serve(r *request) {
	for r != nil {
		batch := []*request{r}
		r = nil
		for batch[0].kind == change && len(batch) < together && r == nil {
			select {
			case next := <-g.requests:
				if next.kind != change {
					r = next
				} else {
					batch = append(batch, next)
				}
				continue
			default:
			}
			break
		}
		switch batch[0].kind {
		case hash:
			text, err := g.hash()
			batch[0].reply <- reply{text, err}
		case snapshot:
			batch[0].reply <- reply{err: g.snapshot()}
		default:
			g.commit(batch)
		}
	}
	g.care(false)
}

// commit applies requests, makes them durable, shows their effect and answers.
func (g *Guard) commit(batch []*request) {
	before := g.now.Load()
	next, errs := g.apply(before, batch)
	accepted := 0
	for i, r := range batch {
		if errs[i] != nil {
			r.reply <- reply{err: errs[i]}
			continue
		}
		batch[accepted] = r
		accepted++
	}
	if batch = batch[:accepted]; accepted == 0 {
		return
	}
	// From here on the order is fixed. Rows that are observed before the new guard is shown carry the old generation and are not
	// watched, now as in a replay.
	g.order.Lock()
	kept := g.watch
	last, err := uint64(0), error(nil)
	for _, r := range batch {
		if last, err = g.journal.Put(r.payload); err != nil {
			break
		}
	}
	if err == nil {
		next.generation += uint64(len(batch))
		g.watch.change(next.serving, len(batch))
	}
	g.order.Unlock()
	if err == nil {
		err = g.journal.Sync(last)
	}
	if err != nil {
		g.order.Lock()
		g.watch = kept
		g.order.Unlock()
		err = fmt.Errorf("live: %w", err)
	} else {
		g.now.Store(next)
	}
	for _, r := range batch {
		r.reply <- reply{err: err}
	}
}

// apply returns the version after the requests, which are several changes or one of another kind, and the errors of those that were refused.
func (g *Guard) apply(v *version, batch []*request) (*version, []error) {
	next := *v
	errs := make([]error, len(batch))
	switch r := batch[0]; r.kind {
	case change:
		changes := make([]guard.Change, len(batch))
		for i, r := range batch {
			changes[i] = r.change
		}
		var own *guard.Guard
		if own, errs = v.own.Apply(context.Background(), changes); own != nil { // once begun it is finished: others wait on the same fit
			next.own = own
		}
	case join:
		next.others = maps.Clone(v.others)
		if next.others == nil {
			next.others = map[string]*guard.Guard{}
		}
		next.others[r.name] = r.other
	case replace:
		next = version{own: r.other, base: r.other, generation: v.generation}
	}
	all, err := next.combined()
	if err == nil {
		return all, errs
	}
	if len(batch) == 1 {
		return v, []error{fmt.Errorf("live: %w", err)}
	}
	last := v // one of the changes does not go with what replicas sent: find out which
	for i := range batch {
		one, e := g.apply(last, batch[i:i+1])
		errs[i] = e[0]
		if e[0] == nil {
			last = one
		}
	}
	all = &version{}
	*all = *last
	return all, errs
}

// combined returns the version with what replicas sent taken in.
func (v *version) combined() (*version, error) {
	u := *v
	if u.serving = u.own; len(u.others) == 0 {
		return &u, nil
	}
	list := []*guard.Guard{u.own}
	for _, name := range u.names() {
		list = append(list, u.others[name])
	}
	all, err := guard.Combine(context.Background(), u.base, list...)
	if err != nil {
		return nil, err
	}
	u.serving, err = all.WithAlpha(u.own.Alpha())
	return &u, err
}

func (v *version) names() []string { return slices.Sorted(maps.Keys(v.others)) }

func (g *Guard) hash() (string, error) {
	g.order.Lock()
	text, err := g.watch.save()
	g.order.Unlock()
	if err != nil {
		return "", fmt.Errorf("live: %w", err)
	}
	c, err := g.now.Load().checkpoint(text)
	if err != nil {
		return "", fmt.Errorf("live: %w", err)
	}
	return c.Hash()
}

// snapshot writes the state. Only the writer calls it, so no change is under way.
func (g *Guard) snapshot() error {
	err := g.save()
	if g.unsaved.Store(nil); err != nil {
		g.unsaved.Store(&err)
	}
	return err
}

func (g *Guard) save() error {
	if g.journal.Err() == nil { // most of the syncing, before anyone waits
		if err := g.journal.Sync(g.journal.Last()); err != nil {
			return fmt.Errorf("live: %w", err)
		}
	}
	g.order.Lock()
	text, err := g.watch.save()
	var mark *journal.Mark
	if err == nil {
		mark, err = g.journal.Mark()
	}
	g.order.Unlock()
	if err != nil {
		return fmt.Errorf("live: %w", err)
	}
	c, err := g.now.Load().checkpoint(text)
	if err != nil {
		return fmt.Errorf("live: %w", err)
	}
	if err := mark.Save(func(w io.Writer) error { return safetensors.Write(w, c) }); err != nil {
		return fmt.Errorf("live: %w", err)
	}
	return nil
}
