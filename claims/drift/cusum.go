package drift

import (
	"context"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
	"github.com/gimbal-ml/gimbal/method"
)

func cusum() claim.Claim {
	return soonest("cusum", "page1954continuous, section 5",
		"Cumulative sums find a lasting shift of the size of a standard deviation many rows sooner than limits on single rows that ring falsely as rarely.",
		func(ctx context.Context, train *data.Table) (method.Watcher, error) {
			return drift.CUSUM{}.Fit(ctx, train)
		})
}
