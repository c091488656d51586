package num

import "unsafe"

// gramKernel adds the product of lanes columns at a (transposed) with whole vectors of columns at b, n rows, to acc.
type gramKernel func(n int, a, b *float64, acc *int64, ld int)

// gramPath is the exact Gram kernel of a path. It works on panels: width neighbouring columns, row after row, zeros
// beyond column d. A tile is lanes rows high and one to len(kernel) vectors wide, so the same panels serve both sides of
// the product, and what is computed in vain below the diagonal stays within squares of lanes×lanes.
type gramPath struct {
	lanes     int
	masked    bool                                   // copyPanel takes narrow panels and fills them up with zeros
	kernel    []gramKernel                           // [vectors−1]
	copyPanel func(dst, src *float64, lds, n, w int) // nil: portable
}

const (
	// gramGrain is the work in multiply-adds from which GramInt takes more than one thread.
	gramGrain = 32 << 20
	// gramGroup is the number of panels that serve as left sides together: 6 panels of 512×24 fit half an L2 cache,
	// and each other panel is fetched once for all of them.
	gramGroup = 6
	gramChunk = 16 // rows packed at a time
)

func (g *gramPath) width() int { return g.lanes * len(g.kernel) }

// job lays out the panels of up to capacity rows and d columns.
func (g *gramPath) job(capacity, d int) gramJob {
	j := gramJob{gramPath: g, d: d}
	j.panels = (d + g.width() - 1) / g.width()
	j.groups = (j.panels + gramGroup - 1) / gramGroup
	// Eight more than a panel needs: panels at a distance of a multiple of 4096 bytes would fight for the same cache sets.
	j.stride = capacity*g.width() + 8
	return j
}

// size returns the values that a job's panels and its workers' edges take.
func (j *gramJob) size(workers int) int { return j.panels*j.stride + workers*j.lanes*j.width() }

func (j *gramJob) use(memory []float64) {
	j.packed = memory[:j.panels*j.stride]
	edges := memory[len(j.packed):]
	j.edges = unsafe.Slice((*int64)(unsafe.Pointer(&edges[0])), len(edges))
}

func (j *gramJob) edge(worker int) []int64 {
	tile := j.lanes * j.width()
	return j.edges[worker*tile:][:tile]
}

func (g *gramPath) add(acc []int64, k []float64, n, d, ldk int) {
	j := g.job(n, d)
	j.acc, j.n = acc, n
	workers := 1
	if n*d*d/2 >= gramGrain {
		workers = hire()
		defer dismiss(workers)
	}
	ws, memory := scratch[float64](j.size(workers))
	defer ws.release()
	j.use(memory)
	if workers > 1 {
		shared := j // the copy, not j, moves to the heap
		crew(workers, 2, func(phase int) int {
			if phase == 0 {
				return (n + gramChunk - 1) / gramChunk
			}
			return shared.panels * shared.groups
		}, func(phase, worker, i int) {
			if phase == 0 {
				shared.pack(i*gramChunk, k[i*gramChunk*ldk:], min(gramChunk, n-i*gramChunk), ldk)
				return
			}
			shared.column(i/shared.panels, i%shared.panels, shared.edge(worker))
		})
		return
	}
	for from := 0; from < n; from += gramChunk {
		j.pack(from, k[from*ldk:], min(gramChunk, n-from), ldk)
	}
	j.multiply()
}

// multiply adds all tiles on this thread.
func (j *gramJob) multiply() {
	for q := range j.groups {
		for p := q * gramGroup; p < j.panels; p++ {
			j.column(q, p, j.edge(0))
		}
	}
}

// gramJob is one product.
type gramJob struct {
	*gramPath
	acc            []int64
	packed         []float64
	edges          []int64 // a tile for each worker
	n, d           int
	panels, groups int
	stride         int // from panel to panel
}

// pack copies a few rows into all panels, from row at on. Few, for whole panels would touch a page of memory for every row.
func (j *gramJob) pack(at int, k []float64, rows, ldk int) {
	width := j.width()
	for p := range j.panels {
		dst, src := j.packed[p*j.stride+at*width:], k[p*width:]
		w := min(width, j.d-p*width)
		if j.copyPanel != nil && (j.masked || w == width) {
			j.copyPanel(&dst[0], &src[0], ldk, rows, w)
			continue
		}
		for i := range rows {
			row := dst[i*width : i*width+width]
			clear(row[copy(row, src[i*ldk:i*ldk+w]):])
		}
	}
}

// GramBlock gathers integer-valued rows for one [GramInt]. What makes the rows can do so a few at a time, in memory that
// stays in the nearest cache.
type GramBlock struct{ job gramJob }

// NewGramBlock makes an empty block of rows of d values.
func NewGramBlock(d int) *GramBlock {
	b := &GramBlock{job: active.gram.job(GramRows, d)}
	b.job.use(make([]float64, b.job.size(1)))
	return b
}

// Append adds n rows with leading dimension ldk. A block holds at most GramRows.
func (b *GramBlock) Append(k []float64, n, ldk int) {
	if n <= 0 || b.job.d <= 0 {
		return
	}
	if b.job.n+n > GramRows {
		panic("num: GramBlock has too many rows")
	}
	checkMatrix("GramBlock", "k", len(k), n, b.job.d, ldk)
	b.job.pack(b.job.n, k, n, ldk)
	b.job.n += n
}

// AddTo is [GramInt] of the block's rows, on this thread; the block is empty then.
func (b *GramBlock) AddTo(acc []int64) {
	j := &b.job
	if j.n == 0 || j.d <= 0 {
		return
	}
	checkMatrix("GramBlock", "acc", len(acc), j.d, j.d, j.d)
	j.acc = acc
	j.multiply()
	j.acc, j.n = nil, 0
}

// column adds the tiles of panel p, on and above the diagonal, whose rows lie in group q.
func (j *gramJob) column(q, p int, edge []int64) {
	width := j.width()
	left, end := p*width, min(p*width+width, j.d)
	for top := q * gramGroup * width; top < min((q+1)*gramGroup*width, end); top += j.lanes {
		from := max(left, top) // a tile that starts below the diagonal would be computed in vain
		vectors := (end - from + j.lanes - 1) / j.lanes
		a, b := &j.packed[top/width*j.stride+top%width], &j.packed[p*j.stride+from-left]
		if from > top && from+vectors*j.lanes == end {
			j.kernel[vectors-1](j.n, a, b, &j.acc[top*j.d+from], j.d)
			continue
		}
		// The diagonal or the matrix's end cuts the tile.
		clear(edge)
		j.kernel[vectors-1](j.n, a, b, &edge[0], width)
		for i := top; i < min(top+j.lanes, j.d); i++ {
			first := max(from, i)
			out := j.acc[i*j.d+first : i*j.d+end]
			for c, v := range edge[(i-top)*width+first-from:][:len(out)] {
				out[c] += v
			}
		}
	}
}

// gramPortable is a 4×4 tile, as two halves of 4×2: eight sums stay in the registers of any machine.
func gramPortable(n int, a, b *float64, acc *int64, ld int) {
	as, bs := unsafe.Slice(a, 4*n), unsafe.Slice(b, 4*n)
	out := unsafe.Slice(acc, 3*ld+4)
	for j := 0; j < 4; j += 2 {
		var s00, s01, s10, s11, s20, s21, s30, s31 float64
		for p := 0; p < len(as); p += 4 {
			x, y := (*[4]float64)(as[p:]), (*[2]float64)(bs[p+j:])
			y0, y1 := y[0], y[1]
			s00 += x[0] * y0
			s01 += x[0] * y1
			s10 += x[1] * y0
			s11 += x[1] * y1
			s20 += x[2] * y0
			s21 += x[2] * y1
			s30 += x[3] * y0
			s31 += x[3] * y1
		}
		for i, s := range [4][2]float64{{s00, s01}, {s10, s11}, {s20, s21}, {s30, s31}} {
			out[i*ld+j] += int64(s[0])
			out[i*ld+j+1] += int64(s[1])
		}
	}
}
