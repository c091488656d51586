package serve

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/gimbal-ml/gimbal/data"
)

// merger scores rows of several requests together, for matrices are read once for all of them. Nobody waits for company: what
// comes while the model is busy goes next, together. What a row is told does not depend on its company.
type merger struct {
	answer func(ctx context.Context, in *data.Table, what need) (answer, error)

	mutex   sync.Mutex
	waiting []*mergedCall
	busy    int
}

// mergedRows bounds the rows that are scored together; a larger request is scored alone.
const mergedRows = 256

type mergedCall struct {
	in     *data.Table
	what   need
	result answer
	err    error
	turn   chan []*mergedCall // those to answer for, itself the first; nil when somebody else has answered
}

func newMerger(f func(ctx context.Context, in *data.Table, what need) (answer, error)) *merger {
	return &merger{answer: f}
}

var mergedCalls = sync.Pool{New: func() any { return &mergedCall{turn: make(chan []*mergedCall, 1)} }}

// do answers for the rows of one request. It does not give up when the client does: the rows may already be among others.
func (m *merger) do(in *data.Table, what need) (answer, error) {
	if n, _ := in.Dims(); n >= mergedRows/2 {
		return safely(m.answer, context.Background(), in, what)
	}
	c := mergedCalls.Get().(*mergedCall)
	c.in, c.what = in, what
	var calls []*mergedCall
	m.mutex.Lock()
	m.waiting = append(m.waiting, c)
	if m.busy < max(1, runtime.GOMAXPROCS(0)/2) { // then nobody else waits
		m.busy++
		calls = m.take()
	}
	m.mutex.Unlock()
	if calls == nil {
		calls = <-c.turn
	}
	if calls != nil {
		m.lead(calls)
	}
	a, err := c.result, c.err
	*c = mergedCall{turn: c.turn}
	mergedCalls.Put(c)
	return a, err
}

// take removes those from the queue who can be answered together. The mutex is held.
func (m *merger) take() []*mergedCall {
	rows, width, n := 0, 0, 0
	for _, c := range m.waiting {
		k, d := c.in.Dims()
		if n > 0 && (rows+k > mergedRows || d != width) {
			break
		}
		rows, width, n = rows+k, d, n+1
	}
	calls := m.waiting[:n:n]
	if m.waiting = m.waiting[n:]; len(m.waiting) == 0 {
		m.waiting = nil
	}
	return calls
}

// lead answers for calls, the first of which is the caller's own, and hands over to somebody who came in the meantime.
func (m *merger) lead(calls []*mergedCall) {
	m.run(calls)
	var next []*mergedCall
	m.mutex.Lock()
	if len(m.waiting) > 0 {
		next = m.take()
	} else {
		m.busy--
	}
	m.mutex.Unlock()
	if next != nil {
		next[0].turn <- next
	}
	for _, c := range calls[1:] {
		c.turn <- nil
	}
}

func (m *merger) run(calls []*mergedCall) {
	ctx := context.Background()
	var all answer
	err := errAlone
	if len(calls) > 1 {
		var what need
		rows, width := 0, 0
		for _, c := range calls {
			var n int
			n, width = c.in.Dims()
			rows, what = rows+n, what|c.what
		}
		x := make([]float32, 0, rows*width)
		for _, c := range calls {
			x = append(x, c.in.X()...)
		}
		var in *data.Table
		if in, err = data.NewTable(rows, width, x); err == nil {
			all, err = safely(m.answer, ctx, in, what)
		}
	}
	at := 0
	for _, c := range calls {
		n, _ := c.in.Dims()
		if err == nil {
			c.result = all.slice(at, at+n)
		} else { // or whose fault an error is, each finds out alone
			c.result, c.err = safely(m.answer, ctx, c.in, c.what)
		}
		at += n
	}
}

var errAlone = errors.New("a single call")

// errInternal is a mistake of ours.
var errInternal = errors.New("a mistake of ours, not yours")

// safely turns a panic, which only our own mistakes cause, into an error: others wait for the answer, too.
func safely(f func(ctx context.Context, in *data.Table, what need) (answer, error), ctx context.Context, in *data.Table, what need) (a answer, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errInternal, r)
		}
	}()
	return f(ctx, in, what)
}
