package detect

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "perplexity of a text under a language model distilled from one that knows more",
	Paper: "wu2023multilevel",
	Small: map[string]string{"depth": "1", "width": "16", "steps": "16", "rate": "0.03"},
}, MLKD.Fit, loadMLKD))

// MLKD scores how perplexed a small language model is by a text: one that was taught, on familiar texts alone, by another
// model that has read more.
//
// It is the detector of Wu et al. (2023). The teacher reads general texts, where there are any, and then the familiar ones;
// the student begins from nothing and reads the familiar ones alone, but is told the teacher's whole prediction of every
// token and is drawn to what the teacher's layers hold. So it has the teacher's finer idea of language without its
// acquaintance with what is unfamiliar. Training takes Steps passes of two or three small transformers, minutes for some
// thousand texts; a text is scored in about a millisecond. Prefer it for texts without classes; prefer [KNN] on a sentence
// encoder's features when there is one.
//
// Fits on: tokens, a table N×T of token numbers, whole and ≥ 0, −1 behind a text's end, N ≥ 2, as gimbal encode makes them of a tokenizer.json; general, optional, other texts by the same tokenizer, cut off after T tokens; labels are ignored. The model knows the tokens that occur in either; all others are one to it.
// Score:   N values > 0, perplexity: e to the mean negative log-likelihood of a token given those before it, higher = more unfamiliar. Of a model that knows nothing it is the number of known tokens plus one.
// Errors:  ErrFormat for what is no token number, and for a text without tokens; ErrShape for fewer than two texts and on another width; ErrDegenerate when texts that differ all get one score, or when training does not converge.
// Differs: the paper's teacher is GPT-2; here it has the student's size and reads what it is given. A text's first token counts too. Distances of layers count alike, as in the authors' code; the paper's weights, were they learned, would fall without bound. Each training ends when its loss on a tenth of the texts, held out where texts are 200 or more, has not fallen for four passes.
// Source:  wu2023multilevel, section 3.
// Claim:   claims/detect/mlkd.go.
type MLKD struct {
	// Depth is how many layers teacher and student have.
	Depth int `default:"4" range:"[1,48]" unit:"layers"`
	// Width is how many values each of their layers holds of a token.
	Width int `default:"64" range:"[1,1024]" unit:"values"`
	// Neighbors is to how many of the teacher's layers each of the student's middle layers is drawn at a token: the nearest ones; the paper's K.
	Neighbors int `default:"2" range:"[1,100]" unit:"layers"`
	// Strategy is whose perplexity scores: that of the distilled student; of the tuned teacher itself; or of one model that is trained on the familiar texts from scratch, without a teacher. The last two are the paper's baselines.
	Strategy string `default:"distilled" enum:"distilled,tuned,scratch"`
	// NoHidden leaves layers alone: the student learns from the teacher's predictions only.
	NoHidden bool
	// Temperature divides the logits of both before they are compared.
	Temperature float64 `default:"1" range:"(0,1e6]"`
	// Rate is the highest rate of Adam; it falls along half a cosine.
	Rate float64 `default:"0.002" range:"(0,1]"`
	// Steps is how many passes over its texts each training may take.
	Steps int `default:"30" range:"[1,100000]" unit:"passes"`
	// Seed draws both models' first weights and the order of texts.
	Seed uint64
}

// MLKDInput is the texts, as token numbers.
type MLKDInput struct {
	// Tokens are N×T, the familiar texts.
	Tokens *data.Table
	// General are M×any width, texts of any kind, from which the teacher learns first.
	General *data.Table `optional:"true"`
}

// mlkdBatch is how many texts a step of training sees, and one pass of scoring.
const mlkdBatch = 32

// A model's parameters have names that begin with mlkdName; beside a student's, its teacher's have mlkdTeacher before them.
const mlkdName, mlkdTeacher = "model", "teacher."

// Fit trains the teacher, then the student.
func (c MLKD) Fit(ctx context.Context, in MLKDInput) (*MLKDModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if in.Tokens == nil {
		return nil, fmt.Errorf("%w: no tokens", method.ErrInput)
	}
	if err := readyRows(ctx, in.Tokens, 2); err != nil {
		return nil, err
	}
	if err := method.CheckTokens(in.Tokens); err != nil {
		return nil, err
	}
	tables := []*data.Table{in.Tokens}
	if in.General != nil {
		if n, d := in.General.Dims(); n == 0 || d == 0 {
			return nil, fmt.Errorf("%w: general texts are %d×%d", data.ErrShape, n, d)
		}
		if err := method.CheckTokens(in.General); err != nil {
			return nil, fmt.Errorf("general: %w", err)
		}
		tables = append(tables, in.General)
	}
	_, steps := in.Tokens.Dims()
	m := &MLKDModel{config: c, steps: steps, known: method.KnownTokens(tables), params: net.NewParams(c.Seed)}
	run := mlkdRun{ctx: ctx, config: c, stages: len(tables)}
	if c.Strategy == "distilled" {
		run.stages++
	}
	if c.Strategy == "scratch" {
		m.params.Seed++ // the student's first weights, not the teacher's
		tables, run.stages = tables[:1], 1
	}
	for i := len(tables) - 1; i >= 0; i-- { // general texts first
		if err := run.train(m.params, m.read(tables[i], true), m.likelihood); err != nil {
			return nil, err
		}
	}
	if c.Strategy == "distilled" {
		return run.distill(m, in.Tokens)
	}
	return m.told(in.Tokens)
}

// Distill trains a student alone: the teacher is a model fitted with strategy tuned, of any depth and width, whose tokens
// the student knows. Errors: those of Fit.
func (c MLKD) Distill(ctx context.Context, teacher *MLKDModel, tokens *data.Table) (*MLKDModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := readyRows(ctx, tokens, 2); err != nil {
		return nil, err
	}
	if err := method.Width("mlkd", tokens, teacher.steps); err != nil {
		return nil, err
	}
	if err := method.CheckTokens(tokens); err != nil {
		return nil, err
	}
	run := mlkdRun{ctx: ctx, config: c, stages: 1}
	return run.distill(teacher, tokens)
}

// told refuses a model that tells no texts apart.
func (m *MLKDModel) told(train *data.Table) (*MLKDModel, error) {
	return notCollapsed(m, train, "the model has learned nothing; raise --steps or --rate")
}

// mlkdShare is the share of texts that are held out, where there are mlkdFew at least, for mlkdPatience passes.
const (
	mlkdShare    = 0.1
	mlkdFew      = 200
	mlkdPatience = 4
)

// mlkdRun is one training after the other.
type mlkdRun struct {
	ctx           context.Context
	config        MLKD
	stage, stages int
}

// train runs the next one.
func (r *mlkdRun) train(params *net.Params, texts net.Texts, build func(g *net.Graph, rows int, texts net.Texts) (*net.Node, func(net.Batch))) error {
	c, stage := r.config, r.stage
	r.stage++
	loop := net.Loop{Epochs: c.Steps, Batch: mlkdBatch, Seed: c.Seed + uint64(stage)<<32,
		Optimiser: net.Optimiser{Rule: net.Adam, Rate: c.Rate, Decay: 0.01, ClipNorm: 1},
		Schedule:  net.Schedule{Cosine: true, Floor: 0.05},
		Progress: func(p net.Progress) bool {
			method.Progress(r.ctx, stage*c.Steps+p.Epoch, r.stages*c.Steps)
			return true
		}}
	if texts.Rows() >= mlkdFew {
		loop.Holdout, loop.Patience = mlkdShare, mlkdPatience
	}
	trainer, err := net.NewTrainer(loop, params, net.Task{Rows: texts.Rows(), Build: func(g *net.Graph, rows int) (*net.Node, func(net.Batch)) {
		return build(g, rows, texts)
	}})
	if err != nil {
		return err
	}
	if _, err := trainer.Run(r.ctx); err != nil {
		if r.ctx.Err() != nil {
			return r.ctx.Err()
		}
		return fmt.Errorf("%w: %v", method.ErrDegenerate, err)
	}
	return nil
}

// distill trains a student.
func (r *mlkdRun) distill(teacher *MLKDModel, tokens *data.Table) (*MLKDModel, error) {
	m := &MLKDModel{config: r.config, steps: teacher.steps, known: teacher.known, params: net.NewParams(r.config.Seed + 1)}
	both := net.NewParams(r.config.Seed + 1)
	for _, t := range teacher.params.Tensors() {
		t.Name = mlkdTeacher + t.Name
		if err := both.Put(t); err != nil {
			return nil, err
		}
	}
	for _, p := range both.All() {
		p.Frozen = true
	}
	err := r.train(both, m.read(tokens, true), func(g *net.Graph, rows int, texts net.Texts) (*net.Node, func(net.Batch)) {
		return m.distillation(g, teacher, rows, texts)
	})
	if err != nil {
		return nil, err
	}
	for _, t := range both.Tensors() {
		if strings.HasPrefix(t.Name, mlkdName+".") {
			if err := m.params.Put(t); err != nil {
				return nil, err
			}
		}
	}
	return m.told(tokens)
}

// language is the shape of both models.
func (m *MLKDModel) language() net.Language {
	heads := max(1, m.config.Width/32)
	for m.config.Width%heads > 0 {
		heads--
	}
	return net.Language{
		Transformer: net.Transformer{Layers: m.config.Depth, Heads: heads, Hidden: 4 * m.config.Width},
		Vocabulary:  len(m.known) + 1, Length: m.steps, Width: m.config.Width,
	}
}

// likelihood trains the model to predict tokens.
func (m *MLKDModel) likelihood(g *net.Graph, n int, texts net.Texts) (*net.Node, func(net.Batch)) {
	return m.language().Likelihood(g, mlkdName, n, texts)
}

// distillation trains the model to imitate a teacher.
func (m *MLKDModel) distillation(g *net.Graph, teacher *MLKDModel, n int, texts net.Texts) (*net.Node, func(net.Batch)) {
	in, out := g.Ints(n*texts.Steps), g.Ints(n*texts.Steps)
	taught, wanted := teacher.language().Build(g, mlkdTeacher+mlkdName, in, texts.Steps)
	states, logits := m.language().Build(g, mlkdName, in, texts.Steps)
	share := g.Input(n * texts.Steps) // of each token in the mean over all of the batch
	soft := 1 / m.config.Temperature
	// The divergence but for the teacher's own entropy, which no student changes: section 3.2.
	loss := g.CrossEntropySoft(g.Scale(logits, soft, 0), g.Softmax(g.Scale(wanted, soft, 0)), net.Targets{Rows: share, Total: 1})
	if !m.config.NoHidden {
		loss = g.Add(loss, g.Sum(g.Mul(m.apart(g, mlkdLayers(states), mlkdLayers(taught)), share)))
	}
	return loss, func(b net.Batch) {
		texts.Feed(in, out, b.Rows)
		count := 0
		for _, token := range out.Values {
			if token >= 0 {
				count++
			}
		}
		for i, token := range out.Values {
			if share.Value()[i] = 0; token >= 0 {
				share.Value()[i] = 1 / float32(count)
			}
		}
	}
}

// mlkdLayers is what each layer puts out, of the last one what its norm makes of it.
func mlkdLayers(states []*net.Node) []*net.Node {
	return append(slices.Clone(states[:len(states)-2]), states[len(states)-1])
}

// apart is how far, at each token, the student's middle layers lie from the nearest of the teacher's, which one linear map
// may turn: section 3.3.
func (m *MLKDModel) apart(g *net.Graph, student, teacher []*net.Node) *net.Node {
	w := m.config.Width
	var turned []*net.Node
	for _, layer := range teacher {
		v := layer.Shape()[2]
		turned = append(turned, g.Linear(layer, g.Param(mlkdTeacher+"map", mlkdIdentity(v), w, v), nil))
	}
	var near []*net.Node
	first, last := mlkdMiddle(len(student))
	for _, layer := range student[first:last] {
		var distances []*net.Node
		for _, other := range turned {
			gap := g.Sub(layer, other)
			distances = append(distances, g.Reshape(g.Mean(g.Mul(gap, gap), -1), -1, 1))
		}
		near = append(near, g.Smallest(g.Concat(1, distances...), min(m.config.Neighbors, len(teacher))))
	}
	return g.Sum(g.Concat(1, near...), 1)
}

// mlkdMiddle says which layers are the middle: of twelve the third to the ninth, as in the paper.
func mlkdMiddle(depth int) (first, last int) {
	return max(1, int(math.Round(float64(depth)/4))) - 1, max(1, int(math.Round(0.75*float64(depth))))
}

// mlkdIdentity fills the rows of a matrix of so many columns with those of the identity.
func mlkdIdentity(columns int) net.Init {
	return func(values []float32, _ int, _ *rand.Rand) {
		for i := range min(columns, len(values)/columns) {
			values[i*columns+i] = 1
		}
	}
}

// MLKDModel is a fitted [MLKD].
type MLKDModel struct {
	config MLKD
	known  []int32 // token numbers, rising
	steps  int     // T
	params *net.Params
}

// read looks a table's tokens up.
func (m *MLKDModel) read(t *data.Table, sorted bool) net.Texts {
	return method.ReadTokens(t, m.known, m.steps, sorted)
}

// Score returns each text's perplexity.
func (m *MLKDModel) Score(in *data.Table) ([]float64, error) {
	if err := method.Width("mlkd", in, m.steps); err != nil {
		return nil, err
	}
	if err := method.CheckTokens(in); err != nil {
		return nil, fmt.Errorf("mlkd: %w", err)
	}
	losses, tokens, err := m.language().LogLikelihoods(m.params, mlkdName, m.read(in, false))
	if err != nil {
		return nil, fmt.Errorf("mlkd: %w", err)
	}
	scores := make([]float64, len(losses))
	for i, loss := range losses {
		scores[i] = net.Perplexity(loss, tokens[i])
	}
	return scores, nil
}

// State returns the model as tensors.
func (m *MLKDModel) State() *data.Checkpoint {
	known := make([]int64, len(m.known))
	for i, token := range m.known {
		known[i] = int64(token)
	}
	st := &data.Checkpoint{Tensors: map[string]data.Tensor{"known": data.Int64Tensor(known, len(known))}}
	for _, t := range m.params.Tensors() {
		st.Tensors[t.Name] = data.Float32Tensor(t.Values, t.Shape...)
	}
	return st
}

func loadMLKD(c MLKD, st *data.Checkpoint) (*MLKDModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	known, _, err := st.Ints("known", -1)
	if err != nil {
		return nil, err
	}
	m := &MLKDModel{config: c, params: net.NewParams(c.Seed)}
	for i, token := range known {
		if token < 0 || token > method.LargestToken || i > 0 && token <= known[i-1] {
			return nil, fmt.Errorf("tensor %q: %w: token %d is out of order or range", "known", data.ErrFormat, token)
		}
		m.known = append(m.known, int32(token))
	}
	r := st.Read()
	for _, name := range st.Names() {
		if name == "known" {
			continue
		}
		shape := st.Tensors[name].Shape
		if err := m.params.Put(net.Tensor{Name: name, Shape: shape, Values: r.Float32s(name, shape...)}); r.Err() == nil && err != nil {
			return nil, fmt.Errorf("%w: %v", data.ErrFormat, err)
		}
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	places := m.params.Get(mlkdName + ".places")
	if places == nil {
		return nil, fmt.Errorf("tensor %q is missing: %w", mlkdName+".places", data.ErrFormat)
	}
	m.steps = places.Shape[0]
	size := m.params.Size()
	g := net.NewGraph(m.params)
	if m.language().Build(g, mlkdName, g.Ints(m.steps), m.steps); g.Err() != nil || m.params.Size() != size {
		return nil, fmt.Errorf("%w: the tensors are not those of a model of %d layers of %d values and %d tokens", data.ErrShape, c.Depth, c.Width, len(known))
	}
	return m, nil
}
