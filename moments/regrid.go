package moments

import (
	"fmt"
	"math/big"

	"github.com/gimbal-ml/gimbal/data"
)

// Finer returns the grid on which both states can be held: for each column the smaller step, and a's origin.
// Errors: ErrShape when the states have other columns, or when an origin would leave 2^52 steps.
func Finer(a, b *State) (*Grid, error) {
	if a.d != b.d || a.t != b.t {
		return nil, fmt.Errorf("moments: %w: one state has %d columns and %d targets, the other %d and %d", data.ErrShape, a.d, a.t, b.d, b.t)
	}
	g := &Grid{}
	for j, e := range a.grid.Exponent {
		fine := min(e, b.grid.Exponent[j])
		o := new(big.Int).Lsh(big.NewInt(a.grid.Origin[j]), uint(e-fine))
		if o.BitLen() > 52 {
			return nil, fmt.Errorf("moments: column %d: %w: steps 2^%d and 2^%d are too far apart to share a grid", j+1, data.ErrShape, e, b.grid.Exponent[j])
		}
		g.Exponent, g.Origin = append(g.Exponent, fine), append(g.Origin, o.Int64())
	}
	g.setNorm(a.d)
	return g, nil
}

// Regrid returns the same rows' state on a grid that is nowhere coarser. Sums and cross-products of features and targets
// stay exact; only what involves the squared norm, from which Ledoit–Wolf shrinkage is derived, is rounded once to its unit.
// Errors: ErrShape when the grid has other columns or a coarser step.
func (s *State) Regrid(g *Grid) (*State, error) {
	s.flush()
	if len(g.Exponent) != len(s.grid.Exponent) {
		return nil, fmt.Errorf("moments: %w: grid has %d columns, the state %d", data.ErrShape, len(g.Exponent), len(s.grid.Exponent))
	}
	for j, e := range g.Exponent {
		if e > s.grid.Exponent[j] {
			return nil, fmt.Errorf("moments: column %d: %w: step 2^%d is coarser than the state's 2^%d", j+1, data.ErrShape, e, s.grid.Exponent[j])
		}
	}
	r := newRegridder(s, g)
	to := s.Empty()
	to.grid = g
	for name, c := range s.classes {
		n := to.class(name)
		n.rows, n.sums = c.rows, r.sums(c.rows, c.sums)
		if s.perClass {
			n.scatter = r.scatter(c.rows, c.sums, c.scatter)
		}
	}
	if !s.perClass {
		to.scatter = r.scatter(int64(s.Rows()), s.sumsAll(), s.scatter)
	}
	return to, nil
}

// regridder maps k to k' = k·2^shift + move for features and targets, and q to q' = ‖k' in real units‖² accordingly.
// Squared norms are carried as rationals: they are dyadic, hence exact until the last rounding.
type regridder struct {
	s     *State
	shift []uint
	move  []*big.Int
	step  []*big.Rat // of the new grid, features only, squared and in new norm units: (2^e)²/2^norm
	unit  *big.Rat   // old norm unit in new ones
	delta []*big.Rat // old origin − new origin in new steps, features only
}

func pow2(e int) *big.Rat {
	x := new(big.Int).Lsh(big.NewInt(1), uint(max(e, -e)))
	if e >= 0 {
		return new(big.Rat).SetInt(x)
	}
	return new(big.Rat).SetFrac(big.NewInt(1), x)
}

func newRegridder(s *State, g *Grid) *regridder {
	r := &regridder{s: s, unit: pow2(s.grid.norm - g.norm)}
	for j, e := range g.Exponent {
		shift := uint(s.grid.Exponent[j] - e)
		move := new(big.Int).Lsh(big.NewInt(s.grid.Origin[j]), shift)
		move.Sub(move, big.NewInt(g.Origin[j]))
		r.shift, r.move = append(r.shift, shift), append(r.move, move)
		if j < s.d {
			r.step = append(r.step, pow2(2*e-g.norm))
			r.delta = append(r.delta, new(big.Rat).SetInt(move))
		}
	}
	return r
}

func (r *regridder) sum(n int64, sums *integers, j int) *big.Int {
	x := new(big.Int).Lsh(sums.big(j), r.shift[j])
	return x.Add(x, new(big.Int).Mul(big.NewInt(n), r.move[j]))
}

// constant is Σ_j step_j·delta_j², what q' holds of the origin's move alone.
func (r *regridder) constant() *big.Rat {
	c := new(big.Rat)
	for j, d := range r.delta {
		c.Add(c, new(big.Rat).Mul(r.step[j], new(big.Rat).Mul(d, d)))
	}
	return c
}

// scaled is old k_j's coefficient in new steps.
func (r *regridder) scaled(j int) *big.Rat { return pow2(int(r.shift[j])) }

// With a_j = 2·step_j·delta_j·2^shift_j: q' = unit·q + Σ a_j k_j + constant.
func (r *regridder) slope() []*big.Rat {
	a := make([]*big.Rat, r.s.d)
	for j := range a {
		a[j] = new(big.Rat).Mul(r.step[j], r.delta[j])
		a[j].Mul(a[j], r.scaled(j)).Mul(a[j], big.NewRat(2, 1))
	}
	return a
}

func (r *regridder) sums(n int64, sums *integers) *integers {
	p := r.s.p()
	out := newIntegers(p)
	for j := range p - 1 {
		addExact(out, j, r.sum(n, sums, j))
	}
	q := new(big.Rat).Mul(r.unit, new(big.Rat).SetInt(sums.big(p-1)))
	for j, a := range r.slope() {
		q.Add(q, new(big.Rat).Mul(a, new(big.Rat).SetInt(sums.big(j))))
	}
	q.Add(q, new(big.Rat).Mul(r.constant(), new(big.Rat).SetInt64(n)))
	addExact(out, p-1, roundRat(q))
	out.fold()
	return out
}

func (r *regridder) scatter(n int64, sums, scatter *integers) *integers {
	p := r.s.p()
	out := newIntegers(packed(p))
	entry := func(i, j int) *big.Int { return scatter.big(at(p, min(i, j), max(i, j))) }
	rat := func(x *big.Int) *big.Rat { return new(big.Rat).SetInt(x) }
	for i := range p - 1 {
		for j := i; j < p-1; j++ { // Σ(k_i·2^a + u)(k_j·2^b + v)
			x := new(big.Int).Lsh(entry(i, j), r.shift[i]+r.shift[j])
			y := new(big.Int).Mul(new(big.Int).Lsh(sums.big(i), r.shift[i]), r.move[j])
			x.Add(x, y)
			y = new(big.Int).Mul(new(big.Int).Lsh(sums.big(j), r.shift[j]), r.move[i])
			x.Add(x, y)
			y = new(big.Int).Mul(r.move[i], r.move[j])
			x.Add(x, y.Mul(y, big.NewInt(n)))
			addExact(out, at(p, i, j), x)
		}
	}
	slope, constant := r.slope(), r.constant()
	// Σq'·k_i of old k_i, and Σq'
	withOld := make([]*big.Rat, p-1)
	total := new(big.Rat).Mul(r.unit, rat(sums.big(p-1)))
	for j, a := range slope {
		total.Add(total, new(big.Rat).Mul(a, rat(sums.big(j))))
	}
	total.Add(total, new(big.Rat).Mul(constant, new(big.Rat).SetInt64(n)))
	for i := range p - 1 {
		x := new(big.Rat).Mul(r.unit, rat(entry(i, p-1)))
		for j, a := range slope {
			x.Add(x, new(big.Rat).Mul(a, rat(entry(i, j))))
		}
		withOld[i] = x.Add(x, new(big.Rat).Mul(constant, rat(sums.big(i))))
		y := new(big.Rat).Mul(x, r.scaled(i))
		y.Add(y, new(big.Rat).Mul(rat(r.move[i]), total))
		addExact(out, at(p, i, p-1), roundRat(y))
	}
	// Σq'² = unit·Σq'q + Σ a_j Σq'k_j + constant·Σq'
	qq := new(big.Rat).Mul(r.unit, rat(entry(p-1, p-1)))
	for j, a := range slope {
		qq.Add(qq, new(big.Rat).Mul(a, rat(entry(j, p-1))))
	}
	qq.Add(qq, new(big.Rat).Mul(constant, rat(sums.big(p-1))))
	qq.Mul(qq, r.unit)
	for j, a := range slope {
		qq.Add(qq, new(big.Rat).Mul(a, withOld[j]))
	}
	qq.Add(qq, new(big.Rat).Mul(constant, total))
	addExact(out, at(p, p-1, p-1), roundRat(qq))
	out.fold()
	return out
}

// roundRat rounds to the nearest whole number, halves up.
func roundRat(x *big.Rat) *big.Int {
	y := new(big.Rat).Add(x, big.NewRat(1, 2))
	q := new(big.Int)
	q.DivMod(y.Num(), y.Denom(), new(big.Int)) // Euclidean: the floor, for a positive denominator
	return q
}
