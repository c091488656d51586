package drift

import (
	"context"
	"encoding/json"
	"math"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// singleRows is Shewhart's chart: it rings at a row that is farther than so many standard deviations from zero.
type singleRows struct{ limit float64 }

// shewhart rings within the given number of standard normal rows with probability level.
func shewhart(rows int, level float64) singleRows {
	each := -math.Expm1(math.Log1p(-level) / float64(rows))
	return singleRows{math.Sqrt2 * math.Erfinv(1-each)}
}

func (s singleRows) State() *data.Checkpoint { return &data.Checkpoint{} }

// Watch begins a chart.
func (s singleRows) Watch() method.Stream { return &chart{limit: s.limit} }

type chart struct {
	limit       float64
	rows, alarm int
}

// Observe looks at rows.
func (c *chart) Observe(_ context.Context, in *data.Table) error {
	for _, v := range in.X() {
		c.rows++
		if c.alarm == 0 && math.Abs(float64(v)) > c.limit {
			c.alarm = c.rows
		}
	}
	return nil
}

// Watched says how the chart stands.
func (c *chart) Watched() method.Watched {
	return method.Watched{Rows: c.rows, AlarmRow: c.alarm, Threshold: c.limit}
}

// MarshalJSON saves the chart.
func (c *chart) MarshalJSON() ([]byte, error) { return json.Marshal([]int{c.rows, c.alarm}) }

// Resume goes on with a saved chart.
func (c *chart) Resume(saved []byte) error {
	var v [2]int
	err := json.Unmarshal(saved, &v)
	c.rows, c.alarm = v[0], v[1]
	return err
}

// soonest is a claim that an alarm is sooner than single rows are.
func soonest(id, paper, statement string, fit func(ctx context.Context, train *data.Table) (method.Watcher, error)) claim.Claim {
	return claim.Claim{
		ID: "drift/" + id, Paper: paper, Statement: statement,
		ScaleDown: "one shift, of the size that the rule is set to; both have a false-alarm probability of 0.01 in 1,000 rows, the rule's from a reference of 500 rows, the chart's from the normal distribution itself.",
		Arms:      []string{"cumulative rule", "limits on single rows"},
		Data:      "40 streams a seed of standard normal values, shifted by 1 from row 301 on for 700 rows",
		Metric:    "delay of the alarm in rows; a stream that never rings, or too soon, counts 700", LowerIsBetter: true, Margin: 100, Seeds: 10,
		Run: func(ctx context.Context, _ claim.Env, seed uint64) (o claim.Outcome, err error) {
			r := claim.Random(seed, 1)
			reference, err := normals(r, 500, 1, 0, 1)
			if err != nil {
				return o, err
			}
			m, err := fit(ctx, reference)
			if err != nil {
				return o, err
			}
			var missed []float64
			if o.Arms, missed, err = alarms(ctx, r, 300, 700, 1, m, shewhart(1000, 0.01)); err != nil {
				return o, err
			}
			o.Extra = map[string]float64{"share missed or too soon, rule": missed[0], "share missed or too soon, single rows": missed[1]}
			return o, nil
		},
		Facts: claim.Means,
	}
}
