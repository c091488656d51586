// Package data holds the nouns: the few types that methods read and return, checked once at the door and trusted inside.
package data

import (
	"context"
	"errors"
	"iter"
	"reflect"
)

// What is wrong with an input. Errors wrap one of these and say who, what and where.
var (
	ErrShape  = errors.New("wrong shape")
	ErrFinite = errors.New("not a finite number")
	ErrLabels = errors.New("labels needed")
	ErrFormat = errors.New("cannot be read")
)

// Kind names a noun.
type Kind string

// The closed list of nouns. A new one needs a page in docs/decisions.md.
const (
	KindTable       Kind = "table"
	KindCheckpoint  Kind = "checkpoint"
	KindCheckpoints Kind = "checkpoints"
	KindNumbers     Kind = "numbers"
	KindEvaluator   Kind = "evaluator"
)

var kinds = map[reflect.Type]Kind{
	reflect.TypeFor[*Table]():      KindTable,
	reflect.TypeFor[*Checkpoint](): KindCheckpoint,
	reflect.TypeFor[Checkpoints](): KindCheckpoints,
	reflect.TypeFor[Numbers]():     KindNumbers,
	reflect.TypeFor[Evaluator]():   KindEvaluator,
}

// KindOf names the noun that a Go type is; false when it is none.
func KindOf(t reflect.Type) (Kind, bool) { k, ok := kinds[t]; return k, ok }

// Value is a noun.
type Value interface{ Kind() Kind }

// Bundle is named nouns: what a caller hands to a method with several inputs.
type Bundle map[string]Value

// Numbers are named results.
type Numbers map[string]float64

// Kind says that Numbers is a noun.
func (Numbers) Kind() Kind { return KindNumbers }

// Source is a table that may be larger than memory, read as blocks of consecutive rows.
// A class keeps its index over all blocks; later blocks may know more classes than earlier ones.
// Ranging over Blocks stops after the first error. A block must not be kept or changed after the loop body returns.
type Source interface {
	Blocks(ctx context.Context) iter.Seq2[*Table, error]
	// Replayable reports whether Blocks may be called again and then gives the same rows: true for files, false for pipes.
	Replayable() bool
}

// Evaluator scores a checkpoint on data of its own, higher = better: the held-out set of a greedy soup.
type Evaluator interface {
	Value
	Evaluate(ctx context.Context, c *Checkpoint) (float64, error)
}

// Differentiable is an Evaluator that also has a loss with gradients (lower = better), which learned mixing needs.
type Differentiable interface {
	Evaluator
	// Loss returns the mean cross-entropy of the logits times scale, its derivative by scale, and its gradient by every floating-point tensor.
	Loss(ctx context.Context, c *Checkpoint, scale float64) (loss, byScale float64, gradient map[string][]float64, err error)
}

// RowEvaluator is an Evaluator that also shows what a checkpoint says of each of its rows: how two checkpoints differ row by
// row, and how uncertain a score is, can only be read off those.
type RowEvaluator interface {
	Evaluator
	// Outputs returns the logits, N×K, labelled: a row of the i-th class is one whose i-th column should be the largest.
	Outputs(ctx context.Context, c *Checkpoint) (*Table, error)
}
