package moments

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
)

// FileKind is the metadata entry "gimbal" of a saved state.
const FileKind = "moments"

const fileVersion = "1"

// Checkpoint returns the state as tensors: equal states give equal checkpoints, byte for byte.
//
//	grid.exponent, grid.origin  I64 [D+T]            value = (origin + k)·2^exponent
//	grid.norm                   I64 [1]              unit of squared norms, 2^norm
//	class.rows                  I64 [K]              metadata "classes" names them, "" = rows without a label
//	class.sums                  U64 [K, P, 2]        Σk, low and high word of a 128-bit integer; P = D+T+1, the last is the squared norm
//	scatter                     U64 [P(P+1)/2, 2]    Σk·k' over all rows, upper triangle by rows; with per-class scatters
//	class.scatter               U64 [K, P(P+1)/2, 2] instead
//	wide.index, wide.length     I64 [M]              entries beyond 128 bits: place in the above (sums first), and bytes of
//	wide.bytes                  U8 [·]               sign (0, 1) and big-endian magnitude
func (s *State) Checkpoint() *data.Checkpoint {
	s.flush()
	names := s.Classes()
	if s.classes[""] != nil {
		names = append([]string{""}, names...)
	}
	text := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // strings and bools only
		}
		return string(b)
	}
	c := &data.Checkpoint{
		Meta: map[string]string{"gimbal": FileKind, "version": fileVersion, "classes": text(names), "per_class": text(s.perClass), "targets": text(s.t)},
		Tensors: map[string]data.Tensor{
			"grid.origin": data.Int64Tensor(s.grid.Origin, len(s.grid.Origin)),
			"grid.norm":   data.Int64Tensor([]int64{int64(s.grid.norm)}, 1),
		},
	}
	if s.columns != nil {
		c.Meta["columns"] = text(s.columns)
	}
	exponents := make([]int64, len(s.grid.Exponent))
	for j, e := range s.grid.Exponent {
		exponents[j] = int64(e)
	}
	c.Tensors["grid.exponent"] = data.Int64Tensor(exponents, len(exponents))

	rows := make([]int64, len(names))
	var sums, scatters []*integers
	for k, name := range names {
		cl := s.classes[name]
		rows[k] = cl.rows
		sums = append(sums, cl.sums)
		if s.perClass {
			scatters = append(scatters, cl.scatter)
		}
	}
	c.Tensors["class.rows"] = data.Int64Tensor(rows, len(rows))
	c.Tensors["class.sums"] = words(sums, len(names), s.p(), 2)
	if s.perClass {
		c.Tensors["class.scatter"] = words(scatters, len(names), packed(s.p()), 2)
	} else {
		scatters = append(scatters, s.scatter)
		c.Tensors["scatter"] = words(scatters, packed(s.p()), 2)
	}
	var index, length []int64
	var raw []byte
	base := 0
	for _, v := range slices.Concat(sums, scatters) {
		for _, i := range slices.Sorted(maps.Keys(v.wide)) {
			w := v.wide[i]
			b := append([]byte{byte((1 - w.Sign()) / 2)}, w.Bytes()...)
			index, length, raw = append(index, int64(base+i)), append(length, int64(len(b))), append(raw, b...)
		}
		base += v.len()
	}
	if len(index) > 0 {
		c.Tensors["wide.index"] = data.Int64Tensor(index, len(index))
		c.Tensors["wide.length"] = data.Int64Tensor(length, len(length))
		t, err := data.NewTensor(data.U8, []int{len(raw)}, raw)
		if err != nil {
			panic(err)
		}
		c.Tensors["wide.bytes"] = t
	}
	return c
}

func words(vs []*integers, shape ...int) data.Tensor {
	var b []byte
	for _, v := range vs {
		for i, lo := range v.lo {
			b = binary.LittleEndian.AppendUint64(b, lo)
			b = binary.LittleEndian.AppendUint64(b, uint64(v.hi[i]))
		}
	}
	t, err := data.NewTensor(data.U64, shape, b)
	if err != nil {
		panic(err)
	}
	return t
}

// Hash returns the SHA-256 of the state's content, equal for equal states.
func (s *State) Hash() string {
	h, err := s.Checkpoint().Hash()
	if err != nil {
		panic(err) // all tensors are in memory
	}
	return h
}

// FromCheckpoint reads what [State.Checkpoint] wrote. Errors: ErrFormat or ErrShape for anything else.
func FromCheckpoint(c *data.Checkpoint) (*State, error) {
	s, err := fromCheckpoint(c)
	if err != nil {
		return nil, fmt.Errorf("moments: %w", err)
	}
	return s, nil
}

func fromCheckpoint(c *data.Checkpoint) (*State, error) {
	if kind := c.Meta["gimbal"]; kind != FileKind {
		return nil, fmt.Errorf("%w as a moments state: the file holds %q", data.ErrFormat, kind)
	}
	if v := c.Meta["version"]; v != fileVersion {
		return nil, fmt.Errorf("state version %q %w here, only %s", v, data.ErrFormat, fileVersion)
	}
	s := &State{classes: map[string]*class{}}
	var names []string
	for key, to := range map[string]any{"classes": &names, "per_class": &s.perClass, "columns": &s.columns} {
		if text, ok := c.Meta[key]; ok {
			if err := json.Unmarshal([]byte(text), to); err != nil {
				return nil, fmt.Errorf("metadata %q: %w: %v", key, data.ErrFormat, err)
			}
		} else if key != "columns" {
			return nil, fmt.Errorf("metadata %q is missing: %w", key, data.ErrFormat)
		}
	}
	exponents, shape, err := c.Ints("grid.exponent", -1)
	if err != nil {
		return nil, err
	}
	origin, _, err := c.Ints("grid.origin", shape[0])
	if err != nil {
		return nil, err
	}
	unit, _, err := c.Ints("grid.norm", 1)
	if err != nil {
		return nil, err
	}
	s.grid = &Grid{Origin: origin}
	for j, e := range exponents { // float64 targets reach 2^1024
		if e < minExponent || e > 1024 || origin[j] < -(1<<52) || origin[j] > 1<<52 {
			return nil, fmt.Errorf("grid of column %d (exponent %d, origin %d): %w", j+1, e, origin[j], data.ErrFormat)
		}
		s.grid.Exponent = append(s.grid.Exponent, int(e))
	}

	rows, _, err := c.Ints("class.rows", len(names))
	if err != nil {
		return nil, err
	}
	p := shape[0] + 1
	sums, err := fromWords(c, "class.sums", len(names), p)
	if err != nil {
		return nil, err
	}
	many, name := 1, "scatter"
	if s.perClass {
		many, name = len(names), "class.scatter"
	}
	scatters, err := fromWords(c, name, many, packed(p))
	if err != nil {
		return nil, err
	}
	for k, class_ := range names {
		if rows[k] <= 0 || s.classes[class_] != nil {
			return nil, fmt.Errorf("class %q has %d rows or is listed twice: %w", class_, rows[k], data.ErrFormat)
		}
		cl := &class{rows: rows[k], sums: sums[k]}
		if s.perClass {
			cl.scatter = scatters[k]
		}
		s.classes[class_] = cl
	}
	if !s.perClass {
		s.scatter = scatters[0]
	}
	if err := readWide(c, slices.Concat(sums, scatters)); err != nil {
		return nil, err
	}
	if err := s.readDims(c, shape[0]); err != nil {
		return nil, err
	}
	for j, e := range s.grid.Exponent[:s.d] {
		if e > 128 { // no float32 needs such steps
			return nil, fmt.Errorf("grid of column %d: exponent %d: %w", j+1, e, data.ErrFormat)
		}
	}
	if s.grid.setNorm(s.d); int64(s.grid.norm) != unit[0] {
		return nil, fmt.Errorf("grid unit of norms %d, want %d: %w", unit[0], s.grid.norm, data.ErrFormat)
	}
	return s, nil
}

// readDims splits the columns into features and targets.
func (s *State) readDims(c *data.Checkpoint, width int) error {
	s.d = width
	if text, ok := c.Meta["targets"]; ok {
		if err := json.Unmarshal([]byte(text), &s.t); err != nil || s.t < 0 || s.t > width {
			return fmt.Errorf("metadata \"targets\" = %q of %d columns: %w", text, width, data.ErrFormat)
		}
		s.d -= s.t
	}
	if s.columns != nil && len(s.columns) != s.d {
		return fmt.Errorf("%w: %d column names for %d columns", data.ErrShape, len(s.columns), s.d)
	}
	return nil
}

func fromWords(c *data.Checkpoint, name string, many, n int) ([]*integers, error) {
	shape := []int{many, n, 2}
	if name == "scatter" {
		shape = shape[1:]
	}
	w, _, err := c.Ints(name, shape...)
	if err != nil {
		return nil, err
	}
	out := make([]*integers, many)
	for k := range out {
		v := newIntegers(n)
		for i := range n {
			v.lo[i], v.hi[i] = uint64(w[2*(k*n+i)]), w[2*(k*n+i)+1]
		}
		out[k] = v
	}
	return out, nil
}

func readWide(c *data.Checkpoint, into []*integers) error {
	if _, ok := c.Tensors["wide.index"]; !ok {
		return nil
	}
	index, shape, err := c.Ints("wide.index", -1)
	if err != nil {
		return err
	}
	length, _, err := c.Ints("wide.length", shape[0])
	if err != nil {
		return err
	}
	t, ok := c.Tensors["wide.bytes"]
	if !ok {
		return fmt.Errorf("tensor \"wide.bytes\" is missing: %w", data.ErrFormat)
	}
	raw, err := t.Bytes()
	if err != nil {
		return err
	}
	for m, i := range index {
		n := length[m]
		if n < 1 || n > int64(len(raw)) || i < 0 {
			return fmt.Errorf("wide entry %d: %w", m, data.ErrFormat)
		}
		x := new(big.Int).SetBytes(raw[1:n])
		if raw[0] == 1 {
			x.Neg(x)
		}
		raw = raw[n:]
		for _, v := range into {
			if i < int64(v.len()) {
				v.addBig(int(i), x)
				x = nil
				break
			}
			i -= int64(v.len())
		}
		if x != nil {
			return fmt.Errorf("wide entry %d lies outside the state: %w", m, data.ErrFormat)
		}
	}
	for _, v := range into {
		v.fold()
	}
	return nil
}
