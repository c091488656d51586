package probe

import (
	"context"
	"strings"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/probe"
)

// diffprobeRows is how many rows there are to learn from, and to measure on twice as many.
const diffprobeRows = 1000

func diffProbe() claim.Claim {
	return claim.Claim{
		ID:    "probe/diffprobe",
		Paper: "mukhopadhyay2023diffusion, section 4: a linear probe of a denoiser's activations against other features learned without labels",
		Statement: "What a denoising U-Net holds in the middle of removing noise is a better ground for a linear head than what it is made from. " +
			"Here that is the pixels, by the same head; the arm of the untrained network says how much of the gain is learned, those of other heads what the paper's networks make of the same activations, and the facts which block was chosen and how alike the blocks are.",
		ScaleDown: "a U-Net of 8 and 16 channels trained for 40 passes over 1,000 images of 14×14 pixels instead of guided diffusion on ImageNet at 256; no BigBiGAN beside it. The U-Net's size, its rate and its passes were chosen after a trial on test rows of one seed; those rows and that seed are not among the ones reported. The heads of convolutions and attention took means over places in a first run on the reported seeds and reached 76.4 and 72.6 %; they were made to read all places by trials on training rows of other seeds, and run again.",
		Arms:      []string{"DiffProbe", "linear head on pixels (ridge, by leave-one-out)", "the same network untrained", "DiffProbe, perceptron", "DiffProbe, convolutions", "DiffProbe, attention"},
		Data:      "Fashion-MNIST at half its size: 1,000 rows to learn from, 2,000 of those of the test part that no setting was chosen on",
		Metric:    "accuracy",
		Percent:   true,
		Seeds:     5,
		Needs:     []string{"fashion_mnist"},
		Run:       diffProbeRun,
		Facts:     claim.Means,
	}
}

func diffProbeRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	seed += freshSeed
	parts, err := imageParts(env, "fashion_mnist", claim.Random(seed, 7), [2]int{diffprobeRows, 2 * diffprobeRows}, claim.Random(0, 7))
	if err != nil {
		return o, err
	}
	for i, part := range parts {
		if parts[i], err = halved(part); err != nil {
			return o, err
		}
	}
	o.Extra = map[string]float64{}
	trained := probe.DiffProbe{Images: true, Width: 64, Epochs: 40, Rate: 0.005, Places: 4, Time: 0.1, Seed: seed}
	untrained := trained
	untrained.Epochs, untrained.Rate = 1, 1e-12
	var denoiser *probe.DiffProbeModel
	fits := []func(*data.Table) (method.Predictor, error){
		func(t *data.Table) (method.Predictor, error) {
			var err error
			if denoiser, err = trained.Fit(ctx, probe.DiffProbeInput{Train: t}); err != nil {
				return nil, err
			}
			said := denoiser.Report()
			o.Extra["block chosen, of 4"] = said["block"]
			for _, pair := range []string{"1_2", "2_3", "3_4", "1_4"} {
				o.Extra["linear CKA of blocks "+strings.Replace(pair, "_", " and ", 1)] = said["cka_"+pair]
			}
			return denoiser, nil
		},
		func(t *data.Table) (method.Predictor, error) { return probe.RidgePath{}.Fit(ctx, t) },
		func(t *data.Table) (method.Predictor, error) {
			return untrained.Fit(ctx, probe.DiffProbeInput{Train: t})
		},
	}
	for _, head := range []string{"perceptron", "convolutions", "attention"} {
		fits = append(fits, func(t *data.Table) (method.Predictor, error) { return denoiser.WithHead(ctx, t, head) })
	}
	for _, fit := range fits {
		a, err := ridgeAccuracy(fit, parts[0], parts[1])
		if err != nil {
			return o, err
		}
		o.Arms = append(o.Arms, a)
	}
	return o, nil
}

// halved averages pixels of images of 28×28 two by two.
func halved(in *data.Table) (*data.Table, error) {
	n, _ := in.Dims()
	x := make([]float32, n*196)
	for i := range n {
		for j, v := range in.Row(i) {
			x[i*196+j/56*14+j%28/2] += v / 4
		}
	}
	t, err := data.NewTable(n, 196, x)
	if err != nil {
		return nil, err
	}
	labels, err := in.Labels()
	if err != nil {
		return nil, err
	}
	return t.WithLabels(labels, in.Classes())
}
