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
	long := depth + 16
	if a.step == 1 {
		for i := range h {
			copy(dst[i*long:], unsafe.Slice(offset(a.at, i*a.row), depth))
		}
		return view[T]{&dst[0], long, 1}
	}
	if !g.direct {
		for p := range depth {
			for i, v := range unsafe.Slice(offset(a.at, p*a.step), h) {
				dst[i*long+p] = v
			}
		}
		return view[T]{&dst[0], long, 1}
	}
	for p := range depth {
		copy(dst[p*h:], unsafe.Slice(offset(a.at, p*a.step), h))
	}
	return view[T]{&dst[0], 1, h}
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
