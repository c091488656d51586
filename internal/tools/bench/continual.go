package main

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/method"
)

const (
	headClasses, headDim, joinRows  = 1_000, 768, 500
	prototypeRows, prototypeClasses = 50_000, 100
)

// continualRows are a class that joins a thousand others behind a random layer, and class means in one pass.
func continualRows() []*row {
	join := func(rank int, what string, answer bool) *row {
		name := fmt.Sprintf("RanPAC, Rank %d: a class of 500×768 joins 1,000 others, %s", rank, what)
		return &row{name: name, threads: []int{2}, peer: "python", rounds: 1, goal: 10,
			label:   "numpy float32: the products, then 18 dense solves, as the authors' code chooses its penalty",
			request: func(int) string { return fmt.Sprintf("ranpac %d %d %d", joinRows, rank, headClasses+1) },
			prepare: func() func() { return joining(rank, answer) }}
	}
	return []*row{
		join(4_000, "sums", false),
		join(4_000, "sums and weights", true),
		join(10_000, "sums", false),
		join(10_000, "sums and weights", true),
		{name: "continual/prototypes 50,000×768, 100 classes, one pass", threads: []int{2}, peer: "python", goal: 0.5,
			label:   "numpy float64: cast, XᵀX, mean, class sums",
			request: func(int) string { return fmt.Sprintf("moments64 %d %d %d", prototypeRows, headDim, prototypeClasses) },
			flops:   float64(prototypeRows) * headDim * (headDim + 1), double: true, peerDouble: true,
			prepare: func() func() {
				t := table(prototypeRows, headDim, prototypeClasses)
				return func() { must(continual.Prototypes{}.Fit(context.Background(), t)) }
			}},
	}
}

// joining adds rows of one more class to a head of a thousand, and then asks about one if wanted.
func joining(rank int, answer bool) func() {
	m := must(continual.RanPAC{Rank: rank, Ridge: 0.1}.Fit(context.Background(), table(6*headClasses, headDim, headClasses)))
	names := make([]string, joinRows)
	for i := range names {
		names[i] = "new"
	}
	task := must(table(joinRows, headDim, 0).WithClassNames(names))
	return func() {
		next := must(m.Update(context.Background(), task))
		if answer {
			must(next.(method.Predictor).Predict(task.Slice(0, 1)))
		}
	}
}
