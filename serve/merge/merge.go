// Package merge has the rows of several requests answered together, for matrices are read once for all of them.
package merge

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/gimbal-ml/gimbal/data"
)

// Queue takes requests for answers A, each for what its bits W say. Nobody waits for company: what comes while all are busy goes next, together.
// What a row is told must not depend on its company. It is safe for concurrent use.
type Queue[A any, W ~uint8] struct {
	// Answer answers for rows; when they are of several requests, for the union of what those want. It may be called from several goroutines.
	Answer func(ctx context.Context, in *data.Table, what W) (A, error)
	// Cut takes the rows from lo to before hi out of an answer.
	Cut func(a *A, lo, hi int) A

	mutex   sync.Mutex
	waiting []*call[A, W]
	busy    int
	pool    sync.Pool // of *call[A, W]
}

// mostRows bounds the rows that are answered together; a request of half as many is answered alone.
const mostRows = 256

type call[A any, W ~uint8] struct {
	in     *data.Table
	what   W
	result A
	err    error
	turn   chan []*call[A, W] // those to answer for, itself the first; nil when somebody else has answered
}

// Do answers for the rows of one request. It does not give up when the client does: the rows may already be among others.
// Errors: those of Answer; ErrInternal.
func (q *Queue[A, W]) Do(in *data.Table, what W) (A, error) {
	if n, _ := in.Dims(); n >= mostRows/2 {
		return Safely(q.Answer, context.Background(), in, what)
	}
	c, ok := q.pool.Get().(*call[A, W])
	if !ok {
		c = &call[A, W]{turn: make(chan []*call[A, W], 1)}
	}
	c.in, c.what = in, what
	var calls []*call[A, W]
	q.mutex.Lock()
	q.waiting = append(q.waiting, c)
	if q.busy < max(1, runtime.GOMAXPROCS(0)/2) { // then nobody else waits
		q.busy++
		calls = q.take()
	}
	q.mutex.Unlock()
	if calls == nil {
		calls = <-c.turn
	}
	if calls != nil {
		q.lead(calls)
	}
	a, err := c.result, c.err
	*c = call[A, W]{turn: c.turn}
	q.pool.Put(c)
	return a, err
}

// take removes those from the queue who can be answered together. The mutex is held.
func (q *Queue[A, W]) take() []*call[A, W] {
	rows, width, n := 0, 0, 0
	for _, c := range q.waiting {
		k, d := c.in.Dims()
		if n > 0 && (rows+k > mostRows || d != width) {
			break
		}
		rows, width, n = rows+k, d, n+1
	}
	calls := q.waiting[:n:n]
	if q.waiting = q.waiting[n:]; len(q.waiting) == 0 {
		q.waiting = nil
	}
	return calls
}

// lead answers for calls, the first of which is the caller's own, and hands over to somebody who came in the meantime.
func (q *Queue[A, W]) lead(calls []*call[A, W]) {
	q.run(calls)
	var next []*call[A, W]
	q.mutex.Lock()
	if len(q.waiting) > 0 {
		next = q.take()
	} else {
		q.busy--
	}
	q.mutex.Unlock()
	if next != nil {
		next[0].turn <- next
	}
	for _, c := range calls[1:] {
		c.turn <- nil
	}
}

func (q *Queue[A, W]) run(calls []*call[A, W]) {
	ctx := context.Background()
	var all A
	err := errAlone
	if len(calls) > 1 {
		var what W
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
			all, err = Safely(q.Answer, ctx, in, what)
		}
	}
	at := 0
	for _, c := range calls {
		n, _ := c.in.Dims()
		if err == nil {
			c.result = q.Cut(&all, at, at+n)
		} else { // or whose fault an error is, each finds out alone
			c.result, c.err = Safely(q.Answer, ctx, c.in, c.what)
		}
		at += n
	}
}

var errAlone = errors.New("a single call")

// ErrInternal is a mistake of ours.
var ErrInternal = errors.New("a mistake of ours, not yours")

// Safely turns a panic, which only our own mistakes cause, into ErrInternal: others wait for the answer, too.
func Safely[A, W any](f func(ctx context.Context, in *data.Table, what W) (A, error), ctx context.Context, in *data.Table, what W) (a A, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrInternal, r)
		}
	}()
	return f(ctx, in, what)
}
