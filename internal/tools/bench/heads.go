package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"

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
