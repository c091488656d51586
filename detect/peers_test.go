package detect_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/method"
)

// What pytorch-ood says of a small table. Some of its detectors compute in float32, or keep their model in it: single.
func TestDetectorsAgainstPyTorchOOD(t *testing.T) {
	const double, single = 1e-12, 2e-6
	g := readGolden(t, "testdata/logits.txt")
	train, query := g.table(t, "train"), g.table(t, "query")
	labels := make([]int, len(g.of(t, "labels")))
	for i, v := range g.of(t, "labels") {
		labels[i] = int(v)
	}
	train, err := train.WithLabels(labels, []string{"0", "1", "2", "3"})
	if err != nil {
		t.Fatal(err)
	}
	weight, bias := g.of(t, "weight"), g.of(t, "bias")
	k, d := len(bias), g.columns["weight"]
	in := detect.HeadInput{Train: train, Head: &data.Checkpoint{Tensors: map[string]data.Tensor{
		"weight": data.Float64Tensor(weight, k, d), "bias": data.Float64Tensor(bias, k)}}}
	l := layer{bias: bias}
	for c := range k {
		l.weight = append(l.weight, weight[c*d:(c+1)*d])
	}
	logits := func(of *data.Table) *data.Table {
		n, _ := of.Dims()
		var x []float32
		for i := range n {
			for _, z := range l.logits(wide(of.Row(i))) {
				x = append(x, float32(z)) // multiples of 1/65536: exact
			}
		}
		return mustTable(t, n, k, x)
	}
	trainLogits, queryLogits := logits(train), logits(query)
	onLogits := func(name string, fit func(context.Context, detect.LogitsInput) (method.Scorer, error), change func(v float64) float64) {
		want := g.of(t, name)
		for i := range want {
			want[i] = change(want[i])
		}
		within(t, name, scores(t, fitOnLogits(t, fit, trainLogits), queryLogits), want, double, 0)
	}
	same := func(v float64) float64 { return v }
	onLogits("maxlogit", scorer(detect.MaxLogit{}.Fit), same)
	onLogits("energy", scorer(detect.Energy{}.Fit), same)
	onLogits("odin", scorer(detect.ODIN{}.Fit), func(v float64) float64 { return 1 + v })         // it leaves out the one
	onLogits("gen", scorer(detect.GEN{Largest: 3}.Fit), func(v float64) float64 { return 3 * v }) // it takes the mean
	onLogits("klmatching", scorer(detect.KLMatching{}.Fit), same)

	onHead := func(name string, fit func(context.Context, detect.HeadInput) (method.Scorer, error), tolerance float64) {
		within(t, name, scores(t, fitOnHead(t, fit, in), query), g.of(t, name), tolerance, 0)
	}
	for _, q := range []float64{0.65, 0.9} {
		percent := fmt.Sprintf(".%.0f", 100*q)
		for _, strategy := range []string{"ash-s", "ash-b", "ash-p"} {
			onHead(strategy+percent, scorer(detect.ASH{Strategy: strategy, Quantile: q}.Fit), double)
		}
		onHead("scale"+percent, scorer(detect.Scale{Quantile: q}.Fit), double)
		onHead("react"+percent, scorer(detect.ReAct{Quantile: q}.Fit), double)
		onHead("dice"+percent, scorer(detect.DICE{Quantile: q}.Fit), single)
	}
	onHead("she", scorer(detect.SHE{}.Fit), double)
	vim := scores(t, fitOnHead(t, detect.ViM{}.Fit, in), query)
	within(t, "vim", vim, g.of(t, "vim.double"), 1e-9, 1e-9)
	within(t, "vim", vim, g.of(t, "vim"), 0, 1e-3) // its eigenvectors are in float32, and turn by as much over the gaps between them
	onHead("nnguide", scorer(detect.NNGuide{Neighbors: 5}.Fit), single)
	onHead("fdbd", scorer(detect.FDBD{}.Fit), single)
	onHead("relation", scorer(detect.Relation{Exponent: 2}.Fit), single) // directions are kept in float32

	// Its covariances are sums over rows plus 1e-6, where ours are means plus a share.
	rmds, err := detect.RMDS{Ridge: 1e-12}.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	within(t, "rmds", scores(t, rmds, query), g.of(t, "rmds"), 1e-6, 1e-6)
	within(t, "residual", scores(t, fitResidual(t, detect.Residual{}, train), query), g.of(t, "residual"), 1e-9, 0)
}
