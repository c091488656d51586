package net

import "math"

// addTo adds x to dst.
func addTo(dst, x []float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] += x[i]
	}
}

// addScaled adds a·x to dst.
func addScaled(dst []float32, a float32, x []float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] += a * x[i]
	}
}

// multiply writes a·b to dst, element by element.
func multiply(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

// dot returns Σ a·b in eight lanes joined in one order.
func dot(a, b []float32) float32 {
	var lane [8]float32
	b = b[:len(a)]
	i := 0
	for ; i+8 <= len(a); i += 8 {
		p, q := a[i:i+8:i+8], b[i:i+8:i+8]
		for j := range lane {
			lane[j] += p[j] * q[j]
		}
	}
	for j := 0; i < len(a); i, j = i+1, j+1 {
		lane[j] += a[i] * b[i]
	}
	return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]))
}

// total returns Σ x in float64.
func total(x []float32) float64 {
	s := 0.0
	for _, v := range x {
		s += float64(v)
	}
	return s
}

func fill(dst []float32, v float32) {
	for i := range dst {
		dst[i] = v
	}
}

// exp32 is e^x to about 1 ulp of float32; below −87 it is the smallest value that it reaches, not zero.
func exp32(x float32) float32 { return float32(math.Exp(float64(x))) }

// addProduct adds a·b to dst, element by element.
func addProduct(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] += a[i] * b[i]
	}
}
