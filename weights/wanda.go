package weights

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "matrices without the weights that matter least for what they read",
	Paper: "sun2024simple",
}, Wanda.Apply))

// Wanda sets weights to zero that are small in size times the norm of what they are multiplied with.
//
// Size alone drops small weights of large inputs, which large language models depend on. One pass of a few hundred rows through the
// network gives the norms; there is no retraining.
//
// Takes:   in, a checkpoint; moments, a moments state of what its matrices read (gimbal moments on a table of activations): column NAME.j is what column j of the matrix NAME is multiplied with. A state whose columns have other names, as many as the only matrix has columns, is about that matrix.
// Apply:   a checkpoint with the same names, shapes and types. In every matrix that the state knows, each row (an output) loses the ⌊Share·n⌋ weights with the smallest |w|·√mean(x²), or with Group all but the Kept largest of every Group neighbours; of equal scores the later ones go. Other tensors stay. Computed row by row as it is written.
// Errors:  ErrShape when a column of a matrix is missing in the state, or Group does not divide a matrix's columns; ErrInput when the state knows no matrix; ErrConfig when Kept is not below Group; ErrFinite naming tensor and element.
// Source:  sun2024simple, section 3, eq. (1) and Algorithm 1.
// Claim:   none: its claim needs a language model; the arithmetic is held to its definition.
type Wanda struct {
	// Share is the share of each row that goes.
	Share float64 `default:"0.5" range:"(0,1)"`
	// Group is the number of neighbours of which Kept stay, as sparse hardware has it (4 for 2:4); 0 prunes whole rows by Share.
	Group int `range:"[0,1e6]"`
	// Kept is how many of a group stay.
	Kept int `default:"2" range:"[1,1e6]"`
}

// WandaInput is a network and what it reads.
type WandaInput struct {
	// In is the checkpoint.
	In *data.Checkpoint
	// Moments is a moments state of activations.
	Moments *data.Checkpoint
}

// Apply prunes.
func (c Wanda) Apply(ctx context.Context, in WandaInput) (*data.Checkpoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if c.Group > 0 && c.Kept >= c.Group {
		return nil, fmt.Errorf("%w: --kept %d of --group %d: nothing would go", method.ErrConfig, c.Kept, c.Group)
	}
	s, err := sources{data.Checkpoints{in.In}, []string{"the checkpoint"}}.align()
	if err != nil {
		return nil, err
	}
	a, err := newActivity("the moments state", in.Moments)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	norms := map[string][]float64{}
	only := matrices(in.In) == 1
	for _, name := range in.In.Names() {
		t := in.In.Tensors[name]
		if !t.DType.Float() || len(t.Shape) < 2 || t.Len() == 0 {
			continue
		}
		n := t.Len() / t.Shape[0]
		columns, ok, err := a.block(name, n, only)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if c.Group > 0 && n%c.Group != 0 {
			return nil, fmt.Errorf("%w: tensor %q has %d columns, which --group %d does not divide", data.ErrShape, name, n, c.Group)
		}
		norms[name] = a.squares(columns)
	}
	if len(norms) == 0 {
		return nil, fmt.Errorf("%w: no column of the moments state is named after a matrix of the checkpoint, as in NAME.0", method.ErrInput)
	}
	return s.blend(func(t *strand) (kernel, error) {
		square, ok := norms[t.name]
		if !ok {
			return func(dst []float64, src [][]float64, _ int) { copy(dst, src[0]) }, nil
		}
		t.byRows()
		return func(dst []float64, src [][]float64, _ int) {
			copy(dst, src[0])
			if c.Group == 0 {
				wandaDrop(dst, square, int(c.Share*float64(len(dst))))
				return
			}
			for lo := 0; lo < len(dst); lo += c.Group {
				wandaDrop(dst[lo:lo+c.Group], square[lo:lo+c.Group], c.Group-c.Kept)
			}
		}, nil
	})
}

// wandaDrop sets the k weights with the smallest scores to zero.
func wandaDrop(row, square []float64, k int) {
	score := make([]float64, len(row))
	for i := range score {
		score[i] = math.Abs(row[i]) * math.Sqrt(square[i])
	}
	for _, i := range byMagnitude(score)[:k] {
		row[i] = 0
	}
}
