package methodtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

// recipe says how rows of known classes are drawn. The same recipe gives the same rows of the same classes for every
// input of a method: its features, its logits.
type recipe struct {
	seed    uint64
	d       int      // feature columns
	classes []string // names
	counts  []int    // rows of each class
	first   int      // place of the first class's mean: new classes lie elsewhere
	apart   float64  // distance of a class's mean from the others, in standard deviations of the noise
	stretch float64  // how much wider each class is than the one before it
	shift   float64  // added to every value
	targets bool
	cut     bool // one Gaussian cloud for all classes, of which there are two, a plane between them
}

// of is the recipe as the method can learn from it: classes that each have a cloud, or one cloud cut in two, with more rows
// where there are few, for those near the cut are hard.
func (r recipe) of(s method.Spec) recipe {
	if !s.TwoClasses {
		return r
	}
	n := 0
	for _, c := range r.counts {
		n += c
	}
	if n < 500 {
		n *= 4
	}
	r.classes, r.counts, r.cut, r.apart, r.stretch = r.classes[:2], []int{n / 2, n - n/2}, true, 0, 0
	return r
}

// labels lists the rows' classes, shuffled.
func (r recipe) labels() []int {
	var l []int
	for c, n := range r.counts {
		for range n {
			l = append(l, c)
		}
	}
	g := rand.New(rand.NewPCG(r.seed, 1))
	g.Shuffle(len(l), func(i, j int) { l[i], l[j] = l[j], l[i] })
	return l
}

// grain is the spacing of all feature values: a multiple of it stays exact in float32 when [far] is added.
const grain = 1.0 / 16

// far is how far away from zero a data set is moved; float32 is spaced by 1/16 there.
const far = 1e6

// table draws the rows for one input, labelled. An input called logits gets a classifier's raw outputs, tokens and general
// get texts, any other one features.
func (r recipe) table(slot string) *data.Table {
	labels := r.labels()
	g := rand.New(rand.NewPCG(r.seed, 2))
	var t *data.Table
	switch slot {
	case "tokens", "general", "good":
		x := make([]float32, 0, len(labels)*r.d)
		for _, c := range labels {
			x = append(x, r.text(g, c+r.first)...)
		}
		t = must(data.NewTable(len(labels), r.d, x))
	case "logits":
		k := len(r.classes)
		x := make([]float32, len(labels)*k)
		for i := range x {
			v := 0.75 * g.NormFloat64()
			if i%k == labels[i/k] {
				v += r.apart
			}
			x[i] = float32(math.Round(v/grain)*grain + r.shift)
		}
		t = must(data.NewNamed(len(labels), r.classes, x))
	default:
		x := make([]float32, len(labels)*r.d)
		for i, c := range labels {
			before := 0.0
			for j := range r.d {
				z := g.NormFloat64()
				v := 4 + (1+r.stretch*float64(c))*(z+before/2) // neighbouring columns are correlated
				if place := c + r.first; j == place%r.d {
					v += r.apart * float64(1+place/r.d)
				}
				before = z
				x[i*r.d+j] = float32(math.Round(v/grain)*grain + r.shift)
			}
			if r.cut {
				r.side(x[i*r.d:(i+1)*r.d], c)
			}
		}
		t = must(data.NewTable(len(labels), r.d, x))
	}
	if r.targets {
		t = must(t.WithTargets(targetsOf(t, r.shift)))
	}
	return must(t.WithLabels(labels, r.classes))
}

// words is how many tokens a class has for itself.
const words = 8

// text draws a text of a class: from one of its tokens on, the next one is the next in a circle.
func (r recipe) text(g *rand.Rand, class int) []float32 {
	x, at := make([]float32, r.d), g.IntN(words)
	for j := range x {
		x[j] = float32(class*words+(at+j)%words) + float32(r.shift)
	}
	return x
}

// side brings a row to its class's side of the cloud, by reflection in the cloud's center.
func (r recipe) side(row []float32, class int) {
	sum := 0.0
	for _, v := range row {
		sum += float64(v) - r.shift - 4
	}
	if (sum > 0) == (class == 0) {
		return
	}
	for j, v := range row {
		row[j] = float32(2*(4+r.shift) - float64(v))
	}
}

// targetsOf makes two regression targets that depend on the rows, one linearly.
func targetsOf(t *data.Table, shift float64) [][]float64 {
	n, d := t.Dims()
	y := [][]float64{make([]float64, n), make([]float64, n)}
	for i := range n {
		for j, v := range t.Row(i) {
			x := float64(v) - shift
			y[0][i] += x * float64(j-d/2)
			y[1][i] += math.Abs(x)
		}
	}
	return y
}

// headSlot is the input that is a network's last layer on the features: it belongs to them as their columns do.
const headSlot = "head"

// head is the last layer of a network that knows the recipe's classes: a class's logit grows along the column in which its
// mean stands out. A shift of all features is taken back by the bias.
func (r recipe) head() *data.Checkpoint {
	k := len(r.classes)
	weight, bias := make([]float64, k*r.d), make([]float64, k)
	for c := range k {
		j := (c + r.first) % r.d
		weight[c*r.d+j] = 1
		bias[c] = -4 - r.shift
	}
	return headOf(weight, bias, r.classes)
}

// encoderSlot is the input that is a whole network on the rows of the tables beside it.
const encoderSlot = "encoder"

// toSlot is the input that a map goes to from a checkpoint beside it: another one.
const toSlot = "to"

// encoderFor is a network of three linear layers on rows of d columns, with six features.
func encoderFor(d int) *data.Checkpoint {
	const hidden, features = 8, 6
	values := func(n int, from float64) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = math.Cos(from + 3*float64(i))
		}
		return v
	}
	return &data.Checkpoint{Tensors: map[string]data.Tensor{
		"0.weight": data.CastTensor(data.F32, values(hidden*d, 1), hidden, d),
		"0.bias":   data.CastTensor(data.F32, values(hidden, 2), hidden),
		"2.weight": data.CastTensor(data.F32, values(hidden*hidden, 5), hidden, hidden),
		"2.bias":   data.CastTensor(data.F32, values(hidden, 6), hidden),
		"4.weight": data.CastTensor(data.F32, values(features*hidden, 3), features, hidden),
		"4.bias":   data.CastTensor(data.F32, values(features, 4), features),
	}}
}

func headOf(weight, bias []float64, classes []string) *data.Checkpoint {
	k := len(bias)
	c := &data.Checkpoint{Tensors: map[string]data.Tensor{
		"weight": data.CastTensor(data.F32, weight, k, len(weight)/max(k, 1)),
		"bias":   data.CastTensor(data.F32, bias, k),
	}}
	c.SetStrings("classes", classes)
	return c
}

// headFor is a last layer for a table of any shape.
func headFor(x *data.Table) *data.Checkpoint {
	_, d := x.Dims()
	classes := x.Classes()
	weight, bias := make([]float64, len(classes)*d), make([]float64, len(classes))
	for i := range weight {
		weight[i] = math.Cos(float64(3*i + 1))
	}
	for c := range bias {
		bias[c] = 2 + float64(c)/4
	}
	return headOf(weight, bias, classes)
}

// withHead returns the bundle with the head, if it has one, made for another table.
func withHead(in data.Bundle, x *data.Table) data.Bundle {
	if _, ok := in[headSlot]; ok {
		in[headSlot] = headFor(x)
	}
	return in
}

// strange draws n rows that belong to no class: features on the other side of zero, logits that favour nothing, texts of known
// tokens in any order.
func (r recipe) strange(slot string, n int) *data.Table {
	g := rand.New(rand.NewPCG(r.seed, 3))
	if slot == "tokens" || slot == "general" || slot == "good" {
		x := make([]float32, n*r.d)
		for i := range x {
			x[i] = float32(g.IntN(words*len(r.classes))) + float32(r.shift)
		}
		return must(data.NewTable(n, r.d, x))
	}
	if slot == "logits" {
		k := len(r.classes)
		x := make([]float32, n*k)
		for i := range x {
			x[i] = float32(math.Round(0.3*g.NormFloat64()/grain)*grain + r.shift)
		}
		return must(data.NewNamed(n, r.classes, x))
	}
	x := make([]float32, n*r.d)
	for i := range x {
		x[i] = float32(math.Round((-20+2*g.NormFloat64())/grain)*grain + r.shift)
	}
	return must(data.NewTable(n, r.d, x))
}

// The recipes that all methods meet.
var (
	separable = recipe{seed: 1, d: 4, classes: []string{"ant", "bee", "cat"}, counts: []int{30, 30, 30}, apart: 8}
	uneven    = recipe{seed: 2, d: 4, classes: []string{"ant", "bee", "cat"}, counts: []int{60, 20, 5}, apart: 1.5, stretch: 0.5}
	wide      = recipe{seed: 3, d: 16, classes: []string{"ant", "bee", "cat"}, counts: []int{5, 4, 3}, apart: 3}
)

// with returns the recipe with other rows, of n in each class.
func (r recipe) with(seed uint64, n int) recipe {
	r.seed = seed
	r.counts = make([]int, len(r.classes))
	for c := range r.counts {
		r.counts[c] = n
	}
	return r
}

// next returns a recipe for two new classes beside those of r.
func (r recipe) next() recipe {
	r.seed += 1000
	r.first = len(r.classes)
	r.classes, r.counts = []string{"dog", "eel"}, []int{12, 9}
	return r
}

// toy is one small world: what a method is fitted on or applied to, and what it is asked then.
type toy struct {
	name  string
	in    data.Bundle
	query *data.Table // labelled rows as in the first input; nil when that is no table
	task  *data.Table // rows of two classes that in does not have, when in has labels
}

// toyOf makes the toy of a recipe for the method.
func toyOf(s method.Spec, name string, r recipe) toy {
	r = r.of(s)
	r.targets = s.Needs&moments.Targets != 0
	t := toy{name: name, in: bundle(s, r, r.table)}
	if len(s.Inputs) == 0 { // all that it needs is in its configuration
		return t
	}
	slot := s.Inputs[0]
	if slot.Kind == data.KindTable {
		t.query, t.task = r.with(r.seed+100, 16).table(slot.Name), r.next().table(slot.Name)
	}
	return t
}

// toys are the worlds that every method meets; the first is the easy one.
func toys(s method.Spec) []toy {
	return []toy{toyOf(s, "separable", separable), toyOf(s, "uneven", uneven), toyOf(s, "wide", wide)}
}

// bundle fills all inputs of a method, the optional ones too.
func bundle(s method.Spec, r recipe, table func(slot string) *data.Table) data.Bundle {
	in, seed := data.Bundle{}, r.seed
	for _, slot := range s.Inputs {
		switch slot.Kind {
		case data.KindTable:
			in[slot.Name] = table(slot.Name)
		case data.KindCheckpoint:
			in[slot.Name] = weights(seed, 0)
			switch slot.Name {
			case headSlot:
				in[slot.Name] = r.head()
			case encoderSlot:
				in[slot.Name] = encoderFor(r.d)
			case toSlot:
				in[slot.Name] = weights(seed, 1)
			case adapterSlot:
				in[slot.Name] = adapterFor(seed)
			case momentsSlot:
				in[slot.Name] = activations(seed, 0)
			}
		case data.KindCheckpoints:
			list := data.Checkpoints{}
			for i := range 4 {
				c := weights(seed, i+1)
				switch slot.Name {
				case precisionSlot:
					c = squared(c)
				case momentsSlot:
					c = activations(seed, i+1)
				}
				list = append(list, c)
			}
			in[slot.Name] = list
		case data.KindEvaluator:
			in[slot.Name] = bowl(seed)
		case data.KindNumbers:
			in[slot.Name] = data.Numbers{"first": 0.25, "second": 3}
		}
	}
	return in
}

// learnsTables says of a learner that all it must have is tables, and a head that belongs to them.
func learnsTables(s method.Spec) bool { return s.Learns() && takesTables(s) }

func takesTables(s method.Spec) bool {
	for _, slot := range s.Inputs {
		if slot.Kind != data.KindTable && !slot.Optional && slot.Name != headSlot {
			return false
		}
	}
	return len(s.Inputs) > 0 && s.Inputs[0].Kind == data.KindTable
}

// mapsRows says of a map that it turns a table into a table.
func mapsRows(s method.Spec) bool {
	return !s.Learns() && takesTables(s) && s.Output == data.KindTable
}

// answersRows says that the method has something to say of each row.
func answersRows(s method.Spec) bool {
	return mapsRows(s) || learnsTables(s) && (s.Can("score") || s.Can("predict") || s.Can("sets") || s.Can("audit"))
}

func must[V any](v V, err error) V {
	if err != nil {
		panic(fmt.Sprintf("methodtest: a toy set is broken: %v", err))
	}
	return v
}

// slotNames lists a method's inputs for a message.
func slotNames(s method.Spec) string {
	var names []string
	for _, slot := range s.Inputs {
		names = append(names, slot.Name)
	}
	return strings.Join(names, ", ")
}
