package weights

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/part"
)

// The networks of D2NWG: an autoencoder of heads with an encoder of data sets beside it, and a denoiser of codes.

// Widths, batch and rate of all of them; how much telling data sets apart counts; the temperature of its cosines.
const d2nwgHidden, d2nwgBatch, d2nwgRate, d2nwgAlign, d2nwgTemperature = 128, 64, 2e-3, 0.1, 0.1

// fit trains a network on the zoo.
func (g *d2nwg) fit(ctx context.Context, params *net.Params, seed uint64, progress func(done int), build func(g *net.Graph, rows int) (*net.Node, func(net.Batch))) error {
	trainer, err := net.NewTrainer(net.Loop{
		Epochs: g.c.Steps, Batch: d2nwgBatch, Seed: seed, Optimiser: net.Optimiser{Rule: net.Adam, Rate: d2nwgRate}, Schedule: net.Schedule{Cosine: true},
		Progress: func(p net.Progress) bool { progress(p.Epoch); return true },
	}, params, net.Task{Rows: len(g.zoo), Build: build})
	if err != nil {
		return err
	}
	if _, err := trainer.Run(ctx); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return fmt.Errorf("%w: %w", data.ErrFinite, err)
	}
	return nil
}

// infer runs part of a network on rows.
func infer(params *net.Params, x []float64, width int, build func(g *net.Graph, x *net.Node) *net.Node) ([]float64, error) {
	rows := len(x) / width
	g := net.NewGraph(params)
	g.Training = false
	in := g.Input(rows, width)
	out := build(g, in)
	p, err := g.Infer(out)
	if err != nil {
		return nil, err
	}
	for i, v := range x {
		in.Value()[i] = float32(v)
	}
	p.Forward()
	wide := make([]float64, out.Size())
	for i, v := range out.Value() {
		wide[i] = float64(v)
	}
	return wide, nil
}

// bent is a linear map with a perceptron of one hidden layer beside it.
func bent(g *net.Graph, name string, x *net.Node, out int) *net.Node {
	return g.Add(g.Dense(name+".straight", x, out), g.Dense(name+".out", g.ReLU(g.Dense(name+".hidden", x, d2nwgHidden)), out))
}

// unit divides rows by their length.
func unit(g *net.Graph, x *net.Node) *net.Node {
	return g.Div(x, g.Sqrt(g.Scale(g.SumKept(g.Mul(x, x), 1), 1, 1e-6)))
}

func standardised(v, mean, spread []float64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = (x - mean[i%len(mean)]) / spread[i%len(mean)]
	}
	return out
}

// compress trains the autoencoder, and returns the zoo's codes and the descriptions of the zoo and of the wanted data, last, both as the
// networks see them.
func (g *d2nwg) compress(ctx context.Context, wanted *d2nwgTask, progress func(done int)) (codes, about []float64, err error) {
	size, described := len(g.center), len(g.about)
	var heads []float64
	for _, t := range g.zoo {
		heads = append(heads, standardised(t.head, g.center, g.spread)...)
		about = append(about, standardised(t.about, g.about, g.aboutSpread)...)
	}
	about = append(about, standardised(wanted.about, g.about, g.aboutSpread)...)
	params := net.NewParams(g.c.Seed)
	encoder := func(gr *net.Graph, x *net.Node) *net.Node { return bent(gr, "encoder", x, g.c.Latent) }
	decoder := func(gr *net.Graph, z *net.Node) *net.Node { return bent(gr, "decoder", z, size) }
	set := func(gr *net.Graph, e *net.Node) *net.Node { return bent(gr, "set", e, g.c.Latent) }
	err = g.fit(ctx, params, g.c.Seed, progress, func(gr *net.Graph, rows int) (*net.Node, func(net.Batch)) {
		x, e, noise := gr.Input(rows, size), gr.Input(rows, described), gr.Input(rows, g.c.Latent)
		code := encoder(gr, x)
		z := code
		own := gr.Ints(rows)
		for i := range own.Values {
			own.Values[i] = int32(i)
		}
		cosines := gr.Scale(gr.MatMul(unit(gr, set(gr, e)), unit(gr, code), false, true), 1/d2nwgTemperature, 0)
		loss := gr.Scale(gr.CrossEntropy(cosines, own, net.Targets{}), d2nwgAlign, 0)
		if g.c.Compression > 0 { // z = µ + σ·ε, and the divergence of N(µ, σ²) from N(0, 1)
			spread := gr.Clamp(gr.Dense("spread", gr.ReLU(gr.Dense("spread.hidden", x, d2nwgHidden)), g.c.Latent), -10, 4) // log σ²
			z = gr.Add(code, gr.Mul(gr.Exp(gr.Scale(spread, 0.5, 0)), noise))
			divergence := gr.Mean(gr.Sub(gr.Add(gr.Mul(code, code), gr.Exp(spread)), gr.Scale(spread, 1, 1)))
			loss = gr.Add(loss, gr.Scale(divergence, g.c.Compression/2, 0))
		}
		return gr.Add(loss, gr.MSE(decoder(gr, z), x)), func(b net.Batch) {
			for i, row := range b.Rows {
				for j := range size {
					x.Value()[i*size+j] = float32(heads[row*size+j])
				}
				for j := range described {
					e.Value()[i*described+j] = float32(about[row*described+j])
				}
				u := rand.New(rand.NewPCG(part.Mix(b.Seed), part.Mix(uint64(row))))
				for j := range g.c.Latent {
					noise.Value()[i*g.c.Latent+j] = float32(u.NormFloat64())
				}
			}
		}
	})
	if err != nil {
		return nil, nil, err
	}
	if codes, err = infer(params, heads, size, encoder); err != nil {
		return nil, nil, err
	}
	// Where codes are shorter than descriptions, the set encoder's view is what the denoiser is told.
	if about, err = infer(params, about, described, set); err != nil {
		return nil, nil, err
	}
	g.decode = func(codes []float64) ([]float64, error) {
		out, err := infer(params, codes, g.c.Latent, decoder)
		for i := range out {
			out[i] = out[i]*g.spread[i%size] + g.center[i%size]
		}
		return out, err
	}
	again, err := infer(params, codes, g.c.Latent, decoder)
	if err != nil {
		return nil, nil, err
	}
	for i, v := range again {
		g.reconstruction += (v - heads[i]) * (v - heads[i]) / float64(len(heads))
	}
	return codes, about, nil
}

// Noise levels of the diffusion of codes, and the steps from the highest to the lowest.
const d2nwgLeast, d2nwgMost, d2nwgLevels = 0.02, 10.0, 40

// generate trains a denoiser of codes that is told the description of their data, and draws codes for the last description.
func (g *d2nwg) generate(ctx context.Context, codes, about []float64, progress func(done int)) ([]float64, error) {
	l, n := g.c.Latent, len(g.zoo)
	mean, spread := columnMoments(codes, l)
	z := standardised(codes, mean, spread)
	aboutMean, aboutSpread := columnMoments(about[:n*l], l)
	told := standardised(about, aboutMean, aboutSpread)
	if g.c.Unconditional {
		clear(told)
	}
	width := 2*l + 1
	params := net.NewParams(g.c.Seed + 1)
	denoiser := func(gr *net.Graph, x *net.Node) *net.Node {
		h := gr.ReLU(gr.Dense("denoiser.0", x, d2nwgHidden))
		return gr.Add(gr.Dense("denoiser.straight", x, l), gr.Dense("denoiser.2", gr.ReLU(gr.Dense("denoiser.1", h, d2nwgHidden)), l))
	}
	input := func(to []float32, z, told []float64, sigma float64) {
		for j, v := range z {
			to[j] = float32(v / math.Sqrt(1+sigma*sigma))
		}
		to[l] = float32(math.Log(sigma) / 4)
		for j, v := range told {
			to[l+1+j] = float32(v)
		}
	}
	err := g.fit(ctx, params, g.c.Seed+1, progress, func(gr *net.Graph, rows int) (*net.Node, func(net.Batch)) {
		x, noise := gr.Input(rows, width), gr.Input(rows, l)
		return gr.MSE(denoiser(gr, x), noise), func(b net.Batch) {
			noisy := make([]float64, l)
			for i, row := range b.Rows {
				u := rand.New(rand.NewPCG(part.Mix(b.Seed), part.Mix(uint64(row))))
				sigma := d2nwgLeast * math.Pow(d2nwgMost/d2nwgLeast, u.Float64())
				for j := range noisy {
					e := u.NormFloat64()
					noise.Value()[i*l+j] = float32(e)
					noisy[j] = z[row*l+j] + sigma*e
				}
				input(x.Value()[i*width:(i+1)*width], noisy, told[row*l:(row+1)*l], sigma)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	gr := net.NewGraph(params)
	gr.Training = false
	x := gr.Input(g.c.Samples, width)
	out := denoiser(gr, x)
	p, err := gr.Infer(out)
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(g.c.Seed, 2))
	drawn := make([]float64, g.c.Samples*l)
	for i := range drawn {
		drawn[i] = d2nwgMost * r.NormFloat64()
	}
	for step := range d2nwgLevels { // DDIM: the flow's differential equation by Euler's method
		at := func(step int) float64 {
			return d2nwgMost * math.Pow(d2nwgLeast/d2nwgMost, float64(step)/d2nwgLevels)
		}
		sigma, next := at(step), at(step+1)
		for s := range g.c.Samples {
			input(x.Value()[s*width:(s+1)*width], drawn[s*l:(s+1)*l], told[n*l:], sigma)
		}
		p.Forward()
		for i, e := range out.Value() {
			drawn[i] += (next - sigma) * float64(e)
		}
	}
	for i, v := range drawn {
		drawn[i] = v*spread[i%l] + mean[i%l]
	}
	return drawn, nil
}

// columnMoments are the means and deviations of columns; those that do not vary have deviation one.
func columnMoments(x []float64, d int) (mean, spread []float64) {
	mean, spread = make([]float64, d), make([]float64, d)
	n := float64(len(x) / d)
	for i, v := range x {
		mean[i%d] += v / n
	}
	for i, v := range x {
		spread[i%d] += (v - mean[i%d]) * (v - mean[i%d]) / n
	}
	for j, v := range spread {
		if spread[j] = math.Sqrt(v); spread[j] < 1e-9 {
			spread[j] = 1
		}
	}
	return mean, spread
}
