package continual

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/metric"
)

func TestAPICalls(t *testing.T) {
	train, test, err := apiCalls(3)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := apiCalls(3)
	if err != nil || !slices.Equal(train.X(), again.X()) {
		t.Errorf("the same seed gives other rows: %v", err)
	}
	if other, _, err := apiCalls(4); err != nil || slices.Equal(train.X(), other.X()) {
		t.Errorf("another seed gives the same rows: %v", err)
	}
	if n, d := train.Dims(); n != len(apiDomains)*apiLearn || d != streamColumns {
		t.Errorf("%d×%d rows to learn from", n, d)
	}
	for k, domain := range apiDomains {
		for i := range apiTest {
			if g := test.Groups()[k*apiTest+i]; g != domain.name {
				t.Fatalf("row %d to test on is of %s, want %s", k*apiTest+i, g, domain.name)
			}
		}
	}
	seen := map[string]bool{}
	for _, domain := range apiDomains {
		for typ := range strings.FieldsSeq(domain.types) {
			if seen[typ] {
				t.Errorf("type %s is in two domains", typ)
			}
			seen[typ] = true
		}
	}
}

// TestAPISites: the call site names the last call, and the most likely method is right as often as it says.
func TestAPISites(t *testing.T) {
	r := claim.Random(1, 1)
	p := apiDraw(r)
	const sites = 20000
	right := 0
	for range sites {
		text, method := apiSite("Cipher", p, r)
		words := strings.Fields(text)
		state := slices.Index(p.methods, words[len(words)-2]) + 1 // 0 when no method stands there: a fresh object
		if method == p.methods[p.next[state][0]] {
			right++
		}
	}
	if share := float64(right) / sites; math.Abs(share-apiLikely[0]) > 4*math.Sqrt(0.8*0.2/sites) {
		t.Errorf("the most likely method is called at %.4f of sites, want %g", share, apiLikely[0])
	}
}

// TestAPIRead: a matrix by hand.
func TestAPIRead(t *testing.T) {
	extra := map[string]float64{}
	last, err := apiRead(metric.ContinualRun{Accuracy: [][]float64{{0.8, 0.1, 0.3}, {0.9, 0.6, 0.2}, {0.5, 0.4, 0.6}}, Rows: []int{10, 10, 10}}, "x", extra)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"x: last":                       0.5,
		"x: average":                    (0.8 + 0.75 + 0.5) / 3,
		"x: forgetting from max":        (0.4 + 0.2) / 2,
		"x: in the domain just learned": 2.0 / 3,
		"x: in domains not yet learned": 0.175, // the mean of 0.1 and of 0.3 and 0.2
	} {
		if math.Abs(extra[name]-want) > 1e-12 {
			t.Errorf("%s: %.4f, want %.4f", name, extra[name], want)
		}
	}
	if math.Abs(last-0.5) > 1e-12 {
		t.Errorf("last %g", last)
	}
	facts := apiFacts([]claim.Outcome{
		{Extra: map[string]float64{"finetune: forgetting from max": 0.4, "x: forgetting from max": 0.1}},
		{Extra: map[string]float64{"finetune: forgetting from max": 0.2, "x: forgetting from max": 0.1}},
	})
	i := slices.IndexFunc(facts, func(f claim.Fact) bool { return f.Name == "x: share of finetune's forgetting spared" })
	if i < 0 || math.Abs(facts[i].Value-(0.75+0.5)/2) > 1e-12 {
		t.Errorf("facts %v", facts)
	}
}
