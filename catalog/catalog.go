// Package catalog is the one list of all methods, and of the papers that they come from.
package catalog

import (
	"slices"

	"github.com/gimbal-ml/gimbal/audit"
	"github.com/gimbal-ml/gimbal/calibrate"
	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/drift"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/pretrain"
	"github.com/gimbal-ml/gimbal/probe"
	"github.com/gimbal-ml/gimbal/weights"
)

// All returns every method, family by family, each family's sorted by name.
func All() []method.Spec {
	return slices.Concat(
		detect.Methods(),
		drift.Methods(),
		probe.Methods(),
		calibrate.Methods(),
		audit.Methods(),
		continual.Methods(),
		weights.Methods(),
		pretrain.Methods(),
	)
}
