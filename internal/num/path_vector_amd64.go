package num

var vectorAVX512 = vectorPath{
	exp: single(expAVX512), tanh: single(tanhAVX512), sigmoid: single(sigmoidAVX512), silu: single(siluAVX512),
	gelu: single(geluAVX512), geluTanh: single(geluTanhAVX512), relu: single(reluAVX512),
	siluGradient: paired(siluGradientAVX512), geluGradient: paired(geluGradientAVX512),
	geluTanhGradient: paired(geluTanhGradientAVX512), reluGradient: paired(reluGradientAVX512),
	tanhGradient: paired(tanhGradientAVX512), sigmoidGradient: paired(sigmoidGradientAVX512),
	add: paired(addAVX512), multiply: paired(multiplyAVX512), addProduct: paired(addProductAVX512),
	scale: scaling(scaleAVX512), addScaled: scaling(addScaledAVX512), blend: blending(blendAVX512),
	sum: reducing(sumAVX512), sumSquares: reducing(sumSquaresAVX512), maximum: reducing(maximumAVX512),
	dot: reducingTwo(dotAVX512), squaredNorm64: reducing(squaredNorm64AVX512), squaredNormScaled: reducingTwo(squaredNormScaledAVX512),
	softmaxRows: softmaxRowsPortable, softmaxRowsGradient: softmaxRowsGradientPortable,
	expSum: expSumPortable, lower: lowerPortable,
	layerNormRows: layerNormRowsPortable, layerNormRowsGradient: layerNormRowsGradientPortable,
	columnSums: columnSumsPortable,
}

var vectorAVX2 = vectorPath{
	exp: single(expAVX2), tanh: single(tanhAVX2), sigmoid: single(sigmoidAVX2), silu: single(siluAVX2),
	gelu: single(geluAVX2), geluTanh: single(geluTanhAVX2), relu: single(reluAVX2),
	siluGradient: paired(siluGradientAVX2), geluGradient: paired(geluGradientAVX2),
	geluTanhGradient: paired(geluTanhGradientAVX2), reluGradient: paired(reluGradientAVX2),
	tanhGradient: paired(tanhGradientAVX2), sigmoidGradient: paired(sigmoidGradientAVX2),
	add: paired(addAVX2), multiply: paired(multiplyAVX2), addProduct: paired(addProductAVX2),
	scale: scaling(scaleAVX2), addScaled: scaling(addScaledAVX2), blend: blending(blendAVX2),
	sum: reducing(sumAVX2), sumSquares: reducing(sumSquaresAVX2), maximum: reducing(maximumAVX2),
	dot: reducingTwo(dotAVX2), squaredNorm64: reducing(squaredNorm64AVX2), squaredNormScaled: reducingTwo(squaredNormScaledAVX2),
	softmaxRows: softmaxRowsPortable, softmaxRowsGradient: softmaxRowsGradientPortable,
	expSum: expSumPortable, lower: lowerPortable,
	layerNormRows: layerNormRowsPortable, layerNormRowsGradient: layerNormRowsGradientPortable,
	columnSums: columnSumsPortable,
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
