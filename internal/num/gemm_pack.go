package num

import "unsafe"

// wantPackB tells whether a product gains by copying B into panels first.
func (g *gemmPath[T]) wantPackB(m, n, k, ldb int) bool {
	return m > 4*g.rows[0] && n*min(k, gemmDepth) > 64*64
}

// wantPackA tells whether a product gains by copying A's block first.
func (g *gemmPath[T]) wantPackA(m, n, k, lda int, transA bool) bool {
	return n > 4*g.width() && m*min(k, gemmDepth) > 64*64
}

// packRows copies h rows of a into dst with rows 16 elements further apart than they are long: rows at a distance of a
// power of two would fight for the same cache sets. Where the rows of the stored matrix run along h (transA), they do so
// in the copy too; the kernels take either. The portable kernel wants rows along k.
func (g *gemmPath[T]) packRows(dst []T, h, depth int, a view[T]) view[T] {
	if g.columns {
		return g.packTiles(dst, h, depth, a)
	}
	long := depth + 16
	if a.step == 1 {
		for i := range h {
			copy(dst[i*long:], unsafe.Slice(offset(a.at, i*a.row), depth))
		}
		return view[T]{at: &dst[0], row: long, step: 1}
	}
	if !g.direct {
		for p := range depth {
			for i, v := range unsafe.Slice(offset(a.at, p*a.step), h) {
				dst[i*long+p] = v
			}
		}
		return view[T]{at: &dst[0], row: long, step: 1}
	}
	for p := range depth {
		copy(dst[p*h:], unsafe.Slice(offset(a.at, p*a.step), h))
	}
	return view[T]{at: &dst[0], row: 1, step: h}
}

// packTiles copies h rows of a into dst tile by tile, a tile's columns one after another.
func (g *gemmPath[T]) packTiles(dst []T, h, depth int, a view[T]) view[T] {
	for top, rows := 0, 0; top < h; top += rows {
		rows = g.tileHeight(h - top)
		tile, src := dst[top*depth:(top+rows)*depth], offset(a.at, top*a.row)
		if a.row == 1 {
			for p := range depth {
				copy(tile[p*rows:], unsafe.Slice(offset(src, p*a.step), rows))
			}
			continue
		}
		transpose, whole := g.transpose, depth/g.block*g.block
		switch {
		case rows < g.block:
			whole = 0
		case rows == g.rows[0]:
			transpose = g.transposeTile
		}
		if whole > 0 {
			transpose(&tile[0], rows, src, a.row, whole)
		}
		for i := range rows {
			row := unsafe.Slice(offset(src, i*a.row), depth)
			for p := whole; p < depth; p++ {
				tile[p*rows+i] = row[p]
			}
		}
	}
	return view[T]{at: &dst[0], row: depth, tiled: true}
}

// packPanel copies a panel of op(B): depth rows from row from on, w columns from column left on, zeros to the panel's width.
func (g *gemmPath[T]) packPanel(dst []T, transB bool, b []T, ldb, from, left, depth, w int) {
	width := g.width()
	if !transB {
		src := b[from*ldb+left:]
		if g.copyPanel != nil && (g.masked || w == width) {
			g.copyPanel(&dst[0], &src[0], ldb, depth, w)
			return
		}
		for p := range depth {
			row := dst[p*width : p*width+width]
			clear(row[copy(row, src[p*ldb:p*ldb+w]):])
		}
		return
	}
	src := b[left*ldb+from:]
	j, whole := 0, 0
	if g.transpose != nil {
		whole = depth / g.block * g.block
		for ; whole > 0 && j+g.block <= w; j += g.block {
			g.transpose(&dst[j], width, &src[j*ldb], ldb, whole)
		}
	}
	for i := range w {
		row := src[i*ldb : i*ldb+depth]
		start := 0
		if i < j {
			start = whole
		}
		for p := start; p < depth; p++ {
			dst[p*width+i] = row[p]
		}
	}
	if w < width {
		for p := range depth {
			clear(dst[p*width+w : p*width+width])
		}
	}
}
