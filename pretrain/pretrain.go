// Package pretrain answers: where does a pre-trained network come from when there is none for the data at hand?
//
//	which one?   takes      when
//	[Fractal]    nothing    no real image may be used, or there is none: gray images, a small convolutional network
//
// What comes out is a checkpoint, to be described to package encode, tuned, or merged.
package pretrain

import (
	"embed"

	"github.com/gimbal-ml/gimbal/method"
)

//go:embed *.go
var source embed.FS

var methods = method.Set{Family: "pretrain", Source: &source}

// Methods returns the family's methods, sorted by name.
func Methods() []method.Spec { return methods.All() }
