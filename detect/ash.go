package detect

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title:  "free energy after all but a row's largest activations are thrown away",
	Paper:  "djurisic2023extremely",
	Exempt: map[string]string{"far-from-zero": "activations are measured from zero, where a silent unit is, section 3"},
}, ASH.Fit, loadASH))

// ASH scores a row by the energy that the head gives it once most of its activations are set to zero and the rest made up for them.
//
// It is the activation shaping of Djurisic et al. (2023) at the layer before the head: nothing is learned but the head,
// O(D log D + K·D) a row to score. It is strong on convolutional networks with a ReLU, and fails where features have both signs, as
// in most transformers: there prefer [RMDS] or [ViM]. [Scale] is the same without throwing anything away.
//
// Fits on: Train N×D of features with N ≥ 1 that go into Head, the network's last layer (weight K×D with K ≥ 2, bias K); labels are ignored. Features come out of a ReLU.
// Score:   N values of any sign in the logits' unit (natural logs), −log Σ exp(logit), higher = more unfamiliar.
// Errors:  ErrInput without rows or head; ErrShape when the head takes another number of features, and on another width; ErrFormat for a head without a weight; ErrDegenerate when rows that differ all get one score.
// Differs: pooled features instead of maps over the image. Negative features count as zero; a row without a positive one stays as it is. At least one activation is kept, of equal ones that with the lower column.
// Source:  djurisic2023extremely, section 3 and algorithms 1 to 3.
// Claim:   none: it is here to be compared with; the paper's headline is not run again.
type ASH struct {
	// Strategy is what becomes of the kept activations: multiplied by exp(sum before/sum after), the paper's best on large images; all set to their mean, with the sum of the row kept; or left as they are.
	Strategy string `default:"ash-s" enum:"ash-s,ash-b,ash-p"`
	// Quantile of a row's activations below which they are thrown away. The paper's 90 per cent for ash-s; it takes 65 for ash-b and 60 for ash-p.
	Quantile float64 `default:"0.9" range:"(0,0.995]"`
}

// Fit keeps the head.
func (c ASH) Fit(ctx context.Context, in HeadInput) (*ASHModel, error) {
	h, err := fitHead(ctx, &c, in)
	if err != nil {
		return nil, err
	}
	return notCollapsed(c.model(h), in.Train, "no activation is positive, or those kept are all alike; try another --strategy or a lower --quantile")
}

func (c ASH) model(h *linearHead) *ASHModel {
	shape := func(row []float64) {
		a := shapeOf(row, c.Quantile)
		a.keep(row)
		for _, j := range a.places {
			switch c.Strategy {
			case "ash-s":
				row[j] *= a.scale()
			case "ash-b":
				row[j] = a.sum / float64(len(a.places))
			}
		}
	}
	return &ASHModel{headScorer{"ash", h, shape, headEnergy}}
}

// ASHModel is a fitted [ASH].
type ASHModel struct{ headScorer }

func loadASH(c ASH, st *data.Checkpoint) (*ASHModel, error) {
	h, _, err := loadHead(&c, st)
	if err != nil {
		return nil, err
	}
	return c.model(h), nil
}
