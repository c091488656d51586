package weights_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/weights"
)

func ExampleBreadcrumbs() {
	base := pair(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	a := pair(0.1, -9, 2, 3, -0.2, 1, -4, 0.3, 5, 0.4)
	out, err := weights.Breadcrumbs{Density: []float64{0.5}, Outliers: 0.1}.Apply(context.Background(), weights.BreadcrumbsInput{Base: base, In: data.Checkpoints{a}})
	if err != nil {
		panic(err)
	}
	w, _, _ := out.Floats("w", 10)
	fmt.Println(w) // the largest of ten goes, the next five stay
	// Output:
	// [0 0 2 3 0 1 -4 0 5 0]
}

func TestBreadcrumbsGivesUpOutliersForDensity(t *testing.T) {
	in := data.Bundle{"base": pair(0, 0, 0, 0), "in": data.Checkpoints{pair(1, 2, 3, 4)}}
	same(t, "three of four stay, half would go", apply(t, "breadcrumbs", map[string]string{"density": "0.75", "outliers": "0.5"}, in), pair(1, 2, 3, 0))
	same(t, "none stays", apply(t, "breadcrumbs", map[string]string{"density": "0"}, in), pair(0, 0, 0, 0))
	same(t, "equal magnitudes", apply(t, "breadcrumbs", map[string]string{"density": "0.5", "outliers": "0.25"}, data.Bundle{"base": pair(0, 0, 0, 0), "in": data.Checkpoints{pair(1, -1, 1, -1)}}), pair(0, -1, 1, 0))
}
