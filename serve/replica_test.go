package serve

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/gimbal-ml/gimbal/serve/history"
)

// Two servers that share a database each take in what the other was taught, come to be equal to the bit and equal to one that saw everything,
// and one that was away catches up.
func TestReplicasShareWhatTheyAreTaught(t *testing.T) {
	g := fitGuard(t, 0, 3)
	file := saveGuard(t, filepath.Join(t.TempDir(), "g.gimbal"), g)
	shared := filepath.Join(t.TempDir(), "history.sqlite")
	replica := func(name, state string) *started {
		h, err := history.Open(t.Context(), shared, history.Config{})
		if err != nil {
			t.Fatal(err)
		}
		x := start(t, Options{Models: []string{file}, State: state, History: h, Replica: name, Share: 20 * time.Millisecond})
		t.Cleanup(func() {
			if err := x.stop(); err != nil {
				t.Error(err)
			}
			h.Close()
		})
		return x
	}
	hash := func(x *started) string {
		m, err := x.model("g", "")
		if err != nil {
			t.Fatal(err)
		}
		return m.keeper.Guard().Hash()
	}
	states := []string{t.TempDir(), t.TempDir()}
	a, b := replica("a", states[0]), replica("b", states[1])
	one := g
	teach := func(x *started, seed uint64, class string) {
		t.Helper()
		in := rows(seed, 5, 3, class)
		m, err := x.model("g", "")
		if err != nil {
			t.Fatal(err)
		}
		if err := m.keeper.Learn(t.Context(), in, true); err != nil {
			t.Fatal(err)
		}
		if one, err = one.Update(t.Context(), in, true); err != nil {
			t.Fatal(err)
		}
	}
	equal := func(what string, all ...*started) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			same := true
			for _, x := range all {
				same = same && hash(x) == one.Hash()
			}
			if same {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: the replicas are not equal to one guard that saw everything", what)
			}
		}
	}
	teach(a, 1, "owl")
	teach(b, 2, "hare")
	equal("both were taught", a, b)
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	teach(a, 3, "elk")
	equal("one is away", a)
	b = replica("b", states[1])
	equal("the other is back", a, b)
}

func TestSharingNeedsAFolder(t *testing.T) {
	m, err := inMemory(fitGuard(t, 0, 3))
	if err != nil {
		t.Fatal(err)
	}
	if durableGuard(m) != nil || durableGuard(recorder{keeper: m}) != nil {
		t.Error("a guard in memory has nothing of its own to share")
	}
}
