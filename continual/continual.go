// Package continual answers: how does a model learn the next task, class or customer without losing the last ones?
// Its models take new rows through Update, and those that can also take them back, without a trace, through Forget.
//
//	which one?      takes               keeps           when
//	[Prototypes]    features, labels    moments only    classes arrive at any time; nothing is trained; the baseline to beat
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
