package metric

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// goldenCase is a case of testdata/golden.txt.
type goldenCase struct {
	kind, name string
	in, want   map[string][]float64
}

func (c goldenCase) ints(name string) []int {
	x := make([]int, len(c.in[name]))
	for i, v := range c.in[name] {
		x[i] = int(v)
	}
	return x
}

func readGolden(t *testing.T) []goldenCase {
	t.Helper()
	raw, err := os.ReadFile("testdata/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	var cases []goldenCase
	for _, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		f := strings.Fields(line)
		switch f[0] {
		case "#":
		case "case":
			cases = append(cases, goldenCase{f[1], f[2], map[string][]float64{}, map[string][]float64{}})
		case "in", "want":
			c := cases[len(cases)-1]
			for _, s := range f[2:] {
				v, err := strconv.ParseFloat(s, 64)
				if err != nil {
					t.Fatal(err)
				}
				if f[0] == "in" {
					c.in[f[1]] = append(c.in[f[1]], v)
				} else {
					c.want[f[1]] = append(c.want[f[1]], v)
				}
			}
		default:
			t.Fatalf("unknown line %q", line)
		}
	}
	return cases
}

// 1e-12: at most 140 rows, all terms in [0,1] but the NLL's (below 20); both sides sum in float64.
const goldenTolerance = 1e-12

func TestGolden(t *testing.T) {
	run := map[string]func(*testing.T, goldenCase) int{"scores": goldenScores, "classify": goldenClassify, "means": goldenMeans}
	for _, c := range readGolden(t) {
		t.Run(c.kind+"/"+c.name, func(t *testing.T) {
			if checked := run[c.kind](t, c); checked != len(c.want) {
				t.Errorf("%d of %d wanted numbers were checked", checked, len(c.want))
			}
		})
	}
}

func goldenScores(t *testing.T, c goldenCase) int {
	negative, positive := c.in["negative"], c.in["positive"]
	fpr80, err := FPRAtTPR(negative, positive, 0.8, valueOnly)
	near(t, "fpr80", must(t)(fpr80, err).Value, c.want["fpr80"][0], goldenTolerance)
	for name, f := range map[string]func(a, b []float64, how ...Interval) (Estimate, error){
		"auroc": AUROC, "aupr_out": AUPROut, "aupr_in": AUPRIn, "average_precision": AveragePrecision,
		"fpr95_out": FPR95OutPositive, "fpr95_in": FPR95InPositive,
	} {
		near(t, name, must(t)(f(negative, positive)).Value, c.want[name][0], goldenTolerance)
	}
	// The number with scikit-learn's default of dropping points may be another one, and is never smaller.
	if corners := c.want["fpr95_out_corners"][0]; corners < c.want["fpr95_out"][0] {
		t.Errorf("corners give %v, all points %v", corners, c.want["fpr95_out"][0])
	}
	return 8
}

func goldenClassify(t *testing.T, c goldenCase) int {
	k := int(c.in["classes"][0])
	p, logits, y, hat := c.in["probabilities"], c.in["logits"], c.ints("labels"), c.ints("predicted")
	check := func(name string, e Estimate, err error) {
		t.Helper()
		near(t, name, must(t)(e, err).Value, c.want[name][0], goldenTolerance)
	}
	e, err := Accuracy(y, hat)
	check("accuracy", e, err)
	near(t, "wilson low", e.Low, c.want["wilson"][0], goldenTolerance)
	near(t, "wilson high", e.High, c.want["wilson"][1], goldenTolerance)
	e, err = BalancedAccuracy(y, hat)
	check("balanced_accuracy", e, err)
	e, err = MacroF1(y, hat)
	check("macro_f1", e, err)
	e, err = NLL(p, k, y)
	check("nll", e, err)
	e, err = LogitNLL(logits, k, y, 1)
	check("nll", e, err)
	e, err = LogitNLL(logits, k, y, 2.5)
	check("nll_temperature_2.5", e, err)
	cold, err := Probabilities(logits, k, 2.5)
	if err != nil {
		t.Fatal(err)
	}
	e, err = NLL(cold, k, y)
	check("nll_temperature_2.5", e, err)
	e, err = Brier(p, k, y)
	check("brier", e, err)
	e, err = ECE(p, k, y)
	check("ece", e, err)
	e, err = BinnedECE(Bins{Count: 10}, p, k, y)
	check("ece_10", e, err)
	e, err = BinnedECE(Bins{Count: 10, EqualMass: true}, p, k, y)
	check("ece_mass_10", e, err)
	e, err = ClasswiseECE(Bins{}, p, k, y)
	check("classwise", e, err)
	e, err = ClasswiseECE(Bins{Count: 10, EqualMass: true}, p, k, y)
	check("classwise_mass_10", e, err)
	e, err = MaximumCalibrationError(Bins{}, p, k, y)
	check("maximum", e, err)
	m, err := ConfusionMatrix(y, hat)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range c.want["confusion"] {
		if m.Counts[i] != int(want) || m.At(i/k, i%k) != int(want) {
			t.Errorf("confusion[%d] = %d, want %v", i, m.Counts[i], want)
		}
	}
	return 14
}

func goldenMeans(t *testing.T, c goldenCase) int {
	check := func(name string, e Estimate, err error) {
		t.Helper()
		must(t)(e, err)
		for i, got := range []float64{e.Value, e.Low, e.High} {
			near(t, name, got, c.want[name][i], 1e-10) // gonum's and SciPy's t quantiles agree to 1e-11
		}
	}
	e, err := Mean(c.in["a"])
	check("mean", e, err)
	e, err = PairedMean(c.in["a"], c.in["b"], Interval{Level: 0.99})
	check("paired99", e, err)
	return 2
}
