package encode

import (
	"fmt"
	"testing"

	"github.com/gimbal-ml/gimbal/internal/graph"
	"github.com/gimbal-ml/gimbal/internal/num"
)

// BenchmarkResNet20 measures the network without decoding: prepared images to features, 41 million multiply-adds each.
func BenchmarkResNet20(b *testing.B) {
	d, _ := Network("cifar-resnet20")
	g, err := d.graph(blank(d))
	if err != nil {
		b.Fatal(err)
	}
	m, err := newModel(d.Name, g, d.Input, d.Layers, Options{})
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 128} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			ready := m.zeros(n)
			runs := (n + m.batch - 1) / m.batch
			for b.Loop() {
				num.Parallel(runs, 1, func(lo, hi int) {
					memory := m.memory.Get().(*graph.Memory)
					defer m.memory.Put(memory)
					for r := lo; r < hi; r++ {
						if _, err := m.run(ready[r*m.batch:min((r+1)*m.batch, n)], memory); err != nil {
							b.Error(err)
						}
					}
				})
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "images/s")
		})
	}
}
