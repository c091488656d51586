package detect

import (
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
)

// lengthOne returns rows of d values scaled to length one; a row of zeros has no direction and stays.
func lengthOne(x []float32, d int) []float32 {
	out := make([]float32, len(x))
	num.Parallel(len(x)/d, 256, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row, to := x[i*d:(i+1)*d], out[i*d:(i+1)*d]
			length := math.Sqrt(num.SquaredNorm(row))
			for j, v := range row {
				if length > 0 {
					to[j] = float32(float64(v) / length)
				}
			}
		}
	})
	return out
}

// side is two lists of rows of d values that are multiplied with each other.
type side struct {
	rows, kept []float32
	d          int
}

// How many rows and kept rows are multiplied at a time: it bounds memory, and bears no weight on results.
const pairRows, pairKept = 128, 1024

// eachProduct calls f for each of n rows with its inner products, on every side, with the kept rows from one on: for one row
// in order and on one goroutine, for different rows at once. f must not keep the products, which are summed in float32.
func eachProduct(n, kept int, sides []side, f func(i, from int, products [][]float32)) {
	num.Parallel(n, pairRows, func(low, high int) {
		products, ofRow := make([][]float32, len(sides)), make([][]float32, len(sides))
		for s := range sides {
			products[s] = make([]float32, pairRows*pairKept)
		}
		for lo := low; lo < high; lo += pairRows {
			m := min(pairRows, high-lo)
			for from := 0; from < kept; from += pairKept {
				k := min(pairKept, kept-from)
				for s, side := range sides {
					num.Gemm(false, true, m, k, side.d, 1, side.rows[lo*side.d:], side.d, side.kept[from*side.d:], side.d, 0, products[s], k)
				}
				for i := range m {
					for s := range sides {
						ofRow[s] = products[s][i*k : (i+1)*k]
					}
					f(lo+i, from, ofRow)
				}
			}
		}
	})
}

func widen(dst []float64, x []float32) {
	for i, v := range x {
		dst[i] = float64(v)
	}
}

// narrow reads a tensor of float32 values, D a row; others could narrow to infinity, and are refused.
func narrow(r *data.Reader, st *data.Checkpoint, name string, shape ...int) ([]float32, bool) {
	v := r.Float32s(name, shape...)
	return v, r.Err() == nil && st.Tensors[name].DType == data.F32
}
