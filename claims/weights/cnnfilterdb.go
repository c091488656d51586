package weights

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/weights"
)

func cnnFilterDB() claim.Claim {
	return claim.Claim{
		ID:        "weights/cnnfilterdb",
		Paper:     "gavrikov2022cnn",
		Statement: "Filters of networks trained on different kinds of images differ little; what differs is degenerate networks. Published networks contain layers that are sparse, of low entropy or random.",
		ScaleDown: "networks of three 3×3 convolutions (16, 32, 32) trained on 4,000 images each, instead of 647 published ones; a network of random weights stands for the degenerate, one trained on random labels beside it. All layers are kept, for small layers look random to the paper's threshold. After 5 epochs such networks still lie near their start. Seven published networks in the public data are analysed too: three ResNets of CIFAR-10, SqueezeNet, and three of MLPerf Tiny.",
		Arms:      []string{"digits to clothes, both trained", "trained to random weights", "digits to digits, other start", "trained to trained on random labels"},
		Data:      "MNIST and Fashion-MNIST, 4,000 training images each",
		Metric:    "shift between the networks' filters, nats", LowerIsBetter: true,
		Seeds: 5,
		Needs: []string{"mnist", "fashion_mnist", "weights"},
		Run:   cnnFilterDBRun,
		Facts: claim.Means,
	}
}

// trainConvNet trains a network of 3×3 convolutions on images of 28×28, for a number of epochs; 0 leaves it at its start.
func trainConvNet(ctx context.Context, rows *data.Table, seed uint64, epochs int, widths ...int) (*data.Checkpoint, error) {
	labels, err := rows.Labels()
	if err != nil {
		return nil, err
	}
	n, d := rows.Dims()
	params := net.NewParams(seed)
	trainer, err := net.NewTrainer(net.Loop{
		Epochs: max(epochs, 1), Batch: 50, Seed: seed, Optimiser: net.Optimiser{Rule: net.Adam, Rate: 2e-3, Decay: 0.02}, Schedule: net.Schedule{Cosine: true},
	}, params, net.Task{Rows: n, Build: func(g *net.Graph, batch int) (*net.Node, func(net.Batch)) {
		x, classes := g.Input(batch, 28, 28, 1), g.Ints(batch)
		return g.CrossEntropy(g.ConvNet("", x, len(rows.Classes()), widths...), classes, net.Targets{}), func(b net.Batch) {
			for i, row := range b.Rows {
				copy(x.Value()[i*d:(i+1)*d], rows.Row(row))
				classes.Values[i] = int32(labels[row])
			}
		}
	}})
	if err != nil {
		return nil, err
	}
	if epochs > 0 {
		if _, err := trainer.Run(ctx); err != nil {
			return nil, err
		}
	}
	c := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
	for _, t := range params.Tensors() {
		c.Tensors[t.Name] = data.Float32Tensor(t.Values, t.Shape...)
	}
	return c, nil
}

func cnnFilterDBRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	const rows, epochs = 4000, 5
	r := claim.Random(seed, 6)
	digits, err := env.Images("mnist", "train")
	if err != nil {
		return o, err
	}
	clothes, err := env.Images("fashion_mnist", "train")
	if err != nil {
		return o, err
	}
	if digits, err = claim.Sample(digits, r, rows); err != nil {
		return o, err
	}
	if clothes, err = claim.Sample(clothes, r, rows); err != nil {
		return o, err
	}
	shuffled, err := digits.Labels()
	if err != nil {
		return o, err
	}
	shuffled = append([]int(nil), shuffled...)
	r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	random, err := digits.WithLabels(shuffled, digits.Classes())
	if err != nil {
		return o, err
	}
	var all data.Checkpoints
	for i, arm := range []struct {
		rows   *data.Table
		epochs int
	}{{digits, epochs}, {clothes, epochs}, {digits, 0}, {digits, epochs}, {random, epochs}} {
		c, err := trainConvNet(ctx, arm.rows, 10*seed+uint64(i), arm.epochs, 16, 32, 32)
		if err != nil {
			return o, err
		}
		all = append(all, c)
	}
	report, err := weights.CNNFilterDB{KeepDegenerate: true}.Apply(ctx, weights.CNNFilterDBInput{Networks: all})
	if err != nil {
		return o, err
	}
	d, _, err := report.Floats("shift", len(all), len(all))
	if err != nil {
		return o, err
	}
	for _, other := range []int{1, 2, 3, 4} {
		o.Arms = append(o.Arms, d[other])
	}
	layers, _, err := report.Floats("layers", -1, 6)
	if err != nil {
		return o, err
	}
	o.Extra = map[string]float64{}
	names := []string{"digits", "clothes", "random weights", "digits again", "random labels"}
	for i := 0; i < len(layers); i += 6 {
		o.Extra["entropy over that of noise, "+names[int(layers[i])-1]] += layers[i+4] / 3
	}
	return o, cnnFilterDBReal(ctx, env, seed, o.Extra)
}

// cnnFilterDBReal analyses published networks.
func cnnFilterDBReal(ctx context.Context, env claim.Env, seed uint64, facts map[string]float64) error {
	files := []string{"cifar10_resnet20", "cifar10_resnet32", "cifar10_resnet56", "squeezenet_v1_1_imagenet_notop", "mlperf_tiny_ic_resnet8_cifar10", "mlperf_tiny_kws_dscnn", "mlperf_tiny_vww_mobilenet025_96"}
	var all data.Checkpoints
	for _, name := range files {
		c, file, err := open.Checkpoint(env.Path("weights", name+".safetensors"))
		if err != nil {
			return err
		}
		defer func(f io.Closer) { f.Close() }(file)
		all = append(all, c)
	}
	noise, r := make([]float64, 20000*9), claim.Random(seed, 7)
	for i := range noise {
		noise[i] = r.NormFloat64()
	}
	all = append(all, &data.Checkpoint{Tensors: map[string]data.Tensor{"noise": data.CastTensor(data.F32, noise, 100, 200, 3, 3)}})
	report, err := weights.CNNFilterDB{KeepDegenerate: true}.Apply(ctx, weights.CNNFilterDBInput{Networks: all})
	if err != nil {
		return err
	}
	n := len(all)
	d, _, err := report.Floats("shift", n, n)
	if err != nil {
		return err
	}
	facts["published: shift of ResNet-20 to ResNet-56"] = d[2]
	facts["published: shift of ResNet-56 to SqueezeNet"] = d[2*n+3]
	facts["published: shift of ResNet-56 to noise"] = d[2*n+n-1]
	facts["published: shift of SqueezeNet to noise"] = d[3*n+n-1]
	read := report.Read()
	lines := read.Strings("cnnfilterdb.layers")
	if err := read.Err(); err != nil {
		return err
	}
	bad, counted := make([]float64, n), make([]float64, n)
	for _, line := range lines {
		at, kernels := 0, 0
		tensor, verdict := "", ""
		var v [4]float64
		if _, err := fmt.Sscan(line, &at, &tensor, &kernels, &v[0], &v[1], &v[2], &v[3], &verdict); err != nil {
			return err
		}
		counted[at-1]++
		if verdict != "good" {
			bad[at-1]++
		}
	}
	for i, name := range files {
		facts["published: share of layers that are degenerate, "+name] = math.Round(1000*bad[i]/counted[i]) / 1000
	}
	return nil
}
