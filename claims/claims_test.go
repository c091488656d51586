package claims

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
)

func TestClaimsAreWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range All() {
		if seen[c.ID] {
			t.Errorf("%s stands twice", c.ID)
		}
		seen[c.ID] = true
		if c.Paper == "" || c.Statement == "" || c.ScaleDown == "" || c.Data == "" || c.Metric == "" || len(c.Arms) < 2 || c.Seeds < 5 || c.Run == nil {
			t.Errorf("%s lacks something: %+v", c.ID, c)
		}
	}
}

func TestPageTellsTheStoredResults(t *testing.T) {
	for _, c := range All() {
		r, err := Read("results", c.ID)
		if err != nil {
			t.Fatal(err)
		}
		if r == nil {
			t.Errorf("%s has no stored result: gimbal claim %s --save claims/results", c.ID, c.ID)
			continue
		}
		if r.ID != c.ID || len(r.Arms) != len(c.Arms) || len(r.Outcomes) != c.Seeds {
			t.Errorf("%s: the stored result has %d arms and %d seeds, the claim %d and %d", c.ID, len(r.Arms), len(r.Outcomes), len(c.Arms), c.Seeds)
			continue
		}
		for a, name := range c.Arms {
			if r.Arms[a].Name != name {
				t.Errorf("%s: stored arm %q, want %q", c.ID, r.Arms[a].Name, name)
			}
		}
	}
	var page bytes.Buffer
	if err := WriteMarkdown(&page, "results"); err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile(filepath.Join("..", "docs", "claims.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, page.Bytes()) {
		t.Error("docs/claims.md is not what the stored results say: gimbal claim --page docs/claims.md")
	}
}

// fake is a claim whose arms are given seed by seed.
func fake(lower bool, margin float64, arms ...[]float64) claim.Claim {
	return claim.Claim{
		ID: "x/fake", Arms: []string{"method", "baseline"}, LowerIsBetter: lower, Margin: margin, Seeds: len(arms),
		Run: func(_ context.Context, _ claim.Env, seed uint64) (claim.Outcome, error) {
			return claim.Outcome{Arms: arms[seed]}, nil
		},
	}
}

func TestVerdicts(t *testing.T) {
	better := [][]float64{{3, 1}, {3.1, 1}, {2.9, 1}}
	mixed := [][]float64{{1, 2}, {2, 1}, {1.1, 1}}
	for _, c := range []struct {
		claim claim.Claim
		want  claim.Verdict
	}{
		{fake(false, 0, better...), claim.Holds},
		{fake(true, 0, better...), claim.Fails},
		{fake(false, 2.5, better...), claim.Fails},
		{fake(false, 0, mixed...), claim.Open},
		{fake(false, -100, mixed...), claim.Holds},
	} {
		steps := 0
		r, err := c.claim.Measure(t.Context(), claim.Env{}, 0, func(int, int) { steps++ })
		if err != nil {
			t.Fatal(err)
		}
		if r.Verdict != c.want || steps != c.claim.Seeds+1 {
			t.Errorf("margin %g, lower %v: %s (%+v) after %d steps, want %s", c.claim.Margin, c.claim.LowerIsBetter, r.Verdict, r.Difference, steps, c.want)
		}
	}
	// By hand: differences 2, 2.1, 1.9 have mean 2 and standard deviation 0.1; t(0.975; 2) = 4.3027.
	r, err := fake(false, 0, better...).Measure(t.Context(), claim.Env{}, 0, func(int, int) {})
	if half := 4.302653 * 0.1 / math.Sqrt(3); err != nil || math.Abs(r.Difference.Low-(2-half)) > 1e-6 || math.Abs(r.Difference.High-(2+half)) > 1e-6 {
		t.Errorf("interval %+v, want 2 ± %g: %v", r.Difference, half, err)
	}
}

func TestMeasureRefuses(t *testing.T) {
	nan := fake(false, 0, []float64{math.NaN(), 1}, []float64{1, 1})
	if _, err := nan.Measure(t.Context(), claim.Env{}, 0, func(int, int) {}); !errors.Is(err, data.ErrFinite) {
		t.Errorf("NaN: %v", err)
	}
	if _, err := nan.Measure(t.Context(), claim.Env{}, 1, func(int, int) {}); err == nil || !strings.Contains(err.Error(), "at least 2") {
		t.Errorf("one seed: %v", err)
	}
	away := fake(false, 0, []float64{1, 1}, []float64{1, 1})
	away.Needs = []string{"nowhere"}
	if _, err := away.Measure(t.Context(), claim.Env{Data: t.TempDir()}, 0, func(int, int) {}); !errors.Is(err, claim.ErrMissing) {
		t.Errorf("missing data: %v", err)
	}
}

// TestClaimRuns measures a cheap claim of each family that has one, on the public data.
func TestClaimRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("trains networks")
	}
	where := claim.Env{Data: os.Getenv("GIMBAL_DATA")}
	if where.Data == "" {
		where.Data = filepath.Join("..", "..", "shared", "data")
	}
	for _, c := range All() {
		if c.ID != "continual/prototypes" && c.ID != "probe/ridge" {
			continue
		}
		r, err := c.Measure(t.Context(), where, 2, func(int, int) {})
		if errors.Is(err, claim.ErrMissing) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		stored, err := Read("results", c.ID)
		if err != nil || stored == nil {
			t.Fatal(c.ID, err)
		}
		for seed, o := range r.Outcomes { // the same seed gives the same numbers, here and now
			for a, v := range o.Arms {
				if math.Abs(v-stored.Outcomes[seed].Arms[a]) > 0.02 {
					t.Errorf("%s, seed %d, %s: %.4f, stored %.4f", c.ID, seed, c.Arms[a], v, stored.Outcomes[seed].Arms[a])
				}
			}
		}
	}
}
