package weights

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "a point on the arc between two checkpoints",
	Paper: "shoemake1985animating",
}, Slerp.Apply))

// Slerp goes from one checkpoint towards another on the great circle through both, tensor by tensor.
//
// On a straight line the norm of the weights falls between the ends; on the arc it does not. For checkpoints that were tuned from one
// start, which lie at small angles, there is hardly a difference.
//
// Takes:   from and to, two checkpoints with the same tensors.
// Apply:   a checkpoint with the same names, shapes and types: (sin((1−t)θ)·from + sin(tθ)·to) / sin θ, θ the angle between the two as vectors, t the Share; on the straight line where the cosine of θ exceeds 0.9995 in size, or one of them is zero. In float64, rounded once, as it is written.
// Errors:  ErrShape listing how the checkpoints differ; ErrFinite naming tensor and element, when that tensor is asked for.
// Differs: mergekit takes the sine formula also beside a tensor of zeros.
// Source:  shoemake1985animating, section 3.3; mergekit's slerp.
// Claim:   none: it is geometry, kept because users of mergekit expect it.
type Slerp struct {
	// Share is how far to go: 0 is from itself, 1 is to.
	Share float64 `range:"[0,1]"`
}

// SlerpInput are the ends.
type SlerpInput struct {
	// From is where Share 0 is.
	From *data.Checkpoint
	// To is where Share 1 is.
	To *data.Checkpoint
}

// Apply goes from one to the other.
func (c Slerp) Apply(ctx context.Context, in SlerpInput) (*data.Checkpoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	s, err := sources{data.Checkpoints{in.From, in.To}, []string{"the first", "the second"}}.align()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.blend(func(t *strand) (kernel, error) {
		g, err := t.grams(nil)
		if err != nil {
			return nil, err
		}
		w := c.weights(g)
		return func(dst []float64, src [][]float64, _ int) { mix(dst, src, w) }, nil
	})
}

// weights are those of the two ends, from the inner products of both.
func (c Slerp) weights(g []float64) []float64 {
	const nearlyOne = 0.9995
	norms := math.Sqrt(g[0]) * math.Sqrt(g[3])
	cosine := 1.0
	if norms > 0 {
		cosine = max(-1, min(1, g[1]/norms))
	}
	if math.Abs(cosine) > nearlyOne || c.Share == 0 || c.Share == 1 {
		return []float64{1 - c.Share, c.Share}
	}
	angle := math.Acos(cosine)
	return []float64{math.Sin((1-c.Share)*angle) / math.Sin(angle), math.Sin(c.Share*angle) / math.Sin(angle)}
}

// Dialects says how recipes speak of it.
func (Slerp) Dialects() []Dialect {
	return []Dialect{{Name: "slerp", Base: "from", Others: "to", Parameters: []Parameter{{Name: "t", Flag: "share"}}}}
}
