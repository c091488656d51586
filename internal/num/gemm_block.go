package num

import "unsafe"

// gemmDepth is the block of k (KC) of every path. Changing it changes the rounding of results.
const gemmDepth = 256

const (
	gemmSpan   = 8 * gemmDepth // of k that is packed at a time
	gemmPacked = 4 << 20       // values of B packed at a time
	gemmTiles  = 12            // tiles of rows in a block of A, a block of A being half an L2 cache at most
	gemmShare  = 8             // blocks of C that a worker should find
	gemmGrain  = 12 << 20      // multiply-adds from which a product takes more than one thread
	stepGrain  = 24 << 20      // likewise work of many steps that wait for one another, such as a factorisation
)

// gemmAhead is the bytes that each step of a kernel fetches ahead.
const gemmAhead = 32

// gemmKernel computes a tile of C: fixed rows, n columns; strides in elements. On its way it fetches gemmAhead bytes a
// step from next on into the cache.
type gemmKernel[T Float] func(k int, a *T, rowA, stepA int, b *T, stepB int, c *T, rowC int, n int, alpha T, add int, next uintptr)

// gemmPath is the matrix product of a path.
type gemmPath[T Float] struct {
	lanes  int  // columns in a vector; a panel of B is len(kernel) vectors wide
	masked bool // kernels and copyPanel take any n; else n is whole vectors
	direct bool // kernels read operands where they lie; else both are packed
	// columns: kernels want a tile's columns of A each in one piece, so that A is packed tile by tile unless it is stored
	// so. They do not read rowA.
	columns bool
	rows    []int               // heights of tiles, falling to 1
	kernel  [][15]gemmKernel[T] // [vectors−1][rows]

	copyPanel func(dst, src *T, lds, n, w int)          // n rows of a panel; nil: portable
	transpose func(dst *T, ldd int, src *T, lds, k int) // block rows of k columns; nil: portable
	block     int
	// transposeTile is transpose for rows[0] rows, of paths with columns.
	transposeTile func(dst *T, ldd int, src *T, lds, k int)
}

func (g *gemmPath[T]) width() int { return g.lanes * len(g.kernel) }

// tileHeight is that of the next tile when so many rows are left.
func (g *gemmPath[T]) tileHeight(left int) int {
	h := g.rows[0]
	for r := 1; h > left; r++ {
		h = g.rows[r]
	}
	return h
}

// view is an operand: element (i, p) lies at i·row + p·step. Tiled, the tile that starts at row i begins at i·row and its
// columns lie one after another.
type view[T Float] struct {
	at        *T
	row, step int
	tiled     bool
}

func offset[T Float](p *T, n int) *T {
	return (*T)(unsafe.Add(unsafe.Pointer(p), n*int(unsafe.Sizeof(*p))))
}

// panels is op(B) cut into panels: element (p, j) of panel q lies at q·panel + p·step + j.
type panels[T Float] struct {
	at          *T
	panel, step int
}

// triangle says which elements of a square C are wanted; others, at least those far from the diagonal, are not computed.
type triangle int

const (
	whole triangle = iota
	lower
	upper
)

// gemmRun is Gemm with sizes checked and C scaled: add tells whether C is added to or overwritten.
func gemmRun[T Float](g *gemmPath[T], workers int, transA, transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, add bool, c []T, ldc int) {
	gemmPart(g, workers, whole, transA, transB, m, n, k, alpha, a, lda, b, ldb, add, c, ldc)
}

// gemmPart is gemmRun for a part of C; what else of C it touches is of undefined content afterwards.
func gemmPart[T Float](g *gemmPath[T], workers int, part triangle, transA, transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, add bool, c []T, ldc int) {
	av := view[T]{at: &a[0], row: lda, step: 1}
	if transA {
		av.row, av.step = 1, lda
	}
	width := g.width()
	packB := transB || !g.direct || g.wantPackB(m, n, k, ldb)
	packA := !g.direct || g.columns && !transA && m > 1 || g.wantPackA(m, n, k, lda, transA)
	if !packB && !g.masked && n%width != 0 {
		// Without masks the last panel needs zeros beside it.
		full := n - n%width
		if full > 0 {
			gemmPart(g, workers, part, transA, transB, m, full, k, alpha, a, lda, b, ldb, add, c, ldc)
		}
		b, c, n, packB, part = b[full:], c[full:], n-full, true, whole
	}

	j := gemmJob[T]{gemmPath: g, part: part, transB: transB, m: m, n: n, k: k, alpha: alpha, a: av, b: b, ldb: ldb, add: add, c: &c[0], ldc: ldc}
	if workers == 1 && !packA && !packB {
		j.direct1()
		return
	}
	j.plan(workers, packA, packB)
	if workers == 1 {
		for phase := range j.phases {
			for i := range j.count(phase) {
				j.do(phase, 0, i)
			}
		}
	} else {
		shared := j // the copy, not j, moves to the heap
		crew(workers, shared.phases, shared.count, shared.do)
	}
	j.space.release()
}

// gemmJob is one call of Gemm. Columns go in blocks of wide, k in spans of gemmSpan; each pair has two phases: B is packed,
// a panel a task, and multiplied, a block of C a task, which runs over the span's blocks of gemmDepth.
type gemmJob[T Float] struct {
	*gemmPath[T]
	part    triangle
	transB  bool
	m, n, k int
	alpha   T
	a       view[T]
	b       []T
	ldb     int
	add     bool
	c       *T
	ldc     int

	packA, packB bool
	wide         int // columns of a block of B
	spans        int // of k
	phases       int
	height       int // rows of a block of C
	across       int // columns of a block of C
	space        *workspace
	packedB      []T
	packedA      []T // a block for each worker
	blockA       int // its size
}

// direct1 multiplies on this thread, operands where they lie.
func (j *gemmJob[T]) direct1() {
	for from := 0; from < j.k; from += gemmDepth {
		a := view[T]{at: offset(j.a.at, from*j.a.step), row: j.a.row, step: j.a.step}
		b := panels[T]{&j.b[from*j.ldb], j.width(), j.ldb}
		j.tiles(j.m, j.n, min(gemmDepth, j.k-from), a, b, j.c, j.add || from > 0)
	}
}

// plan cuts the work into tasks and takes memory for the packed operands.
func (j *gemmJob[T]) plan(workers int, packA, packB bool) {
	j.packA, j.packB = packA, packB
	width, top := j.width(), j.rows[0]
	span := min(j.k, gemmSpan)
	j.wide = min(max(gemmPacked/span/width, 1)*width, (j.n+width-1)/width*width)
	j.spans = (j.k + gemmSpan - 1) / gemmSpan
	j.phases = 2 * j.spans * ((j.n + j.wide - 1) / j.wide)
	j.height, j.across = gemmTiles*top, j.wide
	if workers > 1 {
		// Many blocks a worker, so that a slow core does not keep the others waiting; columns are cut only where rows are few.
		j.height = top * min(gemmTiles, max(4, j.m/(gemmShare*workers*top))) // four tiles share the fetching of a panel of B
		if blocks := (j.m + j.height - 1) / j.height; blocks < gemmShare*workers {
			cuts := (gemmShare*workers + blocks - 1) / blocks
			j.across = max(1, j.wide/(cuts*width)) * width
		}
	}
	j.height = min(j.height, j.m)
	sizeB := 0
	if packB {
		sizeB = j.wide * span
	}
	if packA {
		j.blockA = j.height * (min(j.k, gemmDepth) + 16)
	}
	var memory []T
	j.space, memory = scratch[T](sizeB + workers*j.blockA)
	j.packedB, j.packedA = memory[:sizeB], memory[sizeB:]
}

// block returns the columns and the k of a phase.
func (j *gemmJob[T]) block(phase int) (left, cols, from, span int) {
	left, from = phase/2/j.spans*j.wide, phase/2%j.spans*gemmSpan
	return left, min(j.wide, j.n-left), from, min(gemmSpan, j.k-from)
}

func (j *gemmJob[T]) count(phase int) int {
	_, cols, _, _ := j.block(phase)
	if phase%2 == 0 {
		if !j.packB {
			return 0
		}
		return (cols + j.width() - 1) / j.width()
	}
	return (j.m + j.height - 1) / j.height * ((cols + j.across - 1) / j.across)
}

func (j *gemmJob[T]) do(phase, worker, i int) {
	left, cols, from, span := j.block(phase)
	width := j.width()
	if phase%2 == 0 {
		// Panels of one block of k lie together: they are read together.
		for p := 0; p < span; p += gemmDepth {
			depth, at := min(gemmDepth, span-p), i*width
			j.packPanel(j.packedB[p*j.wide+at*depth:][:width*depth], j.transB, j.b, j.ldb, from+p, left+at, depth, min(width, cols-at))
		}
		return
	}
	cuts := (cols + j.across - 1) / j.across
	i0, j0 := i/cuts*j.height, i%cuts*j.across
	h, w := min(j.height, j.m-i0), min(j.across, cols-j0)
	switch j.part {
	case lower:
		w = min(w, i0+h-left-j0)
	case upper:
		skip := max(0, (i0-left-j0)/width*width)
		j0, w = j0+skip, w-skip
	}
	if w <= 0 {
		return
	}
	for p := 0; p < span; p += gemmDepth {
		depth := min(gemmDepth, span-p)
		a := view[T]{at: offset(j.a.at, i0*j.a.row+(from+p)*j.a.step), row: j.a.row, step: j.a.step}
		if j.packA {
			a = j.packRows(j.packedA[worker*j.blockA:][:j.blockA], h, depth, a)
		}
		b := panels[T]{panel: width, step: j.ldb}
		if j.packB {
			b = panels[T]{&j.packedB[p*j.wide+j0*depth], width * depth, width}
		} else {
			b.at = &j.b[(from+p)*j.ldb+left+j0]
		}
		j.tiles(h, w, depth, a, b, offset(j.c, i0*j.ldc+left+j0), j.add || from+p > 0)
	}
}

// tiles multiplies an m×depth block of A with n columns of panels.
func (j *gemmJob[T]) tiles(m, n, depth int, a view[T], b panels[T], c *T, join bool) {
	width := j.width()
	add := 0
	if join {
		add = 1
	}
	for left := 0; left < n; left += width {
		w := min(width, n-left)
		vectors := (w + j.lanes - 1) / j.lanes
		kernels := &j.kernel[vectors-1]
		edge := !j.masked && w != vectors*j.lanes
		at := offset(b.at, left/width*b.panel)
		// The tiles of a panel share the fetching of the next one. It is a number, no pointer: the last panel has no next.
		next := uintptr(unsafe.Pointer(at)) + uintptr(b.panel)*unsafe.Sizeof(*c)
		for top, h := 0, 0; top < m; top += h {
			h = j.tileHeight(m - top)
			ai, ci := offset(a.at, top*a.row), offset(c, top*j.ldc+left)
			if a.tiled {
				a.step = h
			}
			if edge {
				j.edge(kernels[h], h, w, vectors*j.lanes, depth, ai, a, at, b.step, ci, add)
				continue
			}
			kernels[h](depth, ai, a.row, a.step, at, b.step, ci, j.ldc, w, j.alpha, add, next)
			next += uintptr(depth * gemmAhead)
		}
	}
}

// edge computes a tile of w columns with a kernel of full vectors, by way of a tile of its own.
func (j *gemmJob[T]) edge(kernel gemmKernel[T], h, w, full, depth int, ai *T, a view[T], b *T, stepB int, c *T, add int) {
	space, tile := scratch[T](h * full)
	defer space.release()
	if add != 0 {
		for i := range h {
			row := tile[i*full : i*full+full]
			clear(row[copy(row, unsafe.Slice(offset(c, i*j.ldc), w)):])
		}
	}
	kernel(depth, ai, a.row, a.step, b, stepB, &tile[0], full, full, j.alpha, add, 0)
	for i := range h {
		copy(unsafe.Slice(offset(c, i*j.ldc), w), tile[i*full:])
	}
}
