package num

import "math"

func softmaxRowsPortable(dst, x []float32, cols int) {
	for at := 0; at < len(x); at += cols {
		row, out := x[at:at+cols], dst[at:at+cols]
		top := float64(maximumPortable(row))
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(float64(v) - top)
		}
		for i, v := range row {
			out[i] = float32(math.Exp(float64(v)-top) / sum)
		}
	}
}

func softmaxRowsGradientPortable(dst, y, dy []float32, cols int) {
	for at := 0; at < len(y); at += cols {
		p, d, out := y[at:at+cols], dy[at:at+cols], dst[at:at+cols]
		sum := sixteenLanes(p, d, product)
		for i, v := range p {
			out[i] = float32(float64(v) * (float64(d[i]) - sum))
		}
	}
}

func maximumPortable(x []float32) float32 {
	top := float32(math.Inf(-1))
	for _, v := range x {
		if v > top {
			top = v
		}
	}
	return top
}

func expSumPortable(x []float32, top float32) float64 {
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v) - float64(top))
	}
	return sum
}

// lowerPortable writes (x − a) − b.
func lowerPortable(dst, x []float32, a, b float64) {
	for i, v := range x {
		dst[i] = float32((float64(v) - a) - b)
	}
}

func layerNormRowsPortable(dst, x, gain, shift []float32, mean, inverse []float64, epsilon float64) {
	cols := len(gain)
	for i := range mean {
		row, out := x[i*cols:(i+1)*cols], dst[i*cols:(i+1)*cols]
		m := sumPortable(row) / float64(cols)
		var lane [16]float64
		for j, v := range row {
			e := float64(v) - m
			lane[j&15] += float64(e * e)
		}
		r := 1 / math.Sqrt(joinedSixteen(lane)/float64(cols)+epsilon)
		for j, v := range row {
			z := float32((float64(v) - m) * r)
			out[j] = float32(z*gain[j]) + shift[j]
		}
		mean[i], inverse[i] = m, r
	}
}

func layerNormRowsGradientPortable(dx []float32, dgain, dshift []float64, dy, x, gain []float32, mean, inverse []float64) {
	cols := len(gain)
	for i, m := range mean {
		r := inverse[i]
		d, row, out := dy[i*cols:(i+1)*cols], x[i*cols:(i+1)*cols], dx[i*cols:(i+1)*cols]
		var first, second [16]float64
		for j, v := range row {
			z, a := (float64(v)-m)*r, float64(d[j])*float64(gain[j])
			first[j&15] += a
			second[j&15] += float64(a * z)
		}
		a0, a1 := joinedSixteen(first)/float64(cols), joinedSixteen(second)/float64(cols)
		for j, v := range row {
			e := float64(d[j])
			z, a := (float64(v)-m)*r, e*float64(gain[j])
			dgain[j] += float64(e * z)
			dshift[j] += e
			out[j] = float32(((a - a0) - float64(z*a1)) * r)
		}
	}
}

func columnSumsPortable(sums []float64, x []float32, cols int) {
	for at := 0; at < len(x); at += cols {
		for j, v := range x[at : at+cols] {
			sums[j] += float64(v)
		}
	}
}

func expWidePortable(dst, x []float64, top, scale float64) float64 {
	sum := 0.0
	for i, v := range x {
		dst[i] = math.Exp((v - top) * scale)
		sum += dst[i]
	}
	return sum
}

func expSumWidePortable(x []float64, top float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	return sum
}
