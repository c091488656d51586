package weights

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/metric"
	"github.com/gimbal-ml/gimbal/weights"
)

func bang() claim.Claim {
	return claim.Claim{
		ID:        "weights/bang",
		Paper:     "lin2024spurious",
		Statement: "Averaging a pre-trained network with one tuned from it helps out of distribution, for their mistakes rest on different spurious features; where the tuned one is trained with mixtures and softened labels, so that it is no surer than the other, the average is better still.",
		ScaleDown: "digits of 14×14 pixels beside 32 colour patches that go with the digit, each by a map of its own, instead of CLIP on ImageNet and its variants. Pre-training sees 16 of the patches, tuning the other 16, the rest blank; out of distribution each patch of each image has a random colour with probability 0.8, and pixels carry noise of deviation 0.6 throughout. Perceptrons 516-64-10, averaged at one half. A first version had no noise, random patches instead of blank ones and as many rows to pre-train as to tune on: there the plainly tuned network was the best of all (96.0 %) and the method lost by 1.9 points; this is the second version, and the last.",
		Arms:      []string{"tuned on mixtures and soft labels, averaged", "tuned plainly, averaged", "tuned plainly", "pre-trained", "tuned plainly, logits averaged"},
		Data:      "MNIST: 8,000 rows to pre-train on, 2,000 to tune on, 3,000 of the test part",
		Metric:    "accuracy out of distribution",
		Percent:   true,
		Seeds:     8,
		Needs:     []string{"mnist"},
		Run:       bangRun,
		Facts:     claim.Means,
	}
}

// bangPatches is how many colour patches an image has, bangColours of how many colours.
const bangPatches, bangColours = 32, 10

// patched shrinks images of 28×28 to 14×14 and sets colour patches beside them, one value for each colour. A patch from first to last
// shows the colour that its map gives the class, but with probability flip a random one; the other patches are blank. Pixels get noise.
func patched(images *data.Table, maps [][]int, first, last int, flip float64, r *rand.Rand) (*data.Table, error) {
	n, _ := images.Dims()
	labels, err := images.Labels()
	if err != nil {
		return nil, err
	}
	const side, d = 14, 14*14 + bangPatches*bangColours
	x := make([]float32, n*d)
	for i := range n {
		row, to := images.Row(i), x[i*d:(i+1)*d]
		for p := range side * side {
			y, c := 2*(p/side), 2*(p%side)
			to[p] = (row[28*y+c] + row[28*y+c+1] + row[28*y+28+c] + row[28*y+29+c]) / 4
			to[p] += float32(0.6 * r.NormFloat64())
		}
		for k := range bangPatches {
			if k < first || k >= last {
				continue
			}
			colour := r.IntN(bangColours)
			if r.Float64() >= flip {
				colour = maps[k][labels[i]]
			}
			to[side*side+k*bangColours+colour] = 1
		}
	}
	t, err := data.NewTable(n, d, x)
	if err != nil {
		return nil, err
	}
	return t.WithLabels(labels, images.Classes())
}

func bangRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	r := claim.Random(seed, 9)
	digits, err := env.Images("mnist", "train")
	if err != nil {
		return o, err
	}
	if digits, err = claim.Sample(digits, r, 10000); err != nil {
		return o, err
	}
	test, err := env.Images("mnist", "t10k")
	if err != nil {
		return o, err
	}
	if test, err = claim.Sample(test, r, 3000); err != nil {
		return o, err
	}
	maps := make([][]int, bangPatches)
	for k := range maps {
		maps[k] = r.Perm(bangColours)
	}
	const half = bangPatches / 2
	before, err := patched(digits.Slice(0, 8000), maps, 0, half, 0.1, r)
	if err != nil {
		return o, err
	}
	after, err := patched(digits.Slice(8000, 10000), maps, half, bangPatches, 0.1, r)
	if err != nil {
		return o, err
	}
	shifted, err := patched(test, maps, 0, bangPatches, 0.8, r)
	if err != nil {
		return o, err
	}
	_, d := before.Dims()
	start, err := claim.Perceptron{Net: net.New(seed, d, 64, 10)}.Train(ctx, net.Train{Epochs: 8, Batch: 50, Rate: 0.02, Cosine: true, Momentum: 0.9, Seed: seed}, before)
	if err != nil {
		return o, err
	}
	judge, err := weights.NewHoldout(shifted)
	if err != nil {
		return o, err
	}
	pre := start.Checkpoint(before.Classes())
	tune := weights.Mixup{Strategy: "plain", Steps: 8, Batch: 50, Rate: 0.02, Seed: seed}
	plain, err := tune.Apply(ctx, weights.MixupInput{Encoder: pre, Rows: after})
	if err != nil {
		return o, err
	}
	tune.Strategy, tune.LabelSmoothing = "mixup", 0.1
	soft, err := tune.Apply(ctx, weights.MixupInput{Encoder: pre, Rows: after})
	if err != nil {
		return o, err
	}
	o.Extra = map[string]float64{}
	var ensemble float64
	for i, tuned := range []*data.Checkpoint{soft, plain} {
		name := []string{"mixtures and soft labels", "plainly"}[i]
		blend, err := weights.BANG{Steps: 1}.Apply(ctx, weights.BANGInput{In: data.Checkpoints{pre, tuned}, Evaluate: judge})
		if err != nil {
			return o, err
		}
		a, err := judge.Evaluate(ctx, blend)
		if err != nil {
			return o, err
		}
		o.Arms = append(o.Arms, a)
		var right, gained, lost float64
		for _, key := range []string{"bang.ensemble", "bang.blend"} { // the blend's stay
			if _, err := fmt.Sscanf(blend.Meta[key], "right %g, false-false-true %g, true-true-false %g", &right, &gained, &lost); err != nil {
				return o, fmt.Errorf("%s: %w", key, err)
			}
			if key == "bang.ensemble" {
				ensemble = right
			}
		}
		o.Extra["right where both ends are wrong, "+name], o.Extra["wrong where both ends are right, "+name] = gained, lost
		read := blend.Read()
		sure := read.Strings("bang.confidence")
		if err := read.Err(); err != nil {
			return o, err
		}
		for k, end := range []string{"pre-trained", "tuned " + name} {
			if o.Extra["mean confidence, "+end], err = strconv.ParseFloat(sure[k], 64); err != nil {
				return o, err
			}
		}
		if o.Extra["calibration error out of distribution, tuned "+name], err = bangCalibration(tuned, shifted); err != nil {
			return o, err
		}
	}
	for _, c := range []*data.Checkpoint{plain, pre} {
		a, err := judge.Evaluate(ctx, c)
		if err != nil {
			return o, err
		}
		o.Arms = append(o.Arms, a)
	}
	o.Arms = append(o.Arms, ensemble)
	return o, nil
}

// bangCalibration is the expected calibration error of a perceptron.
func bangCalibration(c *data.Checkpoint, rows *data.Table) (float64, error) {
	tuned, err := claim.FromCheckpoint(c)
	if err != nil {
		return 0, err
	}
	z, err := tuned.Logits(rows)
	if err != nil {
		return 0, err
	}
	labels, err := rows.Labels()
	if err != nil {
		return 0, err
	}
	n, k := z.Dims()
	p := make([]float32, 0, n*k)
	for i := range n {
		row := make([]float32, k)
		num.Softmax(row, z.Row(i), 1)
		p = append(p, row...)
	}
	e, err := metric.ECE(p, k, labels)
	return e.Value, err
}
