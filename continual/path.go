package continual

import "github.com/gimbal-ml/gimbal/internal/net"

// path follows a network's weights through its schooling: what each of them took off the loss on its way.
type path struct {
	names              []string
	importance, center [][]float32 // of the penalty beside the loss, whose pull is no part of the loss's gradient
	before             [][]float32 // the weights before a step
	slope              [][]float64 // the loss's gradient there
	fall               [][]float64 // −Σ gradient·step: over small steps, by how much the weight's moves lowered the loss
}

// newPath is for the schooling of a network under the penalty that [anchor.penalty] adds for the same network and strength.
func newPath(w *network, held *anchor, strength float64) *path {
	p := &path{}
	full := held.grown(w)
	for i, t := range w.tensors {
		importance, center := full.held(i, strength)
		p.names = append(p.names, t.Name)
		p.importance, p.center = append(p.importance, importance), append(p.center, center)
		p.before = append(p.before, make([]float32, len(t.Values)))
		p.slope = append(p.slope, make([]float64, len(t.Values)))
		p.fall = append(p.fall, make([]float64, len(t.Values)))
	}
	return p
}

// gradients notes where a step begins.
func (p *path) gradients(_ int, params *net.Params) error {
	for i, name := range p.names {
		t := params.Get(name)
		copy(p.before[i], t.Values)
		for j, g := range t.Gradient() {
			p.slope[i][j] = float64(g) - 2*float64(p.importance[i][j])*(float64(t.Values[j])-float64(p.center[i][j]))
		}
	}
	return nil
}

// stepped notes what came of it.
func (p *path) stepped(_ int, params *net.Params) error {
	for i, name := range p.names {
		for j, v := range params.Get(name).Values {
			p.fall[i][j] -= p.slope[i][j] * (float64(v) - float64(p.before[i][j]))
		}
	}
	return nil
}
