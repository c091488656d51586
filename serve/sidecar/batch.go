package sidecar

import (
	"fmt"
	"sync"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/guard"
)

// batcher judges rows of several requests together. Nobody waits for company: what comes while others are judged goes next, together.
// What a row is told does not depend on its company.
type batcher struct {
	judge   Judge
	mutex   sync.Mutex
	waiting []*call
	busy    bool
}

type call struct {
	in     *data.Table
	result result
	done   chan struct{}
}

// togetherRows bounds the rows that are judged at once; a larger request is judged alone.
const togetherRows = 256

func (b *batcher) judgeRows(in *data.Table) ([]guard.Decision, error) {
	n, _ := in.Dims()
	if n == 0 {
		return nil, nil
	}
	if n >= togetherRows {
		return b.safely(in)
	}
	c := &call{in: in, done: make(chan struct{})}
	b.mutex.Lock()
	b.waiting = append(b.waiting, c)
	lead := !b.busy
	b.busy = true
	b.mutex.Unlock()
	if lead {
		b.turn()
	}
	<-c.done
	return c.result.decisions, c.result.err
}

// turn judges those who wait, and has the others that came meanwhile judged beside it.
func (b *batcher) turn() {
	b.mutex.Lock()
	rows, n := 0, 0
	for _, c := range b.waiting {
		k, _ := c.in.Dims()
		if n > 0 && rows+k > togetherRows {
			break
		}
		rows, n = rows+k, n+1
	}
	calls := b.waiting[:n:n]
	b.waiting = b.waiting[n:]
	b.mutex.Unlock()
	b.judgeAll(calls)
	b.mutex.Lock()
	if len(b.waiting) > 0 {
		go b.turn()
	} else {
		b.busy, b.waiting = false, nil
	}
	b.mutex.Unlock()
}

func (b *batcher) judgeAll(calls []*call) {
	defer func() {
		for _, c := range calls {
			close(c.done)
		}
	}()
	if len(calls) > 1 {
		var x []float32
		rows, d := 0, 0
		for _, c := range calls {
			n, wide := c.in.Dims()
			x, rows, d = append(x, c.in.X()...), rows+n, wide
		}
		all, err := data.NewTable(rows, d, x)
		var ds []guard.Decision
		if err == nil {
			ds, err = b.safely(all)
		}
		if err == nil {
			for _, c := range calls {
				n, _ := c.in.Dims()
				c.result.decisions, ds = ds[:n:n], ds[n:]
			}
			return
		}
	}
	for _, c := range calls { // alone, or to see whose rows cannot be judged
		c.result.decisions, c.result.err = b.safely(c.in)
	}
}

// safely judges rows; a panic is our own bug, and costs this judgement only.
func (b *batcher) safely(in *data.Table) (ds []guard.Decision, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	ds, err = b.judge(in)
	if n, _ := in.Dims(); err == nil && len(ds) != n {
		err = fmt.Errorf("%d decisions for %d rows", len(ds), n)
	}
	return ds, err
}
