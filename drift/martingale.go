package drift

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "a bet against each column being like the reference: an alarm for streams of any length",
	Paper: "vovk2003testing",
}, Martingale.Fit, loadMartingale))

// Martingale watches a stream for any change of a column's distribution, with a false-alarm probability over the whole stream, however
// long it is and however often one looks.
//
// It is a conformal test martingale after Vovk et al. (2003): a capital that bets on where among the reference's values the next
// one falls and that stays fair while nothing changes, so it ever multiplies by D/Level with probability Level/D at most, for every
// distribution and every size of the reference; of D columns the best one counts, which keeps the promise however they
// depend on each other. It finds changes of level and of spread. Prefer [CUSUM] for a short horizon and a shift of known size.
//
// Fits on: Table N×D with N ≥ 1. About 100 rows and more let it see shifts of half a standard deviation.
// Watch:   rows of D columns. Evidence: the natural logarithm of the best column's capital over D; the threshold is −log Level. Visible: a shift from the stream's first row on.
// Errors:  ErrShape for an empty reference and on another width.
// Differs: bets are against a Pólya urn over the gaps between the reference's values instead of p-values taken as uniform, so the reference's own chance costs nothing; ties are broken by seeded numbers.
// Source:  vovk2003testing, section 3.
// Claim:   claims/drift/martingale.go.
type Martingale struct {
	// Level is the probability of an alarm over a whole stream that is like the reference.
	Level float64 `default:"0.01" range:"(0,1)"`
	// Seed starts the numbers that break ties.
	Seed uint64
}

// Fit keeps the reference, each column sorted.
func (c Martingale) Fit(ctx context.Context, train *data.Table) (*MartingaleModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r, err := newReference(ctx, "martingale", train, 1)
	if err != nil {
		return nil, err
	}
	n, d := r.rows.Dims()
	x, column := make([]float32, n*d), make([]float32, n)
	for j := range d {
		for i := range n {
			column[i] = r.rows.Row(i)[j]
		}
		slices.Sort(column) // the order of rows then is no part of the model
		for i, v := range column {
			x[i*d+j] = v
		}
	}
	r.rows, err = data.NewTable(n, d, x)
	return &MartingaleModel{r, c}, err
}

// MartingaleModel is a fitted [Martingale].
type MartingaleModel struct {
	reference
	config Martingale
}

// Watch begins a stream.
func (m *MartingaleModel) Watch() method.Stream {
	n, d := m.rows.Dims()
	s := &martingaleStream{model: m, bets: make([]*part.Exchangeability, d)}
	column := make([]float64, n)
	for j := range d {
		for i := range n {
			column[i] = float64(m.rows.Row(i)[j])
		}
		s.bets[j] = part.NewExchangeability(column, m.config.Level, m.config.Seed+uint64(j))
	}
	return s
}

// martingaleStream is a stream under a [MartingaleModel].
type martingaleStream struct {
	model *MartingaleModel
	bets  []*part.Exchangeability
	now   standing
}

func (s *martingaleStream) threshold() float64 { return -math.Log(s.model.config.Level) }

// Observe looks at more rows.
func (s *martingaleStream) Observe(ctx context.Context, rows *data.Table) error {
	if err := method.Width("martingale", rows, len(s.bets)); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	n, _ := rows.Dims()
	for i := range n {
		best, most := 0, math.Inf(-1)
		for j, v := range rows.Row(i) {
			s.bets[j].Observe(float64(v))
			if capital := s.bets[j].LogEvidence(); capital > most {
				best, most = j, capital
			}
		}
		s.now.step(most-math.Log(float64(len(s.bets))), s.threshold(), best, 0)
	}
	return nil
}

// martingaleWithin is the number of rows for which the smallest visible shift is told.
const martingaleWithin = 500

// Watched says how the stream stands.
func (s *martingaleStream) Watched() method.Watched {
	n, d := s.model.rows.Dims()
	// What a bet must earn: the threshold, its share among the columns and among the 13 alternatives, and the price of
	// not knowing when to begin, about 1 from the first row on. A shift of δ earns δ²/2 a row; the reference's own chance
	// takes the rows for fewer than they are.
	need := s.threshold() + math.Log(float64(13*d)) + 1
	rows := 1 / (1/float64(martingaleWithin) + 1/float64(n))
	visible := (powerQuantile + math.Sqrt(powerQuantile*powerQuantile+2*need)) / math.Sqrt(rows)
	return s.now.watched(method.Watched{Threshold: s.threshold(), Level: s.model.config.Level, Visible: visible, Within: martingaleWithin})
}

// MarshalJSON saves the stream.
func (s *martingaleStream) MarshalJSON() ([]byte, error) {
	return saveStream(s.model, s.now, len(s.bets), func(j int) any { return s.bets[j] })
}

// Resume goes on with a saved stream.
func (s *martingaleStream) Resume(saved []byte) error {
	v, err := readStream("martingale", s.model, len(s.bets), saved)
	if err != nil {
		return err
	}
	fresh := s.model.Watch().(*martingaleStream)
	for j, text := range v.Columns {
		if err := fresh.bets[j].Resume(text); err != nil {
			return fmt.Errorf("martingale: %w: the stream's column %d: %w", method.ErrState, j+1, err)
		}
		if fresh.bets[j].Rows() != v.Standing.Rows {
			return fmt.Errorf("martingale: %w: the stream's column %d saw %d rows, the stream %d", method.ErrState, j+1, fresh.bets[j].Rows(), v.Standing.Rows)
		}
	}
	s.bets, s.now = fresh.bets, v.Standing
	return nil
}

func loadMartingale(c Martingale, st *data.Checkpoint) (*MartingaleModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r, err := loadReference("martingale", st, 1)
	return &MartingaleModel{r, c}, err
}
