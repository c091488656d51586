package weights

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
)

// Curve scores the checkpoints on the straight line from one checkpoint to another: at points shares, evenly from 0, which is from,
// to 1, which is to. A curve without a valley says that the two can be averaged; its top, where it is best to stop. It returns the
// shares and each one's score.
// Errors: ErrShape listing how the checkpoints differ; what the evaluator fails with, naming the share; ctx's.
func Curve(ctx context.Context, from, to *data.Checkpoint, points int, evaluate data.Evaluator) (shares, scores []float64, err error) {
	if points < 2 {
		return nil, nil, fmt.Errorf("curve: %w: %d points, want 2 or more", data.ErrShape, points)
	}
	s, err := sources{data.Checkpoints{from, to}, []string{"the first checkpoint", "the second checkpoint"}}.align()
	if err != nil {
		return nil, nil, err
	}
	for i := range points {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		share := float64(i) / float64(points-1)
		c, err := s.blend(func(*strand) (kernel, error) {
			return func(dst []float64, src [][]float64, _ int) { mix(dst, src, []float64{1 - share, share}) }, nil
		})
		if err != nil {
			return nil, nil, err
		}
		v, err := evaluate.Evaluate(ctx, c)
		if err == nil && v-v != 0 {
			err = fmt.Errorf("a score of %v, %w", v, data.ErrFinite)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("share %.3g: %w", share, err)
		}
		shares, scores = append(shares, share), append(scores, v)
	}
	return shares, scores, nil
}
