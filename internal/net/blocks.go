package net

import (
	"fmt"
	"math"
)

// Activation is a function of elements that a block applies between its layers, such as (*Graph).ReLU.
type Activation func(g *Graph, x *Node) *Node

// MLP is linear layers name.0, name.1 … to the given widths, with the activation between them.
func (g *Graph) MLP(name string, x *Node, activation Activation, widths ...int) *Node {
	for i, w := range widths {
		if i > 0 {
			x = activation(g, x)
		}
		x = g.Dense(fmt.Sprintf("%s.%d", name, i), x, w)
	}
	return x
}

// Upsample repeats every pixel of images [batch, height, width, channels] factor times either way.
func (g *Graph) Upsample(x *Node, factor int) *Node {
	if g.err != nil {
		return g.fail("")
	}
	if len(x.shape) != 4 || factor < 1 {
		return g.fail("upsample: input %v, factor %d", x.shape, factor)
	}
	b, h, w, c := x.shape[0], x.shape[1], x.shape[2], x.shape[3]
	apart := g.Reshape(x, b, h, 1, w, 1, c)
	return g.Reshape(g.Add(apart, g.Constant(make([]float32, factor*factor), factor, 1, factor, 1)), b, h*factor, w*factor, c)
}

// ConvNet is, for each width, a 3×3 convolution name.0, name.1 …, ReLU and 2×2 max-pooling, then a linear layer name.head
// from all that is left to the outputs.
func (g *Graph) ConvNet(name string, x *Node, outputs int, widths ...int) *Node {
	for i, w := range widths {
		x = g.MaxPool(g.ReLU(g.Conv(fmt.Sprintf("%s.%d", name, i), x, w, 3, Same(3, 1))), 2, Window{Stride: [2]int{2, 2}})
	}
	if g.err != nil {
		return g.fail("")
	}
	return g.Dense(name+".head", g.Reshape(x, x.shape[0], -1), outputs)
}

// convNorm is a convolution without bias and the batch norm that stands for it.
func (g *Graph) convNorm(name string, x *Node, out, kernel, stride int) *Node {
	if g.err != nil {
		return g.fail("")
	}
	w := g.Param(name+".conv.weight", HeNormal, out, kernel, kernel, x.width())
	return g.BatchNorm(name+".norm", g.Conv2D(x, w, nil, Same(kernel, stride)))
}

// ResNet is a residual network for small images: a 3×3 convolution, then for each width a stage of blocks of two 3×3
// convolutions, the first of every stage but the first at stride 2, global pooling and a linear head. With 3 blocks of
// widths 16, 32, 64 it is ResNet-20. Source: He et al. (2016), section 4.2; differs: shortcuts that change the shape are
// 1×1 convolutions.
func (g *Graph) ResNet(name string, x *Node, outputs, blocks int, widths ...int) *Node {
	if len(widths) == 0 {
		return g.fail("residual network %s: no widths", name)
	}
	x = g.ReLU(g.convNorm(name+".stem", x, widths[0], 3, 1))
	for stage, width := range widths {
		for b := range blocks {
			at, stride := fmt.Sprintf("%s.%d.%d", name, stage, b), 1
			if stage > 0 && b == 0 {
				stride = 2
			}
			h := g.ReLU(g.convNorm(at+".0", x, width, 3, stride))
			h = g.convNorm(at+".1", h, width, 3, 1)
			if stride > 1 || g.err == nil && x.width() != width {
				x = g.convNorm(at+".shortcut", x, width, 1, stride)
			}
			x = g.ReLU(g.Add(h, x))
		}
	}
	return g.Dense(name+".head", g.GlobalPool(x), outputs)
}

// StridedConvNet is, for each width, a convolution name.0, name.1 … of stride 2, the first 5×5 and the others 3×3, with batch
// norm and ReLU, then a linear layer name.features from all that is left.
func (g *Graph) StridedConvNet(name string, x *Node, features int, widths ...int) *Node {
	kernel := 5
	for i, w := range widths {
		x = g.ReLU(g.convNorm(fmt.Sprintf("%s.%d", name, i), x, w, kernel, 2))
		kernel = 3
	}
	if g.err != nil {
		return g.fail("")
	}
	return g.Dense(name+".features", g.Reshape(x, x.shape[0], -1), features)
}

// PatchMixer mixes a sequence [batch, patches, width] in turn across patches and across columns, with residuals. Source:
// Tolstikhin et al. (2021), MLP-Mixer.
func (g *Graph) PatchMixer(name string, x *Node, layers, hiddenPatches, hiddenColumns int) *Node {
	if g.err == nil && len(x.shape) != 3 {
		return g.fail("patch mixer %s: input %v is not [batch, patches, width]", name, x.shape)
	}
	for i := range layers {
		if g.err != nil {
			return g.fail("")
		}
		at := fmt.Sprintf("%s.%d", name, i)
		patches, width := x.shape[1], x.shape[2]
		h := g.Transpose(g.Norm(at+".norm0", x), 0, 2, 1)
		h = g.MLP(at+".patches", h, (*Graph).GELU, hiddenPatches, patches)
		x = g.Add(x, g.Transpose(h, 0, 2, 1))
		x = g.Add(x, g.MLP(at+".columns", g.Norm(at+".norm1", x), (*Graph).GELU, hiddenColumns, width))
	}
	return g.Norm(name+".norm", x)
}

// Waves embeds a number of each entry of t [batch], such as the logarithm of a noise level, as sines and cosines of
// width/2 frequencies from 1 down to 1/10000 times scale: [batch, width]. Source: Vaswani et al. (2017), section 3.5.
func (g *Graph) Waves(t *Node, width int, scale float64) *Node {
	if g.err == nil && (width < 2 || width%2 != 0) {
		return g.fail("waves: width %d is not even", width)
	}
	half := width / 2
	frequency, phase := make([]float32, width), make([]float32, width)
	for i := range width {
		frequency[i] = float32(scale * math.Pow(10000, -float64(i%half)/float64(half)))
		if i >= half {
			phase[i] = math.Pi / 2 // cos x = sin(x + π/2)
		}
	}
	return g.Sin(g.Add(g.Mul(g.Reshape(t, -1, 1), g.Constant(frequency, width)), g.Constant(phase, width)))
}

// MLPDenoiser predicts from rows x [batch, D] and their noise level t [batch] a tensor like x: residual blocks of width
// hidden that are told the level.
func (g *Graph) MLPDenoiser(name string, x, t *Node, hidden, blocks int) *Node {
	out, _ := g.MLPDenoiserBlocks(name, x, t, hidden, blocks)
	return out
}

// MLPDenoiserBlocks is MLPDenoiser, and what comes out of each block, [batch, hidden].
func (g *Graph) MLPDenoiserBlocks(name string, x, t *Node, hidden, blocks int) (out *Node, after []*Node) {
	if g.err != nil {
		return g.fail(""), nil
	}
	level := g.SiLU(g.MLP(name+".level", g.Waves(t, 2*((hidden+3)/4), 1), (*Graph).SiLU, hidden, hidden))
	h := g.Dense(name+".in", x, hidden)
	for i := range blocks {
		at := fmt.Sprintf("%s.%d", name, i)
		v := g.Add(g.Dense(at+".0", g.SiLU(g.Norm(at+".norm", h)), hidden), g.Dense(at+".level", level, hidden))
		h = g.Add(h, g.Dense(at+".1", g.SiLU(v), hidden))
		after = append(after, h)
	}
	return g.Dense(name+".out", g.SiLU(g.Norm(name+".norm", h)), x.width()), after
}

// unetGroups is how many groups channels are normalised in, where that many divide them.
const unetGroups = 8

// groupNormed is GroupNorm with parameters of its own.
func (g *Graph) groupNormed(name string, x *Node) *Node {
	if g.err != nil {
		return g.fail("")
	}
	groups := unetGroups
	for x.width()%groups != 0 {
		groups--
	}
	return g.GroupNorm(x, g.Param(name+".weight", Constant(1), x.width()), g.Param(name+".bias", Constant(0), x.width()), groups)
}

// unetBlock is two convolutions with a residual, told the noise level in between.
func (g *Graph) unetBlock(name string, x, level *Node, width int) *Node {
	if g.err != nil {
		return g.fail("")
	}
	h := g.Conv(name+".0", g.SiLU(g.groupNormed(name+".norm0", x)), width, 3, Same(3, 1))
	h = g.Add(h, g.Reshape(g.Dense(name+".level", level, width), -1, 1, 1, width))
	h = g.Conv(name+".1", g.SiLU(g.groupNormed(name+".norm1", h)), width, 3, Same(3, 1))
	if x.width() != width {
		x = g.Conv(name+".shortcut", x, width, 1, Window{})
	}
	return g.Add(h, x)
}

// UNet predicts from images x [batch, height, width, channels] and their noise level t [batch] a tensor like x. Each width
// is a resolution, halved from one to the next; height and width must be divisible that often. Source: Ronneberger et al.
// (2015), with the blocks of Ho et al. (2020).
func (g *Graph) UNet(name string, x, t *Node, widths ...int) *Node {
	out, _ := g.UNetBlocks(name, x, t, widths...)
	return out
}

// UNetBlocks is UNet, and what comes out of each block, from the first on the way down to the last on the way up, images of
// [batch, height, width, channels] each.
func (g *Graph) UNetBlocks(name string, x, t *Node, widths ...int) (out *Node, after []*Node) {
	deepest := len(widths) - 1
	switch {
	case g.err != nil:
		return g.fail(""), nil
	case deepest < 0 || len(x.shape) != 4 || x.shape[1]%(1<<deepest) != 0 || x.shape[2]%(1<<deepest) != 0:
		return g.fail("U-Net %s: input %v cannot be halved %d times", name, x.shape, deepest), nil
	}
	embedded := 4 * widths[0]
	level := g.SiLU(g.MLP(name+".level", g.Waves(t, 2*widths[0], 1), (*Graph).SiLU, embedded, embedded))
	h := g.Conv(name+".in", x, widths[0], 3, Same(3, 1))
	var skips []*Node
	for i, w := range widths {
		h = g.unetBlock(fmt.Sprintf("%s.down.%d", name, i), h, level, w)
		after = append(after, h)
		if i < deepest {
			skips = append(skips, h)
			h = g.Conv(fmt.Sprintf("%s.down.%d.half", name, i), h, w, 3, Same(3, 2))
		}
	}
	h = g.unetBlock(name+".middle", h, level, widths[deepest])
	after = append(after, h)
	for i := deepest - 1; i >= 0; i-- {
		h = g.Concat(3, g.Upsample(h, 2), skips[i])
		h = g.unetBlock(fmt.Sprintf("%s.up.%d", name, i), h, level, widths[i])
		after = append(after, h)
	}
	return g.Conv(name+".out", g.SiLU(g.groupNormed(name+".norm", h)), x.width(), 3, Same(3, 1)), after
}
