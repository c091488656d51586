package claim

import (
	"math"
	"testing"
)

// TestPaired: differences 1, 2 and 3 have the mean 2, and half a t interval of 4.3027·1/√3.
func TestPaired(t *testing.T) {
	var outcomes []Outcome
	for i := range 3 {
		outcomes = append(outcomes, Outcome{Extra: map[string]float64{"a": float64(10*i + i + 1), "b": float64(10 * i)}})
	}
	facts := Paired(outcomes, "a less b", "a", "b", 100)
	want := []Fact{{"a less b", 200}, {"a less b, 95 % from", 200 - 100*4.302653/math.Sqrt(3)}, {"a less b, 95 % to", 200 + 100*4.302653/math.Sqrt(3)}}
	if len(facts) != len(want) {
		t.Fatalf("%v", facts)
	}
	for i, w := range want {
		if facts[i].Name != w.Name || math.Abs(facts[i].Value-w.Value) > 1e-3 {
			t.Errorf("%v, want %v", facts[i], w)
		}
	}
	outcomes[1].Extra["b"] = math.Inf(1)
	if facts := Paired(outcomes, "a less b", "a", "b", 1); facts != nil {
		t.Errorf("of an infinite value: %v", facts)
	}
}
