package continual

import (
	"bufio"
	"context"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/metric"
)

func stabilitygap() claim.Claim {
	return claim.Claim{
		ID:        "continual/stabilitygap",
		Paper:     "guo2024efficient",
		Statement: "A language model that goes on with few good texts of a domain, seen several times among general ones, knows the domain better than one that reads the whole corpus once, after as many texts.",
		ScaleDown: "a model of 2 layers of 32 values over the 300 commonest joinings of letters, 16 tokens of a text, instead of 3 thousand million weights; the domain's score is the likelihood of its texts instead of answers to its questions. Passes, the share of general texts and the rate are the paper's and one of ours for all arms; on one seed that is not among these no rate of 0.002, 0.005 and 0.01, and no other split of the same number of texts into passes and subset, was ahead of one pass either. So small a model, which knew nothing of the domain, has no gap there: what shows is the fall on general texts, and how much of it their share prevents.",
		Arms:      []string{"stabilitygap", "one pass over all", "without general texts", "without choice"},
		Data:      "GoEmotions: 2,000 comments to begin with, 500 to test on; CLINC150: the 3,000 training requests of two of its ten domains, drawn by seed, and 900 whose words were shuffled, as the corpus; 100 of the validation part as good texts, the 900 test requests of the domains",
		Metric:    "log-likelihood of a token of the domain's test requests, in nats",
		Margin:    0,
		Seeds:     5,
		Needs:     []string{"clinc150", "goemotions"},
		Run:       stabilitygapRun,
		Facts:     claim.Means,
	}
}

// The size of the setting.
const (
	stabilitygapLength  = 16
	stabilitygapMerges  = 300
	stabilitygapGeneral = 2000
)

// stabilitygapTexts are the tables of a seed.
type stabilitygapTexts struct{ general, generalTest, corpus, good, test *data.Table }

func newStabilitygapTexts(env claim.Env, seed uint64) (t stabilitygapTexts, err error) {
	r := claim.Random(seed, 21)
	var comments [][]string
	err = claim.Gunzip(env.Path("goemotions", "train.tsv.gz"), func(in io.Reader) error {
		lines := bufio.NewScanner(in)
		for lines.Scan() {
			text, _, _ := strings.Cut(lines.Text(), "\t")
			if words := claim.Tokens(text); len(words) > 2 {
				comments = append(comments, words)
			}
		}
		return lines.Err()
	})
	if err != nil {
		return t, err
	}
	r.Shuffle(len(comments), func(i, j int) { comments[i], comments[j] = comments[j], comments[i] })
	splits, of, err := clincRequests(env)
	if err != nil {
		return t, err
	}
	var domains []string
	for _, domain := range of {
		if !slices.Contains(domains, domain) {
			domains = append(domains, domain)
		}
	}
	slices.Sort(domains)
	r.Shuffle(len(domains), func(i, j int) { domains[i], domains[j] = domains[j], domains[i] })
	requests := func(split string) (texts [][]string) {
		for _, pair := range splits[split] {
			if words := claim.Tokens(pair[0]); slices.Contains(domains[:2], of[pair[1]]) && len(words) > 0 {
				texts = append(texts, words)
			}
		}
		return texts
	}
	train := requests("train")
	corpus := slices.Clone(train)
	for _, i := range r.Perm(len(train))[:900] {
		junk := slices.Clone(train[i])
		r.Shuffle(len(junk), func(a, b int) { junk[a], junk[b] = junk[b], junk[a] })
		corpus = append(corpus, junk)
	}
	good := requests("val")
	r.Shuffle(len(good), func(i, j int) { good[i], good[j] = good[j], good[i] })
	cut := claim.NewPieces(slices.Concat(comments[:stabilitygapGeneral], good[:100]), stabilitygapMerges)
	for _, part := range []struct {
		to    **data.Table
		texts [][]string
	}{
		{&t.general, comments[:stabilitygapGeneral]}, {&t.generalTest, comments[stabilitygapGeneral : stabilitygapGeneral+500]},
		{&t.corpus, corpus}, {&t.good, good[:100]}, {&t.test, requests("test")},
	} {
		if *part.to, err = cut.Table(part.texts, stabilitygapLength); err != nil {
			return t, err
		}
	}
	return t, nil
}

func stabilitygapRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	t, err := newStabilitygapTexts(env, seed)
	if err != nil {
		return o, err
	}
	o.Extra = map[string]float64{}
	base := continual.StabilityGap{Depth: 2, Width: 32, Epochs: 10, Rate: 0.005, Seed: seed}
	m, err := base.Fit(ctx, continual.StabilityGapInput{Tokens: t.general, Good: t.good})
	if err != nil {
		return o, err
	}
	for _, arm := range stabilitygapArms(seed) {
		c := arm.c
		corpus := t.corpus
		if arm.drawn > 0 { // instead of chosen
			n, _ := corpus.Dims()
			corpus = corpus.Pick(claim.Random(seed, 22).Perm(n)[:int(arm.drawn*float64(n))])
		}
		_, log, err := c.Trace(ctx, m, corpus, 10, t.test, t.generalTest)
		if err != nil {
			return o, err
		}
		for k, what := range []string{"domain", "general"} {
			var texts, loss []float64
			for _, p := range log {
				texts, loss = append(texts, float64(p.Texts)), append(loss, math.Log(p.Perplexity[k]))
			}
			g, err := metric.MeasureStabilityGap(texts, loss, true)
			if err != nil {
				return o, err
			}
			if what == "domain" {
				o.Arms = append(o.Arms, -g.Last)
			}
			o.Extra[arm.name+", "+what+": log-likelihood after"] = -g.Last
			o.Extra[arm.name+", "+what+": depth of the gap"] = g.Depth
			o.Extra["before, "+what+": log-likelihood"] = -g.First
		}
		o.Extra[arm.name+": texts seen"] = float64(log[len(log)-1].Texts)
	}
	return o, nil
}

type stabilitygapArm struct {
	name  string
	c     continual.StabilityGap
	drawn float64
}

// stabilitygapArms see as many texts each: 3,900, give or take a few.
func stabilitygapArms(seed uint64) []stabilitygapArm {
	c := continual.StabilityGap{Epochs: 4, Subset: 0.175, Share: 0.3, Rate: 0.005, Seed: seed}
	one, bare, drawn := c, c, c
	one.Epochs, one.Subset, one.Share = 1, 1, off
	bare.Subset, bare.Share = 0.25, off
	drawn.Subset = 1
	return []stabilitygapArm{{"stabilitygap", c, 0}, {"one pass over all", one, 0}, {"without general texts", bare, 0}, {"without choice", drawn, 0.175}}
}
