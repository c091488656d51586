package detect

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "distance to the nearest of a few rows that cover the training rows",
	Paper: "roth2022patchcore",
}, MemoryBank.Fit, loadMemoryBank))

// MemoryBank scores how far a row lies from the nearest of a few training rows that were chosen to cover all of them.
//
// It is the memory of PatchCore (Roth et al. 2022) for rows of features: a greedy coreset, each next row the one farthest from
// those chosen, so that every training row lies within [MemoryBankModel.Radius] of the bank, at most twice the least radius that as
// many rows can reach. O(B·N·D) to fit B rows, O(B·D) a row to score. It grows with new rows, shrinks when rows are
// forgotten, and never holds more than Capacity rows. Prefer it to [KNN] when training rows are many and alike.
//
// Fits on: Table N×D with at least 2 different rows, D ≥ 1; labels are ignored.
// Score:   N values ≥ 0, in the columns' unit: Euclidean distance to the nearest row of the bank, not squared, times a weight in [0, 1] that grows with how sparse the bank is there, higher = more unlike training.
// Update:  new rows join those held, and the bank is chosen anew. Beyond Capacity only rows whose hash falls into a share that is halved as often as needed are held, so what is held depends on the rows alone, not on their order.
// Forget:  the model that never saw the rows; rows that were added and forgotten leave the bytes of before as long as Capacity was not reached.
// Errors:  ErrShape without rows or columns, on another width, when rows to forget were never learned, or when none would be left; ErrDegenerate when all rows are equal.
// Differs: rows instead of image patches, no random projection before the choice, which begins with the row nearest the mean instead of a random one. Capacity, Update and Forget are ours. The weight depends on the unit: where distances are far below 1 it is a constant, far above 1 it is 1; its exponentials are taken relative to the largest.
// Source:  roth2022patchcore, Algorithm 1, eq. (6)-(7).
// Claim:   claims/detect/memorybank.go.
type MemoryBank struct {
	// Share of the rows that go into the bank; the paper takes 0.25 to 0.01. 1 keeps every row that differs from the others.
	Share float64 `default:"0.25" range:"(0,1]"`
	// Neighbors is the paper's b: how many rows of the bank around the nearest one weigh the distance. 1 leaves it as it is.
	Neighbors int `default:"9" range:"[1,1e6]"`
	// Capacity bounds how many rows are held, of which the bank is chosen.
	Capacity int `default:"20000" range:"[2,1e9]"`
}

// Fit chooses the bank.
func (c MemoryBank) Fit(ctx context.Context, train *data.Table) (*MemoryBankModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := readyRows(ctx, train, 1); err != nil {
		return nil, err
	}
	_, d := train.Dims()
	return c.choose(ctx, canonicalRows(train), d, 0)
}

// memoryBankHash is a number of a row's values alone.
func memoryBankHash(row []float32) uint64 {
	h := uint64(len(row))
	for _, v := range row {
		h ^= uint64(math.Float32bits(v))
		h *= 0xbf58476d1ce4e5b9
		h ^= h >> 29
	}
	h *= 0x94d049bb133111eb
	return h ^ h>>32
}

// choose holds what fits of the rows, which are in canonical order, and chooses the bank among them: Algorithm 1.
func (c MemoryBank) choose(ctx context.Context, rows []float32, d, halvings int) (*MemoryBankModel, error) {
	hold := func() []float32 {
		held := rows[:0:0]
		for at := 0; at < len(rows); at += d {
			if row := rows[at : at+d]; halvings == 0 || memoryBankHash(row)>>(64-halvings) == 0 {
				held = append(held, row...)
			}
		}
		return held
	}
	held := hold()
	for ; len(held) > c.Capacity*d && halvings < 63; held = hold() {
		halvings++
	}
	n := len(held) / d
	m := &MemoryBankModel{config: c, n: n, d: d, held: held, halvings: halvings}
	if n == 0 {
		return nil, fmt.Errorf("%w: more than %d rows repeat a few; raise --capacity", method.ErrDegenerate, c.Capacity)
	}
	if slices.Equal(held[:d], held[len(held)-d:]) {
		return nil, collapsedRows(n)
	}
	near := make([]float64, n) // squared distances to the nearest row of the bank
	next := memoryBankMiddle(held, n, d)
	for i := range near {
		near[i] = math.Inf(1)
	}
	for want := int(math.Ceil(c.Share * float64(n))); len(m.chosen) < max(want, 2); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m.chosen = append(m.chosen, int64(next))
		row := held[next*d : next*d+d]
		num.Parallel(n, 1+(1<<16)/d, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				near[i] = min(near[i], num.SquaredDistance(held[i*d:i*d+d], row))
			}
		})
		next = 0
		for i, v := range near {
			if v > near[next] {
				next = i
			}
		}
		m.radius = math.Sqrt(near[next])
		if m.radius == 0 {
			break // all others repeat
		}
	}
	m.fill()
	return m, nil
}

// memoryBankMiddle returns the row nearest the mean.
func memoryBankMiddle(rows []float32, n, d int) int {
	mean := make([]float64, d)
	for at := 0; at < n*d; at += d {
		for j, v := range rows[at : at+d] {
			mean[j] += (float64(v) - float64(rows[j])) / float64(n) // relative to a row, so that no digits are lost far from zero
		}
	}
	best, least := 0, math.Inf(1)
	for i := range n {
		sum := 0.0
		for j, v := range rows[i*d : i*d+d] {
			e := float64(v) - float64(rows[j]) - mean[j]
			sum += e * e
		}
		if sum < least {
			best, least = i, sum
		}
	}
	return best
}

// MemoryBankModel is a fitted [MemoryBank].
type MemoryBankModel struct {
	config   MemoryBank
	n, d     int
	held     []float32 // N×D, in canonical order
	halvings int       // of the share of rows that are held
	chosen   []int64   // B places in held, in the order of choice
	radius   float64

	bank   []float32 // B×D
	around []int32   // B×b: each one's nearest in the bank, itself first
	b      int
}

// fill lays out the bank.
func (m *MemoryBankModel) fill() {
	for _, i := range m.chosen {
		m.bank = append(m.bank, m.held[int(i)*m.d:(int(i)+1)*m.d]...)
	}
	m.b = min(m.config.Neighbors, len(m.chosen))
	if m.b > 1 {
		size := len(m.chosen)
		m.around = make([]int32, size*m.b)
		num.Nearest(make([]float64, size*m.b), m.around, m.bank, size, m.bank, size, m.d, m.b)
	}
}

// Size returns B, how many rows the bank has.
func (m *MemoryBankModel) Size() int { return len(m.chosen) }

// Held returns how many rows are held, of which the bank was chosen.
func (m *MemoryBankModel) Held() int { return m.n }

// Radius returns the largest distance of a row that is held to the nearest one of the bank.
func (m *MemoryBankModel) Radius() float64 { return m.radius }

// memoryBankRows is how many rows are scored at a time: it bounds the memory that their neighbours take.
const memoryBankRows = 16 << 10

// Score returns each row's weighted distance to the bank.
func (m *MemoryBankModel) Score(in *data.Table) ([]float64, error) {
	if err := method.Width("memorybank", in, m.d); err != nil {
		return nil, err
	}
	n, d := in.Dims()
	out := make([]float64, n)
	block := min(n, memoryBankRows)
	squared, index := make([]float64, block), make([]int32, block)
	for lo := 0; lo < n; lo += memoryBankRows {
		rows := min(memoryBankRows, n-lo)
		x := in.X()[lo*d : (lo+rows)*d]
		num.Nearest(squared, index, x, rows, m.bank, len(m.chosen), d, 1)
		num.Parallel(rows, 64, func(from, to int) {
			distances := make([]float64, m.b)
			for i := from; i < to; i++ {
				out[lo+i] = math.Sqrt(squared[i]) * m.weight(x[i*d:i*d+d], math.Sqrt(squared[i]), int(index[i]), distances)
			}
		})
	}
	return out, nil
}

// weight is one minus the nearest row's part in the softmax of the distances to the rows around it: eq. (7).
func (m *MemoryBankModel) weight(row []float32, nearest float64, at int, distances []float64) float64 {
	if m.b < 2 {
		return 1
	}
	for k, o := range m.around[at*m.b : (at+1)*m.b] {
		distances[k] = math.Sqrt(num.SquaredDistance(row, m.bank[int(o)*m.d:(int(o)+1)*m.d]))
	}
	return -math.Expm1(nearest - num.LogSumExp(distances))
}

// Update returns a model that has learned the rows as well.
func (m *MemoryBankModel) Update(ctx context.Context, task *data.Table) (method.Model, error) {
	if err := method.Width("memorybank", task, m.d); err != nil {
		return nil, err
	}
	both, err := data.NewTable(len(m.held)/m.d+len(task.X())/m.d, m.d, slices.Concat(m.held, task.X()))
	if err != nil {
		return nil, fmt.Errorf("memorybank: %w", err)
	}
	next, err := m.config.choose(ctx, canonicalRows(both), m.d, m.halvings)
	if err != nil {
		return nil, fmt.Errorf("memorybank: %w", err)
	}
	return next, nil
}

// Forget returns the model that never saw the rows.
func (m *MemoryBankModel) Forget(ctx context.Context, rows *data.Table) (method.Model, error) {
	if err := method.Width("memorybank", rows, m.d); err != nil {
		return nil, err
	}
	var left []float32
	gone, at, d := canonicalRows(rows), 0, m.d
	for i := range m.n { // both in order: one walk
		row := m.held[i*d : i*d+d]
		for at < len(gone) && m.halvings > 0 && memoryBankHash(gone[at:at+d])>>(64-m.halvings) != 0 {
			at += d // never held
		}
		if at < len(gone) && slices.Equal(row, gone[at:at+d]) {
			at += d
			continue
		}
		left = append(left, row...)
	}
	for at < len(gone) && m.halvings > 0 && memoryBankHash(gone[at:at+d])>>(64-m.halvings) != 0 {
		at += d
	}
	if at < len(gone) {
		return nil, fmt.Errorf("memorybank: %w: at least one of %d rows to forget was never learned", data.ErrShape, len(gone)/d)
	}
	if len(left) == 0 {
		return nil, fmt.Errorf("memorybank: %w: none of %d rows would be left", data.ErrShape, m.n)
	}
	next, err := m.config.choose(ctx, left, d, m.halvings)
	if err != nil {
		return nil, fmt.Errorf("memorybank: %w", err)
	}
	return next, nil
}

// State returns the model as tensors.
func (m *MemoryBankModel) State() *data.Checkpoint {
	return &data.Checkpoint{Tensors: map[string]data.Tensor{
		"rows":     data.Float32Tensor(m.held, m.n, m.d),
		"chosen":   data.Int64Tensor(slices.Clone(m.chosen), len(m.chosen)),
		"halvings": data.Int64Tensor([]int64{int64(m.halvings)}, 1),
		"radius":   data.Float64Tensor([]float64{m.radius}, 1),
	}}
}

func loadMemoryBank(c MemoryBank, st *data.Checkpoint) (*MemoryBankModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	held, err := loadFloat32Tensor(st, "rows", -1, -1)
	if err != nil {
		return nil, err
	}
	shape := st.Tensors["rows"].Shape
	halvings, _, err := st.Ints("halvings", 1)
	if err != nil {
		return nil, err
	}
	chosen, _, err := st.Ints("chosen", -1)
	if err != nil {
		return nil, err
	}
	r := st.Read()
	radius := r.Floats("radius", 1)
	if err := r.Err(); err != nil {
		return nil, err
	}
	m := &MemoryBankModel{config: c, n: shape[0], d: shape[1], held: held, halvings: int(halvings[0]), chosen: chosen, radius: radius[0]}
	if m.d == 0 || len(chosen) == 0 || len(chosen) > m.n || halvings[0] < 0 || halvings[0] > 63 {
		return nil, fmt.Errorf("%w: %d of %d rows of %d columns are chosen, after %d halvings", data.ErrShape, len(chosen), m.n, m.d, halvings[0])
	}
	for k, i := range chosen {
		if i < 0 || i >= int64(m.n) {
			return nil, fmt.Errorf("%w: choice %d is row %d of %d", data.ErrFormat, k+1, i+1, m.n)
		}
	}
	m.fill()
	return m, nil
}
