package detect_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
)

func ExampleMaxLogit() {
	// The classifier is torn between two classes that are alike, and then finds nothing.
	logits, _ := data.NewTable(2, 3, []float32{12, 11.5, 0, 2, 0, -1})
	m, err := detect.MaxLogit{}.Fit(context.Background(), detect.LogitsInput{Logits: logits})
	if err != nil {
		panic(err)
	}
	scores, _ := m.Score(logits)
	fmt.Printf("%.1f %.1f\n", scores[0], scores[1])
	// Output: -12.0 -2.0
}

func TestMaxLogitIsTheEnergyOfNoTemperature(t *testing.T) {
	in := logitRows(t, 12, 100, 6)
	have := scores(t, fitOnLogits(t, detect.MaxLogit{}.Fit, in), in)
	within(t, "energy at T = 1e-9", scores(t, fitEnergy(t, detect.Energy{Temperature: 1e-9}, in), in), have, 0, 1e-8)
	for i, s := range have {
		if s != -float64(slices.Max(in.Row(i))) {
			t.Fatalf("row %d: %g", i+1, s)
		}
	}
}
