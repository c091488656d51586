package report

import (
	"errors"
	"fmt"
	"math"
	"reflect"
)

// What can be wrong with what is to be shown. Errors wrap one of these and name section, block, series and place.
var (
	ErrFinite = errors.New("not a finite number")
	ErrShape  = errors.New("wrong shape")
	ErrAxis   = errors.New("has no place on the axis")
)

const (
	largestDrawn      = 1e300  // beyond it, axis arithmetic would overflow
	smallestOnLogAxis = 1e-300 // below it, powers of ten lose their digits
)

// checker keeps the first error it meets; who names block and title.
type checker struct {
	who string
	err error
}

func newChecker(kind, title string) *checker {
	if title == "" {
		return &checker{who: kind}
	}
	return &checker{who: fmt.Sprintf("%s %q", kind, title)}
}

// fail records an error: where is "series "loss"" or empty.
func (c *checker) fail(where string, sentinel error, format string, args ...any) {
	if c.err != nil {
		return
	}
	if where != "" {
		where += ": "
	}
	c.err = fmt.Errorf("%s: %s%s: %w", c.who, where, fmt.Sprintf(format, args...), sentinel)
}

// number accepts finite values that can be drawn on the axis; what names the value and row, counted from 1, its place.
func (c *checker) number(where, what string, row int, v float64, log bool) {
	switch {
	case c.err != nil:
	case math.IsNaN(v) || math.IsInf(v, 0):
		c.fail(where, ErrFinite, "%s is %v%s", what, v, atRow(row))
	case math.Abs(v) > largestDrawn:
		c.fail(where, ErrAxis, "%s is %g%s, drawn are sizes up to %g", what, v, atRow(row), largestDrawn)
	case log && v < smallestOnLogAxis:
		c.fail(where, ErrAxis, "%s is %g%s, a logarithmic axis needs values from %g on", what, v, atRow(row), smallestOnLogAxis)
	}
}

// numbers checks a whole column.
func (c *checker) numbers(where, what string, values []float64, log bool) {
	for i, v := range values {
		c.number(where, what, i+1, v, log)
	}
}

// marks checks thresholds or events.
func (c *checker) marks(kind string, marks []Mark, log bool) {
	for i, m := range marks {
		c.number(fmt.Sprintf("%s %q", kind, m.Label), "place", 0, m.At, log)
		c.state(kind, i+1, m.State)
	}
}

// axis checks the values that an axis must cover.
func (c *checker) axis(name string, a Axis) {
	c.numbers(name+" axis", "covered value", a.Cover, a.Log)
}

func (c *checker) state(where string, row int, s State) {
	if s < Neutral || s > Bad {
		c.fail(where, ErrShape, "state is %d%s, known are Neutral, Good, Warn, Bad", int(s), atRow(row))
	}
}

func atRow(row int) string {
	if row == 0 {
		return ""
	}
	return fmt.Sprintf(" at %d", row)
}

// series names a series in an error.
func series(name string) string {
	if name == "" {
		return "series"
	}
	return fmt.Sprintf("series %q", name)
}

// isNil reports a nil block, also one wrapped in a typed pointer.
func isNil(b Block) bool {
	v := reflect.ValueOf(b)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}
