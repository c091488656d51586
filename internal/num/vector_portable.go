package num

import (
	"encoding/binary"
	"math"
)

var vectorPortable = vectorPath{
	exp:     each(math.Exp),
	tanh:    each(math.Tanh),
	sigmoid: each(sigmoid),
	silu:    each(func(x float64) float64 { return gated(x, sigmoid(x)) }),
	gelu:    each(func(x float64) float64 { return gated(x, normalTail(-x)) }),
	geluTanh: each(func(x float64) float64 {
		return gated(x, sigmoid(x*(geluTanhA+geluTanhB*x*x)))
	}),
	relu: func(dst, x []float32) {
		for i, v := range x {
			if v < 0 {
				v = 0
			}
			dst[i] = v
		}
	},

	siluGradient: eachGradient(func(x float64) float64 {
		s := sigmoid(x)
		return s + gated(x, s*sigmoid(-x))
	}),
	geluGradient: eachGradient(func(x float64) float64 {
		return normalTail(-x) + gated(x, math.Exp(-x*x/2)/math.Sqrt(2*math.Pi))
	}),
	geluTanhGradient: eachGradient(func(x float64) float64 {
		u := x * (geluTanhA + geluTanhB*x*x)
		s := sigmoid(u)
		slope := s * sigmoid(-u)
		if slope > 0 {
			slope *= geluTanhA + 3*geluTanhB*x*x
		}
		return s + gated(x, slope)
	}),
	reluGradient: func(dst, x, dy []float32) {
		for i, v := range x {
			if v > 0 {
				dst[i] = dy[i]
			} else {
				dst[i] = 0
			}
		}
	},
	tanhGradient: func(dst, y, dy []float32) {
		for i, v := range y {
			dst[i] = float32((1-v)*(1+v)) * dy[i]
		}
	},
	sigmoidGradient: func(dst, y, dy []float32) {
		for i, v := range y {
			dst[i] = float32((1-v)*v) * dy[i]
		}
	},

	// The conversions forbid a fused multiply-add.
	add: func(dst, x, y []float32) {
		for i, v := range x {
			dst[i] = v + y[i]
		}
	},
	multiply: func(dst, x, y []float32) {
		for i, v := range x {
			dst[i] = v * y[i]
		}
	},
	addProduct: func(dst, x, y []float32) {
		for i, v := range x {
			dst[i] += float32(v * y[i])
		}
	},
	scale: func(dst, x []float32, a float32) {
		for i, v := range x {
			dst[i] = a * v
		}
	},
	shiftClip: func(dst, x []float32, a, low, high float32) {
		for i, v := range x {
			v += a
			if v < low {
				v = low
			}
			if v > high {
				v = high
			}
			dst[i] = v
		}
	},
	adam: adamPortable,
	addScaled: func(dst, x []float32, a float32) {
		for i, v := range x {
			dst[i] += float32(a * v)
		}
	},
	blend: func(dst, x, y []float32, a, b float32) {
		for i, v := range x {
			dst[i] = float32(a*v) + float32(b*y[i])
		}
	},

	sum:        sumPortable,
	sumSquares: func(x []float32) float64 { return sixteenLanes(x, x, product) },
	dot:        func(x, y []float32) float64 { return sixteenLanes(x, y, product) },
	maximum:    maximumPortable,
	exactMean:  exactMeanPortable,
	squaredNorm64: func(x []float64) float64 {
		var lane [8]float64
		for i, v := range x {
			lane[i&7] += float64(v * v)
		}
		return joinedLanes(lane)
	},
	squaredNormScaled: func(x, w []float64) float64 {
		var lane [8]float64
		for i, v := range x {
			v *= w[i]
			lane[i&7] += float64(v * v)
		}
		return joinedLanes(lane)
	},

	softmaxRows: softmaxRowsPortable, softmaxRowsGradient: softmaxRowsGradientPortable,
	expSum: expSumPortable, lower: lowerPortable,
	layerNormRows: layerNormRowsPortable, layerNormRowsGradient: layerNormRowsGradientPortable,
	columnSums: columnSumsPortable, expWide: expWidePortable, expSumWide: expSumWidePortable,
}

// each makes a kernel of a function in float64.
func each(f func(x float64) float64) func(dst, x []float32) {
	return func(dst, x []float32) {
		for i, v := range x {
			dst[i] = float32(f(float64(v)))
		}
	}
}

// eachGradient makes a kernel of a derivative in float64.
func eachGradient(f func(x float64) float64) func(dst, x, dy []float32) {
	return func(dst, x, dy []float32) {
		for i, v := range x {
			dst[i] = float32(f(float64(v))) * dy[i]
		}
	}
}

// gated returns x·g for a gate g that vanishes faster than 1/x.
func gated(x, g float64) float64 {
	if g == 0 {
		return math.Copysign(0, x)
	}
	return x * g
}

func sigmoid(x float64) float64 {
	if x < 0 {
		e := math.Exp(x)
		return e / (1 + e)
	}
	return 1 / (1 + math.Exp(-x))
}

// normalTail is the probability that a standard normal value exceeds x.
func normalTail(x float64) float64 { return math.Erfc(x/math.Sqrt2) / 2 }

// (1+tanh(√(2/π)(x+0.044715x³)))/2 = 1/(1+exp(−x·(geluTanhA+geluTanhB·x²)))
const (
	geluTanhA = 2 * math.Sqrt2 / (math.SqrtPi)
	geluTanhB = geluTanhA * 0.044715
)

func sumPortable(x []float32) float64 {
	return sixteenLanes(x, x, func(x, _ float64) float64 { return x })
}

func product(x, y float64) float64 { return x * y }

// sixteenLanes adds f(x, y) in lanes, element i in lane i mod 16.
func sixteenLanes(x, y []float32, f func(x, y float64) float64) float64 {
	var lane [16]float64
	for i, v := range x {
		lane[i&15] += f(float64(v), float64(y[i]))
	}
	return joinedSixteen(lane)
}

func joinedSixteen(lane [16]float64) float64 {
	var half [8]float64
	for j := range half {
		half[j] = lane[j] + lane[j+8]
	}
	return joinedLanes(half)
}

// joinedLanes adds lanes in the order that all paths keep.
func joinedLanes(lane [8]float64) float64 {
	return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]))
}

func exactMeanPortable(dst []byte, src [][]byte) bool {
	lost, m := 0.0, float64(len(src))
	for i := 0; i < len(dst); i += 4 {
		sum := float64(math.Float32frombits(binary.LittleEndian.Uint32(src[0][i:])))
		lost += math.Abs(sum - sum)
		for _, s := range src[1:] {
			x := float64(math.Float32frombits(binary.LittleEndian.Uint32(s[i:])))
			total := sum + x
			part := total - sum
			lost += math.Abs((sum - (total - part)) + (x - part))
			sum = total
		}
		binary.LittleEndian.PutUint32(dst[i:], math.Float32bits(float32(sum/m)))
	}
	return lost == 0
}
