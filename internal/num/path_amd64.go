package num

import "golang.org/x/sys/cpu"

func vectorPaths() []*path {
	var out []*path
	x := &cpu.X86
	// The transposing kernels of the AVX-512 path are AVX2, and its masks are made with BMI2.
	vex := x.HasAVX2 && x.HasFMA && x.HasBMI2
	if vex && x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512VL {
		out = append(out, &pathAVX512)
	}
	if vex {
		out = append(out, &pathAVX2)
	}
	return out
}

var pathAVX512 = path{
	name: "avx512",
	f32: gemmPath[float32]{
		lanes: 16, masked: true, direct: true, rows: []int{14, 8, 4, 2, 1},
		kernel: [][15]gemmKernel[float32]{
			{1: gemmF32AVX512x1x1, 2: gemmF32AVX512x2x1, 4: gemmF32AVX512x4x1, 8: gemmF32AVX512x8x1, 14: gemmF32AVX512x14x1},
			{1: gemmF32AVX512x1x2, 2: gemmF32AVX512x2x2, 4: gemmF32AVX512x4x2, 8: gemmF32AVX512x8x2, 14: gemmF32AVX512x14x2},
		},
		copyPanel: copyPanelF32AVX512x2, transpose: transposeF32AVX2, block: 8,
	},
	f64: gemmPath[float64]{
		lanes: 8, masked: true, direct: true, rows: []int{14, 8, 4, 2, 1},
		kernel: [][15]gemmKernel[float64]{
			{1: gemmF64AVX512x1x1, 2: gemmF64AVX512x2x1, 4: gemmF64AVX512x4x1, 8: gemmF64AVX512x8x1, 14: gemmF64AVX512x14x1},
			{1: gemmF64AVX512x1x2, 2: gemmF64AVX512x2x2, 4: gemmF64AVX512x4x2, 8: gemmF64AVX512x8x2, 14: gemmF64AVX512x14x2},
		},
		copyPanel: copyPanelF64AVX512x2, transpose: transposeF64AVX2, block: 4,
	},
	gram:   gramPath{lanes: 8, masked: true, kernel: []gramKernel{gramAVX512x1, gramAVX512x2, gramAVX512x3}, copyPanel: copyPanelF64AVX512x3},
	rows32: rowPath[float32]{dot: dotF32AVX512x1, dot4: dotF32AVX512x4, add: addF32AVX512x1, add4: addF32AVX512x4},
	rows64: rowPath[float64]{dot: dotF64AVX512x1, dot4: dotF64AVX512x4, add: addF64AVX512x1, add4: addF64AVX512x4, dotAdd4: dotAddF64AVX512x4},
	grid:   gridBy512,
	addInt: addIntBy512,
	bounds: boundsAVX512, strip: 64,

	maxBits:         maxBitsBy(64, maxBitsAVX512),
	center:          centerAVX512,
	squaredDistance: squaredDistanceBy(16, squaredDistanceAVX512),
	below:           belowBySixteen(belowAVX512),

	vector: &vectorAVX512,
}

var pathAVX2 = path{
	name: "avx2",
	f32: gemmPath[float32]{
		lanes: 8, direct: true, rows: []int{6, 4, 2, 1},
		kernel: [][15]gemmKernel[float32]{
			{1: gemmF32AVX2x1x1, 2: gemmF32AVX2x2x1, 4: gemmF32AVX2x4x1, 6: gemmF32AVX2x6x1},
			{1: gemmF32AVX2x1x2, 2: gemmF32AVX2x2x2, 4: gemmF32AVX2x4x2, 6: gemmF32AVX2x6x2},
		},
		copyPanel: copyPanelF32AVX2x2, transpose: transposeF32AVX2, block: 8,
	},
	f64: gemmPath[float64]{
		lanes: 4, direct: true, rows: []int{6, 4, 2, 1},
		kernel: [][15]gemmKernel[float64]{
			{1: gemmF64AVX2x1x1, 2: gemmF64AVX2x2x1, 4: gemmF64AVX2x4x1, 6: gemmF64AVX2x6x1},
			{1: gemmF64AVX2x1x2, 2: gemmF64AVX2x2x2, 4: gemmF64AVX2x4x2, 6: gemmF64AVX2x6x2},
		},
		copyPanel: copyPanelF64AVX2x2, transpose: transposeF64AVX2, block: 4,
	},
	gram:   gramPath{lanes: 4, kernel: []gramKernel{gramAVX2x1, gramAVX2x2, gramAVX2x3}, copyPanel: copyPanelF64AVX2x3},
	rows32: rowPath[float32]{dot: dotF32AVX2x1, dot4: dotF32AVX2x4, add: addF32AVX2x1, add4: addF32AVX2x4},
	rows64: rowPath[float64]{dot: dotF64AVX2x1, dot4: dotF64AVX2x4, add: addF64AVX2x1, add4: addF64AVX2x4, dotAdd4: dotAddF64AVX2x4},
	grid:   gridByFour(gridAVX2),
	addInt: addIntByFour(addIntAVX2),
	bounds: boundsAVX2, strip: 32,

	maxBits:         maxBitsBy(32, maxBitsAVX2),
	center:          centerAVX2,
	squaredDistance: squaredDistanceBy(8, squaredDistanceAVX2),
	below:           belowBySixteen(belowAVX2),

	vector: &vectorAVX2,
}

func gridBy512(dst []float64, ldd int, x []float32, n, d int, scale, origin []float64) bool {
	return gridAVX512(&dst[0], ldd, &x[0], n, d, &scale[0], &origin[0]) == 0
}

func addIntBy512(acc []int64, x []float64) { addIntAVX512(&acc[0], &x[0], len(x)) }

// maxBitsBy takes the size of a group: a power of two.
func maxBitsBy(group int, kernel func(x *float32, n int) uint32) func([]float32) uint32 {
	return func(x []float32) uint32 {
		whole, top := len(x)&^(group-1), uint32(0)
		if whole > 0 {
			top = kernel(&x[0], whole)
		}
		return max(top, maxBitsPortable(x[whole:]))
	}
}
