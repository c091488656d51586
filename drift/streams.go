package drift

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

// tracker follows one column of a stream, in standard deviations from the reference's mean, and gathers evidence of a change.
type tracker interface {
	// observe returns the evidence after one more value, and for how many rows, this one included, the change has lasted if it is one.
	observe(z float64) (evidence float64, lasted int)
	// state is all that a tracker remembers; resume takes it back, false when it is none.
	state() []float64
	resume(state []float64) bool
}

// watchRule is what a rule on streams adds to its siblings.
type watchRule struct {
	name    string
	level   float64
	horizon int
	seed    uint64
	// tracker makes one for a column; its threshold is +Inf while thresholds are looked for.
	tracker func(threshold float64) tracker
	// visible is the smallest shift, in standard deviations, that a shift in the middle of the horizon needs to be found by its end.
	visible func(threshold float64) float64
}

// watchModel is a fitted rule: columns' means and standard deviations, and the threshold of the evidence.
type watchModel struct {
	rule        watchRule
	mean, scale []float64 // D; a scale of 0 is a column without variation in the reference, which is not watched
	threshold   float64
}

// watchRows is the least number of reference rows for a spread to mean something.
const watchRows = 8

// fitWatch learns means, spreads and the threshold. Errors: ErrShape for fewer than 8 rows or no columns; ErrDegenerate when no column varies.
func fitWatch(ctx context.Context, rule watchRule, train *data.Table) (watchModel, error) {
	m := watchModel{rule: rule}
	r, err := newReference(ctx, rule.name, train, watchRows)
	if err != nil {
		return m, err
	}
	n, d := r.rows.Dims()
	p := newPool(r.rows, r.rows.Slice(0, 0)) // its order is one of the rows themselves
	m.mean, m.scale = p.centre(), make([]float64, d)
	fourth := make([]float64, d)
	for _, row := range p.rows {
		for j, v := range row {
			z := float64(v) - m.mean[j]
			m.scale[j] += z * z / float64(n)
		}
	}
	vary := false
	for j, v := range m.scale {
		m.scale[j] = math.Sqrt(v)
		vary = vary || v > 0
	}
	if !vary {
		return m, fmt.Errorf("%w: no column of the reference varies, so nothing can be called unusual", method.ErrDegenerate)
	}
	for _, row := range p.rows {
		for j, v := range row {
			z := m.standardise(j, float64(v))
			fourth[j] += z * z * z * z / float64(n)
		}
	}
	m.threshold, err = m.simulate(ctx, p.rows, fourth)
	return m, err
}

func (m *watchModel) standardise(j int, v float64) float64 {
	if m.scale[j] == 0 {
		return 0
	}
	return (v - m.mean[j]) / m.scale[j]
}

// simulate finds the threshold that streams without drift reach within the horizon with probability level: each simulated stream draws its
// rows from the reference, all columns together, and is measured from a mean and a spread that are off by as much as those of a
// reference of this size are. As the simulated streams are few, the threshold is not their evidences' quantile but one that is large enough
// nine times out of ten: so few of them reach it as would be a chance of one in ten if they did so with probability level.
func (m *watchModel) simulate(ctx context.Context, rows [][]float32, fourth []float64) (float64, error) {
	streams := max(199, int(math.Ceil(4/m.rule.level)))
	d, n := len(m.mean), float64(len(rows))
	top := make([]float64, streams)
	num.Parallel(streams, 1, func(lo, hi int) {
		off, times := make([]float64, d), make([]float64, d)
		trackers := make([]tracker, d)
		for s := lo; s < hi && ctx.Err() == nil; s++ {
			random := rand.New(rand.NewPCG(m.rule.seed, uint64(s)))
			for j := range d {
				trackers[j] = m.rule.tracker(math.Inf(1))
				off[j] = m.mean[j] + m.scale[j]*random.NormFloat64()/math.Sqrt(n)
				times[j] = math.Exp(random.NormFloat64()*math.Sqrt(math.Max(fourth[j]-1, 0)/(4*n))) / math.Max(m.scale[j], math.SmallestNonzeroFloat64)
			}
			most := 0.0
			for range m.rule.horizon {
				row := rows[random.IntN(len(rows))]
				for j, t := range trackers {
					if m.scale[j] > 0 {
						e, _ := t.observe((float64(row[j]) - off[j]) * times[j])
						most = max(most, e)
					}
				}
			}
			top[s] = most
		}
	})
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	slices.Sort(top)
	above, chance := 0, 0.0 // the binomial probability of so many streams at or above the threshold, or fewer
	for ; above < streams; above++ {
		if chance += binomial(above, streams, m.rule.level); chance > 0.1 {
			break
		}
	}
	return math.Nextafter(top[streams-max(above, 1)], math.Inf(1)), nil
}

// Watch begins a stream.
func (m *watchModel) Watch() method.Stream {
	s := &shiftStream{model: m}
	for range m.mean {
		s.trackers = append(s.trackers, m.rule.tracker(m.threshold))
	}
	return s
}

// State returns the model as tensors.
func (m *watchModel) State() *data.Checkpoint {
	return &data.Checkpoint{Tensors: map[string]data.Tensor{
		"mean":      data.Float64Tensor(m.mean, len(m.mean)),
		"scale":     data.Float64Tensor(m.scale, len(m.scale)),
		"threshold": data.Float64Tensor([]float64{m.threshold}, 1),
	}}
}

func loadWatch(rule watchRule, st *data.Checkpoint) (watchModel, error) {
	m := watchModel{rule: rule}
	r := st.Read()
	m.mean = r.Floats("mean", -1)
	m.scale = r.Floats("scale", len(m.mean))
	threshold := r.Floats("threshold", 1)
	if err := r.Err(); err != nil {
		return m, err
	}
	if len(m.mean) == 0 || threshold[0] < 0 || slices.ContainsFunc(m.scale, func(v float64) bool { return v < 0 }) {
		return m, fmt.Errorf("%w: %d columns, threshold %v", data.ErrFormat, len(m.mean), threshold[0])
	}
	m.threshold = threshold[0]
	return m, nil
}

// shiftStream is a stream under a rule.
type shiftStream struct {
	model    *watchModel
	trackers []tracker
	now      standing
}

// standing is what a stream knows beside its trackers.
type standing struct {
	Rows     int     `json:"rows"`
	Alarm    int     `json:"alarm_row"`
	Column   int     `json:"alarm_column"`
	Since    int     `json:"change_row"`
	Evidence float64 `json:"evidence"`
}

// step notes the evidence after one more row.
func (s *standing) step(evidence, threshold float64, column, lasted int) {
	s.Rows++
	s.Evidence = evidence
	if s.Alarm == 0 && evidence >= threshold {
		s.Alarm, s.Column = s.Rows, column
		if lasted > 0 {
			s.Since = s.Rows - lasted + 1
		}
	}
}

// Observe looks at more rows.
func (s *shiftStream) Observe(ctx context.Context, rows *data.Table) error {
	if err := method.Width(s.model.rule.name, rows, len(s.trackers)); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	n, _ := rows.Dims()
	for i := range n {
		best, column, lasted := 0.0, 0, 0
		for j, v := range rows.Row(i) {
			if s.model.scale[j] == 0 {
				continue
			}
			if e, run := s.trackers[j].observe(s.model.standardise(j, float64(v))); e > best {
				best, column, lasted = e, j, run
			}
		}
		s.now.step(min(best, math.MaxFloat64), s.model.threshold, column, lasted)
	}
	return nil
}

// Watched says how the stream stands.
func (s *shiftStream) Watched() method.Watched {
	r := s.model.rule
	return s.now.watched(method.Watched{Threshold: s.model.threshold, Level: r.level, Horizon: r.horizon, Visible: r.visible(s.model.threshold), Within: max(r.horizon/2, 1)})
}

func (s standing) watched(w method.Watched) method.Watched {
	w.Rows, w.AlarmRow, w.AlarmColumn, w.ChangeRow, w.Evidence = s.Rows, s.Alarm, s.Column, s.Since, s.Evidence
	return w
}

// savedStream is a stream as JSON.
type savedStream struct {
	Kind     string            `json:"gimbal"`
	Model    string            `json:"model"` // hash of the model's state
	Standing standing          `json:"standing"`
	Columns  []json.RawMessage `json:"columns"`
}

// saveStream writes a stream of the model.
func saveStream(m method.Model, now standing, columns int, of func(j int) any) ([]byte, error) {
	hash, err := m.State().Hash()
	if err != nil {
		return nil, err
	}
	v := savedStream{Kind: "drift-stream", Model: hash, Standing: now}
	for j := range columns {
		text, err := json.Marshal(of(j))
		if err != nil {
			return nil, err
		}
		v.Columns = append(v.Columns, text)
	}
	return json.Marshal(v)
}

// readStream reads what saveStream wrote. Errors: ErrState.
func readStream(name string, m method.Model, columns int, saved []byte) (v savedStream, err error) {
	if err := json.Unmarshal(saved, &v); err != nil || v.Kind != "drift-stream" {
		return v, fmt.Errorf("%s: %w: not a saved stream", name, method.ErrState)
	}
	hash, err := m.State().Hash()
	if err != nil {
		return v, err
	}
	if v.Model != hash || len(v.Columns) != columns {
		return v, fmt.Errorf("%s: %w: the stream was begun with another model; start a new one", name, method.ErrState)
	}
	if s := v.Standing; s.Rows < 0 || s.Alarm < 0 || s.Alarm > s.Rows || s.Column < 0 || s.Column >= columns {
		return v, fmt.Errorf("%s: %w: %d rows, alarm at row %d", name, method.ErrState, s.Rows, s.Alarm)
	}
	return v, nil
}

// MarshalJSON saves the stream.
func (s *shiftStream) MarshalJSON() ([]byte, error) {
	return saveStream(s.model, s.now, len(s.trackers), func(j int) any { return s.trackers[j].state() })
}

// Resume goes on with a saved stream.
func (s *shiftStream) Resume(saved []byte) error {
	name := s.model.rule.name
	v, err := readStream(name, s.model, len(s.trackers), saved)
	if err != nil {
		return err
	}
	fresh := make([]tracker, len(s.trackers))
	for j, text := range v.Columns {
		var state []float64
		fresh[j] = s.model.rule.tracker(s.model.threshold)
		if err := json.Unmarshal(text, &state); err != nil || !fresh[j].resume(state) {
			return fmt.Errorf("%s: %w: the stream's column %d is damaged", name, method.ErrState, j+1)
		}
	}
	s.trackers, s.now = fresh, v.Standing
	return nil
}
