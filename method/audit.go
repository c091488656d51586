package method

import "github.com/gimbal-ml/gimbal/data"

// Auditor looks at the labels that rows have: which of them are wrong?
type Auditor interface {
	// Audit returns one finding for each labelled row. Errors: ErrLabels for a row without a label and for a class that the model does not know.
	Audit(in *data.Table) ([]Finding, error)
}

// Finding is what an audit says of one row's label.
type Finding struct {
	// Score orders rows for review: higher = the label is more likely wrong.
	Score float64
	// Suspect says that a person should look at the label.
	Suspect bool
	// Suggested is the class that a suspect row seems to be of, never its own; "" for other rows.
	Suggested string
	// Reason says in words why a row is suspect; "" for other rows.
	Reason string
}
