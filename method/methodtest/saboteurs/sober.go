package saboteurs

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

var _ = add(&drifts, "", alarmed("differences of column means, told and watched", func(m *soberModel) *soberModel { return m }, Sober{}))

// Sober is an alarm without a fault: the suite must find nothing wrong with it.
//
// Fits on: Table N×D.
// Test:    window m×D with m ≥ 2: the largest difference of two means, with a normal p-value, doubled for caution.
// Watch:   rows of D columns: how often in a row one of them lies farther out than all of the reference.
// Errors:  ErrShape on another width and for fewer than two rows.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/drift/sober.go.
type Sober struct{}

// alarmed is the sober alarm but for what spoil makes of the fitted model.
func alarmed[C any, M method.Model](title string, spoil func(m *soberModel) M, _ C) method.Spec {
	return method.Learned(info(title),
		func(_ C, ctx context.Context, in *data.Table) (m M, err error) {
			if err := ctx.Err(); err != nil {
				return m, err
			}
			s, err := newSober(in)
			if err != nil {
				return m, err
			}
			return spoil(s), nil
		},
		func(_ C, st *data.Checkpoint) (m M, err error) {
			r := st.Read()
			x := r.Float32s("reference", -1, -1)
			if err := r.Err(); err != nil {
				return m, err
			}
			shape := st.Tensors["reference"].Shape
			in, err := data.NewTable(shape[0], shape[1], x)
			if err != nil {
				return m, err
			}
			s, err := newSober(in)
			if err != nil {
				return m, err
			}
			return spoil(s), nil
		})
}

// soberModel is the fitted alarm: all other alarms of this package are variations of it.
type soberModel struct{ reference *data.Table }

func newSober(in *data.Table) (*soberModel, error) {
	if n, d := in.Dims(); n < 2 || d < 1 {
		return nil, fmt.Errorf("sober: %w: %d rows of %d columns", data.ErrShape, n, d)
	}
	return &soberModel{in}, nil
}

// State returns the reference.
func (m *soberModel) State() *data.Checkpoint {
	n, d := m.reference.Dims()
	return &data.Checkpoint{Tensors: map[string]data.Tensor{"reference": data.Float32Tensor(m.reference.X(), n, d)}}
}

func (m *soberModel) width(in *data.Table) error {
	_, d := in.Dims()
	if _, want := m.reference.Dims(); d != want {
		return fmt.Errorf("sober: %w: table has %d columns, fitted on %d", data.ErrShape, d, want)
	}
	return nil
}

// column returns a column's values, sorted.
func column(in *data.Table, j int) []float64 {
	n, _ := in.Dims()
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(in.Row(i)[j])
	}
	slices.Sort(v)
	return v
}

func meanAndVariance(v []float64) (mean, variance float64) {
	for _, x := range v {
		mean += (x - v[0]) / float64(len(v))
	}
	for _, x := range v {
		variance += (x - v[0] - mean) * (x - v[0] - mean) / float64(len(v)-1)
	}
	return mean + v[0], variance
}

// Test compares means.
func (m *soberModel) Test(ctx context.Context, window *data.Table) (*method.Comparison, error) {
	if err := m.width(window); err != nil {
		return nil, err
	}
	n, d := window.Dims()
	if n < 2 {
		return nil, fmt.Errorf("sober: %w: %d rows, want 2", data.ErrShape, n)
	}
	c := &method.Comparison{Level: 0.05, PValue: 1, Name: "z", Unit: "standard errors", Effect: metric.Estimate{Level: 0.95}, Visible: 3}
	rows, _ := m.reference.Dims()
	for j := range d {
		a, va := meanAndVariance(column(m.reference, j))
		b, vb := meanAndVariance(column(window, j))
		z := 0.0
		if a != b {
			z = math.Min(math.Abs(b-a)/math.Sqrt(va/float64(rows)+vb/float64(n)+1e-300), 1e6)
		}
		if z > c.Statistic {
			c.Statistic, c.Effect = z, metric.Estimate{Value: z, Low: z - 2, High: z + 2, Level: 0.95}
		}
	}
	c.PValue = max(math.SmallestNonzeroFloat64, min(1, 4*float64(d)*math.Erfc(c.Statistic/math.Sqrt2)))
	c.Drift = c.PValue <= c.Level
	return c, ctx.Err()
}

// Watch begins a stream.
func (m *soberModel) Watch() method.Stream { return &soberStream{model: m, Patience: 8} }

// soberStream counts rows in a row that lie outside of the reference's range.
type soberStream struct {
	model    *soberModel
	Of       string
	Patience int
	Rows     int
	Outside  int
	Alarm    int
}

// Observe looks at rows.
func (s *soberStream) Observe(ctx context.Context, in *data.Table) error {
	if err := s.model.width(in); err != nil {
		return err
	}
	n, d := in.Dims()
	for i := range n {
		s.Rows++
		out := false
		for j := range d {
			all := column(s.model.reference, j)
			v := float64(in.Row(i)[j])
			out = out || v < all[0] || v > all[len(all)-1]
		}
		if s.Outside++; !out {
			s.Outside = 0
		}
		if s.Alarm == 0 && s.Outside >= s.Patience {
			s.Alarm = s.Rows
		}
	}
	return ctx.Err()
}

// Watched says how the stream stands.
func (s *soberStream) Watched() method.Watched {
	return method.Watched{Rows: s.Rows, AlarmRow: s.Alarm, Evidence: float64(s.Outside), Threshold: float64(s.Patience), Level: 0.05, Horizon: 100, Visible: 1, Within: 100}
}

func (s *soberStream) hash() string {
	h, err := s.model.State().Hash()
	if err != nil {
		return err.Error()
	}
	return h
}

// MarshalJSON saves the stream.
func (s *soberStream) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"of": s.hash(), "rows": s.Rows, "outside": s.Outside, "alarm": s.Alarm})
}

// Resume goes on with a saved stream.
func (s *soberStream) Resume(saved []byte) error {
	var v struct {
		Of                   string
		Rows, Outside, Alarm int
	}
	if err := json.Unmarshal(saved, &v); err != nil || v.Of != s.hash() {
		return fmt.Errorf("sober: %w: not this stream", method.ErrState)
	}
	s.Rows, s.Outside, s.Alarm = v.Rows, v.Outside, v.Alarm
	return nil
}
