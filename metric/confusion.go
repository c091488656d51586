package metric

import (
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
)

// confusionClasses bounds the matrix to 16.8 million counts.
const confusionClasses = 4096

// Confusion counts rows by label and predicted class.
type Confusion struct {
	// Classes are the K class numbers among labels or predictions, ascending.
	Classes []int
	// Counts is K×K, row-major: row = label, column = predicted class, in the order of Classes.
	Counts []int
}

// ConfusionMatrix counts which classes are predicted for which labels. Classes are any whole numbers.
//
// Errors: data.ErrShape without rows, for unequal lengths, or for more than 4096 different classes.
func ConfusionMatrix(labels, predicted []int) (*Confusion, error) {
	const who = "confusion matrix"
	if err := checkPaired(who, labels, predicted); err != nil {
		return nil, err
	}
	classes := distinct(labels, predicted)
	k := len(classes)
	if k > confusionClasses {
		return nil, fmt.Errorf("%s: %w: %d different classes, at most %d make a matrix", who, data.ErrShape, k, confusionClasses)
	}
	c := &Confusion{Classes: classes, Counts: make([]int, k*k)}
	y, yhat := indices(labels, classes), indices(predicted, classes)
	for i := range y {
		c.Counts[int(y[i])*k+int(yhat[i])]++
	}
	return c, nil
}

// At is the number of rows with this label that were predicted as this class; 0 for classes that do not occur.
func (c *Confusion) At(label, predicted int) int {
	i, ok := slices.BinarySearch(c.Classes, label)
	j, also := slices.BinarySearch(c.Classes, predicted)
	if !ok || !also {
		return 0
	}
	return c.Counts[i*len(c.Classes)+j]
}
