package continual

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "a language model that goes on with another domain on few good texts, seen often, among general ones",
	Paper: "guo2024efficient",
	Small: map[string]string{"depth": "1", "width": "16", "epochs": "4", "rate": "0.01"},
}, StabilityGap.Fit, loadStabilityGap))

// StabilityGap pre-trains a small causal language model and goes on with other domains so that it does not first get worse.
//
// It is the continual pre-training of Guo et al. (2024). A model that goes on with a new corpus first loses, on the old texts and often on the new
// ones, before it gains. Three remedies shorten that: many passes over a part of the corpus instead of one over all of it; the part that a model of
// three tokens, which has read good texts of the domain, finds likeliest; and a share of earlier texts in every pass. O(Epochs·N·T·P) for N texts of
// T tokens and P weights, minutes for some thousand texts. [StabilityGap.Trace] logs the score on the way, whose gap
// metric.MeasureStabilityGap measures, as `gimbal continual gap` does of any log.
//
// Fits on: tokens, a table N×T of token numbers, whole and ≥ 0, −1 behind a text's end, N ≥ 2, as gimbal encode makes them of a tokenizer.json; good, optional, texts of the domains to come that are known to be good; labels are ignored. The model knows the tokens that occur in either; all others are one to it. Without them the likeliest texts of a task are those most like the rest of it.
// Score:   N values > 0, perplexity: e to the mean negative log-likelihood of a token given those before it, higher = less like what was learned.
// Update:  the model that has gone on with the task's texts.
// Forget:  no: its weights hold traces of every text, and no record of which.
// Errors:  ErrFormat for what is no token number, and for a text without tokens; ErrShape for fewer than two texts and on another width; ErrDegenerate when training does not converge.
// Differs: models of some thousand weights on texts of one length instead of thousands of millions; earlier texts are a sample of all that the model has read, not drawn by source; the first fit takes all its texts.
// Source:  guo2024efficient; shares and passes of its settings. The scorer is a trigram model instead of KenLM's.
// Claim:   claims/continual/stabilitygap.go.
type StabilityGap struct {
	// Depth is how many layers the model has.
	Depth int `default:"2" range:"[1,48]" unit:"layers"`
	// Width is how many values each layer holds of a token.
	Width int `default:"64" range:"[1,1024]" unit:"values"`
	// Epochs is how many passes are made over the texts, in the first fit, and over the part of a task that is learned from.
	Epochs int `default:"4" range:"[1,1e6]"`
	// Subset is the share of a task's texts that is learned from, the likeliest ones.
	Subset float64 `default:"0.5" range:"(0,1]"`
	// Share is that of earlier texts among those of a pass.
	Share float64 `default:"0.3" range:"(0,1)"`
	// Capacity is how many earlier texts are kept at most.
	Capacity int `default:"2000" range:"[1,1e8]"`
	// Rate is the highest rate of Adam; it falls along half a cosine over each task.
	Rate float64 `default:"0.002" range:"(0,1]"`
	// Seed draws the first weights, the order of texts, and which are kept.
	Seed uint64
}

// StabilityGapInput is the texts, as token numbers.
type StabilityGapInput struct {
	// Tokens are N×T, the texts that the model learns first.
	Tokens *data.Table
	// Good are texts of domains to come that are known to be good, M×any width.
	Good *data.Table `optional:"true"`
}

// StabilityGapPoint is what a score was on the way.
type StabilityGapPoint struct {
	// Texts is how many were seen since training went on.
	Texts int
	// Perplexity is e to the mean negative log-likelihood of a token, over each table that was asked about.
	Perplexity []float64
}

const (
	stabilitygapBatch = 32
	stabilitygapName  = "model"
)

// Fit trains a model from nothing.
func (c StabilityGap) Fit(ctx context.Context, in StabilityGapInput) (*StabilityGapModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if in.Tokens == nil {
		return nil, fmt.Errorf("%w: no tokens", method.ErrInput)
	}
	n, steps := in.Tokens.Dims()
	if n < 2 || steps == 0 {
		return nil, fmt.Errorf("%w: texts of %d×%d tokens, want two at least", data.ErrShape, n, steps)
	}
	if err := method.CheckTokens(in.Tokens); err != nil {
		return nil, err
	}
	tables := []*data.Table{in.Tokens}
	if in.Good != nil {
		if n, d := in.Good.Dims(); n == 0 || d == 0 {
			return nil, fmt.Errorf("%w: reference texts are %d×%d", data.ErrShape, n, d)
		}
		if err := method.CheckTokens(in.Good); err != nil {
			return nil, fmt.Errorf("good: %w", err)
		}
		tables = append(tables, in.Good)
	}
	m := &StabilityGapModel{config: c, steps: steps, known: method.KnownTokens(tables), params: net.NewParams(c.Seed)}
	m.kept, m.good = net.Texts{Steps: steps}, net.Texts{Steps: steps}
	if in.Good != nil {
		m.good = method.ReadTokens(in.Good, m.known, steps, true)
	}
	texts := method.ReadTokens(in.Tokens, m.known, steps, true)
	if err := m.train(ctx, texts, nil); err != nil {
		return nil, err
	}
	m.keep(texts)
	m.told = [3]float64{float64(n), 0, 1}
	return m, nil
}

// Continue goes on with a model on a task's texts: the configuration is this one's but for the model's size and what it keeps. Errors: those of Update.
func (c StabilityGap) Continue(ctx context.Context, m *StabilityGapModel, task *data.Table) (*StabilityGapModel, error) {
	next, _, err := c.Trace(ctx, m, task, math.MaxInt)
	return next, err
}

// Trace is Continue with a log: the perplexity of tables of texts before, every so many batches of 32 texts, and after.
func (c StabilityGap) Trace(ctx context.Context, m *StabilityGapModel, task *data.Table, every int, asked ...*data.Table) (*StabilityGapModel, []StabilityGapPoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, nil, err
	}
	if every < 1 {
		return nil, nil, fmt.Errorf("stabilitygap: %w: a log every %d batches", method.ErrConfig, every)
	}
	if err := m.check(task); err != nil {
		return nil, nil, err
	}
	n, _ := task.Dims()
	if n == 0 {
		return nil, nil, fmt.Errorf("stabilitygap: %w: no texts to learn from", data.ErrShape)
	}
	c.Depth, c.Width, c.Capacity = m.config.Depth, m.config.Width, m.config.Capacity
	next := &StabilityGapModel{config: m.config, steps: m.steps, known: m.known, kept: m.kept, good: m.good, rank: m.rank, tasks: m.tasks, params: net.NewParams(m.config.Seed)}
	for _, t := range m.params.Tensors() {
		if err := next.params.Put(t); err != nil {
			return nil, nil, fmt.Errorf("stabilitygap: %w: %w", method.ErrState, err)
		}
	}
	texts := method.ReadTokens(task, m.known, m.steps, true)
	learned := texts.Pick(next.likeliest(texts, c.Subset))
	earlier := next.earlier(int(math.Round(c.Share/(1-c.Share)*float64(learned.Rows()))), c.Seed)
	mixed := net.Texts{Tokens: slices.Concat(learned.Tokens, earlier.Tokens), Steps: m.steps}
	var log []StabilityGapPoint
	look := func(seen int) error {
		p := StabilityGapPoint{Texts: seen}
		for _, t := range asked {
			v, err := next.perplexity(t)
			if err != nil {
				return err
			}
			p.Perplexity = append(p.Perplexity, v)
		}
		log = append(log, p)
		return nil
	}
	if err := look(0); err != nil {
		return nil, nil, err
	}
	total := c.Epochs * ((mixed.Rows() + stabilitygapBatch - 1) / stabilitygapBatch)
	next.config = c
	err := next.train(ctx, mixed, func(step int, _ *net.Params) error {
		if step%every == 0 && step < total {
			return look(step * stabilitygapBatch)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	next.config = m.config
	if err := look(c.Epochs * mixed.Rows()); err != nil {
		return nil, nil, err
	}
	next.keep(texts)
	next.told = [3]float64{float64(learned.Rows()), float64(earlier.Rows()), next.moved(m)}
	return next, log, nil
}

// StabilityGapModel is a fitted [StabilityGap].
type StabilityGapModel struct {
	config     StabilityGap
	known      []int32 // token numbers, rising
	steps      int     // T
	params     *net.Params
	kept, good net.Texts
	rank       []uint64 // of kept texts: lower stays longer
	tasks      int
	told       [3]float64 // texts learned from, earlier ones among them, and how far the weights moved
}

// language is the model's shape.
func (m *StabilityGapModel) language() net.Language {
	heads := max(1, m.config.Width/32)
	for m.config.Width%heads > 0 {
		heads--
	}
	return net.Language{
		Transformer: net.Transformer{Layers: m.config.Depth, Heads: heads, Hidden: 4 * m.config.Width},
		Vocabulary:  len(m.known) + 1, Length: m.steps, Width: m.config.Width,
	}
}

// train goes through texts.
func (m *StabilityGapModel) train(ctx context.Context, texts net.Texts, stepped func(step int, params *net.Params) error) error {
	c := m.config
	loop := net.Loop{Epochs: c.Epochs, Batch: stabilitygapBatch, Seed: part.Mix(c.Seed + uint64(m.tasks)<<32),
		Optimiser: net.Optimiser{Rule: net.Adam, Rate: c.Rate, Decay: 0.01, ClipNorm: 1},
		Schedule:  net.Schedule{Cosine: true, Floor: 0.05}, Stepped: stepped,
		Progress: func(p net.Progress) bool { method.Progress(ctx, p.Epoch, p.Epochs); return true }}
	trainer, err := net.NewTrainer(loop, m.params, net.Task{Rows: texts.Rows(), Build: func(g *net.Graph, rows int) (*net.Node, func(net.Batch)) {
		return m.language().Likelihood(g, stabilitygapName, rows, texts)
	}})
	if err != nil {
		return fmt.Errorf("stabilitygap: %w: %w", method.ErrConfig, err)
	}
	if _, err := trainer.Run(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("stabilitygap: %w: %w", method.ErrDegenerate, err)
	}
	m.tasks++
	return nil
}

// likeliest are the texts, in their order, that a trigram model of the good ones, or of the texts themselves, is least perplexed by.
func (m *StabilityGapModel) likeliest(texts net.Texts, share float64) []int {
	good := m.good
	if good.Rows() == 0 {
		good = texts
	}
	scorer := part.NewTrigrams(len(m.known)+1, stabilitygapRows(good))
	rows := stabilitygapRows(texts)
	order, perplexity := make([]int, len(rows)), make([]float64, len(rows))
	for i, text := range rows {
		order[i], perplexity[i] = i, scorer.NegativeLogLikelihood(text)/float64(len(text))
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(perplexity[a], perplexity[b]) })
	order = order[:max(1, int(math.Round(share*float64(len(rows)))))]
	slices.Sort(order)
	return order
}

// stabilitygapRows are the texts without what is behind their ends.
func stabilitygapRows(t net.Texts) (rows [][]int32) {
	for i := range t.Rows() {
		row := t.Tokens[i*t.Steps : (i+1)*t.Steps]
		if end := slices.Index(row, -1); end >= 0 {
			row = row[:end]
		}
		rows = append(rows, row)
	}
	return rows
}

// earlier draws n of the kept texts, each as often as any other, give or take one.
func (m *StabilityGapModel) earlier(n int, seed uint64) net.Texts {
	if m.kept.Rows() == 0 {
		n = 0
	}
	order := make([]int, m.kept.Rows())
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		of := func(i int) uint64 { return part.Mix(m.rank[i] ^ part.Mix(seed+uint64(m.tasks)<<32)) }
		return cmp.Or(cmp.Compare(of(a), of(b)), cmp.Compare(a, b))
	})
	drawn := make([]int, n)
	for i := range drawn {
		drawn[i] = order[i%len(order)]
	}
	return m.kept.Pick(drawn)
}

// keep offers texts to those that are kept; which ones stay is a function of all texts and the seed.
func (m *StabilityGapModel) keep(texts net.Texts) {
	all := net.Texts{Tokens: slices.Concat(m.kept.Tokens, texts.Tokens), Steps: m.steps}
	rank := slices.Clone(m.rank)
	word := make([]byte, 4)
	for i := range texts.Rows() {
		h := fnv.New64a()
		for _, token := range texts.Tokens[i*m.steps : (i+1)*m.steps] {
			binary.LittleEndian.PutUint32(word, uint32(token))
			h.Write(word)
		}
		rank = append(rank, part.Mix(h.Sum64()^part.Mix(m.config.Seed)))
	}
	order := make([]int, len(rank))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(rank[a], rank[b]), slices.Compare(all.Tokens[a*m.steps:(a+1)*m.steps], all.Tokens[b*m.steps:(b+1)*m.steps]))
	})
	order = order[:min(len(order), m.config.Capacity)]
	m.kept, m.rank = all.Pick(order), nil
	for _, i := range order {
		m.rank = append(m.rank, rank[i])
	}
}

// moved is how far the weights are from those of another model, relative to those.
func (m *StabilityGapModel) moved(from *StabilityGapModel) float64 {
	far, size := 0.0, 0.0
	for _, p := range m.params.All() {
		before := from.params.Get(p.Name).Values
		for i, v := range p.Values {
			e := float64(v) - float64(before[i])
			far += e * e
		}
		size += num.SquaredNorm(before)
	}
	return math.Sqrt(far / max(size, math.SmallestNonzeroFloat64))
}

// Report says what the last task was learned from, and how far the weights moved.
func (m *StabilityGapModel) Report() data.Numbers {
	return data.Numbers{"texts": m.told[0], "earlier_texts": m.told[1], "relative_change": m.told[2]}
}

// Update returns the model that has gone on with the task.
func (m *StabilityGapModel) Update(ctx context.Context, task *data.Table) (method.Model, error) {
	next, err := m.config.Continue(ctx, m, task)
	if err != nil {
		return nil, err
	}
	return next, nil
}

func (m *StabilityGapModel) check(in *data.Table) error {
	if err := method.Width("stabilitygap", in, m.steps); err != nil {
		return err
	}
	if err := method.CheckTokens(in); err != nil {
		return fmt.Errorf("stabilitygap: %w", err)
	}
	return nil
}

// Score returns each text's perplexity.
func (m *StabilityGapModel) Score(in *data.Table) ([]float64, error) {
	losses, tokens, err := m.losses(in)
	if err != nil {
		return nil, err
	}
	scores := make([]float64, len(losses))
	for i, loss := range losses {
		scores[i] = net.Perplexity(loss, tokens[i])
	}
	return scores, nil
}

func (m *StabilityGapModel) losses(in *data.Table) (losses []float64, tokens []int, err error) {
	if err := m.check(in); err != nil {
		return nil, nil, err
	}
	losses, tokens, err = m.language().LogLikelihoods(m.params, stabilitygapName, method.ReadTokens(in, m.known, m.steps, false))
	if err != nil {
		return nil, nil, fmt.Errorf("stabilitygap: %w", err)
	}
	return losses, tokens, nil
}

// perplexity is that of all tokens of a table together.
func (m *StabilityGapModel) perplexity(in *data.Table) (float64, error) {
	losses, tokens, err := m.losses(in)
	if err != nil {
		return 0, err
	}
	loss, count := 0.0, 0
	for i, v := range losses {
		loss, count = loss+v, count+tokens[i]
	}
	return net.Perplexity(loss, count), nil
}

// State returns the model as tensors.
func (m *StabilityGapModel) State() *data.Checkpoint {
	whole := func(t net.Texts) data.Tensor {
		v := make([]int64, len(t.Tokens))
		for i, token := range t.Tokens {
			v[i] = int64(token)
		}
		return data.Int64Tensor(v, t.Rows(), m.steps)
	}
	known := make([]int64, len(m.known))
	for i, token := range m.known {
		known[i] = int64(token)
	}
	rank := make([]int64, len(m.rank))
	for i, v := range m.rank {
		rank[i] = int64(v)
	}
	st := &data.Checkpoint{Tensors: map[string]data.Tensor{
		"known": data.Int64Tensor(known, len(known)), "kept": whole(m.kept), "good": whole(m.good), "rank": data.Int64Tensor(rank, len(rank)),
		"tasks": data.Int64Tensor([]int64{int64(m.tasks)}, 1), "told": data.Float64Tensor(m.told[:], 3),
	}}
	for _, t := range m.params.Tensors() {
		st.Tensors[t.Name] = data.Float32Tensor(t.Values, t.Shape...)
	}
	return st
}

func loadStabilityGap(c StabilityGap, st *data.Checkpoint) (*StabilityGapModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r := st.Read()
	m := &StabilityGapModel{config: c, params: net.NewParams(c.Seed)}
	copy(m.told[:], r.Floats("told", 3))
	if err := r.Err(); err != nil {
		return nil, err
	}
	places := st.Tensors[stabilitygapName+".places"].Shape
	if len(places) != 2 || places[0] < 1 {
		return nil, fmt.Errorf("tensor %q %v: %w: want a vector for each place", stabilitygapName+".places", places, data.ErrShape)
	}
	m.steps = places[0]
	known, _, err := st.Ints("known", -1)
	if err != nil {
		return nil, err
	}
	for i, token := range known {
		if token < 0 || token > method.LargestToken || i > 0 && token <= known[i-1] {
			return nil, fmt.Errorf("tensor %q: %w: token %d is out of order or range", "known", data.ErrFormat, token)
		}
		m.known = append(m.known, int32(token))
	}
	for name, to := range map[string]*net.Texts{"kept": &m.kept, "good": &m.good} {
		v, _, err := st.Ints(name, -1, m.steps)
		if err != nil {
			return nil, err
		}
		to.Steps = m.steps
		for i, token := range v {
			behind := i%m.steps > 0 && v[i-1] == -1
			if token < -1 || token > int64(len(m.known)) || token == -1 && i%m.steps == 0 || behind && token != -1 {
				return nil, fmt.Errorf("tensor %q: %w: token %d of row %d", name, data.ErrFormat, token, i/m.steps+1)
			}
			to.Tokens = append(to.Tokens, int32(token))
		}
	}
	rank, _, err := st.Ints("rank", m.kept.Rows())
	if err != nil {
		return nil, err
	}
	for _, v := range rank {
		m.rank = append(m.rank, uint64(v))
	}
	tasks, _, err := st.Ints("tasks", 1)
	if err != nil {
		return nil, err
	}
	if m.tasks = int(tasks[0]); m.tasks < 1 {
		return nil, fmt.Errorf("%w: a model after %d tasks", data.ErrShape, m.tasks)
	}
	// The model makes its parameters in its own order, in which steps add up their gradients; then they get their values.
	g := net.NewGraph(m.params)
	if m.language().Build(g, stabilitygapName, g.Ints(m.steps), m.steps); g.Err() != nil {
		return nil, fmt.Errorf("%w: %w", data.ErrShape, g.Err())
	}
	found := 0
	for _, name := range st.Names() {
		if !strings.HasPrefix(name, stabilitygapName+".") {
			continue
		}
		found++
		p := m.params.Get(name)
		if p == nil || !slices.Equal(p.Shape, st.Tensors[name].Shape) {
			return nil, fmt.Errorf("tensor %q %v: %w: it is none of a model of %d layers of %d values and %d tokens", name, st.Tensors[name].Shape, data.ErrShape, c.Depth, c.Width, len(known))
		}
		copy(p.Values, r.Float32s(name, p.Shape...))
	}
	if found != len(m.params.All()) {
		return nil, fmt.Errorf("%w: %d of the model's %d tensors", data.ErrShape, found, len(m.params.All()))
	}
	return m, r.Err()
}
