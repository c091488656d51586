// Package continual answers: how does a model learn the next task, class or customer without losing the last ones?
// Its models take new rows through Update, and those that can also take them back, without a trace, through Forget.
//
//	which one?      takes               keeps                when
//	[Prototypes]    features, labels    sums                 classes arrive at any time; nothing is trained; the baseline to beat
//	[StreamingLDA]  features, labels    sums                 columns correlate; classes are alike in shape, however many rows each
//	[ACIL]          features, labels    sums                 the same, with rows enough: one exact ridge regression
//	[RanPAC]        features, labels    sums of random ones  no plane parts the classes; many classes
//	[FeCAM]         features, labels    sums a class         classes spread differently, with many rows each
//	[APER]          features, labels    sums, an adapter     the first task is large and like those to come
//	[SLCA]          features, labels    moments, a network   a head or an encoder is trained on, and no row may be kept
//	[EWC]           features, labels    a network twice      a network is tuned on domains that share their classes, and no row may be kept
//	[SI]            features, labels    a network twice      the same, where rows are too many to be looked at once more
//	[RWalk]         features, labels    a network 3 times    the same; both questions at once
//	[Replay]        features, labels    some rows            the same, where some may
//	[AGEM]          features, labels    some rows            the same, where those may not be fitted, only looked at
//	[ZSCL]          two embeddings      two maps, rows      images and class names share a space, and untaught classes must still be told
//	[CoDyRA]        two embeddings      two maps            the same, without other images to hold on to
//	[StabilityGap]  tokens               a language model    a model of texts goes on with another domain
//	[Joint]         features, labels    all rows             what could be known: the reference above; forgets by training again
//	[FineTune]      features, labels    a network            what is lost without any of this: the reference below
//
// Where the data shifts and there are no labels, maps correct what a network puts out:
//
//	[BatchStatistics]  features, reference   columns that moved or stretched, as under corruptions
//	[PriorShift]       logits                classes that are not as frequent as they were
//	[LAME]             logits, features      batches that hold few classes
//	[T3A]              features, last layer  features that drift while classes stay together
//	[ViDA]             inputs, network       a domain that changes again and again, where the network itself may follow
//
// Learners on sums share memory.go: exact moments of rows as a fixed map shows them, from which all else follows, so that order changes
// nothing and forgetting leaves nothing. Learners that train share network.go: a perceptron whose outputs grow with the classes and which goes
// on from task to task, in an order of rows of its own, to the same bits wherever it was saved in between; those that hold its weights share
// anchor.go, one quadratic for all past tasks, and those that keep rows buffer.go.
package continual

import (
	"embed"

	"github.com/gimbal-ml/gimbal/method"
)

//go:embed *.go
var source embed.FS

var methods = method.Set{Family: "continual", Source: &source}

// Methods returns the family's methods, sorted by name.
func Methods() []method.Spec { return methods.All() }
