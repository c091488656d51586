package metric_test

import (
	"fmt"

	"github.com/gimbal-ml/gimbal/metric"
)

// Scores of known rows and of unknown ones, higher = more unknown.
var (
	known   = []float64{0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9}
	unknown = []float64{0.35, 0.5, 0.65, 0.7, 0.8, 0.8, 0.9, 1.1}
)

func ExampleAUROC() {
	e, err := metric.AUROC(known, unknown)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("AUROC", e.Percent(2))
	// Five rows of each kind in perfect order are no proof of perfection.
	few, _ := metric.AUROC(known[:5], unknown[3:])
	fmt.Println("few rows", few.Percent(2))
	// Output:
	// AUROC 81.88 [53.78, 94.61]
	// few rows 100.00 [47.82, 100.00]
}

func ExampleAUROC_level() {
	e, _ := metric.AUROC(known, unknown, metric.Interval{Level: 0.8})
	fmt.Println(e.Plain(3))
	// Output: 0.819 [0.650, 0.916]
}

func ExampleDeLongPaired() {
	otherKnown := []float64{0.3, 0.1, 0.6, 0.3, 0.8, 0.4, 0.7, 0.6, 0.4, 0.9}
	otherUnknown := []float64{0.3, 0.5, 0.6, 0.5, 0.8, 0.4, 0.9, 1.0}
	difference, p, err := metric.DeLongPaired(known, unknown, otherKnown, otherUnknown)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s, p = %.3f\n", difference.Percent(1), p)
	// Output: 19.4 [-2.7, 41.5], p = 0.085
}

func ExampleAUPROut() {
	out, _ := metric.AUPROut(known, unknown, metric.Interval{Seed: 1})
	in, _ := metric.AUPRIn(known, unknown, metric.Interval{Seed: 1})
	average, _ := metric.AveragePrecision(known, unknown, metric.Interval{ValueOnly: true})
	fmt.Println("AUPR_OUT", out.Percent(2))
	fmt.Println("AUPR_IN ", in.Percent(2))
	fmt.Println("AP      ", average.Percent(2))
	// Output:
	// AUPR_OUT 75.50 [40.38, 93.34]
	// AUPR_IN  87.55 [63.92, 96.54]
	// AP       74.78 (no interval)
}

// Both numbers go by the name FPR95.
func ExampleFPR95OutPositive() {
	out, _ := metric.FPR95OutPositive(known, unknown)
	in, _ := metric.FPR95InPositive(known, unknown)
	fmt.Println("catching 95 % of the unknown, false alarms:   ", out.Percent(0))
	fmt.Println("passing 95 % of the known, unknown let through:", in.Percent(0))
	// Output:
	// catching 95 % of the unknown, false alarms:    50 [11, 100]
	// passing 95 % of the known, unknown let through: 88 [12, 100]
}

func ExampleMacroF1() {
	labels := []int{0, 0, 0, 0, 0, 0, 1, 1}
	predicted := []int{0, 0, 0, 0, 0, 0, 0, 1}
	accuracy, _ := metric.Accuracy(labels, predicted)
	balanced, _ := metric.BalancedAccuracy(labels, predicted)
	f1, _ := metric.MacroF1(labels, predicted)
	fmt.Println("accuracy", accuracy.Percent(1))
	fmt.Println("balanced", balanced.Percent(1))
	fmt.Println("macro-F1", f1.Percent(1))
	// Output:
	// accuracy 87.5 [52.9, 97.8]
	// balanced 75.0 [50.0, 100.0]
	// macro-F1 79.5 [42.9, 100.0]
}

func ExampleConfusionMatrix() {
	m, _ := metric.ConfusionMatrix([]int{0, 0, 1, 1, 1}, []int{0, 1, 1, 1, -1})
	fmt.Println(m.Classes, m.Counts)
	fmt.Println("label 1 refused:", m.At(1, -1))
	// Output:
	// [-1 0 1] [0 0 0 0 1 1 1 0 2]
	// label 1 refused: 1
}

func ExampleECE() {
	// Four rows of three probabilities.
	probabilities := []float32{
		0.70, 0.20, 0.10,
		0.05, 0.90, 0.05,
		0.30, 0.30, 0.40,
		0.90, 0.05, 0.05,
	}
	labels := []int{0, 1, 0, 0}
	one := metric.Interval{ValueOnly: true}
	ece, _ := metric.ECE(probabilities, 3, labels, one)
	static, _ := metric.ClasswiseECE(metric.Bins{Count: 10}, probabilities, 3, labels, one)
	nll, _ := metric.NLL(probabilities, 3, labels, one)
	brier, _ := metric.Brier(probabilities, 3, labels, one)
	fmt.Println(ece, static, nll, brier)
	// Output: 0.2250 (no interval) 0.2000 (no interval) 0.4428 (no interval) 0.2275 (no interval)
}

func ExampleProbabilities() {
	logits := []float32{4, 2, 0}
	for _, temperature := range []float64{1, 2} {
		p, _ := metric.Probabilities(logits, 3, temperature)
		fmt.Printf("%.3f\n", p)
	}
	// Output:
	// [0.867 0.117 0.016]
	// [0.665 0.245 0.090]
}

func ExampleForgettingFromMax() {
	run := func(afterTwo float64) metric.ContinualRun {
		return metric.ContinualRun{Accuracy: [][]float64{
			{0.90},
			{0.92, 0.88},
			{afterTwo, 0.89, 0.91},
		}}
	}
	seeds := []metric.ContinualRun{run(0.80), run(0.82), run(0.78)}
	most, _ := metric.ForgettingFromMax(seeds)
	first, _ := metric.ForgettingFromFirst(seeds)
	average, _ := metric.AverageIncrementalAccuracy(seeds)
	fmt.Println("max − last  ", most.Percent(2))
	fmt.Println("first − last", first.Percent(2))
	fmt.Println("average     ", average.Percent(2))
	// Output:
	// max − last   6.00 [3.52, 8.48]
	// first − last 4.50 [2.02, 6.98]
	// average      88.89 [88.34, 89.44]
}

func ExamplePairedMean() {
	ours, theirs := []float64{0.912, 0.874, 0.931}, []float64{0.903, 0.866, 0.919}
	fmt.Println("over three seeds:", must(metric.PairedMean(ours, theirs)).Percent(2))
	fmt.Println("unpaired:        ", must(metric.Mean(ours)).Percent(2), "against", must(metric.Mean(theirs)).Percent(2))
	// Output:
	// over three seeds: 0.97 [0.45, 1.48]
	// unpaired:         90.57 [83.36, 97.78] against 89.60 [82.85, 96.35]
}

func must(e metric.Estimate, err error) metric.Estimate {
	if err != nil {
		panic(err)
	}
	return e
}

// The interval of anything that rows determine.
func ExampleBootstrap() {
	latency := []float64{12, 15, 11, 90, 14, 13, 16, 12, 11, 15}
	slowest := func(index []int) float64 {
		most := 0.0
		for _, i := range index {
			most = max(most, latency[i])
		}
		return most
	}
	e, err := metric.Bootstrap(1, len(latency), slowest)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Plain(0))
	// Output: 90 [15, 90]
}
