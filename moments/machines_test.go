package moments

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

// TestHashIsTheSameOnEveryMachine: equal rows give the state that linux/amd64 gave when this was written. The rows are made
// of integers, for rand.NormFloat64 itself gives other bits where the compiler fuses multiply-adds.
func TestHashIsTheSameOnEveryMachine(t *testing.T) {
	const n, d, want = 1500, 21, "41bd28267926529151e264cab2c418040c68e1808791f855330fabf2b30433d4"
	r := rand.New(rand.NewPCG(3, 1))
	x, names := make([]float32, n*d), make([]string, n)
	for i := range x {
		x[i] = float32(math.Ldexp(float64(r.Int32()), -20-i%d%7))
	}
	for i := range names {
		names[i] = fmt.Sprint(r.IntN(4))
	}
	tab, err := data.NewTable(n, d, x)
	if err != nil {
		t.Fatal(err)
	}
	if tab, err = tab.WithClassNames(names); err != nil {
		t.Fatal(err)
	}
	if got := fit(t, tab, Options{PerClass: true}).Hash(); got != want {
		t.Errorf("hash %s, want %s", got, want)
	}
}
