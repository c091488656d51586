package drift

import (
	"context"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
	"github.com/gimbal-ml/gimbal/method"
)

func pageHinkley() claim.Claim {
	return soonest("pagehinkley", "page1954continuous, section 5",
		"Sums of deviations from the running mean find a lasting shift many rows sooner than limits on single rows that ring falsely as rarely, though they must learn the level from the stream.",
		func(ctx context.Context, train *data.Table) (method.Watcher, error) {
			return drift.PageHinkley{}.Fit(ctx, train)
		})
}
