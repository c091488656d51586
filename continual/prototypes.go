package continual

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

var _ = methods.Add(method.FromMoments(method.Info{
	Title:  "class of the most similar mean feature, by cosine; learns and forgets exactly",
	Paper:  "zhou2023revisiting",
	Exempt: map[string]string{"far-from-zero": "features are compared by their direction from zero, as in the paper"},
}, moments.Classes, Prototypes.FitMoments, loadPrototypes))

// Prototypes classifies by the angle between a row and each class's mean feature.
//
// It is SimpleCIL of Zhou et al. (2023): the encoder stays frozen, a class's weight is the mean of its rows, nothing is
// trained, so a new class costs one pass over its rows and changes no other. O(N·D²) to learn, for the whole moments state
// is kept; O(K·D) a row to predict. [APER] adds features adapted on the first task.
//
// Fits on: Table N×D with N ≥ 1 and a label for every row.
// Predict: N×K probabilities, softmax(cosine/Temperature); the most probable class is the one of largest cosine. A row or mean of length zero has cosine 0 with everything.
// Score:   N values in [0, 2], 1 − largest cosine, higher = less like any class learned so far.
// Update:  the model that has also seen the task's rows, of old or new classes. Tasks in any order or pieces give the same bytes if they share a grid: that of the first fit, which may be given by a state (--like).
// Forget:  the model that never saw the rows; rows that were added and forgotten leave the bytes of before.
// Errors:  ErrLabels when a row has no label; ErrShape on another width, when rows to forget were never learned, or when none would be left.
// Differs: the paper has no confidence; Temperature, Score and Forget are ours. Angles are between raw features, as in the paper: subtracting a mean first would let every new class turn the old ones, and gained nothing on images or frozen ResNet features.
// Source:  zhou2023revisiting, SimpleCIL.
// Claim:   claims/continual/prototypes.go.
type Prototypes struct {
	// Temperature divides cosines before the softmax: lower is more confident, the chosen class stays the same. Where features of all classes point in nearly one direction, as after a ReLU, 0.01 to 0.05 gives honest probabilities; raise it when classes lie far apart.
	Temperature float64 `default:"0.03" range:"(0,1e6]" unit:"cosine"`
}

// Fit learns the class means from a table or a stream, in one or two passes.
func (c Prototypes) Fit(ctx context.Context, train data.Source) (*PrototypesModel, error) {
	return method.FitMoments(ctx, moments.Classes, train, c.FitMoments)
}

// FitMoments learns the same from a moments state.
func (c Prototypes) FitMoments(s *moments.State) (*PrototypesModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := moments.Classes.Check(s); err != nil {
		return nil, err
	}
	return &PrototypesModel{remember("prototypes", s, nil, c.FitMoments), newDirections("prototypes", s), c}, nil
}

// PrototypesModel is a fitted [Prototypes].
type PrototypesModel struct {
	memory
	mean   *directions
	config Prototypes
}

// Classes returns the K class names. The caller must not change them.
func (m *PrototypesModel) Classes() []string { return m.mean.classes }

// Means returns the K class means, K×D. The caller must not change them.
func (m *PrototypesModel) Means() []float64 { return m.mean.means }

// Predict returns each row's class probabilities.
func (m *PrototypesModel) Predict(in *data.Table) (*data.Table, error) {
	return m.mean.predict(in, m.config.Temperature)
}

// Score returns how unlike every class each row is.
func (m *PrototypesModel) Score(in *data.Table) ([]float64, error) { return m.mean.score(in) }

func loadPrototypes(c Prototypes, st *data.Checkpoint) (*PrototypesModel, error) {
	s, err := recall(st)
	if err != nil {
		return nil, err
	}
	return c.FitMoments(s)
}
