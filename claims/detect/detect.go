// Package detect runs the comparisons behind the detectors again.
package detect

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

// Claims returns the family's claims.
func Claims() []claim.Claim {
	return []claim.Claim{
		advEncoder(), energy(), gaussianAD(), knn(), mahalanobis(), maxSoftmax(),
		copod(), ecod(), hbos(), isolationForest(), lof(), memoryBank(), mlkd(), odin(), oneClassSVM(), pca(), testerLearner(),
	}
}

// The setting that four of the claims share; it was fixed before any of them ran.
const (
	settingData  = "Fashion-MNIST: 12,000 training images of 8 classes, drawn by the seed like all else; 4,000 of their test images are familiar. Unfamiliar: 2,000 each of the test images of the other 2 classes (near), of MNIST and of notMNIST (far)"
	settingScale = "perceptron 784-256-128-8 on pixels, 15 epochs of momentum descent"
)

var settingNeeds = []string{"fashion_mnist", "mnist", "notmnist"}

// setting is a classifier with rows that are like its training rows and rows that are not.
type setting struct {
	net      claim.Perceptron
	train    *data.Table // pixels, labelled
	familiar *data.Table // pixels, labelled
	novel    []novelty
}

type novelty struct {
	name string
	rows *data.Table // pixels
}

// newSetting trains the classifier on the given number of rows, a share of which has a wrong label.
func newSetting(ctx context.Context, env claim.Env, seed uint64, rows int, wrong float64) (*setting, error) {
	s := &setting{}
	r := claim.Random(seed, 1)
	order := r.Perm(10)
	known, held := order[:8], order[8:]
	all, err := env.Images("fashion_mnist", "train")
	if err != nil {
		return nil, err
	}
	if s.train, err = claim.Sample(all, r, 12000, known...); err != nil {
		return nil, err
	}
	s.train = s.train.Slice(0, rows)
	test, err := env.Images("fashion_mnist", "t10k")
	if err != nil {
		return nil, err
	}
	if s.familiar, err = claim.Sample(test, r, 4000, known...); err != nil {
		return nil, err
	}
	near, err := claim.Sample(test, r, 2000, held...)
	if err != nil {
		return nil, err
	}
	s.novel = append(s.novel, novelty{"near", near})
	for _, far := range []struct{ name, set string }{{"MNIST", "mnist"}, {"notMNIST", "notmnist"}} {
		t, err := env.Images(far.set, "t10k")
		if err != nil {
			return nil, err
		}
		if t, err = claim.Sample(t, r, 2000); err != nil {
			return nil, err
		}
		s.novel = append(s.novel, novelty{far.name, t})
	}
	if s.train, err = mislabelled(s.train, wrong, claim.Random(seed, 2)); err != nil {
		return nil, err
	}
	s.net, err = claim.Perceptron{Net: net.New(seed, 784, 256, 128, 8)}.Train(ctx, net.Train{Epochs: 15, Batch: 64, Rate: 0.05, Cosine: true, Momentum: 0.9, Decay: 5e-4, Seed: seed}, s.train)
	return s, err
}

// mislabelled gives a share of the rows one of the other labels.
func mislabelled(t *data.Table, share float64, r *rand.Rand) (*data.Table, error) {
	labels, err := t.Labels()
	if err != nil || share == 0 {
		return t, err
	}
	k := len(t.Classes())
	noisy := make([]int, len(labels))
	for i, c := range labels {
		if noisy[i] = c; r.Float64() < share {
			noisy[i] = (c + 1 + r.IntN(k-1)) % k
		}
	}
	return t.WithLabels(noisy, t.Classes())
}

// logits is the view of a detector that reads a classifier's outputs.
func (s *setting) logits(in *data.Table) (*data.Table, error) { return s.net.Logits(in) }

// features is the view of a detector that reads the last hidden layer.
func (s *setting) features(in *data.Table) (*data.Table, error) { return s.net.Hidden(2, in) }

// scores is what a detector says of familiar rows and of each kind of unfamiliar ones.
type scores struct {
	familiar []float64
	novel    [][]float64
	apart    [][]float64 // of familiar rows for each kind of unfamiliar ones, where detectors differ by kind; then familiar is empty
}

// against returns the scores of familiar rows to be compared with a kind of unfamiliar ones.
func (s *scores) against(kind int) []float64 {
	if s.apart != nil {
		return s.apart[kind]
	}
	return s.familiar
}

// score lets a detector score all rows as the view shows them.
func (s *setting) score(m method.Scorer, view func(*data.Table) (*data.Table, error)) (*scores, error) {
	one := func(in *data.Table) ([]float64, error) {
		seen, err := view(in)
		if err != nil {
			return nil, err
		}
		return m.Score(seen)
	}
	out := &scores{}
	var err error
	if out.familiar, err = one(s.familiar); err != nil {
		return nil, err
	}
	for _, n := range s.novel {
		v, err := one(n.rows)
		if err != nil {
			return nil, err
		}
		out.novel = append(out.novel, v)
	}
	return out, nil
}

// maxSoftmax scores by the baseline that most papers name.
func (s *setting) maxSoftmax(ctx context.Context) (*scores, error) {
	m, err := fitLogits(ctx, s, detect.MaxSoftmax{}.Fit)
	if err != nil {
		return nil, err
	}
	return s.score(m, s.logits)
}

// fitLogits fits a detector on the logits of the training rows.
func fitLogits[M any](ctx context.Context, s *setting, fit func(context.Context, detect.LogitsInput) (M, error)) (m M, err error) {
	z, err := s.logits(s.train)
	if err != nil {
		return m, err
	}
	return fit(ctx, detect.LogitsInput{Logits: z})
}

// auroc returns the mean AUROC over the kinds of unfamiliar rows and, when extra is given, notes each under a name.
func (s *setting) auroc(of *scores, name string, extra map[string]float64) (float64, error) {
	return s.mean(of, name+" AUROC", extra, metric.AUROC)
}

// fpr is auroc for the share of unfamiliar rows that pass when 95 % of the familiar ones do.
func (s *setting) fpr(of *scores, name string, extra map[string]float64) (float64, error) {
	return s.mean(of, name+" FPR95", extra, metric.FPR95InPositive)
}

func (s *setting) mean(of *scores, name string, extra map[string]float64, measure func(a, b []float64, how ...metric.Interval) (metric.Estimate, error)) (float64, error) {
	sum := 0.0
	for k, n := range s.novel {
		e, err := measure(of.against(k), of.novel[k])
		if err != nil {
			return 0, err
		}
		if extra != nil {
			extra[fmt.Sprintf("%s, %s", name, n.name)] = e.Value
		}
		sum += e.Value / float64(len(s.novel))
	}
	return sum, nil
}
