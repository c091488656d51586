package live

import (
	"errors"
	"fmt"
	"io"

	"github.com/gimbal-ml/gimbal/method"
)

// replay rebuilds a state from a journal. Changes that follow each other are fitted once, which gives the same guard.
type replay struct {
	guard   *Guard
	version *version
	pending []*request
	first   uint64 // number of the first pending command
}

func (r *replay) snapshot(from io.Reader) (err error) {
	r.version, r.guard.watch, err = readVersion(r.guard.specs, from)
	return err
}

func (r *replay) record(number uint64, b []byte) error {
	if r.version == nil {
		return fmt.Errorf("%w: a command before any state", method.ErrState)
	}
	if len(b) == 0 {
		return errCommand
	}
	k, b := kind(b[0]), b[1:]
	if k == change {
		c, err := decodeChange(b)
		if err != nil {
			return err
		}
		if len(r.pending) == 0 {
			r.first = number
		}
		if r.pending = append(r.pending, &request{kind: k, change: c}); len(r.pending) == together {
			return r.flush()
		}
		return nil
	}
	if err := r.flush(); err != nil {
		return err
	}
	q := &request{kind: k}
	switch k {
	case observe:
		generation, ds, err := decodeObserve(b)
		if err == nil {
			r.guard.watch.observe(generation, ds)
		}
		return err
	case join, replace:
		var err error
		if q.name, q.other, err = decodeJoin(r.guard.specs, b); err != nil {
			return err
		}
	case rearm:
	default:
		return errCommand
	}
	r.first, r.pending = number, []*request{q}
	return r.flush()
}

// flush applies what is pending. A command that was accepted when it was made and is refused now means that this is another program.
func (r *replay) flush() error {
	if len(r.pending) == 0 {
		return nil
	}
	next, errs := r.guard.apply(r.version, r.pending)
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: commands from number %d on were accepted when they were made: %w", method.ErrState, r.first, err)
	}
	next.generation += uint64(len(r.pending))
	r.guard.watch.change(next.serving, len(r.pending))
	r.version, r.pending = next, nil
	return nil
}
