package continual

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// stretches are the streams in time order with the rows of a stretch: four weeks of half hours, a year of days.
var stretches = []struct {
	name, file string
	rows       int
}{{"elec2", "elec2.csv.gz", 4 * 7 * 48}, {"noaa", "noaa_weather.csv.gz", 365}}

// drifting learns a stream stretch by stretch, half of the rows by r, and puts into extra how many of each next stretch a model of the
// first stretch alone, of all so far and of the last few tells right; the last forgets the older rows.
func drifting(ctx context.Context, env claim.Env, s method.Spec, recent int, seed uint64, extra map[string]float64) error {
	for _, stream := range stretches {
		t, err := env.Table(ctx, "target", "streams", stream.file)
		if err != nil {
			return err
		}
		r := claim.Random(seed, 2)
		var parts []*data.Table
		for n, _ := t.Dims(); n >= stream.rows*(len(parts)+1); {
			rows := r.Perm(stream.rows)[:stream.rows/2]
			for i := range rows {
				rows[i] += stream.rows * len(parts)
			}
			parts = append(parts, t.Pick(rows))
		}
		first, err := s.Fit(ctx, s.Config(), data.Bundle{s.Inputs[0].Name: parts[0]})
		if err != nil {
			return err
		}
		all, window := first, first
		right := make([]float64, 3)
		for k, next := range parts[1:] {
			if k > 0 { // parts[k] was the next one just now
				if all, err = all.(method.Updater).Update(ctx, parts[k]); err == nil {
					window, err = window.(method.Updater).Update(ctx, parts[k])
				}
				if err == nil && k >= recent {
					window, err = window.(method.Forgetter).Forget(ctx, parts[k-recent])
				}
				if err != nil {
					return err
				}
			}
			for i, m := range []method.Model{first, all, window} {
				logits, err := m.(method.Logiter).Logits(next)
				if err != nil {
					return err
				}
				a, err := claim.Accuracy(logits, next)
				if err != nil {
					return err
				}
				right[i] += a / float64(len(parts)-1)
			}
		}
		for i, name := range []string{"of the first", "of all so far", fmt.Sprintf("of the last %d, older rows forgotten", recent)} {
			extra[fmt.Sprintf("%s, the next stretch by a model %s", stream.name, name)] = right[i]
		}
	}
	return nil
}
