// Package probe answers: which class is this, learned from frozen features and a few labels?
//
//	which one?         takes              learns in    when
//	[Ridge]            features, labels   one pass     a network's features: they correlate; calibrated probabilities; the default
//	[RidgePath]        features, labels   in memory    the same, its penalty chosen by leaving out each row in turn
//	[Logistic]         features, labels   many passes  many labels; the border between classes alone; solved to the optimum
//	[LogitAdjustment]  features, labels   many passes  the same, with rare classes that matter as much as frequent ones
//	[TauNormalization] features, labels   many passes  the same, by the lengths of the weights alone
//	[PriorShift]       features, labels   many passes  the same, with the class shares of unlabelled rows from where it is used
//	[GroupRobust]      features, labels   many passes  the same, with groups of rows, none of which is to be given up
//	[RCAL]             features, labels   in memory    a tenth or more of the labels are wrong, and most classes are rare
//	[PRESTO]           features, labels   in memory    classes that have an order, the last one rare
//	[CaPE]             features, labels   in memory    the probability of one of two outcomes, few rows for the columns; no better than stopping early
//	[RSS]              features, labels   in memory    two classes, fewer labels than columns, and many rows without a label, perhaps from elsewhere
//	[UnsupGain]        features, labels   in memory    fewer labels than columns, and many rows without a label
//	[LinearSVM]        features, labels   some passes  classes that planes separate, odd rows far on their own side; no probabilities of worth
//	[LDA]              features, labels   one pass     classes are ellipsoids of one shape; far more rows than columns
//	[QDA]              features, labels   one pass     the same, each of its own shape; far more rows a class than columns
//	[NaiveBayes]       features, labels   one pass     a handful of labels, columns in any units that hardly correlate
//	[RandomFeatures]   features, labels   in memory    no plane separates the classes, but a smooth border does
//	[KNN]              features, labels   in memory    classes of any shape; what features are worth by themselves
//	[ZeroShot]         names' embeddings  one pass     no labelled rows, but names of classes in the rows' space
//	[TipAdapter]       both               one pass     the same, and 1 to 16 labelled rows a class
//	[NMTune]           features, labels   many passes  thousands of labels, features of a model pre-trained on doubtful labels
//	[MomentProbing]    tokens, labels     many passes  all tokens of a row are at hand, and classes differ in more than their mean
//	[DiffProbe]        rows, labels       many passes  rows as they are, most of them without labels
//
// The head of nearest class means is continual/prototypes, which also learns new classes.
package probe

import (
	"embed"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

//go:embed *.go
var source embed.FS

var methods = method.Set{Family: "probe", Source: &source}

// Methods returns the family's methods, sorted by name.
func Methods() []method.Spec { return methods.All() }

// head is a linear classifier: logits = (x − center)·weights + intercept.
type head struct {
	classes   []string         // K names
	linear    *part.Projection // D×K
	intercept []float64        // K
}

func newHead(classes []string, center, weights, intercept []float64) *head {
	return &head{classes, &part.Projection{D: len(center), R: len(classes), Center: center, Matrix: weights}, intercept}
}

// table makes each row's logits into what link leaves in their place.
func (h *head) table(name string, in *data.Table, link func(logits []float64)) (*data.Table, error) {
	n, d := in.Dims()
	if d != h.linear.D {
		return nil, fmt.Errorf("%s: %w: table has %d columns, fitted on %d", name, data.ErrShape, d, h.linear.D)
	}
	k := len(h.classes)
	out := make([]float32, n*k)
	h.linear.Each(in.X(), n, func(lo, hi int, z []float64) {
		for i := range hi - lo {
			row := z[i*k : (i+1)*k]
			for c := range row {
				row[c] += h.intercept[c]
			}
			link(row)
			for c, v := range row { // what float32 cannot hold becomes its largest number
				out[(lo+i)*k+c] = float32(min(max(v, -math.MaxFloat32), math.MaxFloat32))
			}
		}
	})
	return data.NewNamed(n, h.classes, out)
}

func (h *head) logits(name string, in *data.Table) (*data.Table, error) {
	return h.table(name, in, func([]float64) {})
}

func (h *head) predict(name string, in *data.Table) (*data.Table, error) {
	return h.table(name, in, func(logits []float64) { num.Softmax(logits, logits, 1) })
}

func (h *head) state() *data.Checkpoint {
	d, k := h.linear.D, len(h.classes)
	st := &data.Checkpoint{Tensors: map[string]data.Tensor{
		"center":    data.Float64Tensor(h.linear.Center, d),
		"weights":   data.Float64Tensor(h.linear.Matrix, d, k),
		"intercept": data.Float64Tensor(h.intercept, k),
	}}
	st.SetStrings("classes", h.classes)
	return st
}

func loadHead(r *data.Reader) (*head, error) {
	classes, center := r.Strings("classes"), r.Floats("center", -1)
	h := newHead(classes, center, r.Floats("weights", len(center), len(classes)), r.Floats("intercept", len(classes)))
	if err := r.Err(); err != nil {
		return nil, err
	}
	if len(center) == 0 || len(classes) == 0 {
		return nil, fmt.Errorf("%w: a head of %d columns and %d classes", data.ErrShape, len(center), len(classes))
	}
	return h, nil
}
