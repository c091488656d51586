package continual

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

var _ = methods.Add(method.FromMoments(method.Info{
	Title:  "ridge regression that learns classes one after the other and equals the joint solution",
	Paper:  "zhuang2022acil",
	Exempt: map[string]string{"update": "a linear fit of indicators hides a class that lies between others, here one of five in four columns; more columns or a random layer part them"},
}, moments.Classes, ACIL.FitMoments, loadACIL))

// ACIL classifies by ridge regression on class indicators, whose solution after any sequence of tasks is that of all rows at once.
//
// It is the analytic class-incremental learner of Zhuang et al. (2022) on frozen features: the paper updates the inverse
// correlation matrix recursively, here the sums themselves are exact, so order, pieces and forgetting change no byte, and no
// rounding adds up over years. O(N·D²+D³) to learn, O(K·D) a row to predict. Prefer it over [Prototypes] where features
// correlate; where no plane separates the classes, [RanPAC] puts a random layer before it.
//
// Fits on: Table N×D with a label for every row, N ≥ 2.
// Predict: N×K probabilities, softmax(fitted value/Temperature); the most probable class has the largest fitted value.
// Logits:  N×K, fitted values over the temperature; their softmax is Predict.
// Update:  the model that has also seen the task's rows, of old or new classes; tasks in any order or pieces give the same bytes on one grid.
// Forget:  the model that never saw the rows, to the byte.
// Errors:  ErrLabels when a row has no label; ErrDegenerate when all rows are equal; ErrShape on another width, or for rows that were never learned.
// Differs: the penalty is a share of the mean variance and the intercept has none; the paper's random layer before it is RanPAC's; Temperature and Forget are ours.
// Source:  zhuang2022acil, theorem 1.
// Claim:   claims/continual/acil.go.
type ACIL struct {
	// Ridge is added to the covariance's diagonal, as a share of the mean variance. Lower it when N > 100·D, raise it when N is near D.
	Ridge float64 `default:"0.01" range:"(0,1e6]" unit:"share of the mean variance"`
	// Temperature divides fitted values, which lie about 0 and 1, before the softmax: lower is more confident, the chosen class stays the same.
	Temperature float64 `default:"0.1" range:"(0,1e6]" unit:"fitted value"`
}

// Fit learns the weights from a table or a stream, in one or two passes.
func (c ACIL) Fit(ctx context.Context, train data.Source) (*ACILModel, error) {
	return method.FitMoments(ctx, moments.Classes, train, c.FitMoments)
}

// FitMoments learns the same from a moments state.
func (c ACIL) FitMoments(s *moments.State) (*ACILModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := moments.Classes.Check(s); err != nil {
		return nil, err
	}
	fitted, err := ridgeScores(s, c.Ridge, c.Temperature)
	if err != nil {
		return nil, err
	}
	return &ACILModel{remember("acil", s, nil, c.FitMoments), fitted}, nil
}

// ACILModel is a fitted [ACIL].
type ACILModel struct {
	memory
	fitted *scores
}

// Predict returns each row's class probabilities, N×K.
func (m *ACILModel) Predict(in *data.Table) (*data.Table, error) { return m.fitted.predict("acil", in) }

// Logits returns each row's fitted values over the temperature, N×K.
func (m *ACILModel) Logits(in *data.Table) (*data.Table, error) { return m.fitted.logits("acil", in) }

func loadACIL(c ACIL, st *data.Checkpoint) (*ACILModel, error) {
	s, err := recall(st)
	if err != nil {
		return nil, err
	}
	return c.FitMoments(s)
}
