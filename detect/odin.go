package detect

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Refined(method.Learned(method.Info{
	Title: "one minus the largest softmax probability at a very high temperature",
	Paper: "liang2018enhancing",
}, ODIN.Fit, loadODIN), (*ODINModel).Refine))

// ODIN scores how little a classifier's favourite class stands out from the others, its softmax flattened by a large temperature.
//
// It is the detector of Liang et al. (2018). On logits alone it is its temperature part: nothing is learned but the number of
// classes, O(K) a row. With the network that the logits come from it also has the other part: inputs are moved a little
// towards what the classifier takes them for, which helps familiar ones more ([ODINModel.Refine]). At T = 1000 the
// softmax is all but linear: the order of rows is that of the largest logit less the mean of all logits. So it keeps the size
// of logits, which [MaxSoftmax], the same formula at T = 1, saturates, and does not depend on a constant added to a row, on
// which [MaxLogit] and [Energy] do.
//
// Fits on: Logits N×K with K ≥ 2; only their width is learned. Rows, where there are any, must not all get one score.
// Score:   N values in [0, 1−1/K], one minus the largest probability, higher = more unfamiliar; at a large temperature all lie near 1−1/K.
// Errors:  ErrInput without logits; ErrShape for fewer than two classes and on another width; ErrDegenerate when rows that differ all get one score.
// Differs: inputs are perturbed only by a model that was refined with its network, and by the step of another paper's grid; the sign is turned, so that higher means more unfamiliar.
// Source:  liang2018enhancing, eq. (1)-(2).
// Claim:   claims/detect/odin.go.
type ODIN struct {
	// Temperature divides the logits. The paper chooses among 1 to 1000 on unfamiliar rows and mostly takes 1000.
	Temperature float64 `default:"1000" range:"(0,1e6]"`
}

// Fit learns the number of classes.
func (c ODIN) Fit(ctx context.Context, in LogitsInput) (*ODINModel, error) {
	k, err := fitLogits(ctx, &c, in)
	if err != nil {
		return nil, err
	}
	return notCollapsed(c.model(k), in.Logits, "the logits are too large or too small for this --temperature")
}

func (c ODIN) model(k int) *ODINModel {
	return &ODINModel{logitScorer: logitScorer{"odin", k, func(logits []float32) float64 {
		return notTopProbability(logits, c.Temperature) // eq. (1)
	}}, temperature: c.Temperature}
}

// ODINModel is a fitted [ODIN].
type ODINModel struct {
	logitScorer
	temperature float64
	network     *chainNetwork // that inputs go through, where rows are not logits
	step        float64       // by which inputs are moved
}

// ODINInput is what the step by which inputs move is chosen on: some hundreds of each kind, none of them trained on.
type ODINInput struct {
	// Familiar are N×D inputs of the network, like those that it was trained on.
	Familiar *data.Table
	// Unfamiliar are N×D inputs that are not.
	Unfamiliar *data.Table
	// Network is the classifier that the logits come from.
	Network *data.Checkpoint
}

// Refine returns a model of the network's inputs, which moves them before it scores, by the step of a grid (0 to 0.2 standard
// deviations of the familiar inputs) at which the two kinds are told apart best. Errors: ErrInput when one is missing;
// ErrFormat for a checkpoint that [NewNetwork] does not read; ErrShape without rows or for a network of another number of classes.
func (m *ODINModel) Refine(ctx context.Context, in ODINInput) (*ODINModel, error) {
	if in.Familiar == nil || in.Unfamiliar == nil || in.Network == nil {
		return nil, fmt.Errorf("odin: %w: want familiar and unfamiliar inputs and their network to choose a step by", method.ErrInput)
	}
	sides := [2]*data.Table{in.Familiar, in.Unfamiliar}
	for i, side := range sides {
		if n, _ := side.Dims(); n == 0 {
			return nil, fmt.Errorf("odin: %w: no %s rows to choose a step by", data.ErrShape, []string{"familiar", "unfamiliar"}[i])
		}
	}
	_, inputs := in.Familiar.Dims()
	network, err := newChainNetwork(in.Network, inputs, []int{m.classes})
	if err != nil {
		return nil, fmt.Errorf("odin: %w", err)
	}
	next := *m
	next.network = nil
	step, err := chooseStep(ctx, "odin", &next, network, sides, func(sides [2]*data.Table) (familiar, unfamiliar []float64, err error) {
		if familiar, err = next.Score(sides[0]); err != nil {
			return nil, nil, err
		}
		unfamiliar, err = next.Score(sides[1])
		return familiar, unfamiliar, err
	})
	if err != nil {
		return nil, err
	}
	next.network, next.step = network, step
	return &next, nil
}

// Gradient returns a multiple of the derivative of each row's score by its logits, N×K: that of minus the logarithm of the
// largest probability, times the temperature, which has the same direction and does not vanish.
func (m *ODINModel) Gradient(logits *data.Table) (*data.Table, error) {
	if err := method.Width(m.name, logits, m.classes); err != nil {
		return nil, err
	}
	n, k := logits.Dims()
	out := make([]float32, n*k)
	for i := range n {
		row := logits.Row(i)
		at, top := largest(row)
		others := oddsAgainst(row, at, top, m.temperature)
		for j, v := range row {
			out[i*k+j] = float32(math.Exp((float64(v)-top)/m.temperature) / (1 + others))
		}
		out[i*k+at] = -float32(others / (1 + others))
	}
	return data.NewTable(n, k, out)
}

// ScorePerturbed scores inputs of a network after each of their values has moved by step in the direction in which the score
// falls. Errors: ErrConfig when step is negative or not finite; those of the network. Source: liang2018enhancing, eq. (2).
func (m *ODINModel) ScorePerturbed(network Network, inputs *data.Table, step float64) ([]float64, error) {
	logits, err := perturbed("odin", m, network, inputs, step)
	if err != nil {
		return nil, err
	}
	return m.logitScorer.Score(logits)
}

// Score returns one number for each row of logits, or of inputs where the model has its network.
func (m *ODINModel) Score(in *data.Table) ([]float64, error) {
	if m.network == nil {
		return m.logitScorer.Score(in)
	}
	if err := method.Width(m.name, in, m.network.chain.Inputs()); err != nil {
		return nil, err
	}
	return m.ScorePerturbed(m.network, in, m.step)
}

// State returns the model as tensors.
func (m *ODINModel) State() *data.Checkpoint {
	st := m.logitScorer.State()
	if m.network != nil {
		m.network.state(st, m.step)
		st.Meta = map[string]string{"odin.step": fmt.Sprintf("%.6g, by which inputs of the network move", m.step)}
	}
	return st
}

func loadODIN(c ODIN, st *data.Checkpoint) (*ODINModel, error) {
	k, err := loadLogits(&c, st)
	if err != nil {
		return nil, err
	}
	m := c.model(k)
	if m.network, m.step, err = loadNetwork(st, []int{k}); err != nil {
		return nil, err
	}
	return m, nil
}
