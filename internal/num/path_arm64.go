package num

import "golang.org/x/sys/cpu"

// vectorPaths finds NEON on every arm64 machine; it asks so that GODEBUG=cpu.asimd=off takes it away, for tests.
func vectorPaths() []*path {
	if cpu.ARM64.HasASIMD {
		return []*path{&pathNEON}
	}
	return nil
}

// pathNEON has 16-byte vectors, so panels of four of them are a cache line wide.
var pathNEON = path{
	name: "neon",
	f32: gemmPath[float32]{
		lanes: 4, direct: true, columns: true, rows: []int{6, 4, 2, 1},
		kernel: [][15]gemmKernel[float32]{
			{1: gemmF32NEONx1x1, 2: gemmF32NEONx2x1, 4: gemmF32NEONx4x1, 6: gemmF32NEONx6x1},
			{1: gemmF32NEONx1x2, 2: gemmF32NEONx2x2, 4: gemmF32NEONx4x2, 6: gemmF32NEONx6x2},
			{1: gemmF32NEONx1x3, 2: gemmF32NEONx2x3, 4: gemmF32NEONx4x3, 6: gemmF32NEONx6x3},
			{1: gemmF32NEONx1x4, 2: gemmF32NEONx2x4, 4: gemmF32NEONx4x4, 6: gemmF32NEONx6x4},
		},
		copyPanel: copyPanelF32NEONx4, transpose: transposeF32NEONx4, block: 4, transposeTile: transposeF32NEONx6,
	},
	f64: gemmPath[float64]{
		lanes: 2, direct: true, columns: true, rows: []int{6, 4, 2, 1},
		kernel: [][15]gemmKernel[float64]{
			{1: gemmF64NEONx1x1, 2: gemmF64NEONx2x1, 4: gemmF64NEONx4x1, 6: gemmF64NEONx6x1},
			{1: gemmF64NEONx1x2, 2: gemmF64NEONx2x2, 4: gemmF64NEONx4x2, 6: gemmF64NEONx6x2},
			{1: gemmF64NEONx1x3, 2: gemmF64NEONx2x3, 4: gemmF64NEONx4x3, 6: gemmF64NEONx6x3},
			{1: gemmF64NEONx1x4, 2: gemmF64NEONx2x4, 4: gemmF64NEONx4x4, 6: gemmF64NEONx6x4},
		},
		copyPanel: copyPanelF64NEONx4, transpose: transposeF64NEONx4, block: 4, transposeTile: transposeF64NEONx6,
	},
	gram:   gramPath{lanes: 4, kernel: []gramKernel{gramNEONx1, gramNEONx2, gramNEONx3}, copyPanel: copyPanelF64NEONx6},
	rows32: portableRows[float32](),
	rows64: portableRows[float64](),
	grid:   gridByFour(gridNEON),
	addInt: addIntByFour(addIntNEON),
	bounds: boundsNEON, strip: 16,

	squaredDistance: squaredDistanceBy(8, squaredDistanceNEON),
	below:           belowBySixteen(belowNEON),

	maxBits: maxBitsPortable,
	vector:  &vectorPortable,
}
