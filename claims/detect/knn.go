package detect

import (
	"context"
	"strings"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

// What the encoder knows from pre-training, and what it does not.
const knnKnown, knnUnknown = "seen before", "never seen"

func knn() claim.Claim {
	return claim.Claim{
		ID:    "detect/knn",
		Paper: "sun2022knn; the comparison is that of Miyai et al., Can Pre-trained Networks Detect Familiar Out-of-Distribution Data?",
		Statement: "A head on a frozen pre-trained encoder is confident on what the encoder knows from pre-training although it is none of the head's classes; " +
			"the distance to the nearest training features does not look through the head and tells such inputs nearly perfectly, whether the encoder was pre-trained with labels or without.",
		ScaleDown: "perceptrons 784-256-128 pre-trained for 15 epochs on 12,000 Fashion-MNIST images, with their labels and without (which of four ways up is this image), instead of ImageNet networks; a linear head on digits. " +
			"The domains differ more than the paper's do. As facts: what pre-training has not seen, and sun2022knn's own setting, a classifier trained on the familiar classes. " +
			"The study's other finding, that the head fails where the unfamiliar cannot be told by a plane, is not seen here: a plane that is shown both tells all classes nearly perfectly, and how nearly says nothing of the head's AUROC. Familiarity is not what misleads the head here, for it does worse still on what the encoder never saw; and rows scaled to length one seldom reach \"nearly perfectly\". The arm on raw rows was added after a look at two seeds.",
		Arms:    []string{"KNN", "largest softmax probability", "energy", "Mahalanobis", "KNN, rows not scaled to length one"},
		Data:    "familiar: MNIST, 6,000 rows to learn from and 2,000 to test; unfamiliar: 2,000 test images of Fashion-MNIST, whose training images the encoders know (facts: of notMNIST, which they do not know)",
		Metric:  "AUROC, mean over the 2 encoders",
		Margin:  0.05,
		Percent: true,
		Seeds:   6,
		Needs:   settingNeeds,
		Run:     knnRun,
		Facts:   knnFacts,
	}
}

// knnFacts adds how often the study's "nearly perfectly" is reached.
func knnFacts(outcomes []claim.Outcome) []claim.Fact {
	reached := 0.0
	for _, o := range outcomes {
		for name, v := range o.Extra {
			if strings.HasSuffix(name, knnKnown+", KNN") && v >= 0.95 {
				reached++
			}
		}
	}
	return append(claim.Means(outcomes), claim.Fact{Name: "share of encoders and seeds on which KNN reaches an AUROC of 0.95, " + knnKnown, Value: reached / float64(2*len(outcomes))})
}

func knnRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	r := claim.Random(seed, 3)
	images := map[string]*data.Table{}
	for _, part := range []struct {
		name, set, part string
		rows            int
	}{
		{"pre-training", "fashion_mnist", "train", 12000}, {knnKnown, "fashion_mnist", "t10k", 2000},
		{"train", "mnist", "train", 6000}, {"familiar", "mnist", "t10k", 2000},
		{knnUnknown, "notmnist", "t10k", 2000},
	} {
		t, err := env.Images(part.set, part.part)
		if err != nil {
			return o, err
		}
		if images[part.name], err = claim.Sample(t, r, part.rows); err != nil {
			return o, err
		}
	}
	turned, err := knnTurned(images["pre-training"].Slice(0, 6000))
	if err != nil {
		return o, err
	}
	recipe := net.Train{Epochs: 15, Batch: 64, Rate: 0.05, Cosine: true, Momentum: 0.9, Decay: 5e-4, Seed: seed}
	o.Arms, o.Extra = make([]float64, 5), map[string]float64{}
	var cells []knnCell
	for _, encoder := range []struct {
		name string
		rows *data.Table
		out  int
	}{{"with labels", images["pre-training"], 10}, {"without labels", turned, 4}} {
		p, err := claim.Perceptron{Net: net.New(seed, 784, 256, 128, encoder.out)}.Train(ctx, recipe, encoder.rows)
		if err != nil {
			return o, err
		}
		s, head, err := knnProbe(ctx, p, seed, images)
		if err != nil {
			return o, err
		}
		if err := knnArms(ctx, s, head, encoder.name, &o, &cells); err != nil {
			return o, err
		}
	}
	knnCorrelations(cells, o.Extra)
	s, err := newSetting(ctx, env, seed, 12000, 0)
	if err != nil {
		return o, err
	}
	near, baseline, err := knnClassifier(ctx, s)
	if err != nil {
		return o, err
	}
	o.Extra["classifier trained on the familiar classes, KNN minus softmax"] = near - baseline
	return o, nil
}

// knnTurned makes the pre-training task without labels: each image four ways up, and the way is the class.
func knnTurned(images *data.Table) (*data.Table, error) {
	n, d := images.Dims()
	side := 28
	x, way := make([]float32, 0, 4*n*d), make([]int, 0, 4*n)
	for i := range n {
		image := images.Row(i)
		for turn := range 4 {
			x, way = append(x, image...), append(way, turn)
			next := make([]float32, d)
			for p, v := range image { // a quarter turn: row y, column c goes to row c, column side−1−y
				next[p%side*side+side-1-p/side] = v
			}
			image = next
		}
	}
	t, err := data.NewTable(4*n, d, x)
	if err != nil {
		return nil, err
	}
	return t.WithLabels(way, claim.Numbers(4))
}

// knnProbe trains a linear head for digits on a frozen encoder. The setting it returns sees features.
func knnProbe(ctx context.Context, encoder claim.Perceptron, seed uint64, images map[string]*data.Table) (*setting, claim.Perceptron, error) {
	s, err := &setting{net: encoder}, error(nil)
	var head claim.Perceptron
	if s.train, err = s.features(images["train"]); err != nil {
		return nil, head, err
	}
	if s.familiar, err = s.features(images["familiar"]); err != nil {
		return nil, head, err
	}
	for _, name := range []string{knnKnown, knnUnknown} {
		t, err := s.features(images[name])
		if err != nil {
			return nil, head, err
		}
		s.novel = append(s.novel, novelty{name, t})
	}
	_, d := s.train.Dims()
	head, err = claim.Perceptron{Net: net.New(seed, d, 10)}.Train(ctx, net.Train{Epochs: 20, Batch: 64, Rate: 1e-3, Cosine: true, Adam: true, Seed: seed}, s.train)
	return s, head, err
}

// knnCell is what one class that an encoder knows from pre-training is like: how well a plane tells it from the familiar
// rows, and how well each arm does.
type knnCell struct {
	separable float64
	auroc     map[string]float64
}

// knnCorrelations notes whether the classes that lie on one side of a plane are those which a detector tells.
func knnCorrelations(cells []knnCell, extra map[string]float64) {
	var separable []float64
	arms := map[string][]float64{}
	for _, c := range cells {
		separable = append(separable, c.separable)
		for arm, v := range c.auroc {
			arms[arm] = append(arms[arm], v)
		}
	}
	for arm, v := range arms {
		extra["rank correlation of linear separability and AUROC over encoders and classes, "+knnKnown+", "+arm] = claim.RankCorrelation(separable, v)
	}
}

// knnClasses measures the classes of what was seen before one by one; of holds an arm's scores of them.
func knnClasses(s *setting, rows *data.Table, arm string, of *scores, seen []float64, cells []knnCell) ([]knnCell, error) {
	labels, err := rows.Labels()
	if err != nil {
		return nil, err
	}
	if cells == nil {
		cells = make([]knnCell, len(rows.Classes()))
		for c := range cells {
			var chosen []int
			for i, l := range labels {
				if l == c {
					chosen = append(chosen, i)
				}
			}
			_, d := rows.Dims()
			e, err := metric.LinearSeparability(s.familiar.X(), rows.Pick(chosen).X(), d, metric.Interval{ValueOnly: true})
			if err != nil {
				return nil, err
			}
			cells[c] = knnCell{e.Value, map[string]float64{}}
		}
	}
	for c := range cells {
		var ofClass []float64
		for i, l := range labels {
			if l == c {
				ofClass = append(ofClass, seen[i])
			}
		}
		a, err := metric.AUROC(of.familiar, ofClass, metric.Interval{ValueOnly: true})
		if err != nil {
			return nil, err
		}
		cells[c].auroc[arm] = a.Value
	}
	return cells, nil
}

// knnArms adds an encoder's half to the arms, and its classes to the cells.
func knnArms(ctx context.Context, s *setting, head claim.Perceptron, name string, o *claim.Outcome, all *[]knnCell) error {
	same := func(in *data.Table) (*data.Table, error) { return in, nil }
	z, err := head.Logits(s.train)
	if err != nil {
		return err
	}
	near, err := detect.KNN{}.Fit(ctx, s.train)
	if err != nil {
		return err
	}
	soft, err := detect.MaxSoftmax{}.Fit(ctx, detect.LogitsInput{Logits: z})
	if err != nil {
		return err
	}
	free, err := detect.Energy{}.Fit(ctx, detect.LogitsInput{Logits: z})
	if err != nil {
		return err
	}
	cloud, err := detect.Mahalanobis{}.Fit(ctx, s.train)
	if err != nil {
		return err
	}
	raw, err := detect.KNN{NoNormalize: true}.Fit(ctx, s.train)
	if err != nil {
		return err
	}
	var cells []knnCell
	for k, arm := range []struct {
		name  string
		model method.Scorer
		view  func(*data.Table) (*data.Table, error)
	}{{"KNN", near, same}, {"softmax", soft, head.Logits}, {"energy", free, head.Logits}, {"Mahalanobis", cloud, same}, {"KNN on raw rows", raw, same}} {
		of, err := s.score(arm.model, arm.view)
		if err != nil {
			return err
		}
		for n, kind := range s.novel {
			a, err := metric.AUROC(of.familiar, of.novel[n])
			if err != nil {
				return err
			}
			if kind.name == knnKnown {
				o.Arms[k] += a.Value / 2
				if cells, err = knnClasses(s, kind.rows, arm.name, of, of.novel[n], cells); err != nil {
					return err
				}
			}
			o.Extra["AUROC, encoder "+name+", "+kind.name+", "+arm.name] = a.Value
		}
	}
	*all = append(*all, cells...)
	_, d := s.familiar.Dims()
	for _, kind := range s.novel {
		e, err := metric.LinearSeparability(s.familiar.X(), kind.rows.X(), d, metric.Interval{ValueOnly: true})
		if err != nil {
			return err
		}
		o.Extra["linear separability, encoder "+name+", "+kind.name] = e.Value
	}
	return nil
}

// knnClassifier is the detector's own paper's setting.
func knnClassifier(ctx context.Context, s *setting) (near, baseline float64, err error) {
	train, err := s.features(s.train)
	if err != nil {
		return 0, 0, err
	}
	m, err := detect.KNN{}.Fit(ctx, train)
	if err != nil {
		return 0, 0, err
	}
	of, err := s.score(m, s.features)
	if err != nil {
		return 0, 0, err
	}
	if near, err = s.auroc(of, "", nil); err != nil {
		return 0, 0, err
	}
	if of, err = s.maxSoftmax(ctx); err != nil {
		return 0, 0, err
	}
	baseline, err = s.auroc(of, "", nil)
	return near, baseline, err
}
