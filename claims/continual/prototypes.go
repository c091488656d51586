package continual

import (
	"context"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
)

const (
	prototypesTasks   = 5 // of two classes each
	prototypesClasses = 10
)

func prototypes() claim.Claim {
	return claim.Claim{
		ID:        "continual/prototypes",
		Paper:     "zhou2023revisiting",
		Statement: "When classes arrive task by task and no old rows may be kept, class means of a frozen encoder, compared by cosine, end far ahead of a network tuned on one task after the other.",
		ScaleDown: "a perceptron 784-256-10 pre-trained on 10,000 digits instead of a ViT pre-trained on ImageNet; only the linear head is tuned in sequence, not the encoder; 5 tasks of 2 classes of Fashion-MNIST, 600 images a class.",
		Arms:      []string{"prototypes", "linear head tuned task by task", "linear head trained on all tasks at once"},
		Data:      "features of Fashion-MNIST, 256 columns of the hidden layer: 6,000 rows to learn from in 5 tasks, 4,000 of the test part",
		Metric:    "accuracy over all classes after the last task",
		Margin:    0.2,
		Percent:   true,
		Seeds:     10,
		Needs:     []string{"fashion_mnist", "mnist"},
		Run:       prototypesRun,
		Facts:     claim.Means,
	}
}

func prototypesRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	r := claim.Random(seed, 1)
	digits, err := env.Images("mnist", "train")
	if err != nil {
		return o, err
	}
	if digits, err = claim.Sample(digits, r, 10000); err != nil {
		return o, err
	}
	encoder, err := claim.Perceptron{Net: net.New(seed, 784, 256, 10)}.Train(ctx, net.Train{Epochs: 10, Batch: 64, Rate: 0.05, Cosine: true, Momentum: 0.9, Decay: 5e-4, Seed: seed}, digits)
	if err != nil {
		return o, err
	}
	order := r.Perm(prototypesClasses) // of arrival
	var parts []*data.Table
	for _, part := range []struct {
		name string
		rows int
	}{{"train", 6000}, {"t10k", 4000}} {
		t, err := env.Images("fashion_mnist", part.name)
		if err != nil {
			return o, err
		}
		if t, err = claim.Sample(t, r, part.rows, order...); err != nil { // class k is now the k-th to arrive
			return o, err
		}
		if t, err = encoder.Hidden(1, t); err != nil {
			return o, err
		}
		parts = append(parts, t)
	}
	train, test := parts[0], parts[1]
	tasks := prototypesSplit(train)

	learned, err := continual.Prototypes{}.Fit(ctx, tasks[0])
	if err != nil {
		return o, err
	}
	_, d := train.Dims()
	head := claim.Perceptron{Net: net.New(seed, d, prototypesClasses)}
	recipe := net.Train{Epochs: 20, Batch: 64, Rate: 1e-3, Cosine: true, Adam: true, Seed: seed}
	joint, err := head.Train(ctx, recipe, train)
	if err != nil {
		return o, err
	}
	for k, task := range tasks {
		if k > 0 {
			m, err := learned.Update(ctx, task)
			if err != nil {
				return o, err
			}
			learned = m.(*continual.PrototypesModel)
		}
		if head, err = head.Train(ctx, recipe, task); err != nil {
			return o, err
		}
	}
	p, err := learned.Predict(test)
	if err != nil {
		return o, err
	}
	a, err := claim.Accuracy(p, test)
	if err != nil {
		return o, err
	}
	o.Arms = append(o.Arms, a)
	for _, h := range []claim.Perceptron{head, joint} {
		l, err := h.Logits(test)
		if err != nil {
			return o, err
		}
		if a, err = claim.Accuracy(l, test); err != nil {
			return o, err
		}
		o.Arms = append(o.Arms, a)
	}
	return o, nil
}

// prototypesSplit cuts rows into tasks of two classes, in the order of the classes' numbers.
func prototypesSplit(t *data.Table) []*data.Table {
	labels, err := t.Labels()
	if err != nil {
		return nil
	}
	rows := make([][]int, prototypesTasks)
	for i, c := range labels {
		k := c * prototypesTasks / prototypesClasses
		rows[k] = append(rows[k], i)
	}
	tasks := make([]*data.Table, prototypesTasks)
	for k := range tasks {
		tasks[k] = t.Pick(rows[k])
	}
	return tasks
}
