package net

// Average is a running mean of parameters over steps: with Decay an exponential one (EMA; Polyak and Juditsky 1992),
// without it the equal mean of all from step From on (SWA; Izmailov et al. 2018).
type Average struct {
	Decay float64 // [0, 1): weight of the mean so far; 0: the equal mean
	From  int     // steps before the first that counts

	seen, counted int
	mean          map[*Param][]float32
}

// Update counts the parameters after a step.
func (a *Average) Update(ps *Params) {
	a.seen++
	if a.seen <= a.From {
		return
	}
	if a.mean == nil {
		a.mean = map[*Param][]float32{}
	}
	a.counted++
	share := 1 / float64(a.counted)
	if a.Decay > 0 && a.counted > 1 {
		share = 1 - a.Decay
	}
	for _, p := range ps.list {
		m := a.mean[p]
		if m == nil {
			m = make([]float32, len(p.Values))
			a.mean[p] = m
		}
		for i, v := range p.Values {
			m[i] = float32(float64(m[i]) + share*(float64(v)-float64(m[i])))
		}
	}
}

// Swap exchanges the parameters and their mean; a second call takes it back. It does nothing before the first step that counts.
func (a *Average) Swap(ps *Params) {
	for _, p := range ps.list {
		for i, v := range a.mean[p] {
			p.Values[i], a.mean[p][i] = v, p.Values[i]
		}
	}
}
