package detect

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

// circles are texts of four tokens, of which each is the one after the last on a circle of six.
func circles(rows int) *data.Table {
	x := make([]float32, 0, rows*4)
	for i := range rows {
		for j := range 4 {
			x = append(x, float32(100+(i+j)%6))
		}
	}
	t, err := data.NewTable(rows, 4, x)
	if err != nil {
		panic(err)
	}
	return t
}

var mlkdTiny = MLKD{Depth: 2, Width: 16, Rate: 0.01, Steps: 60}

func ExampleMLKD() {
	familiar := circles(120) // such as 103 104 105 100
	m, _ := mlkdTiny.Fit(context.Background(), MLKDInput{Tokens: familiar})
	texts, _ := data.NewTable(3, 4, []float32{
		101, 102, 103, 104,
		104, 105, -1, -1, // a short one
		101, 105, 101, 104,
	})
	perplexity, _ := m.Score(texts)
	fmt.Println(perplexity[0] < 2, perplexity[1] < 3, perplexity[2] > 10)
	// Output: true true true
}

func fitMLKD(t *testing.T, c MLKD, in MLKDInput) *MLKDModel {
	t.Helper()
	m, err := c.Fit(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestMLKDIsADistribution adds up the likelihoods of all texts that there are.
func TestMLKDIsADistribution(t *testing.T) {
	m := fitMLKD(t, mlkdTiny, MLKDInput{Tokens: circles(12)})
	const kinds = 7 // six tokens, and all others
	var x []float32
	for i := range kinds * kinds * kinds * kinds {
		for range 4 {
			x = append(x, float32(100+i%kinds))
			i /= kinds
		}
	}
	all, err := data.NewTable(len(x)/4, 4, x)
	if err != nil {
		t.Fatal(err)
	}
	scores, err := m.Score(all)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, perplexity := range scores {
		sum += math.Pow(perplexity, -4)
	}
	if math.Abs(sum-1) > 1e-5 { // logits are float32
		t.Errorf("the likelihoods of all texts add up to %.8f", sum)
	}
}

// TestMLKDKnowsNothing: without a preference among tokens the perplexity is their number.
func TestMLKDKnowsNothing(t *testing.T) {
	m := fitMLKD(t, mlkdTiny, MLKDInput{Tokens: circles(12)})
	clear(m.params.Get(mlkdName + ".tokens").Values)
	scores, err := m.Score(circles(6))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range scores {
		if math.Abs(v-7) > 1e-12 {
			t.Errorf("perplexity %v of six tokens and the others", v)
		}
	}
}

// distilled runs the loss of a student with the given parameters beside a teacher, over the texts of circles, and what goes into it.
func distilled(t *testing.T, c MLKD, teacher *MLKDModel, params *net.Params) (loss float64, largest float32, layers [2][][]float32, wanted []float32) {
	t.Helper()
	texts := teacher.read(circles(6), true)
	both := net.NewParams(1)
	put := func(from *net.Params, before string, frozen bool) {
		for _, tensor := range from.Tensors() {
			tensor.Name = before + tensor.Name
			if err := both.Put(tensor); err != nil {
				t.Fatal(err)
			}
			both.Get(tensor.Name).Frozen = frozen
		}
	}
	put(teacher.params, mlkdTeacher, true)
	put(params, "", false)
	m := &MLKDModel{config: c, known: teacher.known, steps: teacher.steps}
	g := net.NewGraph(both)
	node, feed := m.distillation(g, teacher, 6, texts)
	p, err := g.Train(node)
	if err != nil {
		t.Fatal(err)
	}
	batch := net.Batch{Rows: []int{0, 1, 2, 3, 4, 5}}
	feed(batch)
	p.Forward()
	p.Backward()
	for _, q := range both.All() {
		if !q.Frozen && q.Name != mlkdTeacher+"map" {
			for _, v := range q.Gradient() {
				largest = max(largest, v, -v)
			}
		}
	}
	for i, name := range []string{mlkdName, mlkdTeacher + mlkdName} {
		h := net.NewGraph(both)
		h.Training = false
		in, out := h.Ints(24), h.Ints(24)
		language := teacher
		if i == 0 {
			language = m
		}
		states, logits := language.language().Build(h, name, in, 4)
		outs := append(mlkdLayers(states), logits)
		q, err := h.Infer(outs...)
		if err != nil {
			t.Fatal(err)
		}
		texts.Feed(in, out, batch.Rows)
		q.Forward()
		for _, node := range outs[:len(outs)-1] {
			layers[i] = append(layers[i], node.Value())
		}
		wanted = logits.Value()
	}
	return p.Loss(), largest, layers, wanted
}

// TestMLKDOfTheTeacherItself: a student that is its teacher has nothing to learn. The loss is the teacher's entropy alone.
func TestMLKDOfTheTeacherItself(t *testing.T) {
	c := mlkdTiny
	c.Depth, c.Neighbors, c.Temperature = 3, 1, 1
	c.Strategy = "tuned"
	teacher := fitMLKD(t, c, MLKDInput{Tokens: circles(12)})
	loss, largest, _, logits := distilled(t, teacher.config, teacher, teacher.params)
	entropy := 0.0
	for i := 0; i < len(logits); i += 7 {
		top, sum := math.Inf(-1), 0.0
		for _, v := range logits[i : i+7] {
			top = max(top, float64(v))
		}
		for _, v := range logits[i : i+7] {
			sum += math.Exp(float64(v) - top)
		}
		for _, v := range logits[i : i+7] {
			log := float64(v) - top - math.Log(sum)
			entropy -= math.Exp(log) * log / 24
		}
	}
	if math.Abs(loss-entropy) > 1e-6 || largest > 1e-6 {
		t.Errorf("loss %.8f, the teacher's entropy is %.8f; derivatives up to %g", loss, entropy, largest)
	}
}

// TestMLKDDrawsLayersTogether compares the part of the loss that layers have with the same by hand.
func TestMLKDDrawsLayersTogether(t *testing.T) {
	c := mlkdTiny
	c.Depth, c.Strategy, c.Steps = 4, "tuned", 2
	teacher := fitMLKD(t, c, MLKDInput{Tokens: circles(12)})
	c.Seed = 9
	other := fitMLKD(t, c, MLKDInput{Tokens: circles(12)})
	for neighbors := 1; neighbors <= 5; neighbors++ {
		c := other.config
		c.Neighbors, c.Temperature = neighbors, 1
		with, _, layers, _ := distilled(t, c, teacher, other.params)
		c.NoHidden = true
		without, _, _, _ := distilled(t, c, teacher, other.params)
		want := 0.0
		for place := range 24 {
			for _, l := range []int{0, 1, 2} { // of four layers the first three
				var distances []float64
				for _, taught := range layers[1] {
					d := 0.0
					for j := range c.Width {
						gap := float64(layers[0][l][place*c.Width+j]) - float64(taught[place*c.Width+j])
						d += gap * gap / float64(c.Width)
					}
					distances = append(distances, d)
				}
				for range min(neighbors, 4) {
					best := 0
					for k := range distances {
						if distances[k] < distances[best] {
							best = k
						}
					}
					want += distances[best] / 24
					distances[best] = math.Inf(1)
				}
			}
		}
		if math.Abs(with-without-want) > 1e-5*want {
			t.Errorf("%d neighbours: layers add %.8g to the loss, want %.8g", neighbors, with-without, want)
		}
	}
	for depth, want := range map[int][2]int{1: {0, 1}, 2: {0, 2}, 4: {0, 3}, 12: {2, 9}} {
		if first, last := mlkdMiddle(depth); first != want[0] || last != want[1] {
			t.Errorf("of %d layers those from %d to %d are in the middle, want %v", depth, first, last, want)
		}
	}
}

// TestMLKDLearnsFromTheTeacher: a teacher that has read texts of two kinds passes on, through texts of one, that tokens of the
// other exist; a model from scratch cannot know them. All tell the order of tokens.
func TestMLKDLearnsFromTheTeacher(t *testing.T) {
	familiar, general := circles(60), circles(60)
	x := append([]float32{}, general.X()...)
	for i := range x {
		x[i] += 10 // another circle
	}
	general, err := data.NewTable(60, 4, x)
	if err != nil {
		t.Fatal(err)
	}
	odd := make([]float32, 0, 240)
	for i := range 60 {
		odd = append(odd, float32(100+i%6), float32(100+(i+3)%6), float32(100+i*i%6), float32(100+(i+2)%6))
	}
	unfamiliar, err := data.NewTable(60, 4, odd)
	if err != nil {
		t.Fatal(err)
	}
	for _, strategy := range []string{"distilled", "tuned", "scratch"} {
		c := mlkdTiny
		c.Strategy = strategy
		m := fitMLKD(t, c, MLKDInput{Tokens: familiar, General: general})
		low, err := m.Score(familiar)
		if err != nil {
			t.Fatal(err)
		}
		high, err := m.Score(unfamiliar)
		if err != nil {
			t.Fatal(err)
		}
		if area, err := metric.AUROC(low, high); err != nil || area.Value < 0.99 {
			t.Errorf("%s: AUROC %.3f of texts in another order (%v)", strategy, area.Value, err)
		}
	}
	// A student may be smaller than its teacher, and knows the same tokens.
	c := mlkdTiny
	c.Strategy = "tuned"
	teacher := fitMLKD(t, c, MLKDInput{Tokens: familiar, General: general})
	c = mlkdTiny
	c.Width, c.Depth = 8, 1
	student, err := c.Distill(t.Context(), teacher, familiar)
	if err != nil {
		t.Fatal(err)
	}
	if len(student.known) != 12 || student.params.Size() >= teacher.params.Size()/2 {
		t.Errorf("the student knows %d tokens in %d parameters, its teacher has %d", len(student.known), student.params.Size(), teacher.params.Size())
	}
	if _, err := c.Distill(t.Context(), teacher, unfamiliar.Slice(0, 1)); !errors.Is(err, data.ErrShape) {
		t.Errorf("one text: %v", err)
	}
}

func TestMLKDRefusesWhatIsNoText(t *testing.T) {
	for _, c := range []struct {
		x    []float32
		want error
		says string
	}{
		{[]float32{1, 2, 3, 0.5}, data.ErrFormat, "row 2, column 2"},
		{[]float32{1, 2, 3, -2}, data.ErrFormat, "-2"},
		{[]float32{1, 2, -1, 3}, data.ErrFormat, "row 2"},
		{[]float32{-1, 4, 3, 2}, data.ErrFormat, "row 1"},
		{[]float32{1, 2, 3, 1e9}, data.ErrFormat, "1e+09"},
		{[]float32{1, 2}, data.ErrShape, "1 rows"},
	} {
		in, err := data.NewTable(len(c.x)/2, 2, c.x)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := mlkdTiny.Fit(t.Context(), MLKDInput{Tokens: in}); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v", c.x, err)
		}
	}
	behind, err := data.NewTable(2, 2, []float32{1, -1, -1, 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mlkdTiny.Fit(t.Context(), MLKDInput{Tokens: behind}); !errors.Is(err, data.ErrFormat) {
		t.Errorf("a token behind the end: %v", err)
	}
	if _, err := mlkdTiny.Fit(t.Context(), MLKDInput{}); !errors.Is(err, method.ErrInput) {
		t.Errorf("no tokens: %v", err)
	}
}
