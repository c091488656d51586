package saboteurs

var _ = add(&calibrators, "coverage", sifted("sets that are too small for what they promise", func(m *sieveModel) *boastfulModel { return &boastfulModel{m} }, Boastful{}))

// Boastful promises more than its limit keeps.
//
// Fits on: logits, a Table N×K with labels.
// Sets:    as [Sieve] does but for the fault.
// Errors:  ErrLabels without labels; ErrShape on another width and for fewer rows than the level needs.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/calibrate/boastful.go.
type Boastful struct{}

type boastfulModel struct{ *sieveModel }

// Level has the fault.
func (m *boastfulModel) Level() float64 { return 0.01 }
