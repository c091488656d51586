package weights

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "what 3×3 filters of checkpoints have in common, how far two sets of them lie apart, and which layers are degenerate",
	Paper: "gavrikov2022cnn",
	Exempt: map[string]string{
		"wrong-width": "filters of networks of any architecture are held beside each other: no tensor must be there in both",
	},
}, CNNFilterDB.Apply))

// CNNFilterDB analyses all 3×3 kernels of checkpoints: their principal patterns, the distance between the distributions of any two
// checkpoints or of two sets, and for every layer how sparse, how diverse and how random its kernels are.
//
// It is the analysis of Gavrikov and Keuper (2022), with which they read 647 networks. Run it on checkpoints of others before tuning
// them: layers that are sparse, of one pattern, or as random as at the start were never needed. No data is read but weights.
//
// Takes:   networks, M ≥ 1 checkpoints of any architectures, with at least one tensor of 3×3 kernels among them; beside, optional, a second set.
// Apply:   a checkpoint: components 9×9, a principal pattern of the networks' kernels a row; variance, 9 shares, descending; layers, a row "checkpoint kernels sparsity entropy ratio orthogonality" each; shift M×M where every pair has one. Metadata: cnnfilterdb.layers, a line "checkpoint tensor kernels sparsity entropy ratio orthogonality verdict" each; .entropy of all kernels; .shifts, a line "checkpoint checkpoint shift" each; .beside, the shift between both sets. Sparsity is the share of kernels that are zero; entropy, −Σ v·log₁₀ v over the shares of variance, is 0 for one pattern and 0.954 for noise; ratio is entropy over that of random kernels as many; orthogonality is one minus the root mean square cosine between filters. Shifts are symmetric Kullback–Leibler divergences in nats, 0 for equal sets.
// Errors:  ErrInput without 3×3 kernels; ErrFinite naming tensor and element.
// Differs: both sets weigh alike in the basis that they are compared in; half a kernel is added to every cell of a histogram, so that empty ones leave the divergence finite; sparse and low-entropy verdicts begin at a share of 0.5 and an entropy of 0.3, the paper draws no line. Orthogonality is Gavrikov and Keuper's later measure with a mean in place of a sum.
// Source:  gavrikov2022cnn, sections 3 to 5; constants of the random threshold from its section on layer degeneration.
// Claim:   claims/weights/cnnfilterdb.go.
type CNNFilterDB struct {
	// Bins is the number of cells of a component's histogram, over the range of both sets.
	Bins int `default:"64" range:"[2,65536]"`
	// Floor is the size up to which a weight counts as zero, as a share of the largest of its layer; the paper's 1/100.
	Floor float64 `default:"0.01" range:"(0,1)" unit:"largest weight of the layer"`
	// Layout is where a four-dimensional tensor whose shape leaves it open has its 3×3 axes: last (oihw, PyTorch), first (hwio, Keras) or in the middle (ohwi, TensorFlow Lite). Where one alone fits, it is that one.
	Layout string `default:"oihw" enum:"oihw,hwio,ohwi"`
	// KeepDegenerate lets layers whose verdict is not good into components and shifts too.
	KeepDegenerate bool
}

// CNNFilterDBInput is what is analysed.
type CNNFilterDBInput struct {
	// Networks are M checkpoints of any architectures.
	Networks data.Checkpoints
	// Beside is another set to measure the shift to.
	Beside data.Checkpoints `optional:"true"`
}

// cnnFilterDBSize is the number of weights of a kernel.
const cnnFilterDBSize = 9

// Verdicts of a layer begin here.
const cnnFilterDBSparse, cnnFilterDBLow = 0.5, 0.3

// CNNFilterDBLayer is what is said of one layer.
type CNNFilterDBLayer struct {
	Checkpoint int // from 1; those of beside go on counting
	Tensor     string
	Kernels    int
	// Sparsity, Entropy, Ratio and Orthogonality are as the method's documentation says.
	Sparsity, Entropy, Ratio, Orthogonality float64
	// Verdict is good, or sparse, low-entropy, random, joined by +.
	Verdict string
}

// Apply analyses.
func (c CNNFilterDB) Apply(ctx context.Context, in CNNFilterDBInput) (*data.Checkpoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	var layers []CNNFilterDBLayer
	var kernels [][]float64 // of each checkpoint, n×9
	total := len(in.Networks) + len(in.Beside)
	for i, one := range append(in.Networks[:len(in.Networks):len(in.Networks)], in.Beside...) {
		method.Progress(ctx, i, total)
		if one == nil {
			return nil, fmt.Errorf("%w: checkpoint %d is missing", method.ErrInput, i+1)
		}
		found, rows, err := c.Layers(ctx, one)
		if err != nil {
			return nil, fmt.Errorf("checkpoint %d: %w", i+1, err)
		}
		var kept []float64
		for k := range found {
			found[k].Checkpoint = i + 1
			if c.KeepDegenerate || found[k].Verdict == "good" {
				kept = append(kept, rows[k]...)
			}
		}
		layers, kernels = append(layers, found...), append(kernels, kept)
	}
	method.Progress(ctx, total, total)
	if len(layers) == 0 {
		return nil, fmt.Errorf("%w: none of %d checkpoints has a tensor of 3×3 kernels", method.ErrInput, total)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := &data.Checkpoint{Meta: map[string]string{}, Tensors: map[string]data.Tensor{}}
	var text []string
	var numbers []float64
	for _, l := range layers {
		numbers = append(numbers, float64(l.Checkpoint), float64(l.Kernels), l.Sparsity, l.Entropy, l.Ratio, l.Orthogonality)
		text = append(text, fmt.Sprintf("%d %s %d %s %s %s %s %s", l.Checkpoint, l.Tensor, l.Kernels, brief(l.Sparsity), brief(l.Entropy), brief(l.Ratio), brief(l.Orthogonality), l.Verdict))
	}
	out.SetStrings("cnnfilterdb.layers", text)
	out.Tensors["layers"] = data.Float64Tensor(numbers, len(layers), len(numbers)/len(layers))
	m := len(in.Networks)
	if all := cnnFilterDBJoin(kernels[:m]); len(all) > 0 {
		shares, basis, _, err := cnnFilterDBComponents(all)
		if err != nil {
			return nil, err
		}
		out.Tensors["components"] = data.Float64Tensor(basis, cnnFilterDBSize, cnnFilterDBSize)
		out.Tensors["variance"] = data.Float64Tensor(shares, cnnFilterDBSize)
		out.Meta["cnnfilterdb.entropy"] = brief(cnnFilterDBEntropy(shares))
		if len(in.Beside) > 0 {
			if other := cnnFilterDBJoin(kernels[m:]); len(other) > 0 {
				d, err := c.shift(all, other)
				if err != nil {
					return nil, err
				}
				out.Meta["cnnfilterdb.beside"] = digits(d)
			}
		}
	}
	shifts, complete := make([]float64, m*m), true
	text = nil
	for i := range m {
		for j := range i {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if len(kernels[i]) == 0 || len(kernels[j]) == 0 {
				complete = false
				continue
			}
			d, err := c.shift(kernels[j], kernels[i])
			if err != nil {
				return nil, err
			}
			shifts[i*m+j], shifts[j*m+i] = d, d
			text = append(text, fmt.Sprintf("%d %d %s", j+1, i+1, digits(d)))
		}
	}
	out.SetStrings("cnnfilterdb.shifts", append([]string{}, text...))
	if complete && m > 0 {
		out.Tensors["shift"] = data.Float64Tensor(shifts, m, m)
	}
	return out, nil
}

// Layers reports on all layers of 3×3 kernels of a checkpoint, and returns each one's kernels, n×9, divided by the largest weight.
// Errors: ErrFinite naming tensor and element.
func (c CNNFilterDB) Layers(ctx context.Context, in *data.Checkpoint) (layers []CNNFilterDBLayer, kernels [][]float64, err error) {
	if err := method.Ready(&c); err != nil {
		return nil, nil, err
	}
	for _, name := range in.Names() {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		t := in.Tensors[name]
		layout := c.layout(t)
		if layout == "" {
			continue
		}
		v, err := finiteTensor(name, t)
		if err != nil {
			return nil, nil, err
		}
		rows, outputs := cnnFilterDBRows(v, t.Shape, layout)
		most := 0.0
		for _, x := range rows {
			most = max(most, math.Abs(x))
		}
		l := CNNFilterDBLayer{Tensor: name, Kernels: len(rows) / cnnFilterDBSize}
		if most > 0 {
			for i := range rows {
				rows[i] /= most
			}
		}
		empty := 0
		for i := 0; i < len(rows); i += cnnFilterDBSize {
			largest := 0.0
			for _, x := range rows[i : i+cnnFilterDBSize] {
				largest = max(largest, math.Abs(x))
			}
			if largest <= c.Floor {
				empty++
			}
		}
		l.Sparsity = float64(empty) / float64(l.Kernels)
		shares, _, _, err := cnnFilterDBComponents(rows)
		if err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		l.Entropy = cnnFilterDBEntropy(shares)
		l.Ratio = l.Entropy / cnnFilterDBRandom(l.Kernels)
		l.Orthogonality = cnnFilterDBOrthogonality(rows, outputs)
		var bad []string
		for _, verdict := range []struct {
			is   bool
			word string
		}{{l.Sparsity >= cnnFilterDBSparse, "sparse"}, {l.Entropy < cnnFilterDBLow, "low-entropy"}, {l.Ratio >= 1, "random"}} {
			if verdict.is {
				bad = append(bad, verdict.word)
			}
		}
		if l.Verdict = strings.Join(bad, "+"); l.Verdict == "" {
			l.Verdict = "good"
		}
		layers, kernels = append(layers, l), append(kernels, rows)
	}
	return layers, kernels, nil
}

// layout says how a tensor holds 3×3 kernels, "" when it does not.
func (c CNNFilterDB) layout(t data.Tensor) string {
	if !t.DType.Float() || len(t.Shape) != 4 || t.Len() == 0 {
		return ""
	}
	for _, name := range []string{c.Layout, "oihw", "hwio", "ohwi"} {
		at := strings.Index(name, "h")
		if t.Shape[at] == 3 && t.Shape[at+1] == 3 {
			return name
		}
	}
	return ""
}

// cnnFilterDBRows orders a tensor's kernels output by output, n×9.
func cnnFilterDBRows(v []float64, shape []int, layout string) (rows []float64, outputs int) {
	var o, i, so, si, sk int // numbers of outputs and inputs, and how far apart they and the cells of a kernel lie
	switch layout {
	case "oihw":
		o, i = shape[0], shape[1]
		so, si, sk = i*cnnFilterDBSize, cnnFilterDBSize, 1
	case "hwio":
		i, o = shape[2], shape[3]
		so, si, sk = 1, o, i*o
	default:
		o, i = shape[0], shape[3]
		so, si, sk = i*cnnFilterDBSize, 1, i
	}
	rows = make([]float64, 0, len(v))
	for a := range o {
		for b := range i {
			for k := range cnnFilterDBSize {
				rows = append(rows, v[a*so+b*si+k*sk])
			}
		}
	}
	return rows, o
}

func cnnFilterDBJoin(sets [][]float64) (all []float64) {
	for _, s := range sets {
		all = append(all, s...)
	}
	return all
}

// cnnFilterDBComponents returns the shares of variance of kernels about their mean, descending, the principal patterns, a row each,
// and the mean. Kernels that are all alike have no variance: their first share is one.
func cnnFilterDBComponents(sets ...[]float64) (shares, basis, mean []float64, err error) {
	const d = cnnFilterDBSize
	mean, cov := make([]float64, d), make([]float64, d*d)
	for _, rows := range sets { // every set weighs alike
		n := float64(len(rows)/d) * float64(len(sets))
		for i, x := range rows {
			mean[i%d] += x / n
		}
	}
	for _, rows := range sets {
		n := float64(len(rows)/d) * float64(len(sets))
		centred := make([]float64, len(rows))
		for i, x := range rows {
			centred[i] = x - mean[i%d]
		}
		num.Gemm(true, false, d, d, len(rows)/d, 1/n, centred, d, centred, d, 1, cov, d)
	}
	values, vectors, _, ok := part.Spectrum(cov, d)
	if !ok {
		return nil, nil, nil, fmt.Errorf("%w: the principal components of the kernels do not converge", method.ErrDegenerate)
	}
	total := 0.0
	for _, v := range values {
		total += max(v, 0)
	}
	shares, basis = make([]float64, d), make([]float64, d*d)
	for i, v := range values {
		if total > 0 {
			shares[i] = max(v, 0) / total
		}
		for j := range d {
			basis[i*d+j] = vectors[j*d+i]
		}
	}
	if total <= 0 {
		shares[0] = 1
	}
	return shares, basis, mean, nil
}

// cnnFilterDBEntropy is −Σ v·log₁₀ v.
func cnnFilterDBEntropy(shares []float64) (h float64) {
	for _, v := range shares {
		if v > 0 {
			h -= v * math.Log10(v)
		}
	}
	return h
}

// cnnFilterDBRandom is the entropy that so many random kernels have, as fitted in the paper. Below two kernels the fit is negative;
// what has no entropy is not random.
func cnnFilterDBRandom(n int) float64 {
	const height, place, slope, shift = 1.26, 2.30, 0.89, -0.31
	return max(height/(1+math.Exp(-slope*(math.Log2(float64(n))-place)))+shift, 0.1)
}

// cnnFilterDBOrthogonality is one minus the root mean square cosine between filters, rows of all kernels of one output; 1 for one filter.
func cnnFilterDBOrthogonality(rows []float64, outputs int) float64 {
	if outputs < 2 {
		return 1
	}
	width := len(rows) / outputs
	unit, cosines := append([]float64{}, rows...), make([]float64, outputs*outputs)
	for o := range outputs {
		filter := unit[o*width : (o+1)*width]
		if length := math.Sqrt(num.SquaredNorm(filter)); length > 0 {
			for i := range filter {
				filter[i] /= length
			}
		}
	}
	num.Gemm(false, true, outputs, outputs, width, 1, unit, width, unit, width, 0, cosines, outputs)
	sum := 0.0
	for i := range outputs {
		for j := range i {
			sum += cosines[i*outputs+j] * cosines[i*outputs+j]
		}
	}
	return max(1-math.Sqrt(2*sum/float64(outputs*(outputs-1))), 0)
}

// shift is Σ vᵢ·[KL(Pᵢ‖Qᵢ) + KL(Qᵢ‖Pᵢ)] over the components of both sets together.
func (c CNNFilterDB) shift(p, q []float64) (float64, error) {
	const d = cnnFilterDBSize
	shares, basis, mean, err := cnnFilterDBComponents(p, q)
	if err != nil {
		return 0, err
	}
	coordinates := func(rows []float64) []float64 {
		centred, out := make([]float64, len(rows)), make([]float64, len(rows))
		for i, x := range rows {
			centred[i] = x - mean[i%d]
		}
		num.Gemm(false, true, len(rows)/d, d, d, 1, centred, d, basis, d, 0, out, d)
		return out
	}
	a, b := coordinates(p), coordinates(q)
	sum := 0.0
	for i, v := range shares {
		low, high := math.Inf(1), math.Inf(-1)
		for _, rows := range [][]float64{a, b} {
			for k := i; k < len(rows); k += d {
				low, high = min(low, rows[k]), max(high, rows[k])
			}
		}
		if v == 0 || high <= low {
			continue
		}
		histogram := func(rows []float64) []float64 {
			h := make([]float64, c.Bins)
			for k := range h {
				h[k] = 0.5
			}
			for k := i; k < len(rows); k += d {
				h[min(int((rows[k]-low)/(high-low)*float64(c.Bins)), c.Bins-1)]++
			}
			total := float64(len(rows)/d) + 0.5*float64(c.Bins)
			for k := range h {
				h[k] /= total
			}
			return h
		}
		x, y := histogram(a), histogram(b)
		for k := range x {
			sum += v * (x[k] - y[k]) * math.Log(x[k]/y[k])
		}
	}
	return sum, nil
}
