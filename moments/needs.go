package moments

import (
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
)

// Needs says what a method reads from a state, beyond counts, sums and the scatter of all rows.
type Needs uint8

// What can be needed.
const (
	Classes      Needs = 1 << iota // every row has a label
	ClassScatter                   // a scatter for each class
	Targets                        // at least one regression target
)

// Options returns what a state must be made with.
func (n Needs) Options() Options { return Options{PerClass: n&ClassScatter != 0} }

// Check says what a state lacks. Errors: ErrLabels, ErrShape.
func (n Needs) Check(s *State) error {
	rows := s.Rows()
	if rows == 0 {
		return fmt.Errorf("%w: no rows to learn from", data.ErrShape)
	}
	if s.d == 0 {
		return fmt.Errorf("%w: no feature columns to learn from", data.ErrShape)
	}
	if free := s.Count(""); n&Classes != 0 && free > 0 {
		return fmt.Errorf("%w: %d of %d rows have none (name the column with --label)", data.ErrLabels, free, rows)
	}
	if n&ClassScatter != 0 && !s.perClass {
		return fmt.Errorf("%w: the state keeps no per-class scatters; make it with --per-class", data.ErrShape)
	}
	if n&Targets != 0 && s.t == 0 {
		return fmt.Errorf("%w: no targets to learn from", data.ErrShape)
	}
	return nil
}
