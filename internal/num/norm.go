package num

// SquaredNormScaled returns Σ (x·w)², summed in eight lanes that are joined in one fixed order, so that every machine and
// kernel gives the same bits when the squares themselves are exact, as they are for gridded x and powers of two w.
func SquaredNormScaled(x, w []float64) float64 {
	var lane [8]float64
	w = w[:len(x)]
	i := 0
	for ; i+8 <= len(x); i += 8 {
		a, b := x[i:i+8:i+8], w[i:i+8:i+8]
		for j := range lane {
			v := a[j] * b[j]
			lane[j] += float64(v * v) // the conversion forbids a fused multiply-add
		}
	}
	for j := 0; i < len(x); i, j = i+1, j+1 {
		v := x[i] * w[i]
		lane[j] += float64(v * v)
	}
	return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]))
}

// SquaredDistance returns Σ(x−y)² in float64; identical rows give zero.
func SquaredDistance(x, y []float32) float64 { return active.squaredDistance(x, y[:len(x)]) }
