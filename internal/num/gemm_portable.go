package num

import "unsafe"

func portableGemm[T Float]() gemmPath[T] {
	return gemmPath[T]{lanes: 4, rows: []int{4, 1}, kernel: [][15]gemmKernel[T]{{1: gemmPortable1[T], 4: gemmPortable4[T]}}, block: 1}
}

// gemmPortable4 is a tile of 4 rows and 4 columns, packed operands, as two halves of 4×2: eight sums stay in the
// registers of any machine.
func gemmPortable4[T Float](k int, a *T, rowA, _ int, b *T, _ int, c *T, rowC, _ int, alpha T, add int, _ uintptr) {
	r0, r1 := unsafe.Slice(a, k), unsafe.Slice(offset(a, rowA), k)
	r2, r3 := unsafe.Slice(offset(a, 2*rowA), k), unsafe.Slice(offset(a, 3*rowA), k)
	bs := unsafe.Slice(b, 4*k)
	for j := 0; j < 4; j += 2 {
		var s00, s01, s10, s11, s20, s21, s30, s31 T
		at := j
		for p, x := range r0 {
			y := (*[2]T)(bs[at:])
			y0, y1 := y[0], y[1]
			s00 += x * y0
			s01 += x * y1
			x = r1[p]
			s10 += x * y0
			s11 += x * y1
			x = r2[p]
			s20 += x * y0
			s21 += x * y1
			x = r3[p]
			s30 += x * y0
			s31 += x * y1
			at += 4
		}
		c := offset(c, j)
		join2(c, alpha, s00, s01, add)
		join2(offset(c, rowC), alpha, s10, s11, add)
		join2(offset(c, 2*rowC), alpha, s20, s21, add)
		join2(offset(c, 3*rowC), alpha, s30, s31, add)
	}
}

// gemmPortable1 is one row of the same tile, in the same order.
func gemmPortable1[T Float](k int, a *T, _, _ int, b *T, _ int, c *T, _, _ int, alpha T, add int, _ uintptr) {
	bs := unsafe.Slice(b, 4*k)
	var s0, s1, s2, s3 T
	at := 0
	for _, x := range unsafe.Slice(a, k) {
		y := (*[4]T)(bs[at:])
		s0 += x * y[0]
		s1 += x * y[1]
		s2 += x * y[2]
		s3 += x * y[3]
		at += 4
	}
	join2(c, alpha, s0, s1, add)
	join2(offset(c, 2), alpha, s2, s3, add)
}

// join2 writes or adds two neighbouring sums. The product is rounded by itself, so that no compiler fuses it in one
// tile and not in another.
func join2[T Float](c *T, alpha, s0, s1 T, add int) {
	out := (*[2]T)(unsafe.Pointer(c))
	s0, s1 = T(alpha*s0), T(alpha*s1)
	if add != 0 {
		s0, s1 = out[0]+s0, out[1]+s1
	}
	out[0], out[1] = s0, s1
}
