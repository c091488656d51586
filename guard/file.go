package guard

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

// FileKind is the metadata entry "gimbal" of a saved guard.
const FileKind = "guard"

const fileVersion = "1"

// Checkpoint returns the guard as one sealed checkpoint, ready to be written as safetensors; equal guards give equal bytes.
//
//	moments/…          the state (see package moments)
//	calibration/x      F32 [n, D]; metadata "calibration/classes" names each row's class
//	calibration/scores F64 [n], ascending
//	detector/…, head/… the fitted methods' states
//	temperature        F64 [1]
func (g *Guard) Checkpoint() (*data.Checkpoint, error) {
	text, err := json.Marshal(g.frame)
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	c := &data.Checkpoint{
		Meta: map[string]string{"gimbal": FileKind, "version": fileVersion, "frame": string(text)},
		Tensors: map[string]data.Tensor{
			"temperature":        data.Float64Tensor([]float64{g.temperature}, 1),
			"calibration/scores": data.Float64Tensor(g.conformal.Sorted(), g.conformal.Rows()),
		},
	}
	c.SetStrings("classes", g.classes)
	c.Add("moments/", g.state.Checkpoint())
	c.Add("detector/", g.detector.State())
	if g.head != nil && g.frame.Head != g.frame.Detector {
		c.Add("head/", g.head.State())
	}
	kept := g.kept.table()
	n, d := kept.Dims()
	raw := make([]byte, 0, 4*n*d)
	names := make([]string, n)
	for i := range n {
		raw = append(raw, rowBytes(kept.Row(i))...)
		names[i] = kept.ClassName(i)
	}
	if c.Tensors["calibration/x"], err = data.NewTensor(data.F32, []int{n, d}, raw); err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	c.SetStrings("calibration/classes", names)
	return c, c.Seal()
}

// Hash returns the SHA-256 of everything the guard holds.
func (g *Guard) Hash() string {
	c, err := g.Checkpoint()
	if err != nil {
		panic(err) // all tensors are in memory
	}
	h, err := c.Hash()
	if err != nil {
		panic(err)
	}
	return h
}

// Load reads what [Guard.Checkpoint] made. Errors: ErrState, naming what the file holds instead.
func Load(specs []method.Spec, c *data.Checkpoint) (*Guard, error) {
	g, err := load(specs, c)
	if err != nil {
		return nil, fmt.Errorf("guard: %w: %w", method.ErrState, err)
	}
	return g, nil
}

func load(specs []method.Spec, c *data.Checkpoint) (*Guard, error) {
	if kind := c.Meta["gimbal"]; kind != FileKind {
		if kind == "" {
			kind = "no Gimbal state"
		}
		return nil, fmt.Errorf("the file holds %s, not a guard", kind)
	}
	if v := c.Meta["version"]; v != fileVersion {
		return nil, fmt.Errorf("version %q, this program reads %s", v, fileVersion)
	}
	if err := c.Unseal(); err != nil {
		return nil, err
	}
	g := &Guard{specs: specs}
	if err := json.Unmarshal([]byte(c.Meta["frame"]), &g.frame); err != nil {
		return nil, fmt.Errorf("metadata \"frame\": %w", err)
	}
	var err error
	if g.state, err = moments.FromCheckpoint(c.Prefix("moments/")); err != nil {
		return nil, err
	}
	r := c.Read()
	d := g.Dim()
	x := r.Floats("calibration/x", -1, d)
	classes := r.Strings("calibration/classes")
	scores := r.Floats("calibration/scores", len(classes))
	temperature := r.Floats("temperature", 1)
	g.classes = r.Strings("classes")
	if err := r.Err(); err != nil {
		return nil, err
	}
	if len(x) != len(classes)*d || !slices.IsSorted(scores) || temperature[0] <= 0 {
		return nil, fmt.Errorf("calibration sample: %w", data.ErrShape)
	}
	g.temperature, g.conformal = temperature[0], part.NewConformal(scores)
	g.kept = newCalibration(g.frame.Seed, g.frame.Rate)
	row := make([]float32, d)
	for i, name := range classes {
		for j := range row {
			row[j] = float32(x[i*d+j])
		}
		g.kept.add(row, name)
	}
	g.kept.sort()
	if err := g.conformal.Check(g.frame.Alpha); err != nil {
		return nil, err
	}
	if g.detector, err = g.loadMethod(g.frame.Detector, g.frame.DetectorConfig, c.Prefix("detector/"), "score"); err != nil {
		return nil, err
	}
	if len(g.state.Classes()) == 0 {
		return g, nil
	}
	g.head = g.detector
	if g.frame.Head != g.frame.Detector {
		g.head, err = g.loadMethod(g.frame.Head, g.frame.HeadConfig, c.Prefix("head/"), "predict")
	}
	return g, err
}

func (g *Guard) loadMethod(id string, text json.RawMessage, st *data.Checkpoint, verb string) (method.Model, error) {
	s, err := g.spec(id)
	if err != nil {
		return nil, err
	}
	if !s.Can(verb) {
		return nil, fmt.Errorf("%s cannot %s", id, verb)
	}
	cfg, err := s.UnmarshalConfig(text)
	if err != nil {
		return nil, err
	}
	return s.Load(cfg, st)
}

// fingerprint ties a stream's drift state to the calibration sample it was begun with.
func (g *Guard) fingerprint() string {
	h := uint64(len(g.CalibrationScores()))
	for _, s := range g.CalibrationScores() {
		h = part.Mix(h ^ math.Float64bits(s))
	}
	return fmt.Sprintf("%x", binary.BigEndian.AppendUint64(nil, h))
}
