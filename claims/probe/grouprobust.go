package probe

import (
	"context"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/probe"
)

// groupRobustShare is how often the digit goes with the garment.
const groupRobustShare = 0.95

func groupRobust() claim.Claim {
	return claim.Claim{
		ID:    "probe/grouprobust",
		Paper: "kirichenko2023last, sections 4 and 6: the last layer retrained on groups that weigh alike, against the network as trained",
		Statement: "A network that relies on what usually stands beside its object still has the features of the object itself: retraining the last layer with all groups alike raises the accuracy of the worst group by tens of points, " +
			"on images of two halves, one of which is the spurious one, and on photographs of birds before water and land.",
		ScaleDown: "a perceptron 1568-128-2 instead of a ResNet; a digit (0 or 1) above a garment (dress or coat), as in the paper's images of two halves; the digit goes with the garment in 95 % of rows.",
		Arms:      []string{"last layer, groups alike", "network as trained", "last layer, rows alike", "last layer, for the worst group"},
		Data:      "pairs of MNIST and Fashion-MNIST: 4,000 rows to train the network, 1,000 others for the last layer, with the same 95 %; 2,000 of the test parts with all groups alike",
		Metric:    "accuracy in the worst of four groups",
		Percent:   true,
		Seeds:     6,
		Needs:     []string{"fashion_mnist", "mnist"},
		Run:       groupRobustRun,
		Facts:     claim.Means,
	}
}

func groupRobustRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	all, err := groupRobustPairs(env, seed, "train", 5000, groupRobustShare)
	if err != nil {
		return o, err
	}
	test, err := groupRobustPairs(env, seed, "t10k", 2000, 0.5)
	if err != nil {
		return o, err
	}
	network, err := claim.Perceptron{Net: net.New(seed, 1568, 128, 2)}.Train(ctx, net.Train{Epochs: 10, Batch: 64, Rate: 0.02, Cosine: true, Momentum: 0.9, Seed: seed}, all.Slice(0, 4000))
	if err != nil {
		return o, err
	}
	hidden := func(t *data.Table) (*data.Table, error) {
		h, err := network.Hidden(1, t)
		if err != nil {
			return nil, err
		}
		return h.WithGroups(t.Groups())
	}
	last, err := hidden(all.Slice(4000, 5000))
	if err != nil {
		return o, err
	}
	asked, err := hidden(test)
	if err != nil {
		return o, err
	}
	even, err := probe.GroupRobust{}.Fit(ctx, last)
	if err != nil {
		return o, err
	}
	plain, err := probe.Logistic{}.Fit(ctx, last)
	if err != nil {
		return o, err
	}
	worst, err := probe.GroupRobust{Strategy: "worst"}.Fit(ctx, last)
	if err != nil {
		return o, err
	}
	o.Extra = map[string]float64{}
	for i, predict := range []func() (*data.Table, error){
		func() (*data.Table, error) { return even.Predict(asked) },
		func() (*data.Table, error) { return network.Logits(test) },
		func() (*data.Table, error) { return plain.Predict(asked) },
		func() (*data.Table, error) { return worst.Predict(asked) },
	} {
		p, err := predict()
		if err != nil {
			return o, err
		}
		right, rows := map[string]float64{}, map[string]float64{}
		mean := 0.0
		for row, c := range claim.Largest(p) {
			group := asked.ClassName(row) + asked.Groups()[row]
			rows[group]++
			if p.Columns()[c] == asked.ClassName(row) {
				right[group]++
				mean += 1 / float64(len(test.Groups()))
			}
		}
		low := 1.0
		for group, n := range rows {
			low = min(low, right[group]/n)
		}
		o.Arms = append(o.Arms, low)
		o.Extra["accuracy in all groups alike, "+[]string{"last layer, groups alike", "network as trained", "last layer, rows alike", "last layer, for the worst group"}[i]] = mean
	}
	return o, nil
}

// groupRobustPairs draws rows of a digit's pixels, the group, and below it a garment's, the class.
func groupRobustPairs(env claim.Env, seed uint64, part string, n int, share float64) (*data.Table, error) {
	r := claim.Random(seed, 11)
	var images [2][2][][]float32 // digits and garments, by which of two
	for s, set := range []struct {
		name    string
		classes [2]int
	}{{"mnist", [2]int{0, 1}}, {"fashion_mnist", [2]int{3, 4}}} {
		t, err := env.Images(set.name, part)
		if err != nil {
			return nil, err
		}
		labels, err := t.Labels()
		if err != nil {
			return nil, err
		}
		for i, l := range labels {
			for which, class := range set.classes {
				if l == class {
					images[s][which] = append(images[s][which], t.Row(i))
				}
			}
		}
	}
	var x []float32
	labels, groups := make([]int, n), make([]string, n)
	for i := range n {
		garment := r.IntN(2)
		digit := garment
		if r.Float64() >= share {
			digit = 1 - garment
		}
		upper, lower := images[0][digit], images[1][garment]
		x = append(append(x, upper[r.IntN(len(upper))]...), lower[r.IntN(len(lower))]...)
		labels[i], groups[i] = garment, []string{"0", "1"}[digit]
	}
	t, err := data.NewTable(n, 1568, x)
	if err != nil {
		return nil, err
	}
	if t, err = t.WithLabels(labels, []string{"dress", "coat"}); err != nil {
		return nil, err
	}
	return t.WithGroups(groups)
}
