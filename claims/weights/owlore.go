package weights

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/weights"
)

func owLore() claim.Claim {
	return claim.Claim{
		ID:        "weights/owlore",
		Paper:     "li2024owlore",
		Statement: "Of methods that tune a few layers at a time, the one that draws layers by their outliers does better than LISA, which draws them alike, at less memory than tuning everything.",
		ScaleDown: "perceptrons 196-64 and seven layers more of 64, pre-trained on digits and tuned on clothes, instead of language models of 7 billion parameters. One pixel in twenty is ten times as large as the others, so that there are outliers at all. Two of eight layers learn at a time, updates have rank 8, for 10 passes over 2,000 rows.",
		Arms:      []string{"layers drawn by outliers", "layers drawn alike", "layers without outliers drawn", "everything tuned"},
		Data:      "MNIST: 6,000 rows to pre-train on; Fashion-MNIST: 2,000 to tune on, 3,000 of the test part",
		Metric:    "accuracy on the test part",
		Percent:   true,
		Seeds:     8,
		Needs:     []string{"mnist", "fashion_mnist"},
		Run:       owLoreRun,
		Facts:     claim.Means,
	}
}

// loud makes every twentieth pixel of small images ten times as large.
func loud(t *data.Table) (*data.Table, error) {
	small, err := shrunk(t)
	if err != nil {
		return nil, err
	}
	n, d := small.Dims()
	x := slices.Clone(small.X())
	for i := range x {
		if i%d%20 == 7 {
			x[i] *= 10
		}
	}
	labels, err := small.Labels()
	if err != nil {
		return nil, err
	}
	out, err := data.NewTable(n, d, x)
	if err != nil {
		return nil, err
	}
	return out.WithLabels(labels, small.Classes())
}

func owLoreRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	r := claim.Random(seed, 14)
	var tables []*data.Table
	for _, part := range []struct {
		set, name string
		rows      int
	}{{"mnist", "train", 6000}, {"fashion_mnist", "train", 2000}, {"fashion_mnist", "t10k", 3000}} {
		t, err := env.Images(part.set, part.name)
		if err != nil {
			return o, err
		}
		if t, err = claim.Sample(t, r, part.rows); err != nil {
			return o, err
		}
		if t, err = loud(t); err != nil {
			return o, err
		}
		tables = append(tables, t)
	}
	start, err := claim.Perceptron{Net: net.New(seed, 196, 64, 64, 64, 64, 64, 64, 64, 64, 10)}.Train(ctx, net.Train{Epochs: 6, Batch: 50, Rate: 1e-3, Adam: true, Cosine: true, Seed: seed}, tables[0])
	if err != nil {
		return o, err
	}
	judge, err := weights.NewHoldout(tables[2])
	if err != nil {
		return o, err
	}
	plain := weights.OwLore{Active: 2, Rank: 8, Period: 20, Steps: 10, Batch: 50, Rate: 1e-3, Seed: seed}
	o.Extra = map[string]float64{}
	for i, strategy := range []string{"outliers", "uniform", "reverse", "uniform"} {
		c := plain
		if c.Strategy = strategy; i == 3 {
			c.Active, c.Rank, c.Period = 100, 100, 1000000
		}
		tuned, err := c.Apply(ctx, weights.OwLoreInput{Encoder: start.Checkpoint(tables[0].Classes()), Rows: tables[1]})
		if err != nil {
			return o, err
		}
		a, err := judge.Evaluate(ctx, tuned)
		if err != nil {
			return o, err
		}
		o.Arms = append(o.Arms, a)
		if i > 0 {
			continue
		}
		read := tuned.Read()
		memory, layers := read.Strings("owlore.memory"), read.Strings("owlore.layers")
		if err := read.Err(); err != nil {
			return o, err
		}
		if o.Extra["numbers in use, share of those for tuning everything"], err = strconv.ParseFloat(memory[2], 64); err != nil {
			return o, err
		}
		for k, line := range layers {
			name, outliers := "", 0.0
			if _, err := fmt.Sscan(line, &name, &outliers); err != nil {
				return o, err
			}
			o.Extra[fmt.Sprintf("share of outliers, layer %d", k+1)] = outliers
		}
	}
	return o, nil
}
