package probe

import (
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/encode"
)

// encoded returns what a network makes of gray images given as pixels in [0, 1], with their labels.
func encoded(m *encode.Model, in *data.Table) (*data.Table, error) {
	n, d := in.Dims()
	side := int(math.Round(math.Sqrt(float64(d))))
	samples := make([]encode.Sample, n)
	for i := range samples {
		pixels := make([]byte, d)
		for j, v := range in.Row(i) {
			pixels[j] = byte(math.Round(255 * float64(v)))
		}
		samples[i] = encode.Sample{Name: "image", Picture: &encode.Picture{H: side, W: side, C: 1, Pixels: pixels}}
	}
	out := make([]float32, n*m.Dim)
	if err := m.Encode(out, samples); err != nil {
		return nil, err
	}
	t, err := data.NewTable(n, m.Dim, out)
	if err != nil {
		return nil, err
	}
	labels, err := in.Labels()
	if err != nil {
		return nil, err
	}
	return t.WithLabels(labels, in.Classes())
}

// meanOfTokens averages rows that list each channel at all places.
func meanOfTokens(in *data.Table, tokens int) (*data.Table, error) {
	n, d := in.Dims()
	channels := d / tokens
	x := make([]float32, n*channels)
	for i := range n {
		for j, v := range in.Row(i) {
			x[i*channels+j/tokens] += v / float32(tokens)
		}
	}
	t, err := data.NewTable(n, channels, x)
	if err != nil {
		return nil, err
	}
	labels, err := in.Labels()
	if err != nil {
		return nil, err
	}
	return t.WithLabels(labels, in.Classes())
}
