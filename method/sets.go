package method

import "github.com/gimbal-ml/gimbal/data"

// SetPredictor gives each row the set of classes that it may be of, so that the right one is missing no more often than promised.
type SetPredictor interface {
	// Sets returns N×K zeros and ones whose column names are the classes: one for those in the row's set, which may be empty.
	Sets(in *data.Table) (*data.Table, error)
	// Level bounds the probability that the class of a row like the calibration rows is not in its set.
	Level() float64
}
