package num

//go:generate go -C asm run . -dir ..

// path is one set of kernels: what the machine's instruction set allows. All paths obey the same laws; the vector
// paths also give the same bits in Gemm, portable code may round otherwise.
type path struct {
	name   string
	f32    gemmPath[float32]
	f64    gemmPath[float64]
	gram   gramPath
	grid   func(dst []float64, ldd int, x []float32, n, d int, scale, origin []float64) bool
	addInt func(acc []int64, x []float64)
	maxAbs func(dst, x *float32, ldx, n, d int) // d a multiple of strip
	strip  int                                  // 0: portable

	// squaredDistance is Σ(x−y)² in float64; identical rows give zero.
	squaredDistance func(x, y []float32) float64
	// below sets bit i where norm[i] − 2·dot[i] is not above limit; lengths are multiples of 16.
	below func(bits []uint8, dot, norm []float32, limit float32)

	vector *vectorPath
}

// available lists the paths that this machine can take, fastest first. GODEBUG=cpu.avx512f=off and cpu.avx2=off
// (read by golang.org/x/sys/cpu) take paths away, for tests.
var available = append(vectorPaths(), &portable)

// active is the path taken. Only tests change it.
var active = available[0]

// Path names the kernels in use: avx512, avx2 or portable.
func Path() string { return active.name }

var portable = path{
	name:   "portable",
	f32:    portableGemm[float32](),
	f64:    portableGemm[float64](),
	gram:   gramPath{lanes: 4, kernel: []gramKernel{gramPortable}},
	grid:   gridPortable,
	addInt: addIntPortable,

	squaredDistance: squaredDistancePortable,
	below:           belowPortable,

	vector: &vectorPortable,
}
