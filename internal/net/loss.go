package net

import (
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// Targets says what a cross-entropy is against.
type Targets struct {
	Smoothing float64   // label smoothing, [0, 1): this part of the unit mass is spread evenly over all classes
	Classes   []float32 // weight of rows by their class; nil: 1
	Rows      *Node     // weight of each row; nil: 1
	Total     float64   // what the weighted sum is divided by; 0: the sum of weights
}

// exactClasses is up to how many classes the softmax of a cross-entropy is computed in float64, at no cost beside the network.
const exactClasses = 64

// crossEntropy is the mean of −Σ q·log softmax(z).
type crossEntropy struct {
	z, y   *Node
	q      *Node // soft targets, or
	labels *Ints
	Targets
	delta *Node     // derivative by z
	row   []float64 // each row's loss
	share []float64 // each row's weight over their total
	exact float64   // the loss before it is rounded
	run   func(lo, hi int)
	der   func(lo, hi int)
	dz    []float32
	add   bool
}

// CrossEntropy returns the mean cross-entropy of softmax(z), z [..., K], against class numbers, in nats. Rows with a
// negative label have no part in it.
func (g *Graph) CrossEntropy(z *Node, labels *Ints, t Targets) *Node {
	if g.err == nil && (len(z.shape) == 0 || z.rows() != len(labels.Values)) {
		return g.fail("cross-entropy: logits %v for %d labels", z.shape, len(labels.Values))
	}
	return g.crossEntropy(&crossEntropy{z: z, labels: labels, Targets: t})
}

// CrossEntropySoft is CrossEntropy against the distributions q, shaped like z; q gets no gradient.
func (g *Graph) CrossEntropySoft(z, q *Node, t Targets) *Node {
	if g.err == nil && (len(z.shape) == 0 || q.Size() != z.Size()) {
		return g.fail("cross-entropy: logits %v for targets %v", z.shape, q.shape)
	}
	return g.crossEntropy(&crossEntropy{z: z, q: q, Targets: t})
}

func (g *Graph) crossEntropy(k *crossEntropy) *Node {
	switch {
	case g.err != nil:
		return g.fail("")
	case k.Smoothing < 0 || k.Smoothing >= 1:
		return g.fail("cross-entropy: smoothing %g outside [0, 1)", k.Smoothing)
	case k.Classes != nil && (len(k.Classes) != k.z.width() || k.q != nil):
		return g.fail("cross-entropy: %d class weights for %d classes, or beside soft targets", len(k.Classes), k.z.width())
	case k.Rows != nil && k.Rows.Size() != k.z.rows():
		return g.fail("cross-entropy: row weights %v for %d rows", k.Rows.shape, k.z.rows())
	}
	k.y, k.delta = g.node(), g.node(k.z.shape...)
	k.row, k.share = make([]float64, k.z.rows()), make([]float64, k.z.rows())
	k.run, k.der = k.forwardRange, k.backwardRange
	o := operation{name: "cross-entropy", in: []*Node{k.z}, out: k.y, saved: []*Node{k.delta}}
	if k.q != nil {
		o.in = append(o.in, g.StopGradient(k.q))
	}
	if k.Rows != nil {
		o.in = append(o.in, g.StopGradient(k.Rows))
	}
	return g.add(o, k)
}

func (k *crossEntropy) forward() {
	sum := 0.0
	for i := range k.share {
		w := 1.0
		if k.Rows != nil {
			w = float64(k.Rows.root.value[i])
		}
		if k.labels != nil {
			switch label := k.labels.Values[i]; {
			case label < 0:
				w = 0
			case k.Classes != nil && int(label) < len(k.Classes):
				w *= float64(k.Classes[label])
			}
		}
		k.share[i] = w
		sum += w
	}
	if k.Total > 0 {
		sum = k.Total
	}
	for i, w := range k.share {
		if w != 0 {
			k.share[i] = w / sum
		}
	}
	num.Parallel(len(k.row), max(1, elementGrain/8/k.z.width()), k.run)
	k.exact = 0
	for _, v := range k.row {
		k.exact += v
	}
	k.y.root.value[0] = float32(k.exact)
}

// target is the mass of class c in row i.
func (k *crossEntropy) target(i, c int) float64 {
	even := k.Smoothing / float64(k.z.width())
	if k.q != nil {
		return even + (1-k.Smoothing)*float64(k.q.root.value[i*k.z.width()+c])
	}
	if int(k.labels.Values[i]) == c {
		return even + (1 - k.Smoothing)
	}
	return even
}

func (k *crossEntropy) forwardRange(lo, hi int) {
	z, delta, w := k.z.root.value, k.delta.root.value, k.z.width()
	for i := lo; i < hi; i++ {
		row, d, share := z[i*w:i*w+w], delta[i*w:i*w+w], k.share[i]
		k.row[i] = 0
		if share == 0 {
			clear(d)
			continue
		}
		if k.labels != nil && int(k.labels.Values[i]) >= w {
			k.row[i] = math.NaN() // a class that the network has no output for
			fill(d, float32(math.NaN()))
			continue
		}
		if w <= exactClasses || k.Smoothing > 0 {
			norm := num.LogSumExp(row)
			for c, v := range row {
				// −Σ q·log p = Σ q·(log Σ exp − z), whose derivative by z is p − q.
				q := k.target(i, c)
				if q != 0 {
					k.row[i] += share * q * (norm - float64(v))
				}
				d[c] = float32(share * (math.Exp(float64(v)-norm) - q))
			}
			continue
		}
		num.SoftmaxRows(d, row, w)
		if k.q != nil {
			norm, q := num.LogSumExp(row), k.q.root.value[i*w:i*w+w]
			for c, v := range q {
				if v != 0 {
					k.row[i] += share * float64(v) * (norm - float64(row[c]))
				}
			}
			num.AddScaled(d, -1, q)
		} else {
			label := int(k.labels.Values[i])
			k.row[i] = share * (num.LogSumExp(row) - float64(row[label]))
			d[label]--
		}
		num.Scale(d, float32(share), d)
	}
}

func (k *crossEntropy) backward() {
	if k.dz, k.add = k.z.gradient(); k.dz != nil {
		num.Parallel(len(k.dz), elementGrain, k.der)
	}
}

func (k *crossEntropy) backwardRange(lo, hi int) {
	scale, delta, dz := k.y.root.grad[0], k.delta.root.value[lo:hi], k.dz[lo:hi]
	if k.add {
		addScaled(dz, scale, delta)
		return
	}
	scaled(dz, scale, delta)
}

var (
	squaredPairing = &pairing{
		name: "squared difference", values: true,
		f: func(dst, a, b []float32) {
			for i := range dst {
				dst[i] = (a[i] - b[i]) * (a[i] - b[i])
			}
		},
		da: func(dst, a, b, dy []float32) {
			for i, v := range dy {
				dst[i] = 2 * v * (a[i] - b[i])
			}
		},
		db: func(dst, a, b, dy []float32) {
			for i, v := range dy {
				dst[i] = 2 * v * (b[i] - a[i])
			}
		},
	}
	divergencePairing = &pairing{
		name: "divergence", values: true,
		f: func(dst, p, logQ []float32) {
			for i, v := range p {
				dst[i] = 0
				if v > 0 {
					dst[i] = float32(float64(v) * (math.Log(float64(v)) - float64(logQ[i])))
				}
			}
		},
		da: func(dst, p, logQ, dy []float32) {
			for i, v := range dy {
				dst[i] = 0
				if p[i] > 0 {
					dst[i] = v * float32(math.Log(float64(p[i]))+1-float64(logQ[i]))
				}
			}
		},
		db: func(dst, p, _, dy []float32) {
			for i, v := range dy {
				dst[i] = -v * p[i]
			}
		},
	}
	binaryPairing = &pairing{
		name: "binary cross-entropy", values: true,
		f: func(dst, z, t []float32) {
			for i, v := range z {
				x := float64(v)
				dst[i] = float32(math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) - x*float64(t[i]))
			}
		},
		da: func(dst, z, t, dy []float32) {
			for i, v := range dy {
				dst[i] = float32(float64(v) * (sigmoid(float64(z[i])) - float64(t[i])))
			}
		},
		db: func(dst, z, _, dy []float32) {
			for i, v := range dy {
				dst[i] = -v * z[i]
			}
		},
	}
)

// MSE returns the mean squared difference.
func (g *Graph) MSE(x, target *Node) *Node { return g.Mean(g.binary(squaredPairing, x, target)) }

// KL returns the mean over rows of the divergence Σ p·(log p − log q) of distributions over the last axis, in nats; p = 0 counts as zero.
func (g *Graph) KL(p, logQ *Node) *Node {
	if g.err == nil && len(p.shape) == 0 {
		return g.fail("divergence: a tensor of no axes")
	}
	return g.Mean(g.Sum(g.binary(divergencePairing, p, logQ), -1))
}

// BinaryCrossEntropy returns the mean of −t·log σ(z) − (1−t)·log(1−σ(z)), z any numbers and t in [0, 1].
func (g *Graph) BinaryCrossEntropy(z, t *Node) *Node {
	return g.Mean(g.binary(binaryPairing, z, t))
}
