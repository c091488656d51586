package weights

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/data/safetensors"
	"github.com/gimbal-ml/gimbal/encode"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/weights"
)

// essSparsityShare is the sparsity at which the arms are compared, essSparsityRounds the rounds of the iterative baseline.
const essSparsityShare, essSparsityRounds = 0.6, 5

func essSparsity() claim.Claim {
	return claim.Claim{
		ID:        "weights/esssparsity",
		Paper:     "jaiswal2023emergence",
		Statement: "A large part of a pre-trained network's weights, the smallest ones, can go in one shot before tuning; inside that range random weights are no substitute, and masks found by iterative pruning (lottery tickets) are nearly the same and no better.",
		ScaleDown: "perceptrons 784-128-10 pre-trained on 20,000 images of Fashion-MNIST and tuned on 4,000 others under a mask of 60 % zeros, instead of BERT, OPT and Vicuna; the iterative baseline prunes and rewinds in 5 rounds. The knee is also measured on the three published MNIST networks in the public data, untuned. Growth of sparsity over pre-training and self-supervision are not repeated.",
		Arms:      []string{"one-shot magnitude, then tuned", "random weights, then tuned", "iterative magnitude, then tuned", "all weights, tuned"},
		Data:      "Fashion-MNIST: 20,000 rows to pre-train on, 4,000 to tune on, 2,000 held out, 4,000 of the test part; MNIST: 600 test rows for the published networks",
		Metric:    "accuracy on the test part",
		Percent:   true,
		Seeds:     6,
		Needs:     []string{"fashion_mnist", "mnist", "weights"},
		Run:       essSparsityRun,
		Facts:     claim.Means,
	}
}

func essSparsityRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	r := claim.Random(seed, 3)
	clothes, err := env.Images("fashion_mnist", "train")
	if err != nil {
		return o, err
	}
	if clothes, err = claim.Sample(clothes, r, 26000); err != nil {
		return o, err
	}
	before, tune, held := clothes.Slice(0, 20000), clothes.Slice(20000, 24000), clothes.Slice(24000, 26000)
	test, err := env.Images("fashion_mnist", "t10k")
	if err != nil {
		return o, err
	}
	if test, err = claim.Sample(test, r, 4000); err != nil {
		return o, err
	}
	start, err := claim.Perceptron{Net: net.New(seed, 784, 128, 10)}.Train(ctx, net.Train{Epochs: 6, Batch: 64, Rate: 0.05, Cosine: true, Momentum: 0.9, Seed: seed}, before)
	if err != nil {
		return o, err
	}
	judge, err := weights.NewHoldout(held)
	if err != nil {
		return o, err
	}
	loop := net.Loop{Epochs: 3, Batch: 64, Seed: seed, Optimiser: net.Optimiser{Rule: net.SGD, Rate: 0.02, Momentum: 0.9}, Schedule: net.Schedule{Cosine: true}}
	pruned := func(p claim.Perceptron, share float64) (claim.Perceptron, *data.Checkpoint, error) {
		c, err := weights.EssSparsity{Share: share}.Apply(ctx, weights.EssSparsityInput{In: p.Checkpoint(tune.Classes()), Evaluate: judge})
		if err != nil {
			return p, nil, err
		}
		out, err := claim.FromCheckpoint(c)
		return out, c, err
	}
	magnitude, report, err := pruned(start, essSparsityShare)
	if err != nil {
		return o, err
	}
	oneShot := maskOf(magnitude)
	random := map[string][]float32{}
	for _, t := range start.Tensors() {
		if keep, ok := oneShot[t.Name]; ok { // as many in every layer
			m := append([]float32(nil), keep...)
			r.Shuffle(len(m), func(i, j int) { m[i], m[j] = m[j], m[i] })
			random[t.Name] = m
		}
	}
	iterative := start
	for round := range essSparsityRounds {
		tuned, err := tuneMasked(ctx, iterative, maskOf(iterative), tune, loop)
		if err != nil {
			return o, err
		}
		smaller, _, err := pruned(tuned, 1-math.Pow(1-essSparsityShare, float64(round+1)/essSparsityRounds))
		if err != nil {
			return o, err
		}
		iterative = masked(start, maskOf(smaller)) // rewound
	}
	ticket := maskOf(iterative)
	for _, mask := range []map[string][]float32{oneShot, random, ticket, nil} {
		tuned, err := tuneMasked(ctx, masked(start, mask), mask, tune, loop)
		if err != nil {
			return o, err
		}
		a, err := soupAccuracy([]claim.Perceptron{tuned}, test)
		if err != nil {
			return o, err
		}
		o.Arms = append(o.Arms, a)
	}
	o.Extra = map[string]float64{"overlap (cosine) of one-shot and iterative masks": essSparsityOverlap(oneShot, ticket)}
	if err := essSparsityFacts(o.Extra, report, "perceptron"); err != nil {
		return o, err
	}
	return o, essSparsityReal(ctx, env, seed, o.Extra)
}

func essSparsityOverlap(a, b map[string][]float32) float64 {
	both, x, y := 0.0, 0.0, 0.0
	for name, m := range a {
		for i, v := range m {
			both, x, y = both+float64(v*b[name][i]), x+float64(v), y+float64(b[name][i])
		}
	}
	return both / math.Sqrt(x*y)
}

// essSparsityFacts copies what the method says of a network.
func essSparsityFacts(facts map[string]float64, report *data.Checkpoint, name string) error {
	for key, text := range map[string]string{"knee": "knee of the " + name + ", untuned", "low": "its interval from", "high": "its interval to"} {
		v, err := strconv.ParseFloat(report.Meta["esssparsity."+key], 64)
		if err != nil {
			return err
		}
		if key != "knee" {
			text = "knee of the " + name + ", " + text
		}
		facts[text] = v
	}
	read := report.Read()
	slopes, patterns := read.Strings("esssparsity.slopes"), read.Strings("esssparsity.patterns")
	if err := read.Err(); err != nil {
		return err
	}
	for i, text := range []string{"up to the knee", "behind it"} {
		v, err := strconv.ParseFloat(slopes[i], 64)
		if err != nil {
			return err
		}
		facts["accuracy lost by sparsity, "+name+", "+text] = v
	}
	dense, err := strconv.ParseFloat(report.Meta["esssparsity.dense"], 64)
	if err != nil {
		return err
	}
	for _, line := range patterns {
		pattern, share, v := "", 0.0, 0.0
		if _, err := fmt.Sscan(line, &pattern, &share, &v); err != nil {
			return err
		}
		facts["accuracy lost by "+pattern+", "+name+", untuned"] = dense - v
	}
	return nil
}

// essSparsityReal measures one of the published MNIST networks.
func essSparsityReal(ctx context.Context, env claim.Env, seed uint64, facts map[string]float64) error {
	c, file, err := open.Checkpoint(env.Path("weights", "mnist_convnet_"+[]string{"baseline", "oe_tune", "oe_scratch"}[seed%3]+".safetensors"))
	if err != nil {
		return err
	}
	defer file.Close()
	images, err := env.Images("mnist", "t10k")
	if err != nil {
		return err
	}
	if images, err = claim.Sample(images, claim.Random(seed, 4), 600); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "gimbal-claim-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	report, err := weights.EssSparsity{}.Apply(ctx, weights.EssSparsityInput{In: c, Evaluate: encoded{images, dir}})
	if err != nil {
		return err
	}
	return essSparsityFacts(facts, report, "published MNIST networks")
}

// encoded scores the checkpoint of a network that package encode knows, on gray images with pixels in [0, 1].
type encoded struct {
	images *data.Table
	dir    string
}

// Kind says that it is an evaluator.
func (encoded) Kind() data.Kind { return data.KindEvaluator }

// Evaluate returns the accuracy.
func (e encoded) Evaluate(ctx context.Context, c *data.Checkpoint) (float64, error) {
	z, err := e.Outputs(ctx, c)
	if err != nil {
		return 0, err
	}
	names, err := z.WithColumns(z.Classes())
	if err != nil {
		return 0, err
	}
	return claim.Accuracy(names, z)
}

// Outputs returns the network's logits.
func (e encoded) Outputs(ctx context.Context, c *data.Checkpoint) (*data.Table, error) {
	path := filepath.Join(e.dir, "net.safetensors")
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	err = safetensors.Write(f, c)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	m, err := encode.Load(path, encode.Options{Layer: "logits"})
	if err != nil {
		return nil, err
	}
	n, d := e.images.Dims()
	side := int(math.Sqrt(float64(d)))
	samples := make([]encode.Sample, n)
	for i := range samples {
		pixels := make([]byte, d)
		for j, v := range e.images.Row(i) {
			pixels[j] = byte(math.Round(float64(v) * 255))
		}
		samples[i] = encode.Sample{Name: strconv.Itoa(i), Picture: &encode.Picture{H: side, W: side, C: 1, Pixels: pixels}}
	}
	out := make([]float32, n*m.Dim)
	if err := m.Encode(out, samples); err != nil {
		return nil, err
	}
	z, err := data.NewTable(n, m.Dim, out)
	if err != nil {
		return nil, err
	}
	labels, err := e.images.Labels()
	if err != nil {
		return nil, err
	}
	return z.WithLabels(labels, claim.Numbers(m.Dim))
}
