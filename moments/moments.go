// Package moments holds the state under most methods: row counts, sums and cross-products, per class, as exact integers on a
// power-of-two grid. States add, merge and subtract exactly: the same rows give the same bytes in any order, split, and
// number of threads, and rows that were added and forgotten leave no trace.
package moments

import (
	"fmt"
	"maps"
	"math"
	"math/big"
	"runtime"
	"slices"
	"sync"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
)

// State is the exact sums over the rows seen so far. It is not safe for concurrent use.
//
// Columns are the D features, T targets, and one more: the row's squared distance from the grid's origin (features only),
// whose products give the fourth moments that Ledoit–Wolf shrinkage needs.
type State struct {
	grid     *Grid
	columns  []string // D names, or nil
	d, t     int
	perClass bool
	classes  map[string]*class // "" holds rows without a label
	scatter  *integers         // packed upper triangle of the p×p cross-products over all rows; nil when perClass

	work []*workspace // partial sums not yet spilled
}

type class struct {
	rows    int64
	sums    *integers // p
	scatter *integers // packed, only when perClass
}

// p is the number of columns that have sums: features, targets, squared norm.
func (s *State) p() int { return s.d + s.t + 1 }

func packed(p int) int { return p * (p + 1) / 2 }

// at is the packed place of entry (i, j), i ≤ j, of a p×p upper triangle.
func at(p, i, j int) int { return i*(2*p-i-1)/2 + j }

func newState(g *Grid, like *data.Table, perClass bool) *State {
	_, d := like.Dims()
	s := &State{grid: g, columns: slices.Clone(like.Columns()), d: d, t: len(like.Targets()), perClass: perClass, classes: map[string]*class{}}
	g.setNorm(d)
	if !perClass {
		s.scatter = newIntegers(packed(s.p()))
	}
	return s
}

// Empty returns a state without rows that can be merged with s.
func (s *State) Empty() *State {
	e := &State{grid: s.grid, columns: s.columns, d: s.d, t: s.t, perClass: s.perClass, classes: map[string]*class{}}
	if !s.perClass {
		e.scatter = newIntegers(packed(s.p()))
	}
	return e
}

// Clone returns an independent copy.
func (s *State) Clone() *State {
	c := s.Empty()
	if err := c.Merge(s); err != nil {
		panic("moments: a state does not merge with its own copy: " + err.Error())
	}
	return c
}

// Observe adds rows. Errors: ErrShape on another width, other column names or another number of targets; ErrFinite for a
// value so far off the grid that float64 cannot hold its multiple. On an error nothing has been added.
func (s *State) Observe(t *data.Table) error {
	n, d := t.Dims()
	if d != s.d || len(t.Targets()) != s.t {
		return fmt.Errorf("moments: %w: table has %d columns and %d targets, the state %d and %d", data.ErrShape, d, len(t.Targets()), s.d, s.t)
	}
	if err := sameColumns(s.columns, t.Columns()); err != nil {
		return err
	}
	if err := s.representable(t); err != nil {
		return err
	}
	pieces := (n + num.GramRows - 1) / num.GramRows
	if s.perClass { // gather each class's rows, so that a block belongs to one class
		s.observePerClass(t)
		return nil
	}
	workers := min(runtime.GOMAXPROCS(0), pieces)
	for len(s.work) < workers {
		s.work = append(s.work, newWorkspace(s))
	}
	var guard sync.Mutex
	num.Parallel(workers, 1, func(first, last int) { // the kernels below see that the cores are taken
		for w := first; w < last; w++ { // exact integers: which worker takes which piece cannot matter
			for k := w; k < pieces; k += workers {
				s.work[w].add(s, &guard, t, k*num.GramRows, min((k+1)*num.GramRows, n), nil)
			}
		}
	})
	return nil
}

// representable refuses values whose multiple of the grid's step overflows float64: nothing that float32 holds can, but targets may.
func (s *State) representable(t *data.Table) error {
	for k, column := range t.Targets() {
		for i, v := range column {
			if e := math.Ldexp(v, -s.grid.Exponent[s.d+k]); math.IsInf(e, 0) || math.Abs(e) > 0x1p500 {
				return fmt.Errorf("moments: row %d, target %d: %g is %w on a grid of step %g", i+1, k+1, v, data.ErrFinite, s.grid.Step(s.d+k))
			}
		}
	}
	return nil
}

func sameColumns(have, got []string) error {
	if have == nil || got == nil {
		return nil
	}
	for j := range have {
		if have[j] != got[j] {
			return fmt.Errorf("moments: %w: column %d is named %q, the state has %q", data.ErrShape, j+1, got[j], have[j])
		}
	}
	return nil
}

func (s *State) observePerClass(t *data.Table) {
	n, _ := t.Dims()
	byClass := map[string][]int{}
	for i := range n {
		byClass[t.ClassName(i)] = append(byClass[t.ClassName(i)], i)
	}
	if len(s.work) == 0 {
		s.work = append(s.work, newWorkspace(s))
	}
	var guard sync.Mutex
	for _, name := range slices.Sorted(maps.Keys(byClass)) {
		rows := t.Pick(byClass[name])
		m, _ := rows.Dims()
		to := s.class(name)
		for i := 0; i < m; i += num.GramRows {
			s.work[0].add(s, &guard, rows, i, min(i+num.GramRows, m), to)
		}
		s.work[0].spill(s, to.scatter)
	}
	s.flush()
}

func (s *State) class(name string) *class {
	c := s.classes[name]
	if c == nil {
		c = &class{sums: newIntegers(s.p())}
		if s.perClass {
			c.scatter = newIntegers(packed(s.p()))
		}
		s.classes[name] = c
	}
	return c
}

// workspace is one worker's partial sums in 64-bit integers.
type workspace struct {
	p      int       // columns here: one more than the state's, for the squared norm travels as two digits
	k      []float64 // chunk×p gridded rows
	chunk  int       // rows gridded at a time: they stay in the nearest cache until all sums have them
	block  *num.GramBlock
	gram   []int64 // p×p upper triangle
	blocks int     // blocks in gram since the last spill
	sums   map[string][]int64
	rows   map[string]int64
	scale  []float64
	origin []float64
	weight []float64 // step / √(norm unit), exact powers of two
}

// pending reports whether there are sums that the state does not have.
func (w *workspace) pending() bool { return w.blocks > 0 || len(w.sums) > 0 || len(w.rows) > 0 }

// spillAfter keeps gram exact: each block adds at most 2^53 to an entry.
const spillAfter = 1000

func newWorkspace(s *State) *workspace {
	p := s.d + s.t + 2
	w := &workspace{p: p, chunk: max(4, min(64, 4096/p)), block: num.NewGramBlock(p), gram: make([]int64, p*p), sums: map[string][]int64{}, rows: map[string]int64{}}
	w.k = make([]float64, w.chunk*p)
	for j, e := range s.grid.Exponent {
		w.scale = append(w.scale, math.Ldexp(1, -e))
		w.origin = append(w.origin, float64(s.grid.Origin[j]))
		if j < s.d {
			w.weight = append(w.weight, math.Ldexp(1, e-s.grid.norm/2))
		}
	}
	return w
}

const digit = 1 << num.GridBits

// add puts rows lo to hi−1 of t, at most num.GramRows, into the workspace. When to is nil the Gram goes with all rows';
// guard protects the state.
func (w *workspace) add(s *State, guard *sync.Mutex, t *data.Table, lo, hi int, to *class) {
	for from := lo; from < hi; from += w.chunk {
		n := min(w.chunk, hi-from)
		w.gridRows(s, guard, t, from, n, to)
		for i := range n {
			name := t.ClassName(from + i)
			sums := w.sums[name]
			if sums == nil {
				sums = make([]int64, w.p)
				w.sums[name] = sums
			}
			w.rows[name]++
			num.AddInt(sums, w.k[i*w.p:(i+1)*w.p])
		}
		w.block.Append(w.k, n, w.p)
	}
	w.block.AddTo(w.gram)
	if w.blocks++; w.blocks == spillAfter {
		guard.Lock()
		into := s.scatter
		if to != nil {
			into = to.scatter
		}
		w.spill(s, into)
		guard.Unlock()
	}
}

// gridRows brings n rows of t, from row lo on, onto the grid.
func (w *workspace) gridRows(s *State, guard *sync.Mutex, t *data.Table, lo, n int, to *class) {
	d, p := s.d, w.p
	inside := num.Grid(w.k, p, t.X()[lo*d:(lo+n)*d], n, d, w.scale, w.origin)
	for k, column := range t.Targets() {
		for i := range n {
			v := math.RoundToEven(column[lo+i]*w.scale[d+k] - w.origin[d+k])
			w.k[i*p+d+k] = v
			inside = inside && math.Abs(v) <= digit
		}
	}
	for i := range n {
		row := w.k[i*p : i*p+p]
		q := math.RoundToEven(num.SquaredNormScaled(row[:d], w.weight))
		high := math.Floor(q / digit)
		row[p-2], row[p-1] = high, q-high*digit
		inside = inside && high <= digit
	}
	for i := 0; !inside && i < n; i++ {
		w.addOutside(s, guard, w.k[i*p:i*p+p], t.ClassName(lo+i), to)
	}
}

// addOutside adds what a row with values beyond the grid contributes through them, exactly and slowly, and zeroes them in
// the row, so that the fast path adds the rest.
func (w *workspace) addOutside(s *State, guard *sync.Mutex, row []float64, name string, to *class) {
	p := s.p()
	wide := make([]*big.Int, 0, 4)
	var which []int
	for j := range p {
		v := row[j]
		if j == p-1 { // the squared norm, joined again from its digits
			if row[p-1] <= digit {
				continue
			}
			x, _ := big.NewFloat(row[p-1]).Int(nil)
			low, _ := big.NewFloat(row[p]).Int(nil)
			wide, which = append(wide, x.Add(x.Mul(x, big.NewInt(digit)), low)), append(which, j)
			row[p-1], row[p] = 0, 0
		} else if math.Abs(v) > digit {
			x, _ := big.NewFloat(v).Int(nil)
			wide, which = append(wide, x), append(which, j)
			row[j] = 0
		}
	}
	if len(which) == 0 {
		return
	}
	guard.Lock()
	defer guard.Unlock()
	c := s.class(name)
	into := s.scatter
	if to != nil {
		into = to.scatter
	}
	for a, j := range which {
		addExact(c.sums, j, wide[a])
		for b, i := range which[a:] {
			addExact(into, at(p, j, i), new(big.Int).Mul(wide[a], wide[a+b]))
		}
		for i := range p {
			v := row[i]
			if i == p-1 {
				v = row[p-1]*digit + row[p]
			}
			if v != 0 {
				addExact(into, at(p, min(i, j), max(i, j)), new(big.Int).Mul(wide[a], big.NewInt(int64(v))))
			}
		}
	}
}

func addExact(v *integers, i int, x *big.Int) {
	if x.BitLen() < 127 {
		hi, lo := split(x)
		v.add(i, hi, lo)
		return
	}
	v.addBig(i, x)
}

// spill moves the Gram into 128-bit integers, the squared norm's two digits joined.
func (w *workspace) spill(s *State, into *integers) {
	if w.blocks == 0 {
		return
	}
	p, q := s.p(), w.p
	for i := range p - 1 {
		base := at(p, i, i) - i
		row := w.gram[i*q : i*q+q]
		for j := i; j < p-1; j++ {
			if row[j] != 0 {
				into.addInt(base+j, row[j])
			}
		}
		into.addProduct(base+p-1, row[q-2], digit)
		into.addInt(base+p-1, row[q-1])
	}
	last := at(p, p-1, p-1)
	hh, hl, ll := w.gram[(q-2)*q+q-2], w.gram[(q-2)*q+q-1], w.gram[q*q-1]
	into.addProduct(last, hl, 2*digit)
	into.addInt(last, ll)
	hi, lo := mul64(hh, digit)
	into.addBig(last, new(big.Int).Mul(join(hi, lo), big.NewInt(digit)))
	clear(w.gram)
	w.blocks = 0
}

// flush brings all partial sums into the state and every entry into its canonical form. Without partial sums it only reads, so that
// many goroutines may ask a state that nobody changes.
func (s *State) flush() {
	if !slices.ContainsFunc(s.work, (*workspace).pending) {
		return
	}
	p := s.p()
	for _, w := range s.work {
		if !s.perClass {
			w.spill(s, s.scatter)
		}
		for name, sums := range w.sums {
			c := s.class(name)
			for j := range p - 1 {
				c.sums.addInt(j, sums[j])
			}
			c.sums.addProduct(p-1, sums[p-1], digit)
			c.sums.addInt(p-1, sums[p])
			c.rows += w.rows[name]
		}
		clear(w.sums)
		clear(w.rows)
	}
	if s.scatter != nil {
		s.scatter.fold()
	}
	for name, c := range s.classes {
		c.sums.fold()
		if c.scatter != nil {
			c.scatter.fold()
		}
		if c.rows == 0 {
			delete(s.classes, name)
		}
	}
}

// Merge adds another state's rows. Errors: ErrShape when grids, columns, targets or per-class scatters differ, with how to
// make states that fit; nothing is changed then.
func (s *State) Merge(other *State) error {
	if err := s.mergeable(other); err != nil {
		return err
	}
	s.flush()
	other.flush()
	s.combine(other, +1)
	return nil
}

// Subtract removes another state's rows, which must all be in this one. Errors: as Merge, and ErrShape when a class would
// keep fewer than no rows or its sums show that the rows were never part of it; nothing is changed then.
func (s *State) Subtract(other *State) error {
	if err := s.mergeable(other); err != nil {
		return err
	}
	s.flush()
	other.flush()
	for _, name := range slices.Sorted(maps.Keys(other.classes)) {
		have := int64(0)
		if c := s.classes[name]; c != nil {
			have = c.rows
		}
		if gone := other.classes[name].rows; gone > have {
			return fmt.Errorf("moments: %w: cannot forget %d rows of class %q, the state holds %d", data.ErrShape, gone, name, have)
		}
	}
	left := s.Clone()
	left.combine(other, -1)
	if err := left.plausible(); err != nil {
		return err
	}
	*s = *left
	return nil
}

// Forget subtracts the rows of a table.
func (s *State) Forget(t *data.Table) error {
	gone := s.Empty()
	if err := gone.Observe(t); err != nil {
		return err
	}
	return s.Subtract(gone)
}

func (s *State) mergeable(o *State) error {
	if s.d != o.d || s.t != o.t {
		return fmt.Errorf("moments: %w: one state has %d columns and %d targets, the other %d and %d", data.ErrShape, s.d, s.t, o.d, o.t)
	}
	if err := sameColumns(s.columns, o.columns); err != nil {
		return err
	}
	if s.perClass != o.perClass {
		return fmt.Errorf("moments: %w: only one of the states has per-class scatters", data.ErrShape)
	}
	if !s.grid.equal(o.grid) {
		return fmt.Errorf("moments: %w: the states lie on different grids; make one like the other (--like), or regrid both to the finer (merge --regrid)", data.ErrShape)
	}
	return nil
}

func (s *State) combine(o *State, sign int) {
	if s.scatter != nil {
		s.scatter.addAll(o.scatter, sign)
	}
	for name, from := range o.classes {
		c := s.class(name)
		c.rows += int64(sign) * from.rows
		c.sums.addAll(from.sums, sign)
		if c.scatter != nil {
			c.scatter.addAll(from.scatter, sign)
		}
		if c.rows == 0 && c.sums.zero() && (c.scatter == nil || c.scatter.zero()) {
			delete(s.classes, name)
		}
	}
	if s.columns == nil {
		s.columns = o.columns
	}
	if s.scatter != nil {
		s.scatter.fold()
	}
	for _, c := range s.classes {
		c.sums.fold()
		if c.scatter != nil {
			c.scatter.fold()
		}
	}
}

// plausible checks what must hold of sums over real rows: no rows means no sums, and by Cauchy and Schwarz N·Σk² ≥ (Σk)².
func (s *State) plausible() error {
	const never = "moments: %w: the rows to forget were never in this state (class %q would keep %d rows with impossible sums)"
	rows := int64(0)
	for name, c := range s.classes {
		rows += c.rows
		if c.rows == 0 {
			return fmt.Errorf(never, data.ErrShape, name, 0)
		}
	}
	if s.scatter != nil && rows == 0 && !s.scatter.zero() {
		return fmt.Errorf(never, data.ErrShape, "", 0)
	}
	sums, scatter := s.sumsAll(), s.scatterAll()
	for j := range s.p() {
		if centred(rows, scatter, at(s.p(), j, j), sums, j, j) < 0 {
			return fmt.Errorf(never, data.ErrShape, "any", rows)
		}
	}
	return nil
}

func (s *State) sumsAll() *integers {
	all := newIntegers(s.p())
	for _, c := range s.classes {
		all.addAll(c.sums, +1)
	}
	all.fold()
	return all
}

func (s *State) scatterAll() *integers {
	if s.scatter != nil {
		return s.scatter
	}
	all := newIntegers(packed(s.p()))
	for _, c := range s.classes {
		all.addAll(c.scatter, +1)
	}
	all.fold()
	return all
}
