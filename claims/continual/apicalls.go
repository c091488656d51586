package continual

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/metric"
	"github.com/gimbal-ml/gimbal/protocol"
)

// apiDomains are the libraries that a completion model meets one after the other, with the types that each one brings: none of them
// occurs in another domain.
var apiDomains = []struct{ name, types string }{
	{"general", "Buffer Reader Logger Clock Process Locale Scanner Timer"},
	{"security", "Cipher Digest KeyStore Signature Certificate Token Vault Mac"},
	{"mobile", "Activity Intent Fragment Bundle Sensor Camera Layout Toast"},
	{"web", "Request Response Session Servlet Cookie Router Socket Proxy"},
	{"collections", "Multimap Range Cache Joiner Splitter Graph Bag Ring"},
}

// apiMethods are what is called: words that libraries share, so that a model knows most of them before it meets a type.
var apiMethods = strings.Fields("add append bind build clear close commit connect contains copy create decode encode find flush get init load " +
	"merge open parse put read remove reset save send set sign sort start stop update verify write")

// Sizes of a stream: methods of a type, and call sites of a domain.
const apiMethodsOfType, apiLearn, apiTest = 6, 600, 300

// apiNoise is what stands between calls, of the same kinds in all domains.
var apiNoise = []string{"if err return err", "for i range list", "log print name", "var count int", "defer done", "result ok", "count plus one"}

// apiNames are what variables are called that are not called like their type.
var apiNames = strings.Fields("item value data handle it obj")

// apiProtocol is how a type is used: which method follows which. State 0 is a fresh object, state i+1 one whose method i was called last.
type apiProtocol struct {
	methods []string
	next    [][]int // apiMethodsOfType+1 × 3: the likely ones, most likely first
}

// apiLikely are the probabilities of the likely methods: no model can name more than the first of them right, in the mean.
var apiLikely = []float64{0.8, 0.15, 0.05}

func apiDraw(r *rand.Rand) apiProtocol {
	p := apiProtocol{}
	for _, i := range r.Perm(len(apiMethods))[:apiMethodsOfType] {
		p.methods = append(p.methods, apiMethods[i])
	}
	for range apiMethodsOfType + 1 {
		p.next = append(p.next, r.Perm(apiMethodsOfType)[:len(apiLikely)])
	}
	return p
}

// follow draws the method that is called in a state.
func (p apiProtocol) follow(state int, r *rand.Rand) int {
	u := r.Float64()
	for i, share := range apiLikely {
		if u -= share; u < 0 {
			return p.next[state][i]
		}
	}
	return p.next[state][len(apiLikely)-1]
}

// apiSite writes what stands left of a call, and the method that is called: a variable is declared and used up to three times, with other code between.
func apiSite(typ string, p apiProtocol, r *rand.Rand) (text, method string) {
	var b strings.Builder
	noise := func() {
		for range r.IntN(3) {
			b.WriteString(apiNoise[r.IntN(len(apiNoise))] + " ; ")
		}
	}
	name := typ
	if r.Float64() < 0.4 {
		name = apiNames[r.IntN(len(apiNames))]
	}
	noise()
	fmt.Fprintf(&b, "var %s %s ; ", typ, name)
	state := 0
	for range r.IntN(4) {
		noise()
		next := p.follow(state, r)
		fmt.Fprintf(&b, "%s %s ", name, p.methods[next])
		state = next + 1
	}
	b.WriteString("here")
	return b.String(), p.methods[p.follow(state, r)]
}

// apiCalls is a stream of call sites: contexts, hashed, whose class is the method that is called next and whose group is the domain. The
// seed draws how every type is used, and all sites.
func apiCalls(seed uint64) (train, test *data.Table, err error) {
	r := claim.Random(seed, 1)
	pairs, groups := make([][][2]string, 2), make([][]string, 2)
	for _, domain := range apiDomains {
		types := strings.Fields(domain.types)
		protocols := make([]apiProtocol, len(types))
		for i := range types {
			protocols[i] = apiDraw(r)
		}
		for part, sites := range []int{apiLearn, apiTest} {
			for range sites {
				i := r.IntN(len(types))
				text, method := apiSite(types[i], protocols[i], r)
				pairs[part] = append(pairs[part], [2]string{text, method})
				groups[part] = append(groups[part], domain.name)
			}
		}
	}
	tables := make([]*data.Table, 2)
	for part := range tables {
		if tables[part], err = hashed(pairs[part]); err == nil {
			tables[part], err = tables[part].WithGroups(groups[part])
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return tables[0], tables[1], nil
}

// apiChosen are settings of learners that were chosen on streams of seeds 100 and 101, on which no claim runs.
var apiChosen = map[string]map[string]string{
	"ewc":    {"strength": "30"},
	"si":     {"strength": "10"},
	"rwalk":  {"strength": "2"},
	"agem":   {"capacity": "200", "strategy": "reservoir"},
	"replay": {"capacity": "200", "strategy": "reservoir"},
}

// apiClaim is the comparison of learners on call sites: one first, plain tuning second, then others. All claims run on the same streams.
func apiClaim(id, paper, statement string, others ...string) claim.Claim {
	names := append([]string{strings.TrimPrefix(id, "continual/"), "finetune"}, others...)
	return claim.Claim{
		ID:        id,
		Paper:     paper + "; weyssow2023usage",
		Statement: statement,
		ScaleDown: "contexts hashed to 512 columns and a network with one hidden layer of 64 instead of a pre-trained language model of code; a generator of call sites instead of Java methods; ten passes over each domain. Settings were chosen on other streams.",
		Arms:      names,
		Data:      fmt.Sprintf("call sites made by a generator, five domains of eight unseen types: %d sites a domain to learn from, %d to test on, %d methods, which domains share; the most likely method is right %.0f times in 100", apiLearn, apiTest, len(apiMethods), 100*apiLikely[0]),
		Metric:    "calls completed right over all domains after the last",
		Percent:   true,
		Seeds:     8,
		Run: func(ctx context.Context, _ claim.Env, seed uint64) (claim.Outcome, error) {
			return apiRun(ctx, seed, names)
		},
		Facts: apiFacts,
	}
}

func apiRun(ctx context.Context, seed uint64, names []string) (o claim.Outcome, err error) {
	o.Extra = map[string]float64{}
	train, test, err := apiCalls(seed)
	if err != nil {
		return o, err
	}
	tasks, err := protocol.Scenario{Kind: protocol.DomainIncremental, Order: protocol.Horizontal}.Split(train, test)
	if err != nil {
		return o, err
	}
	for _, s := range named(continual.Methods(), names...) {
		// The rate is that at which training on all domains at once did best on the streams for choosing.
		flags := map[string]string{"seed": fmt.Sprint(seed), "hidden": "64", "steps": "10", "rate": "0.001"}
		maps.Copy(flags, apiChosen[s.Name])
		cfg, err := s.Configure(flags)
		if err != nil {
			return o, err
		}
		run, err := protocol.Measure(ctx, s, cfg, tasks, false)
		if err != nil {
			return o, err
		}
		last, err := apiRead(run.ContinualRun, s.Name, o.Extra)
		if err != nil {
			return o, err
		}
		o.Arms = append(o.Arms, last)
	}
	return o, nil
}

// apiRead reads a learner's figures off its accuracy matrix.
func apiRead(run metric.ContinualRun, name string, extra map[string]float64) (last float64, err error) {
	for _, m := range []struct {
		name    string
		measure func([]metric.ContinualRun, ...metric.Interval) (metric.Estimate, error)
	}{{"last", metric.LastAccuracy}, {"average", metric.AverageIncrementalAccuracy}, {"forgetting from max", metric.ForgettingFromMax}, {"in domains not yet learned", metric.UnseenTransfer}} {
		v, err := m.measure([]metric.ContinualRun{run})
		if err != nil {
			return 0, err
		}
		if extra[name+": "+m.name] = v.Value; m.name == "last" {
			last = v.Value
		}
	}
	for i, row := range run.Accuracy {
		extra[name+": in the domain just learned"] += row[i] / float64(len(run.Accuracy))
	}
	return last, nil
}

// apiFacts are the learners' figures with their intervals over seeds, and how much of plain tuning's forgetting each one is spared.
func apiFacts(outcomes []claim.Outcome) (facts []claim.Fact) {
	const forgetting = ": forgetting from max"
	columns := map[string][]float64{}
	for _, o := range outcomes {
		for name, v := range o.Extra {
			learner, figure, _ := strings.Cut(name, ":")
			if figure == " last" {
				continue // they are the arms
			}
			columns[name] = append(columns[name], v)
			if plain := o.Extra["finetune"+forgetting]; ":"+figure == forgetting && learner != "finetune" && plain > 0 {
				columns[learner+": share of finetune's forgetting spared"] = append(columns[learner+": share of finetune's forgetting spared"], 1-v/plain)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		m, err := metric.Mean(columns[name])
		if err != nil {
			continue // one seed has no interval, and a claim is refused then
		}
		facts = append(facts, claim.Fact{Name: name, Value: m.Value}, claim.Fact{Name: name + ", low", Value: m.Low}, claim.Fact{Name: name + ", high", Value: m.High})
	}
	return facts
}
