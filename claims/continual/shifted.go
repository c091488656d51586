package continual

import (
	"context"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/world"
)

// shifted is a network trained on clean garments, and test rows that are not like them.
type shifted struct {
	net   claim.Perceptron
	back  claim.Perceptron // its last layer
	clean *data.Table      // images to learn from
	train *data.Table      // their features
	r     *rand.Rand
	test  *data.Table // images
}

// newShifted trains a perceptron 784-128-10 on 6,000 clean images of Fashion-MNIST and draws rows of the test part.
func newShifted(ctx context.Context, env claim.Env, seed uint64, rows int) (*shifted, error) {
	s := &shifted{r: claim.Random(seed, 1)}
	clean, err := env.Images("fashion_mnist", "train")
	if err != nil {
		return nil, err
	}
	if clean, err = claim.Sample(clean, s.r, 6000); err != nil {
		return nil, err
	}
	if s.net, err = (claim.Perceptron{Net: net.New(seed, 784, 128, 10)}).Train(ctx, net.Train{Epochs: 8, Batch: 64, Rate: 0.05, Cosine: true, Momentum: 0.9, Decay: 5e-4, Seed: seed}, clean); err != nil {
		return nil, err
	}
	if _, s.back, err = s.net.Cut(1); err != nil {
		return nil, err
	}
	s.clean = clean
	if s.train, err = s.net.Hidden(1, clean); err != nil {
		return nil, err
	}
	if s.test, err = env.Images("fashion_mnist", "t10k"); err != nil {
		return nil, err
	}
	s.test, err = claim.Sample(s.test, s.r, rows)
	return s, err
}

// head is the last layer as a checkpoint.
func (s *shifted) head(classes []string) *data.Checkpoint {
	c := &data.Checkpoint{Meta: map[string]string{}, Tensors: map[string]data.Tensor{}}
	for i, t := range s.back.Tensors() { // weight and bias
		c.Tensors[[]string{"weight", "bias"}[i]] = data.Float32Tensor(t.Values, t.Shape...)
	}
	c.SetStrings("classes", classes)
	return c
}

// damaged are the test rows after a corruption.
func (s *shifted) damaged(kind string, severity float64, seed uint64) (*data.Table, error) {
	x, err := world.Corrupt(kind, severity, seed, s.test.X(), 28)
	if err != nil {
		return nil, err
	}
	n, d := s.test.Dims()
	t, err := data.NewTable(n, d, x)
	if err != nil {
		return nil, err
	}
	labels, err := s.test.Labels()
	if err != nil {
		return nil, err
	}
	return t.WithLabels(labels, s.test.Classes())
}

// features are hidden values of images, and logits what the last layer makes of them.
func (s *shifted) features(images *data.Table) (*data.Table, error) { return s.net.Hidden(1, images) }
