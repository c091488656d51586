package num

import "unsafe"

var vectorAVX512 = vectorPath{
	exp: single(expAVX512), tanh: single(tanhAVX512), sigmoid: single(sigmoidAVX512), silu: single(siluAVX512),
	gelu: single(geluAVX512), geluTanh: single(geluTanhAVX512), relu: single(reluAVX512),
	siluGradient: paired(siluGradientAVX512), geluGradient: paired(geluGradientAVX512),
	geluTanhGradient: paired(geluTanhGradientAVX512), reluGradient: paired(reluGradientAVX512),
	tanhGradient: paired(tanhGradientAVX512), sigmoidGradient: paired(sigmoidGradientAVX512),
	add: paired(addAVX512), multiply: paired(multiplyAVX512), addProduct: paired(addProductAVX512),
	scale: scaling(scaleAVX512), addScaled: scaling(addScaledAVX512), blend: blending(blendAVX512),
	shiftClip: func(dst, x []float32, a, low, high float32) { shiftClipAVX512(&dst[0], &x[0], len(x), a, low, high) },
	adam:      adamBy(adamAVX512),
	sum:       reducing(sumAVX512), sumSquares: reducing(sumSquaresAVX512), maximum: reducing(maximumAVX512), exactMean: meanBy(exactMeanAVX512),
	dot: reducingTwo(dotAVX512), squaredNorm64: reducing(squaredNorm64AVX512), squaredNormScaled: reducingTwo(squaredNormScaledAVX512),
	softmaxRows: func(dst, x []float32, cols int) { softmaxRowsAVX512(&dst[0], &x[0], len(x)/cols, cols) },
	softmaxRowsGradient: func(dst, y, dy []float32, cols int) {
		softmaxRowsGradientAVX512(&dst[0], &y[0], &dy[0], len(y)/cols, cols)
	},
	expSum: func(x []float32, top float32) float64 { return expSumAVX512(&x[0], len(x), top) },
	lower:  func(dst, x []float32, a, b float64) { lowerAVX512(&dst[0], &x[0], len(x), a, b) },
	layerNormRows: func(dst, x, gain, shift []float32, mean, inverse []float64, epsilon float64) {
		layerNormRowsAVX512(&dst[0], &x[0], &gain[0], &shift[0], &mean[0], &inverse[0], len(mean), len(gain), epsilon)
	},
	layerNormRowsGradient: func(dx []float32, dgain, dshift []float64, dy, x, gain []float32, mean, inverse []float64) {
		layerNormRowsGradientAVX512(&dx[0], &dgain[0], &dshift[0], &dy[0], &x[0], &gain[0], &mean[0], &inverse[0], len(mean), len(gain))
	},
	expWide: func(dst, x []float64, top, scale float64) float64 {
		return expWideAVX512(&dst[0], &x[0], len(x), top, scale)
	},
	expSumWide: func(x []float64, top float64) float64 { return expSumWideAVX512(&x[0], len(x), top) },
	columnSums: func(sums []float64, x []float32, cols int) { columnSumsAVX512(&sums[0], &x[0], len(x)/cols, cols) },
}

var vectorAVX2 = vectorPath{
	exp: single(expAVX2), tanh: single(tanhAVX2), sigmoid: single(sigmoidAVX2), silu: single(siluAVX2),
	gelu: single(geluAVX2), geluTanh: single(geluTanhAVX2), relu: single(reluAVX2),
	siluGradient: paired(siluGradientAVX2), geluGradient: paired(geluGradientAVX2),
	geluTanhGradient: paired(geluTanhGradientAVX2), reluGradient: paired(reluGradientAVX2),
	tanhGradient: paired(tanhGradientAVX2), sigmoidGradient: paired(sigmoidGradientAVX2),
	add: paired(addAVX2), multiply: paired(multiplyAVX2), addProduct: paired(addProductAVX2),
	scale: scaling(scaleAVX2), addScaled: scaling(addScaledAVX2), blend: blending(blendAVX2),
	shiftClip: func(dst, x []float32, a, low, high float32) { shiftClipAVX2(&dst[0], &x[0], len(x), a, low, high) },
	adam:      adamBy(adamAVX2),
	sum:       reducing(sumAVX2), sumSquares: reducing(sumSquaresAVX2), maximum: reducing(maximumAVX2), exactMean: meanBy(exactMeanAVX2),
	dot: reducingTwo(dotAVX2), squaredNorm64: reducing(squaredNorm64AVX2), squaredNormScaled: reducingTwo(squaredNormScaledAVX2),
	softmaxRows: func(dst, x []float32, cols int) { softmaxRowsAVX2(&dst[0], &x[0], len(x)/cols, cols) },
	softmaxRowsGradient: func(dst, y, dy []float32, cols int) {
		softmaxRowsGradientAVX2(&dst[0], &y[0], &dy[0], len(y)/cols, cols)
	},
	expSum: func(x []float32, top float32) float64 { return expSumAVX2(&x[0], len(x), top) },
	lower:  func(dst, x []float32, a, b float64) { lowerAVX2(&dst[0], &x[0], len(x), a, b) },
	layerNormRows: func(dst, x, gain, shift []float32, mean, inverse []float64, epsilon float64) {
		layerNormRowsAVX2(&dst[0], &x[0], &gain[0], &shift[0], &mean[0], &inverse[0], len(mean), len(gain), epsilon)
	},
	layerNormRowsGradient: func(dx []float32, dgain, dshift []float64, dy, x, gain []float32, mean, inverse []float64) {
		layerNormRowsGradientAVX2(&dx[0], &dgain[0], &dshift[0], &dy[0], &x[0], &gain[0], &mean[0], &inverse[0], len(mean), len(gain))
	},
	expWide: func(dst, x []float64, top, scale float64) float64 {
		return expWideAVX2(&dst[0], &x[0], len(x), top, scale)
	},
	expSumWide: func(x []float64, top float64) float64 { return expSumWideAVX2(&x[0], len(x), top) },
	columnSums: func(sums []float64, x []float32, cols int) { columnSumsAVX2(&sums[0], &x[0], len(x)/cols, cols) },
}

// The following give assembly kernels the form of a path's.

func single(kernel func(dst, x *float32, n int)) func(dst, x []float32) {
	return func(dst, x []float32) { kernel(&dst[0], &x[0], len(x)) }
}

func paired(kernel func(dst, x, y *float32, n int)) func(dst, x, y []float32) {
	return func(dst, x, y []float32) { kernel(&dst[0], &x[0], &y[0], len(x)) }
}

func scaling(kernel func(dst, x *float32, n int, a float32)) func(dst, x []float32, a float32) {
	return func(dst, x []float32, a float32) { kernel(&dst[0], &x[0], len(x), a) }
}

func blending(kernel func(dst, x, y *float32, n int, a, b float32)) func(dst, x, y []float32, a, b float32) {
	return func(dst, x, y []float32, a, b float32) { kernel(&dst[0], &x[0], &y[0], len(x), a, b) }
}

func reducing[T, R Float](kernel func(x *T, n int) R) func(x []T) R {
	return func(x []T) R { return kernel(&x[0], len(x)) }
}

func reducingTwo[T Float](kernel func(x, y *T, n int) float64) func(x, y []T) float64 {
	return func(x, y []T) float64 { return kernel(&x[0], &y[0], len(x)) }
}

func adamBy(kernel func(theta, gradient, first, second *float32, n int, s *float64)) func(theta, gradient, first, second []float32, s AdamStep) {
	return func(theta, gradient, first, second []float32, s AdamStep) {
		kernel(&theta[0], &gradient[0], &first[0], &second[0], len(theta), &s.KeepMean)
	}
}

func meanBy(kernel func(dst *float32, src *[]byte, m, n int) uint64) func(dst []byte, src [][]byte) bool {
	return func(dst []byte, src [][]byte) bool {
		return kernel((*float32)(unsafe.Pointer(&dst[0])), &src[0], len(src), len(dst)/4) == 0
	}
}
