package num

//go:generate go -C asm run . -dir ..

// path is one set of kernels: what the machine's instruction set allows. All paths obey the same laws; the vector
// paths also give the same bits in Gemm, portable code may round otherwise.
//
// The amd64 paths are measured (docs/benchmarks.md). The NEON path has run under an emulator alone, where time says
// nothing: how fast it is on an arm64 machine is not known. By llvm-mca's models of Neoverse N1, N2, V1 and V2 the inner
// loops of its widest tiles keep the multiply-add units busy, at 1.99 of 2 and 3.96 of 4 operations a cycle.
type path struct {
	name   string
	f32    gemmPath[float32]
	f64    gemmPath[float64]
	gram   gramPath
	rows32 rowPath[float32]
	rows64 rowPath[float64]
	grid   func(dst []float64, ldd int, x []float32, n, d int, scale, origin []float64) bool
	addInt func(acc []int64, x []float64)
	bounds func(low, high, x *float32, ldx, n, d int) // d a multiple of strip
	strip  int                                        // 0: portable

	maxBits func(x []float32) uint32                                      // the greatest bits of |x[i]|
	center  func(dst *float64, x *float32, center *float64, ld, n, d int) // d a multiple of 8; nil: portable

	// squaredDistance is Σ(x−y)² in float64; identical rows give zero.
	squaredDistance func(x, y []float32) float64
	// below sets bit i where norm[i] − 2·dot[i] is not above limit; lengths are multiples of 16.
	below func(bits []uint8, dot, norm []float32, limit float32)

	vector *vectorPath
}

// available lists the paths that this machine can take, fastest first. GODEBUG=cpu.avx512f=off, cpu.avx2=off and
// cpu.asimd=off (read by golang.org/x/sys/cpu) take paths away, for tests.
var available = append(vectorPaths(), &portable)

// active is the path taken. Only tests change it.
var active = available[0]

// Path names the kernels in use: avx512, avx2, neon or portable.
func Path() string { return active.name }

var portable = path{
	name:   "portable",
	f32:    portableGemm[float32](),
	f64:    portableGemm[float64](),
	gram:   gramPath{lanes: 4, kernel: []gramKernel{gramPortable}},
	rows32: portableRows[float32](),
	rows64: portableRows[float64](),
	grid:   gridPortable,
	addInt: addIntPortable,

	maxBits:         maxBitsPortable,
	squaredDistance: squaredDistancePortable,
	below:           belowPortable,

	vector: &vectorPortable,
}
