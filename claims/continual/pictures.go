package continual

import (
	"context"
	"math"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
)

// pictureSide is the side of a picture in pixels, of three channels each.
const pictureSide = 14

const picturePixels = 3 * pictureSide * pictureSide

// pictureWords are the words of captions, kind by kind.
var pictureWords = [][]string{
	{"circle", "square", "triangle", "cross", "ring", "bar"},
	{"red", "green", "blue", "yellow", "violet"},
	{"plain", "striped", "dotted"},
	{"small", "large"},
}

// Kinds of words.
const (
	pictureShape = iota
	pictureColour
	pictureTexture
	pictureSize
)

var pictureInks = [][3]float64{{0.9, 0.15, 0.1}, {0.1, 0.8, 0.2}, {0.15, 0.25, 0.9}, {0.9, 0.85, 0.1}, {0.7, 0.1, 0.8}}

// picture is what one shows: the number of its word of each kind.
type picture [4]int

func drawPicture(r *rand.Rand) (p picture) {
	for kind, words := range pictureWords {
		p[kind] = r.IntN(len(words))
	}
	return p
}

// inside says whether a point, in units of the shape's radius, belongs to a shape.
func (p picture) inside(x, y float64) bool {
	far := math.Hypot(x, y)
	switch p[pictureShape] {
	case 0:
		return far < 1
	case 1:
		return max(math.Abs(x), math.Abs(y)) < 0.85
	case 2:
		return y < 0.8 && y > 2*math.Abs(x)-1
	case 3:
		return min(math.Abs(x), math.Abs(y)) < 0.3 && far < 1.1
	case 4:
		return far < 1 && far > 0.55
	default:
		return math.Abs(y) < 0.35 && math.Abs(x) < 1.1
	}
}

// draw writes a picture, turned by an angle, at a place and on a ground of its own.
func (p picture) draw(dst []float32, r *rand.Rand, turn float64) {
	radius := []float64{3, 5.5}[p[pictureSize]] * (0.9 + 0.2*r.Float64())
	turn += 0.15 * r.NormFloat64()
	sin, cos := math.Sincos(turn)
	cx, cy := float64(pictureSide)/2+r.NormFloat64(), float64(pictureSide)/2+r.NormFloat64()
	ground, phase := 0.15+0.15*r.Float64(), 3*r.Float64()
	ink := pictureInks[p[pictureColour]]
	for i := range pictureSide * pictureSide {
		x, y := float64(i%pictureSide)+0.5-cx, float64(i/pictureSide)+0.5-cy
		on := p.inside((cos*x+sin*y)/radius, (cos*y-sin*x)/radius)
		switch p[pictureTexture] {
		case 1:
			on = on && math.Mod(float64(i/pictureSide)+phase, 3) < 1.7
		case 2:
			on = on && !(math.Mod(float64(i/pictureSide)+phase, 3) < 1.3 && math.Mod(float64(i%pictureSide)+phase, 3) < 1.3)
		}
		for c := range 3 {
			v := ground
			if on {
				v = ink[c]
			}
			dst[3*i+c] = float32(v + 0.05*r.NormFloat64())
		}
	}
}

// pictureTokens is how many words there are.
func pictureTokens() (n int) {
	for _, words := range pictureWords {
		n += len(words)
	}
	return n
}

// caption marks words of a picture, each kind with a probability, one at least.
func (p picture) caption(dst []float32, r *rand.Rand, keep float64) {
	clear(dst)
	first, sure := 0, r.IntN(len(p))
	for kind, words := range pictureWords {
		if kind == sure || r.Float64() < keep {
			dst[first+p[kind]] = 1
		}
		first += len(words)
	}
}

// pictureModel is a model of pictures and words in one space, trained on pairs.
type pictureModel struct {
	params      *net.Params
	image, text func(g *net.Graph, x *net.Node) *net.Node
}

// pictureColumns is the width of the common space.
const pictureColumns = 64

// trainPictures trains two towers by the symmetric cross-entropy over the pairs of a batch.
func trainPictures(ctx context.Context, seed uint64, pairs, epochs int) (*pictureModel, error) {
	r, tokens := claim.Random(seed, 11), pictureTokens()
	images := make([]float32, pairs*picturePixels)
	shown := make([]picture, pairs)
	for i := range shown {
		shown[i] = drawPicture(r)
		shown[i].draw(images[i*picturePixels:(i+1)*picturePixels], r, 0)
	}
	m := &pictureModel{params: net.NewParams(seed)}
	m.image = func(g *net.Graph, x *net.Node) *net.Node {
		return g.MLP("image", x, (*net.Graph).ReLU, 192, 96, pictureColumns)
	}
	m.text = func(g *net.Graph, x *net.Node) *net.Node { return g.Dense("text", x, pictureColumns) }
	const batch = 64
	loop := net.Loop{Epochs: epochs, Batch: batch, Seed: seed, Optimiser: net.Optimiser{Rule: net.Adam, Rate: 0.002}, Schedule: net.Schedule{Cosine: true}}
	trainer, err := net.NewTrainer(loop, m.params, net.Task{Rows: pairs / batch * batch, Build: func(g *net.Graph, n int) (*net.Node, func(net.Batch)) {
		x, words, own := g.Input(n, picturePixels), g.Input(n, tokens), g.Ints(n)
		unit := func(x *net.Node) *net.Node {
			return g.Div(x, g.Sqrt(g.Scale(g.SumKept(g.Mul(x, x), -1), 1, 1e-9)))
		}
		a, b := unit(m.image(g, x)), unit(m.text(g, words))
		loss := g.Add(g.CrossEntropy(g.Scale(g.MatMul(a, b, false, true), 1/pictureTemperature, 0), own, net.Targets{}),
			g.CrossEntropy(g.Scale(g.MatMul(b, a, false, true), 1/pictureTemperature, 0), own, net.Targets{}))
		return loss, func(b net.Batch) {
			for i, row := range b.Rows {
				copy(x.Value()[i*picturePixels:(i+1)*picturePixels], images[row*picturePixels:(row+1)*picturePixels])
				shown[row].caption(words.Value()[i*tokens:(i+1)*tokens], rand.New(rand.NewPCG(b.Seed, uint64(row))), 0.6)
				own.Values[i] = int32(i)
			}
		}
	}})
	if err != nil {
		return nil, err
	}
	_, err = trainer.Run(ctx)
	return m, err
}

// pictureTemperature divides cosines, in training and after.
const pictureTemperature = 0.05

// embed returns what a tower makes of rows.
func (m *pictureModel) embed(tower func(g *net.Graph, x *net.Node) *net.Node, x []float32, width int) (*data.Table, error) {
	n := len(x) / width
	g := net.NewGraph(m.params)
	in := g.Input(n, width)
	out := tower(g, in)
	p, err := g.Infer(out)
	if err != nil {
		return nil, err
	}
	copy(in.Value(), x)
	p.Forward()
	return data.NewTable(n, pictureColumns, append([]float32{}, out.Value()...))
}

// pictureDomain is pictures as another camera sees them, and the kind of word that they are to be told by.
type pictureDomain struct {
	name string
	kind int
	turn float64
	see  func(x []float32, r *rand.Rand)
}

func pictureDomains() []pictureDomain {
	return []pictureDomain{
		{"turned shapes", pictureShape, math.Pi / 4, nil},
		{"colours under red light", pictureColour, 0, func(x []float32, _ *rand.Rand) {
			for i := range x {
				x[i] *= []float32{1.2, 0.5, 0.5}[i%3]
			}
		}},
		{"inverted textures", pictureTexture, 0, func(x []float32, _ *rand.Rand) {
			for i := range x {
				x[i] = 1 - x[i]
			}
		}},
		{"sizes in the dark", pictureSize, 0, func(x []float32, r *rand.Rand) {
			for i := range x {
				x[i] = 0.3*x[i] + float32(0.05*r.NormFloat64())
			}
		}},
		{"shapes in snow", pictureShape, 0, func(x []float32, r *rand.Rand) {
			for i := range x {
				if r.IntN(12) == 0 {
					x[i] = 1
				}
			}
		}},
	}
}

// rows embeds n pictures of a domain with their words.
func (m *pictureModel) rows(d pictureDomain, n int, r *rand.Rand) (*data.Table, error) {
	x, names := make([]float32, n*picturePixels), make([]string, n)
	for i := range n {
		p, to := drawPicture(r), x[i*picturePixels:(i+1)*picturePixels]
		p.draw(to, r, d.turn)
		if d.see != nil {
			d.see(to, r)
		}
		names[i] = pictureWords[d.kind][p[d.kind]]
	}
	t, err := m.embed(m.image, x, picturePixels)
	if err != nil {
		return nil, err
	}
	return t.WithClassNames(names)
}

// words embeds every word on its own.
func (m *pictureModel) words() (*data.Table, error) {
	tokens := pictureTokens()
	x := make([]float32, tokens*tokens)
	var names []string
	for _, words := range pictureWords {
		names = append(names, words...)
	}
	for i := range tokens {
		x[i*tokens+i] = 1
	}
	t, err := m.embed(m.text, x, tokens)
	if err != nil {
		return nil, err
	}
	return t.WithClassNames(names)
}

// sentences embeds n captions.
func (m *pictureModel) sentences(n int, r *rand.Rand) (*data.Table, error) {
	tokens := pictureTokens()
	x := make([]float32, n*tokens)
	for i := range n {
		drawPicture(r).caption(x[i*tokens:(i+1)*tokens], r, 0.6)
	}
	return m.embed(m.text, x, tokens)
}
