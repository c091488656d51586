package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/gimbal-ml/gimbal/audit"
	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/probe"
)

// headRows fit heads to all of Fashion-MNIST's training pixels. The peers need minutes, so each side fits once.
func headRows() []*row {
	const iterations = 1000
	objective := 0.0
	return []*row{
		{name: "logistic regression 60,000×784, 10 classes", threads: []int{2}, peer: "python", once: true, goal: 3,
			label:   fmt.Sprintf("scikit-learn LogisticRegression, default solver and tolerance, at most %d iterations", iterations),
			request: func(int) string { return fmt.Sprintf("logistic 3 %d", iterations) },
			prepare: func() func() {
				return fitFashion(func(t *data.Table) error {
					m, err := probe.Logistic{Ridge: 1e-3}.Fit(context.Background(), t)
					if err == nil {
						objective = m.Objective()
					}
					return err
				})
			},
			reached: func() float64 { return objective }},
		{name: "ridge, 100 penalties by leave-one-out, 60,000×784, 10 classes", threads: []int{2}, peer: "python", once: true, goal: 20,
			label:   "scikit-learn RidgeClassifierCV",
			request: func(int) string { return "ridge_path 100" },
			prepare: func() func() {
				return fitFashion(func(t *data.Table) error {
					_, err := probe.RidgePath{}.Fit(context.Background(), t)
					return err
				})
			}},
		{name: "audit of 1,000,000 labels, probabilities of 100 classes", threads: []int{2}, peer: "python", rounds: 3, goal: 5,
			label:   "cleanlab, find_label_issues",
			request: func(int) string { return fmt.Sprintf("audit_labels %d %d 0", auditRows, auditClasses) },
			prepare: auditing},
		{name: "audit of 1,000,000 labels, probabilities of 100 classes", threads: []int{2}, peer: "python", once: true, goal: 5,
			label:   "cleanlab, find_label_issues_batched",
			request: func(int) string { return fmt.Sprintf("audit_labels %d %d 1", auditRows, auditClasses) },
			prepare: auditing},
	}
}

func fitFashion(fit func(*data.Table) error) func() {
	env := claim.Env{Data: cmp.Or(os.Getenv("GIMBAL_DATA"), filepath.Join("..", "shared", "data"))}
	t, err := env.Images("fashion_mnist", "train")
	return func() {
		if err == nil {
			err = fit(t)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
	}
}

const auditRows, auditClasses = 1_000_000, 100

// auditing finds wrong labels, one in ten, by probabilities.
func auditing() func() {
	x, labels := make([]float32, auditRows*auditClasses), make([]int, auditRows)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range labels {
		row := x[i*auditClasses : (i+1)*auditClasses]
		for j := range row {
			row[j] = r.Float32() * r.Float32()
		}
		labels[i] = r.IntN(auditClasses)
		if row[labels[i]] += 20; r.IntN(10) == 0 {
			labels[i] = r.IntN(auditClasses)
		}
		sum := float32(0)
		for _, v := range row {
			sum += v
		}
		for j := range row {
			row[j] /= sum
		}
	}
	t := must(must(data.NewTable(auditRows, auditClasses, x)).WithLabels(labels, claim.Numbers(auditClasses)))
	t = must(t.WithColumns(claim.Numbers(auditClasses)))
	return func() {
		m := must(audit.ConfidentLearning{Probabilities: true}.Fit(context.Background(), audit.LogitsInput{Logits: t}))
		must(m.Audit(t))
	}
}
