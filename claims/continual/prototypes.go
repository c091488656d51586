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
		ScaleDown: "a perceptron 784-256-10 pre-trained on 10,000 digits instead of a ViT pre-trained on ImageNet; 5 tasks of 2 classes of Fashion-MNIST, 600 images a class. The verdict is against a head whose loss counts all ten outputs. " +
			"Two stronger baselines stand beside it, whose loss counts a task's own two outputs and leaves older ones alone: on the frozen encoder, and with the encoder tuned along, as the paper's baseline is.",
		Arms:    []string{"prototypes", "linear head tuned task by task", "linear head trained on all tasks at once", "linear head tuned task by task, loss over a task's own classes", "whole network tuned task by task, loss over a task's own classes"},
		Data:    "features of Fashion-MNIST, 256 columns of the hidden layer: 6,000 rows to learn from in 5 tasks, 4,000 of the test part",
		Metric:  "accuracy over all classes after the last task",
		Margin:  0.2,
		Percent: true,
		Seeds:   10,
		Needs:   []string{"fashion_mnist", "mnist"},
		Run:     prototypesRun,
		Facts:   claim.Means,
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
	var images, parts []*data.Table
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
		images = append(images, t)
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
	for _, whole := range []bool{false, true} {
		if a, err = prototypesOwn(ctx, encoder, images[0], images[1], whole, seed); err != nil {
			return o, err
		}
		o.Arms = append(o.Arms, a)
	}
	return o, nil
}

// prototypesOwn gives each task two outputs of its own on top of the encoder and trains them on that task, with the
// encoder if whole, by the paper's recipe then. A row belongs to the largest output of all tasks.
func prototypesOwn(ctx context.Context, encoder claim.Perceptron, train, test *data.Table, whole bool, seed uint64) (float64, error) {
	front, _, err := encoder.Cut(1)
	if err != nil {
		return 0, err
	}
	_, d := front.Dims()
	var heads []claim.Perceptron
	for k, task := range prototypesSplit(train) {
		labels, err := task.Labels()
		if err != nil {
			return 0, err
		}
		own := make([]int, len(labels))
		for i, c := range labels {
			own[i] = c - k*prototypesClasses/prototypesTasks
		}
		if task, err = task.WithLabels(own, claim.Numbers(prototypesClasses/prototypesTasks)); err != nil {
			return 0, err
		}
		p, err := front.Join(claim.Perceptron{Net: net.New(seed, d, prototypesClasses/prototypesTasks)})
		if err != nil {
			return 0, err
		}
		var head claim.Perceptron
		if whole {
			if p, err = p.Train(ctx, net.Train{Epochs: 20, Batch: 48, Rate: 0.01, Cosine: true, Momentum: 0.9, Decay: 5e-4, Seed: seed}, task); err != nil {
				return 0, err
			}
			front, head, err = p.Cut(1)
		} else {
			if task, err = p.Hidden(1, task); err != nil {
				return 0, err
			}
			if _, head, err = p.Cut(1); err != nil {
				return 0, err
			}
			head, err = head.Train(ctx, net.Train{Epochs: 20, Batch: 64, Rate: 1e-3, Cosine: true, Adam: true, Seed: seed}, task)
		}
		if err != nil {
			return 0, err
		}
		heads = append(heads, head)
	}
	n, _ := test.Dims()
	all := make([]float32, n*prototypesClasses)
	for k, head := range heads {
		p, err := front.Join(head)
		if err != nil {
			return 0, err
		}
		z, err := p.Logits(test)
		if err != nil {
			return 0, err
		}
		for i := range n {
			copy(all[i*prototypesClasses+k*prototypesClasses/prototypesTasks:], z.Row(i))
		}
	}
	outputs, err := data.NewNamed(n, test.Classes(), all)
	if err != nil {
		return 0, err
	}
	return claim.Accuracy(outputs, test)
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
