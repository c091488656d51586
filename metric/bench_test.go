package metric

import (
	"math/rand/v2"
	"testing"
)

func rowsPerSecond(b *testing.B, rows int, run func() error) {
	b.Helper()
	for b.Loop() {
		if err := run(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func benchmarkScores(n int) (negative, positive []float64) {
	r := rand.New(rand.NewPCG(1, 6))
	return normal(r, n/2, 0), normal(r, n/2, 1)
}

// BenchmarkAUROC is a million scores with the DeLong interval.
func BenchmarkAUROC(b *testing.B) {
	negative, positive := benchmarkScores(1e6)
	rowsPerSecond(b, 1e6, func() error { _, err := AUROC(negative, positive); return err })
}

func BenchmarkDeLongPaired(b *testing.B) {
	negA, posA := benchmarkScores(1e6)
	negB, posB := coarse(negA), coarse(posA)
	rowsPerSecond(b, 1e6, func() error { _, _, err := DeLongPaired(negA, posA, negB, posB); return err })
}

func BenchmarkFPR95OutPositive(b *testing.B) {
	negative, positive := benchmarkScores(1e6)
	rowsPerSecond(b, 1e6, func() error { _, err := FPR95OutPositive(negative, positive); return err })
}

// BenchmarkAUPROut is ten thousand scores with 1000 resamples.
func BenchmarkAUPROut(b *testing.B) {
	negative, positive := benchmarkScores(1e4)
	rowsPerSecond(b, 1e4, func() error { _, err := AUPROut(negative, positive); return err })
}

// BenchmarkECE is ten thousand rows of ten classes with 1000 resamples, and as many of calibrated labels.
func BenchmarkECE(b *testing.B) {
	p, y := forecast(rand.New(rand.NewPCG(2, 6)), 1e4, 10, 2)
	rowsPerSecond(b, 1e4, func() error { _, err := ECE(p, 10, y); return err })
}

func BenchmarkMacroF1(b *testing.B) {
	p, y := forecast(rand.New(rand.NewPCG(3, 6)), 1e4, 10, 2)
	hat := predictions(p, 10)
	rowsPerSecond(b, 1e4, func() error { _, err := MacroF1(y, hat); return err })
}
