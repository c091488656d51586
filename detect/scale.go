package detect

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title:  "free energy after a row's activations are scaled by how much its largest ones carry",
	Paper:  "xu2024scaling",
	Exempt: map[string]string{"far-from-zero": "activations are measured from zero, where a silent unit is, section 4"},
}, Scale.Fit, loadScale))

// Scale scores a row by the energy that the head gives it once its activations are multiplied by exp(sum of all/sum of the largest).
//
// It is SCALE of Xu et al. (2024) at the layer before the head: nothing is learned but the head, O(D log D + K·D) a row to
// score. Of [ASH] it keeps what works, the factor, and throws no activation away, so that the favoured class stays the same. It
// asks for features out of a ReLU as well.
//
// Fits on: Train N×D of features with N ≥ 1 that go into Head, the network's last layer (weight K×D with K ≥ 2, bias K); labels are ignored. Features come out of a ReLU.
// Score:   N values of any sign in the logits' unit (natural logs), −log Σ exp(logit), higher = more unfamiliar.
// Errors:  ErrInput without rows or head; ErrShape when the head takes another number of features, and on another width; ErrFormat for a head without a weight; ErrDegenerate when rows that differ all get one score.
// Differs: pooled features instead of maps over the image. Negative features count as zero; a row without a positive one stays as it is. At least one activation counts as largest.
// Source:  xu2024scaling, section 4.
// Claim:   none: it is here to be compared with; the paper's headline is not run again.
type Scale struct {
	// Quantile of a row's activations above which they count as largest: the paper's 85 per cent.
	Quantile float64 `default:"0.85" range:"(0,0.995]"`
}

// Fit keeps the head.
func (c Scale) Fit(ctx context.Context, in HeadInput) (*ScaleModel, error) {
	h, err := fitHead(ctx, &c, in)
	if err != nil {
		return nil, err
	}
	return notCollapsed(c.model(h), in.Train, "no activation is positive, or the head does not tell rows apart")
}

func (c Scale) model(h *linearHead) *ScaleModel {
	shape := func(row []float64) {
		factor := shapeOf(row, c.Quantile).scale()
		for j := range row {
			row[j] *= factor
		}
	}
	return &ScaleModel{headScorer{"scale", h, shape, headEnergy}}
}

// ScaleModel is a fitted [Scale].
type ScaleModel struct{ headScorer }

func loadScale(c Scale, st *data.Checkpoint) (*ScaleModel, error) {
	h, _, err := loadHead(&c, st)
	if err != nil {
		return nil, err
	}
	return c.model(h), nil
}
