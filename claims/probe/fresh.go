package probe

import (
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
)

// freshSeed is added to the seeds of claims whose settings were chosen while those from 0 on were looked at.
const freshSeed = 100

// drawn returns the numbers of the rows that [claim.Sample] draws of n rows that all have a class.
func drawn(r *rand.Rand, n, take int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	r.Shuffle(n, func(i, j int) { order[i], order[j] = order[j], order[i] })
	return order[:take]
}

// imageParts draws rows to learn from and rows to measure on of an image set. Measured rows are never of those that the given
// seeds measured when settings were chosen, with draws of the same stream and sizes.
func imageParts(env claim.Env, set string, r *rand.Rand, sizes [2]int, before ...*rand.Rand) (parts []*data.Table, err error) {
	var all []*data.Table
	for _, part := range []string{"train", "t10k"} {
		t, err := env.Images(set, part)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	looked := map[int]bool{}
	for _, b := range before {
		var rows []int
		for i, t := range all {
			n, _ := t.Dims()
			rows = drawn(b, n, sizes[i])
		}
		for _, row := range rows {
			looked[row] = true
		}
	}
	n, _ := all[1].Dims()
	var rest []int
	for row := range n {
		if !looked[row] {
			rest = append(rest, row)
		}
	}
	all[1] = all[1].Pick(rest)
	for i, t := range all {
		if t, err = claim.Sample(t, r, sizes[i]); err != nil {
			return nil, err
		}
		parts = append(parts, t)
	}
	return parts, nil
}
