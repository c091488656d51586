package weights

import (
	"context"
	"strconv"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/weights"
)

// d2nwgKnown is how many of the twenty classes the zoo is made of, d2nwgClasses how many a head tells apart, d2nwgTasks how many heads
// are asked for.
const d2nwgKnown, d2nwgClasses, d2nwgTasks = 16, 4, 2

func d2nwg() claim.Claim {
	return claim.Claim{
		ID:        "weights/d2nwg",
		Paper:     "soro2025diffusion",
		Statement: "Weights drawn for a data set by diffusion over a zoo of trained ones, conditioned on the data, work without a step of training, near those that were trained, and better than what the zoo has nearest; without the condition they do not.",
		ScaleDown: "softmax heads of 4 classes on 16 principal components of digits and clothes, 20 classes in all, of which 16 make the zoo of 600 heads, instead of whole networks, and of adapters of language models. One head is drawn, none is chosen among several; two data sets of known classes a seed, and one with two of the four classes that no head of the zoo has seen.",
		Arms:      []string{"drawn for the data", "nearest data set's head", "drawn without the condition", "mean of the zoo", "trained on 200 rows"},
		Data:      "MNIST and Fashion-MNIST: 3,000 training images each for the zoo; 40 test images a class for the data sets",
		Metric:    "accuracy on data sets of known classes, without a step of training",
		Percent:   true,
		Seeds:     5,
		Needs:     []string{"mnist", "fashion_mnist"},
		Run:       d2nwgRun,
		Facts:     claim.Means,
	}
}

// twenty is rows of digits and clothes, as many of each, with classes "0" to "19".
func twenty(env claim.Env, part string, rows int, seed uint64) (*data.Table, error) {
	var x []float32
	var names []string
	for k, set := range []string{"mnist", "fashion_mnist"} {
		t, err := env.Images(set, part)
		if err != nil {
			return nil, err
		}
		if t, err = claim.Sample(t, claim.Random(seed, 20+uint64(k)), rows); err != nil {
			return nil, err
		}
		if t, err = shrunk(t); err != nil {
			return nil, err
		}
		labels, err := t.Labels()
		if err != nil {
			return nil, err
		}
		x = append(x, t.X()...)
		for _, l := range labels {
			names = append(names, strconv.Itoa(10*k+l))
		}
	}
	t, err := data.NewTable(len(names), len(x)/len(names), x)
	if err != nil {
		return nil, err
	}
	return t.WithClassNames(names)
}

// ofClasses is up to so many rows of each of some classes; 0 takes all.
func ofClasses(t *data.Table, each int, classes ...string) (*data.Table, error) {
	seen := map[string]int{}
	for _, c := range classes {
		seen[c] = 0
	}
	var rows []int
	var names []string
	n, _ := t.Dims()
	for i := range n {
		name := t.ClassName(i)
		if k, ok := seen[name]; ok && (each == 0 || k < each) {
			seen[name]++
			rows, names = append(rows, i), append(names, name)
		}
	}
	return t.Pick(rows).WithClassNames(names)
}

func d2nwgRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	train, err := twenty(env, "train", 3000, seed)
	if err != nil {
		return o, err
	}
	test, err := twenty(env, "t10k", 2000, seed)
	if err != nil {
		return o, err
	}
	tables, err := principal(kindWidth, train, test)
	if err != nil {
		return o, err
	}
	train, test = tables[0], tables[1]
	r := claim.Random(seed, 22)
	classes := claim.Numbers(20)
	r.Shuffle(len(classes), func(i, j int) { classes[i], classes[j] = classes[j], classes[i] })
	known, fresh := classes[:d2nwgKnown], classes[d2nwgKnown:]
	pool, err := ofClasses(train, 0, known...)
	if err != nil {
		return o, err
	}
	o.Arms, o.Extra = make([]float64, 5), map[string]float64{}
	for task := range d2nwgTasks + 1 {
		wanted := append([]string(nil), known...)
		r.Shuffle(len(wanted), func(i, j int) { wanted[i], wanted[j] = wanted[j], wanted[i] })
		wanted = wanted[:d2nwgClasses]
		if task == d2nwgTasks {
			copy(wanted, fresh[:2])
		}
		target, err := ofClasses(test, 40, wanted...)
		if err != nil {
			return o, err
		}
		c := weights.D2NWG{Zoo: 600, Steps: 150, Shots: 50, Samples: 1, Seed: seed}
		told, err := c.Apply(ctx, weights.D2NWGInput{Rows: pool, Wanted: target})
		if err != nil {
			return o, err
		}
		var got [5]float64
		if got[0], err = strconv.ParseFloat(told.Meta["d2nwg.accuracy"], 64); err != nil {
			return o, err
		}
		for k, key := range map[int]string{1: "d2nwg.nearest", 3: "d2nwg.mean"} {
			read := told.Read()
			both := read.Strings(key)
			if err := read.Err(); err != nil {
				return o, err
			}
			if got[k], err = strconv.ParseFloat(both[1], 64); err != nil {
				return o, err
			}
		}
		if task == d2nwgTasks {
			for k, name := range []string{"drawn for the data", "nearest data set's head", "", "mean of the zoo"} {
				if name != "" {
					o.Extra["accuracy where two of four classes are new, "+name] = got[k]
				}
			}
			continue
		}
		c.Unconditional = true
		blind, err := c.Apply(ctx, weights.D2NWGInput{Rows: pool, Wanted: target})
		if err != nil {
			return o, err
		}
		if got[2], err = strconv.ParseFloat(blind.Meta["d2nwg.accuracy"], 64); err != nil {
			return o, err
		}
		shots, err := ofClasses(train, 50, wanted...)
		if err != nil {
			return o, err
		}
		trained, err := claim.Perceptron{Net: net.New(seed, kindWidth, d2nwgClasses)}.Train(ctx, net.Train{Epochs: 60, Batch: 20, Rate: 0.05, Cosine: true, Momentum: 0.9, Decay: 1e-3, Seed: seed}, shots)
		if err != nil {
			return o, err
		}
		z, err := trained.Logits(target)
		if err != nil {
			return o, err
		}
		if z, err = z.WithColumns(shots.Classes()); err != nil { // whose order it was trained in
			return o, err
		}
		if got[4], err = claim.Accuracy(z, target); err != nil {
			return o, err
		}
		for k := range got {
			o.Arms[k] += got[k] / d2nwgTasks
		}
		if v, err := strconv.ParseFloat(told.Meta["d2nwg.reconstruction"], 64); err == nil {
			o.Extra["share of the zoo's variance that codes lose"] += v / d2nwgTasks
		}
	}
	return o, nil
}
