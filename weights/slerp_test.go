package weights_test

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/weights"
)

func ExampleSlerp() {
	out, err := weights.Slerp{Share: 0.5}.Apply(context.Background(), weights.SlerpInput{From: pair(2, 0), To: pair(0, 2)})
	if err != nil {
		panic(err)
	}
	w, _, _ := out.Floats("w", 2)
	fmt.Printf("%.4f, where the straight line has [1 1]\n", w)
	// Output:
	// [1.4142 1.4142], where the straight line has [1 1]
}

// Between ends of one norm the norm stays and the angle grows evenly.
func TestSlerpGoesEvenlyOnTheSphere(t *testing.T) {
	for k := range 11 {
		share := float64(k) / 10
		out := apply(t, "slerp", map[string]string{"share": strconv.FormatFloat(share, 'g', -1, 64)}, data.Bundle{"from": pair(5, 0), "to": pair(-3, 4)})
		angle := share * math.Acos(-0.6)
		near(t, fmt.Sprint("share ", share), out, pair(5*math.Cos(angle), 5*math.Sin(angle)), 1e-15)
	}
}

func TestSlerpOnAlmostOneLineIsStraight(t *testing.T) {
	for _, c := range []struct{ a, b, want *data.Checkpoint }{
		{pair(1, 0), pair(3, 1e-3), pair(1.5, 0.25e-3)},
		{pair(1, 0), pair(-3, 0), pair(0, 0)}, // opposite: through the middle
		{pair(0, 0), pair(4, 8), pair(1, 2)},  // no direction
	} {
		same(t, "a quarter of the way", apply(t, "slerp", map[string]string{"share": "0.25"}, data.Bundle{"from": c.a, "to": c.b}), c.want)
	}
}
