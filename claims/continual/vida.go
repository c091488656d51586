package continual

import (
	"context"
	"slices"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/num"
)

func vida() claim.Claim {
	return claim.Claim{
		ID:        "continual/vida",
		Paper:     "liu2023vida",
		Statement: "On a stream whose corruption changes again and again, adapters of low and high rank beside a network, allotted by uncertainty, are ahead of a mean teacher of the network alone.",
		ScaleDown: "a perceptron 784-128-10 instead of a ViT; views of a row leave inputs out instead of turning and colouring it; five corruptions in two rounds instead of fifteen in ten. Of rates 0.0001, 0.0003 and 0.001, decays 0.9, 0.99 and 0.999 and thresholds 0.05 and 0.2 vida has those that end best on one seed that is not among these; the mean teacher, which does not depend on them there, has the same. The mean teacher is CoTTA without its views and without setting weights back.",
		Arms:      []string{"vida", "mean teacher", "the network as it is", "low rank alone", "adapters that do not follow", "t3a", "batchstatistics"},
		Data:      "Fashion-MNIST: 6,000 clean images to learn from; a stream of 2 rounds of noise, blur, contrast, brightness and rotation at severity 4, 400 rows of the test part each time",
		Metric:    "accuracy over the stream, each row answered before it is learned from",
		Margin:    0,
		Percent:   true,
		Seeds:     5,
		Needs:     []string{"fashion_mnist"},
		Run:       vidaRun,
		Facts:     claim.Means,
	}
}

const vidaStretch, vidaRounds, vidaBatch = 400, 2, 40

var vidaKinds = []string{"noise", "blur", "contrast", "brightness", "rotation"}

// vidaStream are test rows under one corruption after the other.
func vidaStream(s *shifted, seed uint64) (*data.Table, error) {
	var x []float32
	var names []string
	for at := range vidaRounds * len(vidaKinds) {
		damaged, err := s.damaged(vidaKinds[at%len(vidaKinds)], 4, seed)
		if err != nil {
			return nil, err
		}
		part := damaged.Slice(at*vidaStretch, (at+1)*vidaStretch)
		x = append(x, part.X()...)
		for i := range vidaStretch {
			names = append(names, part.ClassName(i))
		}
	}
	t, err := data.NewTable(len(names), len(x)/len(names), x)
	if err != nil {
		return nil, err
	}
	return t.WithClassNames(names)
}

func vidaRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	s, err := newShifted(ctx, env, seed, vidaRounds*len(vidaKinds)*vidaStretch)
	if err != nil {
		return o, err
	}
	stream, err := vidaStream(s, seed)
	if err != nil {
		return o, err
	}
	o.Extra = map[string]float64{}
	c := continual.ViDA{Rate: 1e-3, Decay: 0.99, Steps: 150, Batch: vidaBatch, Seed: seed}
	low := c
	low.HighRank = 1
	still := c
	still.Batch = vidaRounds * len(vidaKinds) * vidaStretch // all is answered before anything is learned
	in := continual.ViDAInput{In: stream, Head: s.net.Checkpoint(s.clean.Classes()), Source: s.clean}
	for _, arm := range []struct {
		name   string
		answer func() (*data.Table, error)
	}{
		{"vida", func() (*data.Table, error) { return c.Apply(ctx, in) }},
		{"mean teacher", func() (*data.Table, error) { return meanTeacher(s, stream, c.Rate, c.Decay) }},
		{"the network as it is", func() (*data.Table, error) { return s.net.Logits(stream) }},
		{"low rank alone", func() (*data.Table, error) { return low.Apply(ctx, in) }},
		{"adapters that do not follow", func() (*data.Table, error) { return still.Apply(ctx, in) }},
		{"t3a", func() (*data.Table, error) {
			x, err := s.features(stream)
			if err != nil {
				return nil, err
			}
			return continual.T3A{}.Apply(ctx, continual.T3AInput{In: x, Head: s.head(s.clean.Classes())})
		}},
		{"batchstatistics", func() (*data.Table, error) { return alignedLogits(ctx, s, stream) }},
	} {
		p, err := arm.answer()
		if err != nil {
			return o, err
		}
		if p, err = p.WithColumns(s.clean.Classes()); err != nil {
			return o, err
		}
		for round := range vidaRounds {
			lo, hi := round*len(vidaKinds)*vidaStretch, (round+1)*len(vidaKinds)*vidaStretch
			a, err := claim.Accuracy(p.Slice(lo, hi), stream.Slice(lo, hi))
			if err != nil {
				return o, err
			}
			o.Extra[arm.name+", round "+claim.Numbers(vidaRounds + 1)[round+1]] = a
		}
		a, err := claim.Accuracy(p, stream)
		if err != nil {
			return o, err
		}
		o.Arms = append(o.Arms, a)
	}
	return o, nil
}

// meanTeacher answers by the running mean of a network that learns from its answers: CoTTA without its views and without setting weights back.
func meanTeacher(s *shifted, stream *data.Table, rate, decay float64) (*data.Table, error) {
	n, d := stream.Dims()
	chain, err := net.NewChain(s.net.Tensors(), d)
	if err != nil {
		return nil, err
	}
	student, teacher := chain.Params(0), chain.Params(0)
	g := net.NewGraph(student)
	x := g.Input(vidaBatch, d)
	outs := chain.Build(g, x)
	z := outs[len(outs)-1]
	k := z.Shape()[1]
	target := g.Input(vidaBatch, k)
	program, err := g.Train(g.CrossEntropySoft(z, target, net.Targets{}))
	if err != nil {
		return nil, err
	}
	optimiser := net.Optimiser{Rule: net.Adam, Rate: rate}
	var answers []float32
	for lo := 0; lo < n; lo += vidaBatch {
		rows := stream.Slice(lo, lo+vidaBatch).X()
		p, err := chain.Outputs(teacher, rows, vidaBatch)
		if err != nil {
			return nil, err
		}
		num.SoftmaxRows(p, p, k)
		answers = append(answers, p...)
		copy(x.Value(), rows)
		copy(target.Value(), p)
		program.Forward()
		student.ZeroGradients()
		program.Backward()
		optimiser.Step(student, 1)
		for _, w := range student.All() {
			to := teacher.Get(w.Name).Values
			for i, v := range w.Values {
				to[i] = float32(decay*float64(to[i]) + (1-decay)*float64(v))
			}
		}
	}
	return data.NewTable(n, k, answers)
}

// alignedLogits brings the hidden layer's statistics of each batch to those of clean rows.
func alignedLogits(ctx context.Context, s *shifted, stream *data.Table) (*data.Table, error) {
	x, err := s.features(stream)
	if err != nil {
		return nil, err
	}
	n, _ := x.Dims()
	var z []float32
	for lo := 0; lo < n; lo += vidaBatch {
		moved, err := continual.BatchStatistics{}.Apply(ctx, continual.BatchStatisticsInput{In: x.Slice(lo, lo+vidaBatch), Reference: s.train})
		if err != nil {
			return nil, err
		}
		part, err := s.back.Logits(moved)
		if err != nil {
			return nil, err
		}
		z = slices.Concat(z, part.X())
	}
	return data.NewTable(n, len(z)/n, z)
}
