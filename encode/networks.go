package encode

import (
	_ "embed"
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/internal/graph"
)

// fractalWeights are what gimbal apply pretrain/fractal makes with its defaults.
//
//go:embed fractal.safetensors
var fractalWeights []byte

// network is one that the program knows.
type network struct {
	Name, Title string
	Describe    func() *Description
	own         []byte // the weights, a safetensors file; nil when the user has them
}

// Networks are the descriptions that the program knows by name. The weights are a file that the user has, but for those that the
// program brings along.
var Networks = []network{
	{"fractal", "three convolutions for 28×28 gray images, 64 features, pre-trained here on fractals; needs no --weights", fractal, fractalWeights},
	{"cifar-resnet20", "ResNet-20 for 32×32 images, 64 features (He et al. 2016, section 4.2)", func() *Description { return cifarResNet(20) }, nil},
	{"cifar-resnet32", "ResNet-32, likewise", func() *Description { return cifarResNet(32) }, nil},
	{"cifar-resnet44", "ResNet-44, likewise", func() *Description { return cifarResNet(44) }, nil},
	{"cifar-resnet56", "ResNet-56, likewise", func() *Description { return cifarResNet(56) }, nil},
	{"cifar-resnet110", "ResNet-110, likewise", func() *Description { return cifarResNet(110) }, nil},
	{"mnist-convnet", "two convolutions for 28×28 gray images, 50 features (Hendrycks et al. 2019)", mnistConvNet, nil},
	{"squeezenet1.1", "SqueezeNet 1.1 for ImageNet without its top, 512 features", squeezeNet, nil},
}

// Network returns the description known by a name.
func Network(name string) (*Description, bool) {
	for _, n := range Networks {
		if n.Name == name {
			return n.Describe(), true
		}
	}
	return nil, false
}

// builder writes a description node by node.
type builder struct{ Description }

// weight adds a tensor of the file.
func (b *builder) weight(name string, order []int, shape ...int) string {
	b.Weights = append(b.Weights, Weight{name, shape, order})
	return name
}

// node adds a node; settings are pairs of a name and a number, a text or a list of numbers.
func (b *builder) node(name, op string, inputs []string, settings ...any) string {
	l := Layer{Name: name, Op: op, Inputs: inputs}
	for i := 0; i < len(settings); i += 2 {
		if l.Attributes == nil {
			l.Attributes = map[string]Setting{}
		}
		var a graph.Attribute
		switch v := settings[i+1].(type) {
		case int:
			a.Int, a.Float = int64(v), float32(v)
		case float64:
			a.Int, a.Float = int64(v), float32(v)
		case string:
			a.Text = v
		case []float64:
			a = numbers(v...)
		}
		l.Attributes[settings[i].(string)] = Setting{a}
	}
	b.Nodes = append(b.Nodes, l)
	return name
}

func same(n float64, times int) []float64 { return slices.Repeat([]float64{n}, times) }

// fractal is the encoder of method pretrain/fractal: its convolutions are stored with the channels last, and so is what its linear
// layer reads.
func fractal() *Description {
	b := &builder{Description{Name: "fractal", Input: Input{Kind: KindImage, Channels: "gray", Height: 28, Width: 28, Divisor: 255}}}
	x, in := inputName, 1
	for i, out := range []int{16, 32, 64} {
		size := 3
		if i == 0 {
			size = 5
		}
		at := fmt.Sprint("encoder.", i)
		w := b.weight(at+".conv.weight", []int{0, 3, 1, 2}, out, size, size, in)
		x = b.node(at+".conv", "Conv", []string{x, w}, "strides", same(2, 2), "pads", same(float64(size/2), 4))
		inputs := []string{x}
		for _, kind := range []string{"weight", "bias", "running_mean", "running_var"} {
			inputs = append(inputs, b.weight(at+".norm."+kind, nil, out))
		}
		x = b.node(at, "Relu", []string{b.node(at+".norm", "BatchNormalization", inputs, "epsilon", 1e-5)})
		in = out
	}
	x = b.node("flat", "Flatten", []string{b.node("last", "Transpose", []string{x}, "perm", []float64{0, 2, 3, 1})})
	b.node("features", "Gemm", []string{x, b.weight("encoder.features.weight", nil, 64, 4*4*64), b.weight("encoder.features.bias", nil, 64)}, "transB", 1)
	b.Layers = map[string]string{"features": "features"}
	return &b.Description
}

// cifarResNet is the residual network of He et al. (2016), section 4.2, of depth 6n+2, with shortcuts that have no weights: they take
// every second pixel and zeros for the new channels, half of them before and half behind.
func cifarResNet(depth int) *Description {
	b := &builder{Description{Name: fmt.Sprint("cifar-resnet", depth), Input: Input{
		Kind: KindImage, Channels: "RGB", Height: 32, Width: 32, Divisor: 255,
		Mean: []float64{0.485, 0.456, 0.406}, Std: []float64{0.229, 0.224, 0.225},
	}}}
	conv := func(prefix, number, x string, in, out, stride int) string {
		w := b.weight(prefix+"conv"+number+".weight", nil, out, in, 3, 3)
		x = b.node(prefix+"conv"+number, "Conv", []string{x, w}, "strides", same(float64(stride), 2), "pads", same(1, 4))
		inputs := []string{x}
		for _, kind := range []string{"weight", "bias", "running_mean", "running_var"} {
			inputs = append(inputs, b.weight(prefix+"bn"+number+"."+kind, nil, out))
		}
		return b.node(prefix+"bn"+number, "BatchNormalization", inputs, "epsilon", 1e-5)
	}
	x := b.node("relu1", "Relu", []string{conv("", "1", inputName, 3, 16, 1)})
	channels := 16
	for stage, out := range []int{16, 32, 64} {
		for block := range (depth - 2) / 6 {
			prefix, stride, short := fmt.Sprintf("layer%d.%d.", stage+1, block), 1, x
			if out != channels {
				stride = 2
				short = b.node(prefix+"subsample", "Slice", []string{x}, "starts", same(0, 2), "ends", same(1<<20, 2), "axes", []float64{2, 3}, "steps", same(2, 2))
				side := float64(out-channels) / 2
				short = b.node(prefix+"shortcut", "Pad", []string{short}, "pads", []float64{0, side, 0, 0, 0, side, 0, 0})
			}
			y := b.node(prefix+"relu1", "Relu", []string{conv(prefix, "1", x, channels, out, stride)})
			y = b.node(prefix+"add", "Add", []string{conv(prefix, "2", y, out, out, 1), short})
			x = b.node(prefix+"relu2", "Relu", []string{y})
			channels = out
		}
	}
	x = b.node("pool", "Flatten", []string{b.node("average", "GlobalAveragePool", []string{x})})
	b.node("linear", "Gemm", []string{x, b.weight("linear.weight", nil, 10, 64), b.weight("linear.bias", nil, 10)}, "transB", 1)
	b.Layers = map[string]string{"features": "pool", "logits": "linear"}
	return &b.Description
}

// mnistConvNet is the network of the MNIST experiments of Hendrycks et al. (2019): its gelu is x·sigmoid(1.702x).
func mnistConvNet() *Description {
	b := &builder{Description{Name: "mnist-convnet", Input: Input{Kind: KindImage, Channels: "gray", Height: 28, Width: 28, Divisor: 255}}}
	x := inputName
	for i, s := range [][2]int{{1, 10}, {10, 20}} {
		name := fmt.Sprint("conv", i+1)
		x = b.node(name, "Conv", []string{x, b.weight(name+".weight", nil, s[1], s[0], 5, 5), b.weight(name+".bias", nil, s[1])})
		x = b.node(fmt.Sprint("pool", i+1), "MaxPool", []string{x}, "kernel_shape", same(2, 2), "strides", same(2, 2))
		x = b.node(fmt.Sprint("gelu", i+1), "QuickGelu", []string{x}, "alpha", 1.702)
	}
	x = b.node("flat", "Flatten", []string{x})
	x = b.node("fc1", "Gemm", []string{x, b.weight("fc1.weight", nil, 50, 320), b.weight("fc1.bias", nil, 50)}, "transB", 1)
	x = b.node("gelu3", "QuickGelu", []string{x}, "alpha", 1.702)
	b.node("fc2", "Gemm", []string{x, b.weight("fc2.weight", nil, 10, 50), b.weight("fc2.bias", nil, 10)}, "transB", 1)
	b.Layers = map[string]string{"features": "gelu3", "logits": "fc2"}
	return &b.Description
}

// squeezeNet is SqueezeNet 1.1 (Iandola et al. 2016) with kernels of height × width × inputs × outputs, as Keras stores them.
func squeezeNet() *Description {
	b := &builder{Description{Name: "squeezenet1.1", Input: Input{
		Kind: KindImage, Channels: "BGR", Height: 227, Width: 227, Mean: []float64{103.939, 116.779, 123.68},
	}}}
	conv := func(name, x string, in, out, size, stride int) string {
		w := b.weight(name+"/kernel", []int{3, 2, 0, 1}, size, size, in, out)
		auto := "SAME_UPPER"
		if stride > 1 {
			auto = "VALID"
		}
		x = b.node(name, "Conv", []string{x, w, b.weight(name+"/bias", nil, out)}, "auto_pad", auto, "strides", same(float64(stride), 2))
		return b.node(name+"/relu", "Relu", []string{x})
	}
	pool := func(name, x string) string {
		return b.node(name, "MaxPool", []string{x}, "kernel_shape", same(3, 2), "strides", same(2, 2))
	}
	x := pool("pool1", conv("conv1", inputName, 3, 64, 3, 2))
	channels := 64
	for i, s := range [][2]int{{16, 64}, {16, 64}, {32, 128}, {32, 128}, {48, 192}, {48, 192}, {64, 256}, {64, 256}} {
		name := fmt.Sprint("fire", i+2)
		x = conv(name+"/squeeze1x1", x, channels, s[0], 1, 1)
		x = b.node(name, "Concat", []string{conv(name+"/expand1x1", x, s[0], s[1], 1, 1), conv(name+"/expand3x3", x, s[0], s[1], 3, 1)}, "axis", 1)
		channels = 2 * s[1]
		if i == 1 || i == 3 {
			x = pool(fmt.Sprint("pool", i+2), x)
		}
	}
	b.node("pool", "Flatten", []string{b.node("average", "GlobalAveragePool", []string{x})})
	b.Layers = map[string]string{"features": "pool"}
	return &b.Description
}
