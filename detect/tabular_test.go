package detect_test

import (
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/detect"
)

// TestTabularGolden holds the detectors whose definitions meet those of scikit-learn and PyOD to their numbers. PyOD joins the
// rows that are scored together with the training rows; one row at a time, it says what we say.
func TestTabularGolden(t *testing.T) {
	g := readGolden(t, "testdata/tabular.txt")
	train, query := g.table(t, "train"), g.table(t, "query")
	// scikit-learn adds 1e-10 to distances of about one.
	near(t, "LOF, 20 neighbours", scores(t, fitLOF(t, detect.LOF{}, train), query), g.of(t, "lof20"), 1e-8)
	near(t, "LOF, 5 neighbours", scores(t, fitLOF(t, detect.LOF{Neighbors: 5}, train), query), g.of(t, "lof5"), 1e-8)
	near(t, "KNN", scores(t, fitKNN(t, detect.KNN{NoNormalize: true}, train), query), g.of(t, "knn5"), 1e-9)
	ours := scores(t, fitECOD(t, detect.ECOD{}, train), query)
	near(t, "ECOD", ours, g.of(t, "ecod"), 1e-9)
	near(t, "COPOD", scores(t, fitCOPOD(t, detect.COPOD{}, train), query), g.of(t, "copod"), 1e-9)
	// The trap: asked about twelve rows at once, PyOD gives other scores.
	most := 0.0
	for i, s := range g.of(t, "ecod_together") {
		most = max(most, math.Abs(s-ours[i])/ours[i])
	}
	if most < 0.01 {
		t.Errorf("PyOD's scores of a batch differ by %g at most: the trap is gone", most)
	}
}
