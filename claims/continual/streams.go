package continual

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
	"github.com/gimbal-ml/gimbal/protocol"
)

// streamColumns is the width of hashed texts.
const streamColumns = 512

// fashionFeatures are [hiddenFeatures] of garments.
func fashionFeatures(ctx context.Context, env claim.Env, r *rand.Rand, seed uint64, learn, test int) (a, b *data.Table, err error) {
	return hiddenFeatures(ctx, env, "fashion_mnist", r, seed, learn, test)
}

// hiddenFeatures are the hidden layer, 256 columns, of a perceptron pre-trained on digits, for a set of images: rows to learn from, none of which
// the perceptron saw, and rows to test on.
func hiddenFeatures(ctx context.Context, env claim.Env, set string, r *rand.Rand, seed uint64, learn, test int) (a, b *data.Table, err error) {
	const seen = 5000
	digits, err := env.Images("mnist", "train")
	if err == nil {
		digits, err = claim.Sample(digits, r, 0)
	}
	if err != nil {
		return nil, nil, err
	}
	n, _ := digits.Dims()
	pretraining, others := digits.Slice(0, seen), digits.Slice(seen, n)
	encoder, err := claim.Perceptron{Net: net.New(seed, 784, 256, 10)}.Train(ctx, net.Train{Epochs: 5, Batch: 64, Rate: 0.05, Cosine: true, Momentum: 0.9, Decay: 5e-4, Seed: seed}, pretraining)
	if err != nil {
		return nil, nil, err
	}
	parts := make([]*data.Table, 2)
	for i, want := range []struct {
		name string
		rows int
	}{{"train", learn}, {"t10k", test}} {
		t := others
		if set != "mnist" || want.name != "train" {
			t, err = env.Images(set, want.name)
		}
		if err == nil {
			t, err = claim.Sample(t, r, want.rows)
		}
		if err == nil {
			parts[i], err = encoder.Hidden(1, t)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return parts[0], parts[1], nil
}

// bankingFeatures are hashed questions to a bank, 77 classes.
func bankingFeatures(env claim.Env) (train, test *data.Table, err error) {
	parts := make([]*data.Table, 2)
	for i, name := range []string{"train", "test"} {
		var pairs [][2]string
		if err := claim.Gunzip(env.Path("banking77", name+".csv.gz"), func(z io.Reader) error {
			rows, err := csv.NewReader(z).ReadAll()
			for _, row := range rows[min(1, len(rows)):] {
				pairs = append(pairs, [2]string{row[0], row[1]})
			}
			return err
		}); err != nil {
			return nil, nil, err
		}
		if parts[i], err = hashed(pairs); err != nil {
			return nil, nil, err
		}
	}
	return parts[0], parts[1], nil
}

// clincFeatures are hashed requests to an assistant, 150 classes in 10 domains, which are groups. Questions out of scope are left out.
func clincFeatures(env claim.Env) (train, test *data.Table, err error) {
	splits, of, err := clincRequests(env)
	if err != nil {
		return nil, nil, err
	}
	parts := make([]*data.Table, 2)
	for i, name := range []string{"train", "test"} {
		if parts[i], err = hashed(splits[name]); err != nil {
			return nil, nil, err
		}
		n, _ := parts[i].Dims()
		groups := make([]string, n)
		for k := range groups {
			groups[k] = of[parts[i].ClassName(k)]
		}
		if parts[i], err = parts[i].WithGroups(groups); err != nil {
			return nil, nil, err
		}
	}
	return parts[0], parts[1], nil
}

// clincRequests are texts with their intents, by split, and the domain of each intent.
func clincRequests(env claim.Env) (splits map[string][][2]string, of map[string]string, err error) {
	if err := claim.Gunzip(env.Path("clinc150", "data_full.json.gz"), func(z io.Reader) error { return json.NewDecoder(z).Decode(&splits) }); err != nil {
		return nil, nil, err
	}
	var domains map[string][]string
	text, err := os.ReadFile(env.Path("clinc150", "domains.json"))
	if err == nil {
		err = json.Unmarshal(text, &domains)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", env.Path("clinc150", "domains.json"), err)
	}
	of = map[string]string{}
	for domain, intents := range domains {
		for _, intent := range intents {
			of[intent] = domain
		}
	}
	return splits, of, nil
}

// hashed are texts with their classes as a table.
func hashed(pairs [][2]string) (*data.Table, error) {
	x, names := make([]float32, len(pairs)*streamColumns), make([]string, len(pairs))
	for i, pair := range pairs {
		part.HashText(x[i*streamColumns:(i+1)*streamColumns], pair[0])
		names[i] = pair[1]
	}
	t, err := data.NewTable(len(pairs), streamColumns, x)
	if err != nil {
		return nil, err
	}
	return t.WithClassNames(names)
}

// streamed takes methods through tasks and returns each one's accuracy on all test rows after the last; average accuracy and
// forgetting go into extra under the methods' names.
func streamed(ctx context.Context, tasks []protocol.Task, specs []method.Spec, flags []map[string]string, where string, extra map[string]float64) (last []float64, err error) {
	for i, s := range specs {
		cfg, err := s.Configure(flags[i])
		if err != nil {
			return nil, err
		}
		o, err := protocol.Measure(ctx, s, cfg, tasks, false)
		if err != nil {
			return nil, err
		}
		run := []metric.ContinualRun{o.ContinualRun}
		for _, m := range []struct {
			name    string
			measure func([]metric.ContinualRun, ...metric.Interval) (metric.Estimate, error)
		}{{"last", metric.LastAccuracy}, {"average", metric.AverageIncrementalAccuracy}, {"forgetting from max", metric.ForgettingFromMax}} {
			v, err := m.measure(run)
			if err != nil {
				return nil, err
			}
			if m.name == "last" {
				last = append(last, v.Value)
			}
			extra[where+", "+s.Name+": "+m.name] = v.Value
		}
	}
	return last, nil
}

// named are the family's methods of these names.
func named(all []method.Spec, names ...string) (specs []method.Spec) {
	for _, name := range names {
		specs = append(specs, all[slices.IndexFunc(all, func(s method.Spec) bool { return s.Name == name })])
	}
	return specs
}
