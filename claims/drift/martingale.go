package drift

import (
	"context"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/drift"
)

func martingale() claim.Claim {
	return claim.Claim{
		ID: "drift/martingale", Paper: "vovk2003testing, section 3",
		Statement: "A betting martingale may be looked at after every row of a stream, for ever, and still rings falsely no more often than it says; a test at the same level that is repeated window by window rings sooner or later.",
		ScaleDown: "streams of 5,000 rows, one column, 300 reference rows; the repeated test is Kolmogorov–Smirnov's on every 100 rows at level 0.01. The paper shows streams of digits that do change.",
		Arms:      []string{"martingale, level 0.01", "Kolmogorov–Smirnov at level 0.01 on every 100 rows"},
		Data:      "40 streams a seed of 5,000 standard normal values without any change, a fresh reference each",
		Metric:    "false alarms, the share of streams that rang", LowerIsBetter: true, Percent: true, Margin: 0.2, Seeds: 5,
		Run: func(ctx context.Context, _ claim.Env, seed uint64) (o claim.Outcome, err error) {
			r := claim.Random(seed, 1)
			o.Arms = make([]float64, 2)
			for range trials {
				reference, err := normals(r, 300, 1, 0, 1)
				if err != nil {
					return o, err
				}
				stream, err := normals(r, 5000, 1, 0, 1)
				if err != nil {
					return o, err
				}
				m, err := drift.Martingale{}.Fit(ctx, reference)
				if err != nil {
					return o, err
				}
				s := m.Watch()
				if err := s.Observe(ctx, stream); err != nil {
					return o, err
				}
				if s.Watched().AlarmRow > 0 {
					o.Arms[0] += 1.0 / trials
				}
				ks, err := drift.KolmogorovSmirnov{Level: 0.01}.Fit(ctx, reference)
				if err != nil {
					return o, err
				}
				for i := 0; i < 5000; i += 100 {
					c, err := ks.Test(ctx, stream.Slice(i, i+100))
					if err != nil {
						return o, err
					}
					if c.Drift {
						o.Arms[1] += 1.0 / trials
						break
					}
				}
			}
			return o, nil
		},
	}
}
