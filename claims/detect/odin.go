package detect

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
)

func odin() claim.Claim {
	return claim.Claim{
		ID:    "detect/odin",
		Paper: "liang2018enhancing, tables 2 and 3, figures 2 and 5",
		Statement: "Logits divided by a large temperature, and inputs moved a little towards what the network takes them for, make the largest softmax probability tell unfamiliar inputs much better than it does as it is; " +
			"both parts help, and the step is chosen on few unfamiliar rows.",
		ScaleDown: settingScale + ", instead of DenseNets and wide ResNets on CIFAR. The step is the best of a grid of eleven on 500 rows of each side, for each kind of unfamiliar rows as in the paper; the temperature is 1000, the paper's. All arms are measured on the others.",
		Arms:      []string{"temperature and moved inputs", "largest softmax probability", "temperature alone", "moved inputs alone"},
		Data:      settingData,
		Metric:    "AUROC, mean over the 3 kinds of unfamiliar rows",
		Percent:   true,
		Seeds:     6,
		Needs:     settingNeeds,
		Run:       odinRun,
		Facts:     claim.Means,
	}
}

// odinKept is how many rows of each side the step is chosen on.
const odinKept = 500

func odinRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	o.Extra = map[string]float64{}
	s, err := newSetting(ctx, env, seed, 12000, 0)
	if err != nil {
		return o, err
	}
	weights := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
	for _, t := range s.net.Tensors() {
		weights.Tensors[t.Name] = data.Float32Tensor(t.Values, t.Shape...)
	}
	n, _ := s.familiar.Dims()
	keptFamiliar, keptNovel := s.familiar.Slice(0, odinKept), []*data.Table{}
	s.familiar = s.familiar.Slice(odinKept, n)
	for k, novel := range s.novel {
		n, _ := novel.rows.Dims()
		keptNovel = append(keptNovel, novel.rows.Slice(0, odinKept))
		s.novel[k].rows = novel.rows.Slice(odinKept, n)
	}
	train, err := s.logits(s.train)
	if err != nil {
		return o, err
	}
	for _, arm := range []struct {
		name        string
		temperature float64
		moved       bool
	}{{"temperature and moved inputs", 1000, true}, {"largest softmax probability", 1, false}, {"temperature alone", 1000, false}, {"moved inputs alone", 1, true}} {
		m, err := detect.ODIN{Temperature: arm.temperature}.Fit(ctx, detect.LogitsInput{Logits: train})
		if err != nil {
			return o, fmt.Errorf("%s: %w", arm.name, err)
		}
		of := &scores{}
		if !arm.moved {
			if of, err = s.score(m, s.logits); err != nil {
				return o, err
			}
		} else {
			for k := range s.novel {
				refined, err := m.Refine(ctx, detect.ODINInput{Familiar: keptFamiliar, Unfamiliar: keptNovel[k], Network: weights})
				if err != nil {
					return o, fmt.Errorf("%s: %w", arm.name, err)
				}
				familiar, err := refined.Score(s.familiar)
				if err != nil {
					return o, err
				}
				novel, err := refined.Score(s.novel[k].rows)
				if err != nil {
					return o, err
				}
				of.apart, of.novel = append(of.apart, familiar), append(of.novel, novel)
				step, _, err := refined.State().Floats("step", 1)
				if err != nil {
					return o, err
				}
				o.Extra[fmt.Sprintf("step in units of the pixels' range, %s, %s", arm.name, s.novel[k].name)] = step[0]
			}
		}
		area, err := s.auroc(of, arm.name, o.Extra)
		if err != nil {
			return o, err
		}
		o.Arms = append(o.Arms, area)
	}
	return o, nil
}
