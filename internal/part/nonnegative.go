package part

import "math"

// logisticPenalty is half the penalty on squared weights of standardised columns, in nats: enough for separable rows to
// have a solution, too little to move the others'.
const logisticPenalty = 1e-4

// logisticSweeps is where a descent that does not settle ends; it takes some tens.
const logisticSweeps = 1000

// NonnegativeLogistic fits the log odds of second against first, bias + Σ weight·column, by logistic regression with
// weights ≥ 0, each side counting one half however many rows it has. first and second are rows of l columns. The objective
// is convex; coordinates are descended in turn until none moves. A column that does not vary gets weight 0.
func NonnegativeLogistic(first, second []float64, l int) (weights []float64, bias float64) {
	n1, n2 := len(first)/l, len(second)/l
	f := logisticFit{n: n1 + n2, columns: make([][]float64, l)}
	f.share, f.odds = make([]float64, f.n), make([]float64, f.n)
	f.second = n1
	for i := range f.n {
		if f.share[i] = 0.5 / float64(n1); i >= n1 {
			f.share[i] = 0.5 / float64(n2)
		}
	}
	center, unit := make([]float64, l), make([]float64, l)
	for j := range l { // columns of mean 0 and deviation 1
		column := make([]float64, f.n)
		for i := range column {
			if i < n1 {
				column[i] = first[i*l+j]
			} else {
				column[i] = second[(i-n1)*l+j]
			}
			center[j] += f.share[i] * column[i]
		}
		for i := range column {
			column[i] -= center[j]
			unit[j] += f.share[i] * column[i] * column[i]
		}
		if unit[j] = math.Sqrt(unit[j]); unit[j] > 0 {
			for i := range column {
				column[i] /= unit[j]
			}
		}
		f.columns[j] = column
	}
	ones := make([]float64, f.n)
	for i := range ones {
		ones[i] = 1
	}
	weights = make([]float64, l)
	for range logisticSweeps {
		moved := math.Abs(f.step(&bias, ones, math.Inf(-1), 0))
		for j := range weights {
			if unit[j] > 0 {
				moved = max(moved, math.Abs(f.step(&weights[j], f.columns[j], 0, logisticPenalty)))
			}
		}
		if moved < 1e-12 {
			break
		}
	}
	for j := range weights {
		if unit[j] > 0 {
			weights[j] /= unit[j]
			bias -= weights[j] * center[j]
		}
	}
	return weights, bias
}

// logisticFit is a logistic regression under way.
type logisticFit struct {
	n, second   int // rows; the first row of the second side
	columns     [][]float64
	share, odds []float64 // n: what a row counts, its log odds so far
}

// step moves one coefficient to where its derivative is zero, or to its lowest value, and returns by how much.
func (f *logisticFit) step(coefficient *float64, column []float64, lowest, penalty float64) float64 {
	start := *coefficient
	for range 50 { // Newton's steps, halved while they do not lower the objective
		slope, curvature := penalty**coefficient, penalty
		for i, x := range column {
			p := 1 / (1 + math.Exp(-f.odds[i]))
			wrong := p
			if i >= f.second {
				wrong = p - 1
			}
			slope += f.share[i] * wrong * x
			curvature += f.share[i] * p * (1 - p) * x * x
		}
		if curvature == 0 {
			break
		}
		by := max(*coefficient-slope/curvature, lowest) - *coefficient
		before := f.loss(0, column) + penalty/2**coefficient**coefficient
		for math.Abs(by) > 1e-15*max(1, math.Abs(*coefficient)) {
			next := *coefficient + by
			if f.loss(by, column)+penalty/2*next*next <= before {
				break
			}
			by /= 2
		}
		if math.Abs(by) <= 1e-15*max(1, math.Abs(*coefficient)) {
			break
		}
		*coefficient += by
		for i, x := range column {
			f.odds[i] += by * x
		}
		if math.Abs(by) < 1e-13 {
			break
		}
	}
	return *coefficient - start
}

// loss is the mean cross-entropy when the coefficient of a column has moved.
func (f *logisticFit) loss(by float64, column []float64) float64 {
	sum := 0.0
	for i, x := range column {
		z := f.odds[i] + by*x
		if i >= f.second {
			z = -z
		}
		sum += f.share[i] * (max(z, 0) + math.Log1p(math.Exp(-math.Abs(z)))) // log(1+e^z)
	}
	return sum
}
