package num

import (
	"encoding/binary"
	"math"
	"math/bits"
)

const (
	nearestQueries = 384 // queries a block
	nearestRefs    = 512 // reference rows a block; their products with a block of queries take 768 KiB
	nearestFew     = 3   // queries up to which a product gains nothing over measuring all rows

	nearestHuge = 1e36 // squared norm from which products could leave float32
)

// Nearest writes, for each of the nq query rows, the k smallest squared Euclidean distances to the n reference rows,
// ascending, and their indices (ties: lower index first). dist and index are nq×k; 1 ≤ k ≤ n. Distances are sums of
// squared differences in float64: identical rows are at zero. It never holds nq×n distances.
//
// A product in float32 rules out rows whose distance, less the product's greatest possible error, is above the k-th so
// far; the rest are measured in float64. So the answer is the true one, however the data lie; what depends on the data
// is how many rows need measuring.
func Nearest(dist []float64, index []int32, query []float32, nq int, ref []float32, n, d, k int) {
	if nq <= 0 || k <= 0 {
		return
	}
	if k > n {
		panic("num: Nearest: k is above the number of reference rows")
	}
	checkMatrix("Nearest", "dist", len(dist), nq, k, k)
	checkMatrix("Nearest", "index", len(index), nq, k, k)
	checkMatrix("Nearest", "query", len(query), nq, d, d)
	checkMatrix("Nearest", "ref", len(ref), n, d, d)
	s := &nearestSearch{query: query, ref: ref, nq: nq, n: n, d: d, k: k, dist: dist, index: index}
	s.centre = nearestCentre(ref, n, d)
	s.blocks = (n + nearestRefs - 1) / nearestRefs
	s.norms, s.reach = make([]float32, s.blocks*nearestRefs), make([]float64, s.blocks)

	workers := 1
	if nq*n*d >= gemmGrain {
		workers = hire()
		defer dismiss(workers)
	}
	queries := (nq + nearestQueries - 1) / nearestQueries
	s.parts = 1
	if workers > 1 && queries < 2*workers {
		// Few queries: the reference rows are cut as well, and the parts' answers joined.
		s.parts = max(1, min(s.blocks, (2*workers+queries-1)/queries))
	}
	if s.parts > 1 {
		s.dist, s.index = make([]float64, s.parts*nq*k), make([]int32, s.parts*nq*k)
	}
	crew(workers, 2, func(phase int) int {
		if phase == 0 {
			return s.blocks
		}
		return queries * s.parts
	}, func(phase, _, i int) {
		if phase == 0 {
			s.measure(i)
			return
		}
		s.search(i/s.parts, i%s.parts)
	})
	if s.parts > 1 {
		s.join(dist, index)
	}
}

// nearestHeld is how many neighbours NearestEach holds at a time: 12 MiB. Fewer calls of Nearest measure the reference rows
// less often.
const nearestHeld = 1 << 20

// NearestEach calls f with what [Nearest] finds for each query row, in order, without holding the answers of all. f must not
// keep its arguments.
func NearestEach(query []float32, nq int, ref []float32, n, d, k int, f func(query int, squared []float64, index []int32)) {
	block := min(nq, max(1, nearestHeld/max(k, 1)))
	squared, index := make([]float64, block*k), make([]int32, block*k)
	for lo := 0; lo < nq; lo += block {
		rows := min(block, nq-lo)
		Nearest(squared, index, query[lo*d:(lo+rows)*d], rows, ref, n, d, k)
		for i := range rows {
			f(lo+i, squared[i*k:(i+1)*k], index[i*k:(i+1)*k])
		}
	}
}

// nearestSearch is one call of Nearest.
type nearestSearch struct {
	query, ref  []float32
	nq, n, d, k int
	dist        []float64 // parts × nq × k
	index       []int32
	centre      []float32 // taken from rows before products, to make the error small; nil: none
	blocks      int       // of reference rows
	parts       int       // that reference rows are cut into
	norms       []float32 // squared norms of reference rows less centre
	reach       []float64 // greatest norm of each block
}

// nearestCentre returns the mean of some rows when taking it away makes rows much shorter, else nil.
func nearestCentre(ref []float32, n, d int) []float32 {
	step := max(1, n/256)
	sum, square, rows := make([]float64, d), 0.0, 0.0
	for i := 0; i < n; i += step {
		for j, v := range ref[i*d : i*d+d] {
			sum[j] += float64(v)
			square += float64(v) * float64(v)
		}
		rows++
	}
	centre, shift := make([]float32, d), 0.0
	for j, v := range sum {
		centre[j] = float32(v / rows)
		shift += v / rows * v / rows
	}
	if shift*rows > 0.75*square && !math.IsInf(square, 0) {
		return centre
	}
	return nil
}

// shifted returns rows less the centre, in dst when there is one.
func (s *nearestSearch) shifted(dst, rows []float32) []float32 {
	if s.centre == nil {
		return rows
	}
	for i := 0; i < len(rows); i += s.d {
		out := dst[i : i+s.d]
		for j, v := range rows[i : i+s.d] {
			out[j] = v - s.centre[j]
		}
	}
	return dst[:len(rows)]
}

// measure computes the norms of a block of reference rows.
func (s *nearestSearch) measure(block int) {
	from := block * nearestRefs
	row := make([]float32, s.d)
	top := 0.0
	zero := make([]float32, s.d)
	for i := from; i < min(from+nearestRefs, s.n); i++ {
		square := active.squaredDistance(s.shifted(row, s.ref[i*s.d:i*s.d+s.d]), zero)
		s.norms[i] = float32(square)
		if square > nearestHuge {
			s.norms[i] = float32(math.NaN()) // never ruled out
			continue
		}
		top = max(top, square)
	}
	s.reach[block] = math.Sqrt(top)
}

// search finds the nearest of a part of the reference rows to a block of queries.
func (s *nearestSearch) search(block, part int) {
	q0 := block * nearestQueries
	rows := min(nearestQueries, s.nq-q0)
	first, last := part*s.blocks/s.parts, (part+1)*s.blocks/s.parts
	if rows <= nearestFew || s.d == 0 {
		s.scan(q0, rows, part, first*nearestRefs, min(last*nearestRefs, s.n))
		return
	}
	ws, memory := scratch[float32](nearestQueries*nearestRefs + (rows+nearestRefs)*s.d)
	defer ws.release()
	dots, memory := memory[:nearestQueries*nearestRefs], memory[nearestQueries*nearestRefs:]
	queries := s.shifted(memory[:rows*s.d], s.query[q0*s.d:(q0+rows)*s.d])
	memory = memory[rows*s.d:]

	held := make([]int, rows)
	square, zero := make([]float64, rows), make([]float32, s.d)
	for i := range rows {
		square[i] = active.squaredDistance(queries[i*s.d:i*s.d+s.d], zero)
	}
	var mask [nearestRefs / 8]uint8
	order := make([]float32, 0, nearestRefs)
	for b := first; b < last; b++ {
		r0 := b * nearestRefs
		refs := min(nearestRefs, s.n-r0)
		block := s.shifted(memory, s.ref[r0*s.d:(r0+refs)*s.d])
		gemmRun(&active.f32, 1, false, true, rows, refs, s.d, 1, queries, s.d, block, s.d, false, dots, nearestRefs)
		padded := (refs + 15) &^ 15
		for i := range rows {
			at := (part*s.nq + q0 + i) * s.k
			ds, ix := s.dist[at:at+s.k], s.index[at:at+s.k]
			limit := math.Inf(1)
			slack := s.slack(math.Sqrt(square[i]) + s.reach[b])
			if held[i] == s.k && square[i] <= nearestHuge {
				limit = ds[s.k-1] - square[i] + slack
			}
			dot, norm := dots[i*nearestRefs:][:padded], s.norms[r0:][:padded]
			active.below(mask[:], dot, norm, math.Nextafter32(float32(limit), float32(math.Inf(1))))
			if square[i] <= nearestHuge && nearestMany(mask[:], 2*s.k+16) {
				// The k-th of the block is at most the k-th of its products, give or take their error.
				if kth := float64(nearestKth(order[:0], dot[:refs], norm, s.k)) + 2*slack; kth < limit {
					clear(mask[:])
					active.below(mask[:], dot, norm, math.Nextafter32(float32(kth), float32(math.Inf(1))))
				}
			}
			q := s.query[(q0+i)*s.d:][:s.d]
			for w := 0; w < padded; w += 64 {
				for m := binary.LittleEndian.Uint64(mask[w/8:]); m != 0; m &= m - 1 {
					j := w + bits.TrailingZeros64(m)
					if j >= refs {
						break
					}
					v := active.squaredDistance(q, s.ref[(r0+j)*s.d:][:s.d])
					held[i] = insert(ds, ix, held[i], v, int32(r0+j))
				}
			}
			clear(mask[:])
		}
	}
	for i, h := range held {
		s.fill(part, q0+i, h)
	}
}

// nearestMany says whether more than k bits are set.
func nearestMany(mask []uint8, k int) bool {
	count := 0
	for w := 0; w < len(mask); w += 8 {
		count += bits.OnesCount64(binary.LittleEndian.Uint64(mask[w:]))
	}
	return count > k
}

// nearestKth returns a number that at least k of norm − 2·dot do not exceed, and few more than k: the k-th smallest of the
// least ones of small groups. It is infinite when fewer than k are numbers; k is at most their count.
func nearestKth(buffer, dot, norm []float32, k int) float32 {
	group := 8
	for group > 1 && len(dot) < 2*k*group {
		group /= 2
	}
	norm = norm[:len(dot)]
	top := float32(math.Inf(1))
	for from := 0; from < len(dot); from += group {
		least := top
		for i := from; i < min(from+group, len(dot)); i++ {
			if x := norm[i] - 2*dot[i]; x < least { // false for what is no number
				least = x
			}
		}
		if least < top {
			buffer = append(buffer, least)
		}
	}
	if len(buffer) < k {
		return top
	}
	for at := k - 1; ; { // Hoare's selection, the middle one of three as the pivot
		low, high := 0, len(buffer)-1
		if high < 1 {
			return buffer[0]
		}
		a, b, c := buffer[0], buffer[high/2], buffer[high]
		pivot := max(min(a, b), min(max(a, b), c))
		for low <= high {
			for buffer[low] < pivot {
				low++
			}
			for buffer[high] > pivot {
				high--
			}
			if low <= high {
				buffer[low], buffer[high] = buffer[high], buffer[low]
				low++
				high--
			}
		}
		switch {
		case at <= high:
			buffer = buffer[:high+1]
		case at >= low:
			buffer, at = buffer[low:], at-low
		default:
			return pivot
		}
	}
}

// scan is search without products.
func (s *nearestSearch) scan(q0, rows, part, from, to int) {
	for i := q0; i < q0+rows; i++ {
		at, held := (part*s.nq+i)*s.k, 0
		q := s.query[i*s.d:][:s.d]
		for r := from; r < to; r++ {
			held = insert(s.dist[at:at+s.k], s.index[at:at+s.k], held, active.squaredDistance(q, s.ref[r*s.d:][:s.d]), int32(r))
		}
		s.fill(part, i, held)
	}
}

// fill marks the slots that a part shorter than k leaves open.
func (s *nearestSearch) fill(part, query, held int) {
	for at := (part*s.nq+query)*s.k + held; at < (part*s.nq+query+1)*s.k; at++ {
		s.dist[at], s.index[at] = math.Inf(1), math.MaxInt32
	}
}

// slack bounds the error of norm − 2·dot against the true distance less the query's norm, for rows whose norms add up to
// at most reach. With u = 2⁻²⁴: the product errs by (d+2)·u·|q||r|, twice that counts; moving both rows to the centre by
// 2u·(|q|+|r|)²; rounding norm and difference by 3u·(|q|+|r|)². As |q||r| ≤ (|q|+|r|)²/4, (d/2+6)·u·reach² is enough;
// twice that is taken, and float32's smallest steps are added for what underflows.
func (s *nearestSearch) slack(reach float64) float64 {
	return float64(s.d+12)*(0x1p-24*reach*reach+0x1p-126) + 0x1p-100
}

// insert puts a value behind its equals among the held ones, ascending; the last of a full list falls out.
func insert(dist []float64, index []int32, held int, v float64, at int32) int {
	if held == len(dist) {
		if !(v < dist[held-1]) {
			return held
		}
		held--
	}
	i := held
	for ; i > 0 && dist[i-1] > v; i-- {
		dist[i], index[i] = dist[i-1], index[i-1]
	}
	dist[i], index[i] = v, at
	return held + 1
}

// join merges the parts' answers. Parts are in the order of rows, so equals stay in order.
func (s *nearestSearch) join(dist []float64, index []int32) {
	next := make([]int, s.parts)
	for q := range s.nq {
		clear(next)
		for slot := range s.k {
			best, from := math.Inf(1), -1
			for p := range next {
				if next[p] == s.k {
					continue
				}
				at := (p*s.nq+q)*s.k + next[p]
				if s.index[at] != math.MaxInt32 && (from < 0 || s.dist[at] < best) {
					best, from = s.dist[at], p
				}
			}
			at := (from*s.nq+q)*s.k + next[from]
			dist[q*s.k+slot], index[q*s.k+slot] = s.dist[at], s.index[at]
			next[from]++
		}
	}
}

func squaredDistancePortable(x, y []float32) float64 {
	var s0, s1, s2, s3 float64
	y = y[:len(x)]
	i := 0
	for ; i+4 <= len(x); i += 4 {
		e0, e1 := float64(x[i])-float64(y[i]), float64(x[i+1])-float64(y[i+1])
		e2, e3 := float64(x[i+2])-float64(y[i+2]), float64(x[i+3])-float64(y[i+3])
		s0, s1, s2, s3 = s0+e0*e0, s1+e1*e1, s2+e2*e2, s3+e3*e3
	}
	for ; i < len(x); i++ {
		e := float64(x[i]) - float64(y[i])
		s0 += e * e
	}
	return (s0 + s1) + (s2 + s3)
}

func belowPortable(bits []uint8, dot, norm []float32, limit float32) {
	for i, v := range dot {
		if !(norm[i]-2*v > limit) {
			bits[i/8] |= 1 << (i % 8)
		}
	}
}

// SquaredDistance returns Σ(x−y)² in float64; identical rows give zero.
func SquaredDistance(x, y []float32) float64 { return active.squaredDistance(x, y[:len(x)]) }
