package part

import "math"

// LowPass returns the n²×n² matrix that takes a square image, n×n by rows, to its part of frequencies up to a radius, in
// cycles over the image: a projection, and what it leaves is the rest. The image is taken to repeat itself.
func LowPass(n int, radius float64) []float64 {
	// The response to one lit pixel, the inverse Fourier transform of the disk.
	response := make([]float64, n*n)
	for u := -(n - 1) / 2; u <= n/2; u++ {
		for v := -(n - 1) / 2; v <= n/2; v++ {
			if math.Hypot(float64(u), float64(v)) > radius {
				continue
			}
			// Of an even n, the highest frequency is its own mirror image; elsewhere a frequency's opposite is in the disk too.
			for y := range n {
				for x := range n {
					response[y*n+x] += math.Cos(2*math.Pi*float64((u*y+v*x)%n)/float64(n)) / float64(n*n)
				}
			}
		}
	}
	m := make([]float64, n*n*n*n)
	for i := range n * n {
		for j := range n * n {
			y, x := (i/n-j/n+n)%n, (i%n-j%n+n)%n
			m[i*n*n+j] = response[y*n+x]
		}
	}
	return m
}
