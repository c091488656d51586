package cli

import (
	"github.com/gimbal-ml/gimbal/catalog"
	"github.com/gimbal-ml/gimbal/method"
)

func specs() []method.Spec { return catalog.All() }
