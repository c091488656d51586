package drift

import (
	"context"
	"encoding/json"
	"math"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
	"github.com/gimbal-ml/gimbal/method"
)

func adwin() claim.Claim {
	return claim.Claim{
		ID: "drift/adwin", Paper: "bifet2007learning, section 5",
		Statement: "A window that grows while nothing changes finds small changes that windows of a fixed size never see.",
		ScaleDown: "one shift and one fixed size, 64 rows; the fixed window compares its mean with the known one at the same false-alarm probability, 0.01 in 1,000 rows, by Bonferroni over its 15 looks. The paper measures the error of the tracked mean.",
		Arms:      []string{"adaptive window", "windows of 64 rows"},
		Data:      "40 streams a seed of standard normal values, shifted by 0.25 from row 501 on for 500 rows; the reference has 500 rows",
		Metric:    "share of streams whose change was found, false alarms left out", Percent: true, Margin: 0.2, Seeds: 10,
		Run: func(ctx context.Context, _ claim.Env, seed uint64) (o claim.Outcome, err error) {
			r := claim.Random(seed, 1)
			reference, err := normals(r, 500, 1, 0, 1)
			if err != nil {
				return o, err
			}
			m, err := drift.ADWIN{}.Fit(ctx, reference)
			if err != nil {
				return o, err
			}
			_, missed, err := alarms(ctx, r, 500, 500, 0.25, m, fixedWindows{64, 15, 0.01})
			if err != nil {
				return o, err
			}
			o.Arms = []float64{1 - missed[0], 1 - missed[1]}
			return o, nil
		},
	}
}

// fixedWindows compares the mean of every so many rows with zero, at a level over all looks.
type fixedWindows struct {
	rows, looks int
	level       float64
}

func (f fixedWindows) State() *data.Checkpoint { return &data.Checkpoint{} }

// Watch begins a stream.
func (f fixedWindows) Watch() method.Stream { return &fixedStream{of: f} }

type fixedStream struct {
	of          fixedWindows
	rows, alarm int
	sum         float64
}

// Observe looks at rows.
func (s *fixedStream) Observe(_ context.Context, in *data.Table) error {
	limit := math.Sqrt2 * math.Erfinv(1-s.of.level/float64(s.of.looks)) * math.Sqrt(float64(s.of.rows))
	for _, v := range in.X() {
		s.rows++
		s.sum += float64(v)
		if s.rows%s.of.rows != 0 {
			continue
		}
		if s.alarm == 0 && math.Abs(s.sum) > limit {
			s.alarm = s.rows
		}
		s.sum = 0
	}
	return nil
}

// Watched says how the stream stands.
func (s *fixedStream) Watched() method.Watched {
	return method.Watched{Rows: s.rows, AlarmRow: s.alarm}
}

// MarshalJSON saves the stream.
func (s *fixedStream) MarshalJSON() ([]byte, error) {
	return json.Marshal([]float64{float64(s.rows), float64(s.alarm), s.sum})
}

// Resume goes on with a saved stream.
func (s *fixedStream) Resume(saved []byte) error {
	var v [3]float64
	err := json.Unmarshal(saved, &v)
	s.rows, s.alarm, s.sum = int(v[0]), int(v[1]), v[2]
	return err
}
