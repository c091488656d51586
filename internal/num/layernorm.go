package num

// LayerNormRows writes (x−mean)/√(variance+epsilon)·gain + shift for each row of cols values; variance is the mean squared
// deviation. It keeps each row's mean and 1/√(variance+epsilon) for [LayerNormRowsGradient]. Statistics are float64 and
// taken in two passes; all paths give the same bits. dst may be x.
func LayerNormRows(dst, x, gain, shift []float32, mean, inverse []float64, cols int, epsilon float64) {
	rows := rowsOf("LayerNormRows", cols, len(dst), len(x))
	perRow("LayerNormRows", "gain", cols, len(gain))
	perRow("LayerNormRows", "shift", cols, len(shift))
	perRow("LayerNormRows", "mean", rows, len(mean))
	perRow("LayerNormRows", "inverse", rows, len(inverse))
	kernel := active.vector.layerNormRows
	switch {
	case rows >= 2*rowGrain(cols):
		Parallel(rows, rowGrain(cols), func(lo, hi int) {
			kernel(dst[lo*cols:hi*cols], x[lo*cols:hi*cols], gain, shift, mean[lo:hi], inverse[lo:hi], epsilon)
		})
	case rows > 0:
		kernel(dst, x, gain, shift, mean, inverse, epsilon)
	}
}

// LayerNormRowsGradient writes the gradient of [LayerNormRows] with respect to x to dx, and adds those with respect to
// gain and shift to dgain and dshift. dy is the gradient of its result; mean and inverse are what it kept. dx may be dy.
// The sums over rows are float64 and rounded once; neither threads nor paths change a bit.
func LayerNormRowsGradient(dx, dgain, dshift, dy, x, gain []float32, mean, inverse []float64, cols int) {
	rows := rowsOf("LayerNormRowsGradient", cols, len(dx), len(dy), len(x))
	perRow("LayerNormRowsGradient", "dgain", cols, len(dgain))
	perRow("LayerNormRowsGradient", "dshift", cols, len(dshift))
	perRow("LayerNormRowsGradient", "gain", cols, len(gain))
	perRow("LayerNormRowsGradient", "mean", rows, len(mean))
	perRow("LayerNormRowsGradient", "inverse", rows, len(inverse))
	if rows == 0 {
		return
	}
	kernel := active.vector.layerNormRowsGradient
	width := 2 * padded(cols)
	step, count := rowBlocks(rows, cols)
	w, sums := scratch[float64](count * width)
	defer w.release()
	if count == 1 {
		clear(sums)
		kernel(dx, sums[:width/2], sums[width/2:], dy, x, gain, mean, inverse)
	} else {
		Parallel(count, 1, func(lo, hi int) {
			for b := lo; b < hi; b++ {
				part := sums[b*width : (b+1)*width]
				clear(part)
				from, to := b*step, min((b+1)*step, rows)
				kernel(dx[from*cols:to*cols], part[:width/2], part[width/2:], dy[from*cols:to*cols], x[from*cols:to*cols], gain, mean[from:to], inverse[from:to])
			}
		})
	}
	addBlocks(dgain, sums, count, width)
	addBlocks(dshift, sums[width/2:], count, width)
}

// AddToRows adds shift to each row of cols = len(shift) values.
func AddToRows(dst, shift []float32) {
	cols := len(shift)
	rows := rowsOf("AddToRows", cols, len(dst))
	if rows < 2*rowGrain(cols) {
		addToRows(dst, shift)
		return
	}
	Parallel(rows, rowGrain(cols), func(lo, hi int) { addToRows(dst[lo*cols:hi*cols], shift) })
}

func addToRows(dst, shift []float32) {
	kernel, cols := active.vector.add, len(shift)
	for at := 0; at < len(dst); at += cols {
		row := dst[at : at+cols]
		kernel(row, row, shift)
	}
}

// AddColumnSums adds the sums of the columns of x, rows of cols = len(dst) values, to dst: the gradient of a shift that
// was added to rows. The sums are float64 and rounded once; neither threads nor paths change a bit.
func AddColumnSums(dst, x []float32) {
	cols := len(dst)
	rows := rowsOf("AddColumnSums", cols, len(x))
	if rows == 0 {
		return
	}
	kernel := active.vector.columnSums
	width := padded(cols)
	step, count := rowBlocks(rows, cols)
	w, sums := scratch[float64](count * width)
	defer w.release()
	if count == 1 {
		clear(sums)
		kernel(sums, x, cols)
	} else {
		Parallel(count, 1, func(lo, hi int) {
			for b := lo; b < hi; b++ {
				part := sums[b*width : (b+1)*width]
				clear(part)
				kernel(part, x[b*step*cols:min((b+1)*step, rows)*cols], cols)
			}
		})
	}
	addBlocks(dst, sums, count, width)
}

// padded is the length of a row of sums: kernels write whole groups of sixteen.
func padded(cols int) int { return (cols + 15) &^ 15 }

// rowBlocks cuts rows for sums over them, by their sizes alone.
func rowBlocks(rows, cols int) (step, count int) {
	step = max(64, 2*vectorGrain/cols)
	return step, (rows + step - 1) / step
}

// addBlocks adds the blocks' sums to dst, block after block.
func addBlocks(dst []float32, sums []float64, count, width int) {
	for j := range dst {
		s := sums[j]
		for b := 1; b < count; b++ {
			s += sums[b*width+j]
		}
		dst[j] = float32(float64(dst[j]) + s)
	}
}
