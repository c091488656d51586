package weights

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/weights"
)

func sparseLaw() claim.Claim {
	return claim.Claim{
		ID:        "weights/sparselaw",
		Paper:     "jin2025journey",
		Statement: "One scaling law in the mean number of active parameters over training fits dense runs and runs that are pruned on the way, better than laws in the first or the last number; pruning from 25 % to 75 % of training is a good window.",
		ScaleDown: "perceptrons on the last 8 characters of Shakespeare, 3,000 to 50,000 weights and 10,000 to 40,000 characters, instead of language models of up to 10¹¹ tokens: 15 dense runs of 5 widths and 12 runs of the widest one pruned to 40, 60, 80 and 90 %.",
		Arms:      []string{"law in the mean number of parameters", "the better of the two below", "law in the first number", "law in the last number"},
		Data:      "tiny Shakespeare: characters to train on, 8,000 held out",
		Metric:    "mean size of log(loss/law) of runs left out in turn", LowerIsBetter: true,
		Seeds: 5,
		Needs: []string{"text_lm"},
		Run:   sparseLawRun,
		Facts: claim.Means,
	}
}

// sparseLawContext is how many characters the next one is predicted from, sparseLawWidth the width of the parent of all pruned runs.
const sparseLawContext, sparseLawWidth = 8, 256

func sparseLawRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	text, letters, err := shakespeare(env)
	if err != nil {
		return o, err
	}
	r := claim.Random(seed, 8)
	held, from := make([]int, 8000), len(text)*9/10
	for i := range held {
		held[i] = from + sparseLawContext + r.IntN(len(text)-from-sparseLawContext)
	}
	run := func(width, tokens int, sparsity, start, end float64) (parameters, loss float64, err error) {
		places := make([]int, tokens)
		for i := range places {
			places[i] = sparseLawContext + r.IntN(from-sparseLawContext)
		}
		return pretrainCharacters(ctx, text, letters, places, held, width, seed, sparsity, start, end)
	}
	var x []float32
	n := 0
	for _, tokens := range []int{10000, 20000, 40000} {
		for _, arm := range []struct {
			width    int
			sparsity float64
		}{{16, 0}, {32, 0}, {64, 0}, {128, 0}, {sparseLawWidth, 0}, {sparseLawWidth, 0.4}, {sparseLawWidth, 0.6}, {sparseLawWidth, 0.8}, {sparseLawWidth, 0.9}} {
			parameters, loss, err := run(arm.width, tokens, arm.sparsity, 0.25, 0.75)
			if err != nil {
				return o, err
			}
			x = append(x, float32(parameters), float32(tokens), float32(loss), float32(arm.sparsity), 0.25, 0.75)
			n++
		}
	}
	runs, err := data.NewNamed(n, []string{"parameters", "tokens", "loss", "sparsity", "start", "end"}, x)
	if err != nil {
		return o, err
	}
	out, err := weights.SparseLaw{}.Apply(ctx, weights.SparseLawInput{Runs: runs})
	if err != nil {
		return o, err
	}
	var miss [3]float64
	for i, key := range []string{"", ".first", ".last"} {
		if miss[i], err = strconv.ParseFloat(out.Meta["sparselaw.error"+key], 64); err != nil {
			return o, fmt.Errorf("error%s: %w", key, err)
		}
	}
	o.Arms = []float64{miss[0], min(miss[1], miss[2]), miss[1], miss[2]}
	o.Extra = map[string]float64{}
	for _, window := range [][2]float64{{0, 0.5}, {0.25, 0.75}, {0.5, 1}} {
		_, loss, err := run(sparseLawWidth, 40000, 0.8, window[0], window[1])
		if err != nil {
			return o, err
		}
		o.Extra[fmt.Sprintf("loss at 80 %% sparsity, pruned from %g to %g of training", window[0], window[1])] = loss
	}
	law, _, err := out.Floats("law", 5)
	if err != nil {
		return o, err
	}
	for i, name := range []string{"floor E", "", "exponent of parameters a", "", "exponent of tokens b"} {
		if name != "" {
			o.Extra["fitted "+name] = law[i]
		}
	}
	return o, nil
}

// shakespeare returns the text as numbers of its letters, and how many letters there are.
func shakespeare(env claim.Env) (text []byte, letters int, err error) {
	path := env.Path("text_lm", "tinyshakespeare.txt.gz")
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("%w: there is no file %s", claim.ErrMissing, path)
	}
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	plain, err := gzip.NewReader(f)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", path, err)
	}
	if text, err = io.ReadAll(plain); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", path, err)
	}
	alphabet := slices.Clone(text)
	slices.Sort(alphabet)
	alphabet = slices.Compact(alphabet)
	for i, c := range text {
		at, _ := slices.BinarySearch(alphabet, c)
		text[i] = byte(at)
	}
	return text, len(alphabet), nil
}

// pretrainCharacters trains a perceptron of one hidden layer on the characters before places of a text, and prunes its weights by
// magnitude, all layers together, on the cubic schedule. It returns how many weights it began with, and the loss at held-out places.
func pretrainCharacters(ctx context.Context, text []byte, letters int, places, held []int, width int, seed uint64, sparsity, start, end float64) (parameters, loss float64, err error) {
	const batch, embedding, every = 100, 12, 10
	params := net.NewParams(seed)
	shapes := map[string][]int{"hidden": {width, sparseLawContext * embedding}, "out": {letters, width}}
	masks := map[string][]float32{}
	for name, s := range shapes {
		masks[name] = slices.Repeat([]float32{1}, s[0]*s[1])
		parameters += float64(s[0] * s[1])
	}
	step, steps := 0, len(places)/batch
	task := func(at []int, train bool) net.Task {
		return net.Task{Rows: len(at), Build: func(g *net.Graph, rows int) (*net.Node, func(net.Batch)) {
			before, next := g.Ints(rows*sparseLawContext), g.Ints(rows)
			h := g.Reshape(g.Embedding(g.Param("letters", net.Normal(0.5), letters, embedding), before, rows, sparseLawContext), rows, sparseLawContext*embedding)
			inputs := map[string]*net.Node{}
			for _, name := range []string{"hidden", "out"} {
				inputs[name] = g.Input(shapes[name]...)
				w := g.Mul(g.Param(name+".weight", net.HeNormal, shapes[name]...), inputs[name])
				if h = g.Linear(h, w, g.Param(name+".bias", net.Constant(0), shapes[name][0])); name == "hidden" {
					h = g.ReLU(h)
				}
			}
			return g.CrossEntropy(h, next, net.Targets{}), func(b net.Batch) {
				if train && step%every == 0 {
					u := min(max((float64(step)/float64(steps)-start)/(end-start), 0), 1)
					pruneSmallest(params, masks, sparsity*(1-math.Pow(1-u, 3)))
				}
				if train {
					step++
				}
				for name, in := range inputs {
					copy(in.Value(), masks[name])
				}
				for i, row := range b.Rows {
					for k := range sparseLawContext {
						before.Values[i*sparseLawContext+k] = int32(text[at[row]-sparseLawContext+k])
					}
					next.Values[i] = int32(text[at[row]])
				}
			}
		}}
	}
	trainer, err := net.NewTrainer(net.Loop{
		Epochs: 1, Batch: batch, Seed: seed, Optimiser: net.Optimiser{Rule: net.Adam, Rate: 4e-3}, Schedule: net.Schedule{Cosine: true, Floor: 0.1, Warmup: 10},
	}, params, task(places, true))
	if err != nil {
		return 0, 0, err
	}
	if _, err := trainer.Run(ctx); err != nil {
		return 0, 0, err
	}
	pruneSmallest(params, masks, sparsity)
	judge, err := net.NewTrainer(net.Loop{Epochs: 1, Batch: 500, Optimiser: net.Optimiser{Rule: net.SGD}}, params, task(held, false))
	if err != nil {
		return 0, 0, err
	}
	rows := make([]int, len(held))
	for i := range rows {
		rows[i] = i
	}
	loss, err = judge.Measure(rows)
	return parameters, loss, err
}

// pruneSmallest masks the share of the smallest weights of all masked layers together; what was masked stays so.
func pruneSmallest(params *net.Params, masks map[string][]float32, share float64) {
	var sizes []float64
	names := []string{"hidden", "out"}
	size := func(name string, i int) float64 {
		return math.Abs(float64(params.Get(name + ".weight").Values[i] * masks[name][i]))
	}
	for _, name := range names {
		for i := range masks[name] {
			sizes = append(sizes, size(name, i))
		}
	}
	drop := int(math.Round(share * float64(len(sizes))))
	if drop == 0 {
		return
	}
	slices.Sort(sizes)
	for _, name := range names {
		for i := range masks[name] {
			if size(name, i) <= sizes[drop-1] {
				masks[name][i] = 0
			}
		}
	}
}
