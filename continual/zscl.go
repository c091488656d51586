package continual

import (
	"context"
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "maps over image and name embeddings, held by a reference set to what the untuned model says",
	Paper: "zheng2023preventing",
	Small: map[string]string{"steps": "40", "period": "10"},
	Exempt: map[string]string{
		"far-from-zero": "rows are compared with names by their direction from zero, as the model that gave the embeddings does",
	},
}, ZSCL.Fit, loadZSCL))

// ZSCL tunes a model of images and names on task after task without losing what it could name before.
//
// It is zero-shot continual learning of Zheng et al. (2023) for whoever has embeddings of images and of class names in one space,
// as CLIP gives them: a linear map over each, which starts as the identity, so that the untuned model is the zero-shot head. A task
// brings the cross-entropy over the names of its own classes; a reference set of other images and sentences holds the image map to what the
// untuned model says of them, in both directions; the distance from the weights before the task is penalised; and what goes on to
// the next task is the mean of weights along the way. O(Steps·Batch·D²) a task, O(D² + K·D) a row to predict. Prefer it over [FineTune]
// and over heads on image features where classes that were never taught must still be told by their names. In its claim here the anchor
// alone keeps more of that and is as good on average, and a task's own rows serve better than a reference: measure both on your own data.
//
// Fits on: Train N×D with a label for every row, none of length zero; Names, optional, embeddings of class names in the same space, labelled, one or more a class, of classes to come and of none as well; Reference, optional, rows without need of labels and as different as what should stay; Sentences, optional, embeddings of any texts. Without Names, and for a class that has none, the mean direction of its first rows is its name; without Reference the task's own rows stand in, without Sentences all names so far.
// Predict: N×K probabilities of all classes that have names, taught or not. A row of length zero has cosine 0 with everything.
// Logits:  N×K, cosine/Temperature; their softmax is Predict.
// Update:  the model tuned on the task's rows from the averaged weights; names that were not there at the start come with [ZSCLModel.WithNames].
// Forget:  no: its weights hold traces of every row, and no record of which.
// Errors:  ErrLabels when a row or a name has no label; ErrShape without rows or columns and on another width; ErrDegenerate for a row of length zero, for a class whose rows cancel, and when training diverges.
// Differs: linear maps over frozen encoders instead of the encoders; Adam without decay; the logit scale stays; the defaults of Rate, Steps and Period are for maps this small, the paper's 1e-5, 1000 and 100 for CLIP.
// Source:  zheng2023preventing; what averaging begins with and the temperature of distillation are those of the authors' code.
// Claim:   claims/continual/zscl.go.
type ZSCL struct {
	// Steps is how many batches of a task are looked at.
	Steps int `default:"200" range:"[1,1e6]"`
	// Batch is how many rows a step looks at, and how many of the reference.
	Batch int `default:"32" range:"[1,1e6]"`
	// Rate is that of Adam at first; it falls to zero along half a cosine.
	Rate float64 `default:"1e-4" range:"(0,1]"`
	// Temperature divides cosines before the softmax; CLIP ends at 0.01.
	Temperature float64 `default:"0.01" range:"(0,1e6]" unit:"cosine"`
	// LabelSmoothing is the part of a label's mass that goes evenly to all names of the task.
	LabelSmoothing float64 `default:"0.2" range:"(0,1)"`
	// Distillation weighs what holds the model to the untuned one on the reference.
	Distillation float64 `default:"1" range:"(0,1e9]"`
	// Anchor weighs the squared distance of all weights from those before the task, the paper's λ.
	Anchor float64 `default:"1" range:"(0,1e9]"`
	// Period is how many steps lie between two weights that are averaged; the weights before the task count too. With more than Steps the last weights are kept.
	Period int `default:"20" range:"[1,1e9]"`
	// Seed starts the random numbers: of the order of rows.
	Seed uint64
}

// ZSCLInput is what is learned from.
type ZSCLInput struct {
	// Train are the first task's rows, N×D.
	Train *data.Table
	// Names are embeddings of class names, labelled, D columns.
	Names *data.Table `optional:"true"`
	// Reference are rows on which the untuned model is remembered, D columns.
	Reference *data.Table `optional:"true"`
	// Sentences are embeddings of texts that Reference is told apart by, D columns.
	Sentences *data.Table `optional:"true"`
}

// zsclSoftness is the temperature of distillation in the authors' code.
const zsclSoftness = 2

// Fit tunes the zero-shot model on the first task.
func (c ZSCL) Fit(ctx context.Context, in ZSCLInput) (*ZSCLModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if in.Train == nil {
		return nil, fmt.Errorf("%w: no rows", method.ErrInput)
	}
	rows, err := newLesson(in.Train)
	if err != nil {
		return nil, err
	}
	t := newTowers("zscl", rows.d)
	if in.Names != nil {
		if err := t.callBy(in.Names); err != nil {
			return nil, err
		}
	}
	if in.Reference != nil {
		if t.reference, err = t.unlabelled("a reference", in.Reference); err != nil {
			return nil, err
		}
	}
	if in.Sentences != nil {
		if t.sentences, err = t.unlabelled("sentences", in.Sentences); err != nil {
			return nil, err
		}
	}
	return c.learn(ctx, t, rows)
}

func (c ZSCL) learn(ctx context.Context, from *towers, rows *lesson) (*ZSCLModel, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(rows.labels) == 0 {
		return nil, fmt.Errorf("%w: no rows to learn from", data.ErrShape)
	}
	t := from.clone()
	if err := t.call(rows); err != nil {
		return nil, err
	}
	params := net.NewParams(c.Seed)
	for _, w := range []net.Tensor{{Name: "image", Values: t.image}, {Name: "text", Values: t.text}} {
		w.Shape = []int{t.d, t.d}
		if err := params.Put(w); err != nil {
			return nil, fmt.Errorf("zscl: %w: %w", method.ErrState, err)
		}
	}
	mean := zsclMean{t.image, t.text, 1}
	held := zsclHeld{from.image, from.text, t.reference, t.sentences, t.d}
	if len(held.reference) == 0 {
		held.reference = directionsOf(rows.x, t.d)
	}
	if len(held.sentences) == 0 {
		held.sentences = t.names
	}
	param := func(name string) func(*net.Graph) *net.Node {
		return func(g *net.Graph) *net.Node { return g.Param(name, net.Constant(0), t.d, t.d) }
	}
	err := t.learn(ctx, params, rows, tuition{
		steps: c.Steps, batch: c.Batch, rate: c.Rate, temperature: c.Temperature, labelSmoothing: c.LabelSmoothing, seed: c.Seed,
		image: param("image"), text: param("text"),
		extra: func(g *net.Graph, image, text *net.Node) (*net.Node, func(net.Batch)) {
			distillation, feed := held.distillation(g, image, c.Batch, c.Temperature)
			return g.Add(g.Scale(distillation, c.Distillation, 0), g.Scale(held.distance(g, image, text), c.Anchor, 0)), feed
		},
		stepped: func(step int, p *net.Params) error {
			if step%c.Period == 0 {
				mean.add(p.Get("image").Values, p.Get("text").Values)
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	if mean.count == 1 {
		copy(t.image, params.Get("image").Values)
		copy(t.text, params.Get("text").Values)
	}
	return &ZSCLModel{pointing{t, c.Temperature}, c}, nil
}

// zsclMean is the equal mean of weights along the way; it writes where it began.
type zsclMean struct {
	image, text []float32
	count       int
}

func (m *zsclMean) add(image, text []float32) {
	m.count++
	for i, v := range image {
		m.image[i] += (v - m.image[i]) / float32(m.count)
	}
	for i, v := range text {
		m.text[i] += (v - m.text[i]) / float32(m.count)
	}
}

// zsclHeld is what a model is held to.
type zsclHeld struct {
	image, text          []float32 // before the task
	reference, sentences []float32 // of length one: what the untuned maps make of them
	d                    int
}

// distillation is how far the image map's cosines between reference and sentences are from the untuned ones, by rows and by columns:
// T²·H(softmax(Z₀/T), softmax(Z/T)). The text side is the untuned one in both.
func (h zsclHeld) distillation(g *net.Graph, image *net.Node, batch int, temperature float64) (*net.Node, func(net.Batch)) {
	d := h.d
	r, s := min(batch, len(h.reference)/d), min(batch, len(h.sentences)/d)
	rows, texts := g.Input(r, d), g.Input(s, d)
	f := unit(g, g.Linear(rows, image, nil))
	soft := func(a, b *net.Node) *net.Node {
		return g.Scale(g.MatMul(a, b, false, true), 1/(temperature*zsclSoftness), 0)
	}
	loss := g.Add(
		g.CrossEntropySoft(soft(f, texts), g.Softmax(soft(rows, texts)), net.Targets{}),
		g.CrossEntropySoft(soft(texts, f), g.Softmax(soft(texts, rows)), net.Targets{}))
	fill := func(to *net.Node, from []float32, drawn []int) {
		n := len(from) / d
		for i := range to.Size() / d {
			at := i
			if n > batch {
				at = drawn[i] % n
			}
			copy(to.Value()[i*d:(i+1)*d], from[at*d:(at+1)*d])
		}
	}
	return g.Scale(loss, zsclSoftness*zsclSoftness, 0), func(b net.Batch) {
		fill(rows, h.reference, b.Rows)
		fill(texts, h.sentences, b.Rows)
	}
}

// distance is the squared distance of all weights from those before the task.
func (h zsclHeld) distance(g *net.Graph, image, text *net.Node) *net.Node {
	squared := func(w *net.Node, before []float32) *net.Node {
		e := g.Sub(w, g.Constant(slices.Clone(before), h.d, h.d))
		return g.Sum(g.Mul(e, e))
	}
	return g.Add(squared(image, h.image), squared(text, h.text))
}

// ZSCLModel is a fitted [ZSCL].
type ZSCLModel struct {
	pointing
	config ZSCL
}

// WithNames returns the model with names of more classes: embeddings as in [ZSCLInput]. Classes that have a name keep it.
func (m *ZSCLModel) WithNames(names *data.Table) (*ZSCLModel, error) {
	p, err := m.named(names)
	if err != nil {
		return nil, err
	}
	return &ZSCLModel{p, m.config}, nil
}

// Update returns the model tuned on the task's rows.
func (m *ZSCLModel) Update(ctx context.Context, task *data.Table) (method.Model, error) {
	rows, err := m.lesson(task)
	if err != nil {
		return nil, err
	}
	next, err := m.config.learn(ctx, m.towers, rows)
	if err != nil {
		return nil, err
	}
	return next, nil
}

// State returns the model as tensors.
func (m *ZSCLModel) State() *data.Checkpoint { return m.towers.state() }

func loadZSCL(c ZSCL, st *data.Checkpoint) (*ZSCLModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	t, err := loadTowers("zscl", st)
	if err != nil {
		return nil, err
	}
	return &ZSCLModel{pointing{t, c.Temperature}, c}, nil
}
