// Package detect answers: how unfamiliar is this input, and by how much? Scores grow with unfamiliarity.
//
//	which one?                       takes                  learns in        when
//	[Mahalanobis]                    features, labels       one pass         classes are roughly Gaussian; the default
//	[GaussianAD]                     features               one pass         one class of normal rows, no labels
//	[KNN]                            features               keeps the rows   no shape can be assumed
//	[Energy]                         logits                 no pass          only a classifier's outputs are at hand, and their size means something
//	[MaxSoftmax]                     logits                 no pass          only outputs are at hand, or only probabilities; the baseline
package detect

import (
	"embed"
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

//go:embed *.go
var source embed.FS

var methods = method.Set{Family: "detect", Source: &source}

// Methods returns the family's methods, sorted by name.
func Methods() []method.Spec { return methods.All() }

// width refuses a table that has other columns than the model of the named method was fitted on.
func width(name string, in *data.Table, fitted int) error {
	if _, d := in.Dims(); d != fitted {
		return fmt.Errorf("%s: %w: table has %d columns, fitted on %d", name, data.ErrShape, d, fitted)
	}
	return nil
}
