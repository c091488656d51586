package probe

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "a head on what a denoiser, trained on the rows without labels, holds in the middle of removing noise",
	Paper: "mukhopadhyay2023diffusion",
	Small: map[string]string{"width": "8", "epochs": "2", "time": "0.1"},
}, DiffProbe.Fit, loadDiffProbe))

// DiffProbe classifies by the activations of a denoising network: noise is added to a row, and what one of the network's blocks makes of it goes to a head.
//
// It is the diffusion probe of Mukhopadhyay et al. (2023): a generator learns, without labels, features that classify. The
// denoiser is trained here, on the rows and on Unlabelled ones beside them, to say which noise was added; then block and
// level of noise are chosen, by the error of left-out rows under the ridge head that leave-one-out finds best. That is the head,
// or one of the paper's networks on the chosen features is. Report has, beside the choice, how alike the blocks are by linear CKA. O(Epochs·N·D·Width)
// to fit. Prefer it over [RidgePath] when there are far more rows than labels; with labels for all of them the rows
// themselves, or a pre-trained network's features, do better.
//
// Fits on: Train N×D with a label for every row, N ≥ 2; Unlabelled, optional, m×D whose labels are ignored. With Images D is that of square gray images of an even side.
// Predict: N×K class probabilities.
// Logits:  N×K, fitted values of the linear head over its temperature, or what a network puts out; their softmax is Predict.
// Errors:  ErrLabels when a training row has no label; ErrShape without rows or columns, when rows are no square images, when Unlabelled is of another width, and on another width; ErrConfig for a block that the network lacks, and for a head of convolutions or attention without Images; ErrDegenerate when all rows are equal, when nothing of them is left at Time 1, or the loss stops being a finite number.
// Differs: a small network of our own, told the level of noise, on a cosine schedule, instead of guided diffusion on ImageNet at 256 pixels; one noise, drawn by the seed, for all rows, so that equal rows have equal features; block and level are chosen by the linear head whichever is used; heads are as small as the U-Net, without batch norm, and read all places where the paper's attention reads a token of its own; without Images a network of residual linear blocks.
// Source:  mukhopadhyay2023diffusion, section 3.2 and its heads; kornblith2019similarity, section 3, for CKA; nichol2021improved, eq. (17), for the schedule.
// Claim:   claims/probe/diffprobe.go.
type DiffProbe struct {
	// Images says that rows are square gray images, to be denoised by a U-Net.
	Images bool
	// Block is the one whose activations are taken, counted from 1; 0 chooses. The paper's best is 24 of 37.
	Block int `range:"[0,1024]"`
	// Time is the level of noise, as a share of the schedule; 0 chooses among 0.02, 0.1 and 0.3. The paper's best is 0.09.
	Time float64 `range:"[0,1]" unit:"share of the schedule"`
	// Places is how many means, either way, an image's activations are pooled to.
	Places int `default:"2" range:"[1,64]"`
	// Head is what classifies the features: ridge, a perceptron with one hidden layer of Width, or two 3×3 convolutions or a transformer's layer over the pooled places and a linear layer on all that they make. The paper's best is attention, with a million labels; on a thousand no network did better than linear.
	Head string `default:"linear" enum:"linear,perceptron,convolutions,attention"`
	// Width is that of the hidden layers; a U-Net begins with an eighth of it, 4 channels at least, and a head of convolutions or attention is half as wide, 8 at least.
	Width int `default:"128" range:"[8,4096]" unit:"columns"`
	// Epochs is how many times the rows are gone through; few rows as often as 200 steps need, 500 for a network as the head.
	Epochs int `default:"30" range:"[1,100000]" unit:"passes"`
	// Rate is that of Adam at the start.
	Rate float64 `default:"0.001" range:"(0,1]"`
	// Seed moves the first weights, the order of rows and the noise.
	Seed uint64
}

// DiffProbeInput is what is learned from.
type DiffProbeInput struct {
	// Train are the labelled rows, N×D.
	Train *data.Table
	// Unlabelled are rows for the denoiser alone, D columns.
	Unlabelled *data.Table `optional:"true"`
}

// diffprobeTimes are what Time chooses from.
var diffprobeTimes = []float64{0.02, 0.1, 0.3}

// Fit trains the denoiser and chooses block, level and head.
func (c DiffProbe) Fit(ctx context.Context, in DiffProbeInput) (*DiffProbeModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if in.Train == nil {
		return nil, fmt.Errorf("%w: no rows", method.ErrInput)
	}
	if _, _, err := labelled(in.Train); err != nil {
		return nil, err
	}
	n, d := in.Train.Dims()
	sorted := in.Train.Pick(sortedRows(in.Train))
	m := &DiffProbeModel{config: c, params: net.NewParams(c.Seed)}
	if err := c.fits(d); err != nil {
		return nil, err
	}
	if err := c.hasHead(); err != nil {
		return nil, err
	}
	if err := m.measure(sorted, nil); err != nil {
		return nil, err
	}
	rows := m.rows(sorted)
	if in.Unlabelled != nil {
		if _, other := in.Unlabelled.Dims(); other != d {
			return nil, fmt.Errorf("%w: unlabelled rows have %d columns, training rows %d", data.ErrShape, other, d)
		}
		free, err := data.NewTable(len(in.Unlabelled.X())/d, d, in.Unlabelled.X())
		if err != nil {
			return nil, err
		}
		rows = append(rows, m.rows(free.Pick(sortedRows(free)))...)
	}
	m.noise = make([]float32, d)
	r := rand.New(rand.NewPCG(c.Seed, 11))
	for j := range m.noise {
		m.noise[j] = float32(r.NormFloat64())
	}
	if err := m.train(ctx, rows); err != nil {
		return nil, err
	}
	times := diffprobeTimes
	if c.Time > 0 {
		times = []float64{c.Time}
	}
	var of [][]float32 // features at the chosen level
	var best *data.Table
	for _, time := range times {
		features, err := m.features("diffprobe", sorted, time)
		if err != nil {
			return nil, err
		}
		if c.Block > len(features) {
			return nil, fmt.Errorf("%w: --block %d, the network has %d", method.ErrConfig, c.Block, len(features))
		}
		for b, x := range features {
			if c.Block > 0 && c.Block != b+1 {
				continue
			}
			t, err := diffprobeTable(x, sorted)
			if err != nil {
				return nil, err
			}
			fitted, err := ridgePathFit(ctx, t, false)
			if err != nil {
				return nil, err
			}
			m.grid = append(m.grid, DiffProbeChoice{b + 1, time, fitted.errors[fitted.chosen]})
			if last := m.grid[len(m.grid)-1]; m.head == nil || last.Error < m.chosen.Error {
				m.head, m.chosen, of, best = fitted.head, last, features, t
			}
		}
	}
	if err := m.compare(of, n); err != nil {
		return nil, err
	}
	return m.topped(ctx, best, c.Head)
}

// diffprobeTable gives features the labels of their rows.
func diffprobeTable(x []float32, rows *data.Table) (*data.Table, error) {
	n, _ := rows.Dims()
	t, err := data.NewTable(n, len(x)/max(n, 1), x)
	if err != nil {
		return nil, err
	}
	labels, err := rows.Labels()
	if err != nil {
		return nil, err
	}
	return t.WithLabels(labels, rows.Classes())
}

// fits says what keeps rows from being what the network takes.
func (c DiffProbe) fits(d int) error {
	if !c.Images {
		return nil
	}
	if side := diffprobeSide(d); side*side != d || side%2 != 0 {
		return fmt.Errorf("%w: %d columns are not those of a square gray image of an even side", data.ErrShape, d)
	}
	return nil
}

func diffprobeSide(d int) int { return int(math.Round(math.Sqrt(float64(d)))) }

// DiffProbeChoice is a block and a level of noise with the mean squared error of left-out rows under the head on them.
type DiffProbeChoice struct {
	Block int
	Time  float64
	Error float64
}

// DiffProbeModel is a fitted [DiffProbe].
type DiffProbeModel struct {
	standard
	config DiffProbe
	params *net.Params
	noise  []float32 // D
	chosen DiffProbeChoice
	grid   []DiffProbeChoice
	alike  []float64 // blocks × blocks, linear CKA
	head   *head
	upper  *network // the head where it is no linear one
}

// Features returns the chosen block's activations at the chosen level of noise, N×F.
func (m *DiffProbeModel) Features(in *data.Table) (*data.Table, error) {
	n, _ := in.Dims()
	features, err := m.features("diffprobe", in, m.chosen.Time)
	if err != nil {
		return nil, err
	}
	if features == nil {
		return data.NewTable(0, m.head.linear.D, nil)
	}
	return data.NewTable(n, m.head.linear.D, features[m.chosen.Block-1])
}

// Predict returns each row's class probabilities, N×K.
func (m *DiffProbeModel) Predict(in *data.Table) (*data.Table, error) {
	x, err := m.Features(in)
	if err != nil {
		return nil, err
	}
	if m.upper != nil {
		return m.upper.predict("diffprobe", x)
	}
	return m.head.predict("diffprobe", x)
}

// Logits returns each row's fitted values over the temperature, or what the network that is the head puts out, N×K.
func (m *DiffProbeModel) Logits(in *data.Table) (*data.Table, error) {
	x, err := m.Features(in)
	if err != nil {
		return nil, err
	}
	if m.upper != nil {
		return m.upper.logits("diffprobe", x)
	}
	return m.head.logits("diffprobe", x)
}

// Grid returns all that was tried, level by level. The caller must not change it.
func (m *DiffProbeModel) Grid() []DiffProbeChoice { return m.grid }

// Report returns what was chosen, its error on left-out rows, and how alike the blocks' activations at the chosen level are
// by linear CKA, pair by pair (cka_1_2 …).
func (m *DiffProbeModel) Report() data.Numbers {
	said := data.Numbers{"block": float64(m.chosen.Block), "time": m.chosen.Time, "left_out_error": m.chosen.Error}
	blocks := m.blocks()
	for a := range blocks {
		for b := a + 1; b < blocks; b++ {
			said[fmt.Sprintf("cka_%d_%d", a+1, b+1)] = m.alike[a*blocks+b]
		}
	}
	return said
}

// State returns the model as tensors.
func (m *DiffProbeModel) State() *data.Checkpoint {
	st := m.head.state()
	m.standard.save(st)
	saveParams(m.params, st)
	st.Tensors["noise"] = data.Float32Tensor(m.noise, len(m.noise))
	var grid []float64
	for _, g := range m.grid {
		grid = append(grid, float64(g.Block), g.Time, g.Error)
	}
	st.Tensors["grid"] = data.Float64Tensor(grid, len(m.grid), 3)
	st.Tensors["alike"] = data.Float64Tensor(m.alike, m.blocks(), m.blocks())
	if m.upper != nil {
		st.Add("upper/", m.upper.state())
	}
	return st
}

func loadDiffProbe(c DiffProbe, st *data.Checkpoint) (*DiffProbeModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r := st.Read()
	m := &DiffProbeModel{config: c}
	var err error
	if m.standard, err = loadStandard(r); err != nil {
		return nil, err
	}
	d := len(m.first)
	m.noise = r.Float32s("noise", d)
	grid := r.Floats("grid", -1, 3)
	if m.head, err = loadHead(r); err != nil {
		return nil, err
	}
	if err := c.fits(d); err != nil {
		return nil, err
	}
	if err := c.hasHead(); err != nil {
		return nil, err
	}
	for ; len(grid) > 0; grid = grid[3:] {
		g := DiffProbeChoice{int(grid[0]), grid[1], grid[2]}
		if m.grid = append(m.grid, g); len(m.grid) == 1 || g.Error < m.chosen.Error {
			m.chosen = g
		}
	}
	var blocks []*net.Node
	if m.params, err = loadParams(st, func(g *net.Graph) []*net.Node {
		var out *net.Node
		out, blocks = c.build(g, g.Input(1, d), g.Input(1))
		return append([]*net.Node{out}, blocks...)
	}); err != nil {
		return nil, err
	}
	if b := m.chosen.Block; b < 1 || b > len(blocks) || blocks[b-1].Size() != m.head.linear.D || !(m.chosen.Time >= 0 && m.chosen.Time <= 1) {
		return nil, fmt.Errorf("%w: block %d at %g of the schedule, under a head of %d columns", data.ErrShape, b, m.chosen.Time, m.head.linear.D)
	}
	m.alike = r.Floats("alike", len(blocks), len(blocks))
	if err := r.Err(); err != nil || c.Head == diffprobeLinear {
		return m, err
	}
	m.upper, err = loadNetwork(st.Prefix("upper/"), c.topping(blocks[m.chosen.Block-1].Shape()))
	return m, err
}
