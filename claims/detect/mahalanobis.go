package detect

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

func mahalanobis() claim.Claim {
	return claim.Claim{
		ID:    "detect/mahalanobis",
		Paper: "lee2018simple, tables 1 and 2, figures 3 and 4",
		Statement: "On the features of a softmax classifier, the distance to the nearest class mean under a shared covariance finds unfamiliar inputs better than the largest softmax probability does: " +
			"with one layer already, more with several whose weights are learned and with inputs moved towards a class, and still when labels are wrong or few. New classes are learned from few rows better than by a new softmax layer. The paper's ResNets gain tens of points of TNR at 95 % TPR.",
		ScaleDown: settingScale + ", instead of ResNets and DenseNets on CIFAR and SVHN; two layers. Weights are learned from 1,000 rows of each side, or with attacked rows (fast gradient sign, step 0.1) for the unfamiliar ones; where those lie nearer in both layers, the weights stay alike. The step by which inputs move is the paper's grid's best on the same rows. All arms are measured on the others. " +
			"A perceptron has no filters whose responses could be averaged over an image, so the gain from earlier layers may be another. New classes: a network of 5 classes learns the other 5 from 20 rows each.",
		Arms: []string{"Mahalanobis, last hidden layer", "largest softmax probability", "both layers, alike", "both layers, weights from unfamiliar rows", "both layers, weights from attacked rows",
			"both layers, weights from unfamiliar rows, inputs moved", "last hidden layer, inputs moved"},
		Data:    settingData,
		Metric:  "AUROC, mean over the 3 kinds of unfamiliar rows",
		Percent: true,
		Seeds:   8,
		Needs:   settingNeeds,
		Run:     mahalanobisRun,
		Facts:   claim.Means,
	}
}

// mahalanobisSteps are the paper's, in units of pixels' range.
var mahalanobisSteps = []float64{0, 0.0005, 0.001, 0.0014, 0.002, 0.0024, 0.005, 0.01, 0.05, 0.1, 0.2}

// mahalanobisKept is how many rows of each side weights and steps are chosen on; the others are measured.
const mahalanobisKept = 1000

func mahalanobisRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	o.Extra = map[string]float64{}
	s, err := newSetting(ctx, env, seed, 12000, 0)
	if err != nil {
		return o, err
	}
	arms, names, err := mahalanobisArms(ctx, s, o.Extra)
	if err != nil {
		return o, err
	}
	for k, of := range arms {
		a, err := s.auroc(of, names[k], o.Extra)
		if err != nil {
			return o, err
		}
		f, err := s.fpr(of, names[k], nil)
		if err != nil {
			return o, err
		}
		o.Arms = append(o.Arms, a)
		o.Extra[names[k]+" TNR at 95 % TPR, mean"] = 1 - f
	}
	// The paper's figure 3: fewer rows to train on, and wrong labels.
	for _, hard := range []struct {
		name  string
		rows  int
		wrong float64
	}{{"a tenth of the training rows", 1200, 0}, {"20 % wrong training labels", 12000, 0.2}, {"40 % wrong training labels", 12000, 0.4}} {
		s, err := newSetting(ctx, env, seed, hard.rows, hard.wrong)
		if err != nil {
			return o, err
		}
		m, err := mahalanobisFit(ctx, s, 2)
		if err != nil {
			return o, err
		}
		last, err := s.score(m, s.features)
		if err != nil {
			return o, err
		}
		baseline, err := s.maxSoftmax(ctx)
		if err != nil {
			return o, err
		}
		a, err := s.auroc(last, "", nil)
		if err != nil {
			return o, err
		}
		b, err := s.auroc(baseline, "", nil)
		if err != nil {
			return o, err
		}
		o.Extra["gain in AUROC, "+hard.name] = a - b
	}
	return o, mahalanobisIncrement(ctx, env, seed, o.Extra)
}

// mahalanobisNetwork shows hidden layers of a network side by side, from the first of them on.
type mahalanobisNetwork struct {
	net   claim.Perceptron
	first int // 1 or 2
}

// Features returns what the layers put out, with the rows' labels.
func (m mahalanobisNetwork) Features(in *data.Table) (*data.Table, error) {
	last, err := m.net.Hidden(2, in)
	if err != nil || m.first == 2 {
		return last, err
	}
	front, err := m.net.Hidden(1, in)
	if err != nil {
		return nil, err
	}
	n, d := front.Dims()
	_, e := last.Dims()
	x := make([]float32, 0, n*(d+e))
	for i := range n {
		x = append(append(x, front.Row(i)...), last.Row(i)...)
	}
	out, err := data.NewTable(n, d+e, x)
	if err != nil || !in.HasLabels() {
		return out, err
	}
	labels, err := in.Labels()
	if err != nil {
		return nil, err
	}
	return out.WithLabels(labels, in.Classes())
}

// Pullback goes back through the network.
func (m mahalanobisNetwork) Pullback(in, gradient *data.Table) (*data.Table, error) {
	_, d := gradient.Dims()
	return m.net.Gradient(in, func(g *net.Graph, layers []*net.Node) (*net.Node, func(int)) {
		features := layers[1]
		if m.first == 1 {
			features = g.Concat(1, layers[0], layers[1])
		}
		by := g.Input(features.Shape()[0], d)
		return g.Sum(g.Mul(features, by)), func(first int) { copy(by.Value(), gradient.X()[first*d:]) }
	})
}

// mahalanobisFit fits the detector on the hidden layers from the first one given.
func mahalanobisFit(ctx context.Context, s *setting, first int) (*detect.MahalanobisModel, error) {
	train, err := mahalanobisNetwork{s.net, first}.Features(s.train)
	if err != nil {
		return nil, err
	}
	if first == 2 {
		return detect.Mahalanobis{}.Fit(ctx, train)
	}
	return detect.Mahalanobis{Layers: []int{256, 128}}.Fit(ctx, train)
}

// mahalanobisArms scores by all arms the rows that nothing was chosen on, to which the setting is cut.
func mahalanobisArms(ctx context.Context, s *setting, extra map[string]float64) (arms []*scores, names []string, err error) {
	keptFamiliar := s.familiar.Slice(0, mahalanobisKept)
	var keptNovel []*data.Table
	n, _ := s.familiar.Dims()
	s.familiar = s.familiar.Slice(mahalanobisKept, n)
	for k, novel := range s.novel {
		n, _ := novel.rows.Dims()
		keptNovel = append(keptNovel, novel.rows.Slice(0, mahalanobisKept))
		s.novel[k].rows = novel.rows.Slice(mahalanobisKept, n)
	}
	attacked, err := s.net.Attacked(keptFamiliar, 0.1)
	if err != nil {
		return nil, nil, err
	}
	last, err := mahalanobisFit(ctx, s, 2)
	if err != nil {
		return nil, nil, err
	}
	both, err := mahalanobisFit(ctx, s, 1)
	if err != nil {
		return nil, nil, err
	}
	one, two := mahalanobisNetwork{s.net, 2}, mahalanobisNetwork{s.net, 1}
	combine := func(unfamiliar *data.Table) (*detect.MahalanobisModel, error) {
		a, err := two.Features(keptFamiliar)
		if err != nil {
			return nil, err
		}
		b, err := two.Features(unfamiliar)
		if err != nil {
			return nil, err
		}
		m, err := both.Combine(ctx, detect.MahalanobisInput{Familiar: a, Unfamiliar: b})
		if errors.Is(err, method.ErrDegenerate) { // they lie nearer than familiar rows do: nothing can be learned
			return both, nil
		}
		return m, err
	}
	byAttacked, err := combine(attacked)
	if err != nil {
		return nil, nil, err
	}
	baseline, err := s.maxSoftmax(ctx)
	if err != nil {
		return nil, nil, err
	}
	var taught []*detect.MahalanobisModel // by kind of unfamiliar rows, as in the paper
	for k := range s.novel {
		m, err := combine(keptNovel[k])
		if err != nil {
			return nil, nil, err
		}
		taught = append(taught, m)
		w, _ := m.Weights()
		extra[fmt.Sprintf("share of the first layer's weight, %s", s.novel[k].name)] = w[0] / (w[0] + w[1])
	}
	w, _ := byAttacked.Weights()
	extra["share of the first layer's weight, attacked rows"] = w[0] / (w[0] + w[1])
	always := func(m *detect.MahalanobisModel) func(int) *detect.MahalanobisModel {
		return func(int) *detect.MahalanobisModel { return m }
	}
	of := func(k int) *detect.MahalanobisModel { return taught[k] }
	still := func(of func(k int) *detect.MahalanobisModel, net mahalanobisNetwork) (*scores, error) {
		return mahalanobisScores(s, of, net, make([]float64, len(s.novel)))
	}
	for _, arm := range []struct {
		name string
		run  func() (*scores, error)
	}{
		{"Mahalanobis", func() (*scores, error) { return still(always(last), one) }},
		{"softmax", func() (*scores, error) { return baseline, nil }},
		{"both layers", func() (*scores, error) { return still(always(both), two) }},
		{"weights", func() (*scores, error) { return still(of, two) }},
		{"weights by attacks", func() (*scores, error) { return still(always(byAttacked), two) }},
		{"weights, moved", func() (*scores, error) { return mahalanobisMoved(s, of, two, keptFamiliar, keptNovel) }},
		{"Mahalanobis, moved", func() (*scores, error) { return mahalanobisMoved(s, always(last), one, keptFamiliar, keptNovel) }},
	} {
		result, err := arm.run()
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", arm.name, err)
		}
		arms, names = append(arms, result), append(names, arm.name)
	}
	return arms, names, nil
}

// mahalanobisScores scores with a model and a step for each kind of unfamiliar rows. Scores of different models have no one
// scale, so familiar rows are ranked against each kind's own: the setting takes one list for all.
func mahalanobisScores(s *setting, of func(k int) *detect.MahalanobisModel, net mahalanobisNetwork, steps []float64) (*scores, error) {
	out := &scores{}
	for k, novel := range s.novel {
		familiar, err := of(k).ScorePerturbed(net, s.familiar, steps[k])
		if err != nil {
			return nil, err
		}
		unfamiliar, err := of(k).ScorePerturbed(net, novel.rows, steps[k])
		if err != nil {
			return nil, err
		}
		out.apart = append(out.apart, familiar)
		out.novel = append(out.novel, unfamiliar)
	}
	return out, nil
}

// mahalanobisMoved chooses the step that is best on the kept rows of each kind.
func mahalanobisMoved(s *setting, of func(k int) *detect.MahalanobisModel, net mahalanobisNetwork, familiar *data.Table, novel []*data.Table) (*scores, error) {
	steps := make([]float64, len(novel))
	for k := range novel {
		best := -1.0
		for _, step := range mahalanobisSteps {
			a, err := of(k).ScorePerturbed(net, familiar, step)
			if err != nil {
				return nil, err
			}
			b, err := of(k).ScorePerturbed(net, novel[k], step)
			if err != nil {
				return nil, err
			}
			e, err := metric.AUROC(a, b)
			if err != nil {
				return nil, err
			}
			if e.Value > best {
				best, steps[k] = e.Value, step
			}
		}
	}
	return mahalanobisScores(s, of, net, steps)
}

// mahalanobisFew is how many rows teach a new class.
const mahalanobisFew = 20

// mahalanobisIncrement measures the paper's figure 4: five classes known to the network, five learned from few rows.
func mahalanobisIncrement(ctx context.Context, env claim.Env, seed uint64, extra map[string]float64) error {
	r := claim.Random(seed, 7)
	order := r.Perm(10)
	old, fresh := order[:5], order[5:]
	all, err := env.Images("fashion_mnist", "train")
	if err != nil {
		return err
	}
	test, err := env.Images("fashion_mnist", "t10k")
	if err != nil {
		return err
	}
	base, err := claim.Sample(all, r, 6000, old...)
	if err != nil {
		return err
	}
	task, err := claim.Sample(all, r, 0, fresh...)
	if err != nil {
		return err
	}
	if task, err = claim.Shots(task, mahalanobisFew); err != nil {
		return err
	}
	if test, err = claim.Sample(test, r, 4000, order...); err != nil {
		return err
	}
	encoder, err := claim.Perceptron{Net: net.New(seed, 784, 256, 128, 5)}.Train(ctx, net.Train{Epochs: 15, Batch: 64, Rate: 0.05, Cosine: true, Momentum: 0.9, Decay: 5e-4, Seed: seed}, base)
	if err != nil {
		return err
	}
	tables := map[string]*data.Table{"base": base, "task": task, "test": test}
	for name, t := range tables {
		if tables[name], err = encoder.Hidden(2, t); err != nil {
			return err
		}
	}
	for _, predictive := range []bool{false, true} {
		m, err := detect.Mahalanobis{Predictive: predictive}.Fit(ctx, tables["base"])
		if err != nil {
			return err
		}
		next, err := m.Update(ctx, tables["task"])
		if err != nil {
			return err
		}
		p, err := next.(method.Predictor).Predict(tables["test"])
		if err != nil {
			return err
		}
		name := "5 + 5 classes, accuracy, Mahalanobis"
		if predictive {
			name += ", predictive"
		}
		if extra[name], err = claim.Accuracy(p, tables["test"]); err != nil {
			return err
		}
	}
	// The softmax layer is trained anew on few rows of every class, or on few of the new ones beside all of the old.
	few, err := claim.Shots(tables["base"], mahalanobisFew)
	if err != nil {
		return err
	}
	for name, with := range map[string]*data.Table{"few rows of each": few, "all old rows": tables["base"]} {
		joined, err := mahalanobisJoined(with, tables["task"])
		if err != nil {
			return err
		}
		n, _ := joined.Dims()
		head, err := claim.Perceptron{Net: net.New(seed, 128, 10)}.Train(ctx, net.Train{Epochs: max(15, 60000/n), Batch: 64, Rate: 0.05, Cosine: true, Momentum: 0.9, Decay: 5e-4, Seed: seed}, joined)
		if err != nil {
			return err
		}
		z, err := data.NewNamed(4000, joined.Classes(), head.Net.Logits(tables["test"].X(), 4000))
		if err != nil {
			return err
		}
		if extra["5 + 5 classes, accuracy, softmax layer on "+name], err = claim.Accuracy(z, tables["test"]); err != nil {
			return err
		}
	}
	return nil
}

// mahalanobisJoined puts the rows of two tables of different classes one after the other.
func mahalanobisJoined(a, b *data.Table) (*data.Table, error) {
	n, d := a.Dims()
	m, _ := b.Dims()
	var names []string
	for _, t := range []*data.Table{a, b} {
		rows, _ := t.Dims()
		for i := range rows {
			names = append(names, t.ClassName(i))
		}
	}
	t, err := data.NewTable(n+m, d, slices.Concat(a.X(), b.X()))
	if err != nil {
		return nil, err
	}
	return t.WithClassNames(names)
}
