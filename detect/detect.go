// Package detect answers: how unfamiliar is this input, and by how much? Scores grow with unfamiliarity.
//
//	which one?                       takes                  learns in        when
//	[Mahalanobis]                    features, labels       one pass         classes are roughly Gaussian; the default
//	[GaussianAD]                     features               one pass         one class of normal rows, no labels
//	[KNN]                            features               keeps the rows   no shape can be assumed
//	[LOF]                            features               keeps the rows   clusters differ in density
//	[MemoryBank]                     features               keeps a share    as KNN, when rows are many, come in parts or must be forgotten
//	[PCA]                            features               one pass         columns are many and correlated
//	[OneClassSVM]                    features               keeps a border   a smooth border around clouds of any shape is wanted
//	[IsolationForest]                features               keeps trees      columns of a table in units of their own, nothing known
//	[ECOD], [COPOD]                  features               keeps columns    outliers are extreme in single columns; nothing to tune
//	[HBOS]                           features               keeps counts     the same, fastest
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

// LogitsInput is what a detector on a classifier's outputs learns from.
type LogitsInput struct {
	// Logits are N×K raw outputs before any softmax, a column for each class.
	Logits *data.Table
}

// classes returns K. Errors: ErrInput without logits, ErrShape for fewer than two classes.
func (in LogitsInput) classes() (int, error) {
	if in.Logits == nil {
		return 0, fmt.Errorf("%w: no logits", method.ErrInput)
	}
	_, k := in.Logits.Dims()
	if k < 2 {
		return 0, fmt.Errorf("%w: logits have %d columns, want one for each of at least 2 classes; a single output x of a yes-or-no classifier is the two columns 0 and x", data.ErrShape, k)
	}
	return k, nil
}

// classesState is the state of a model that keeps the number of classes alone.
func classesState(k int) *data.Checkpoint {
	return &data.Checkpoint{Tensors: map[string]data.Tensor{"classes": data.Int64Tensor([]int64{int64(k)}, 1)}}
}

func loadClasses(st *data.Checkpoint) (int, error) {
	k, _, err := st.Ints("classes", 1)
	if err != nil {
		return 0, err
	}
	if k[0] < 2 {
		return 0, fmt.Errorf("%w: %d classes", data.ErrShape, k[0])
	}
	return int(k[0]), nil
}

// largest returns the place and the value of a row's largest logit, the first one of equal ones.
func largest(row []float32) (at int, top float64) {
	for c, v := range row {
		if v > row[at] {
			at = c
		}
	}
	return at, float64(row[at])
}
