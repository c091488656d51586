package live

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/safetensors"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/method"
)

// kind is the first byte of a command in the journal. Numbers are never used again for something else.
type kind byte

const (
	observe kind = 1
	change  kind = 2
	join    kind = 3
	replace kind = 4
	rearm   kind = 5

	// hash and snapshot are asked of the writer and leave no trace.
	hash     kind = 100
	snapshot kind = 101
)

// Bits of a change.
const (
	hasRows = 1 << iota
	hasLabels
	hasTeach
	hasForget
)

// encodeObserve writes what watching needs of decisions: generation, then of each row its score and whether it was accepted.
func encodeObserve(generation uint64, ds []guard.Decision) []byte {
	b := make([]byte, 0, 9+9*len(ds))
	b = binary.LittleEndian.AppendUint64(append(b, byte(observe)), generation)
	for _, d := range ds {
		accept := byte(0)
		if d.Accept {
			accept = 1
		}
		b = append(binary.LittleEndian.AppendUint64(b, math.Float64bits(d.Score)), accept)
	}
	return b
}

func decodeObserve(b []byte) (generation uint64, ds []guard.Decision, err error) {
	if len(b) < 8 || (len(b)-8)%9 != 0 {
		return 0, nil, errCommand
	}
	generation = binary.LittleEndian.Uint64(b)
	for b = b[8:]; len(b) > 0; b = b[9:] {
		ds = append(ds, guard.Decision{Score: math.Float64frombits(binary.LittleEndian.Uint64(b)), Accept: b[8] == 1})
	}
	return generation, ds, nil
}

var errCommand = fmt.Errorf("%w: a command that this program does not know", method.ErrState)

// encodeChange writes flags, the rate, and the rows: N, D, values, and with labels each row's class.
func encodeChange(c guard.Change) []byte {
	le := binary.LittleEndian
	flags := byte(0)
	for bit, on := range map[byte]bool{hasRows: c.Rows != nil, hasLabels: c.Rows != nil && c.Rows.HasLabels(), hasTeach: c.Teach, hasForget: c.Forget} {
		if on {
			flags |= bit
		}
	}
	b := le.AppendUint64([]byte{byte(change), flags}, math.Float64bits(c.Alpha))
	if c.Rows == nil {
		return b
	}
	n, d := c.Rows.Dims()
	b = le.AppendUint32(le.AppendUint32(b, uint32(n)), uint32(d))
	for _, v := range c.Rows.X() {
		b = le.AppendUint32(b, math.Float32bits(v))
	}
	if c.Rows.HasLabels() {
		for i := range n {
			name := c.Rows.ClassName(i)
			b = append(binary.AppendUvarint(b, uint64(len(name))), name...)
		}
	}
	return b
}

func decodeChange(b []byte) (c guard.Change, err error) {
	le := binary.LittleEndian
	if len(b) < 9 {
		return c, errCommand
	}
	flags := b[0]
	c = guard.Change{Alpha: math.Float64frombits(le.Uint64(b[1:])), Teach: flags&hasTeach != 0, Forget: flags&hasForget != 0}
	if b = b[9:]; flags&hasRows == 0 {
		return c, nil
	}
	if len(b) < 8 {
		return c, errCommand
	}
	n, d := int64(le.Uint32(b)), int64(le.Uint32(b[4:]))
	if b = b[8:]; n*d > int64(len(b)/4) {
		return c, errCommand
	}
	x := make([]float32, n*d)
	for i := range x {
		x[i] = math.Float32frombits(le.Uint32(b[4*i:]))
	}
	b = b[4*len(x):]
	if c.Rows, err = data.NewTable(int(n), int(d), x); err != nil || flags&hasLabels == 0 {
		return c, err
	}
	names := make([]string, 0, min(n, int64(len(b))))
	for range n {
		size, used := binary.Uvarint(b)
		if used <= 0 || size > uint64(len(b)-used) {
			return c, errCommand
		}
		names = append(names, string(b[used:used+int(size)]))
		b = b[used+int(size):]
	}
	c.Rows, err = c.Rows.WithClassNames(names)
	return c, err
}

// encodeJoin writes a replica's name and its guard's file.
func encodeJoin(name string, g *guard.Guard) ([]byte, error) {
	c, err := g.Checkpoint()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteByte(byte(join))
	b.Write(binary.AppendUvarint(nil, uint64(len(name))))
	b.WriteString(name)
	if err := safetensors.Write(&b, c); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func decodeJoin(specs []method.Spec, b []byte) (name string, g *guard.Guard, err error) {
	size, used := binary.Uvarint(b)
	if used <= 0 || size > uint64(len(b)-used) {
		return "", nil, errCommand
	}
	name, b = string(b[used:used+int(size)]), b[used+int(size):]
	c, err := safetensors.Read(bytes.NewReader(bytes.Clone(b)), int64(len(b))) // tensors are read when asked for, and b is the journal's
	if err != nil {
		return "", nil, err
	}
	g, err = guard.Load(specs, c)
	return name, g, err
}

// checkpoint returns the whole state as one sealed checkpoint: own/…, base/… when it is another guard, and others/<i>/….
func (v *version) checkpoint(watch []byte) (*data.Checkpoint, error) {
	c := &data.Checkpoint{Meta: map[string]string{"gimbal": "live", "version": "1", "watch": string(watch)}, Tensors: map[string]data.Tensor{}}
	add := func(prefix string, g *guard.Guard) error {
		part, err := g.Checkpoint()
		if err == nil {
			c.Add(prefix, part)
		}
		return err
	}
	if err := add("own/", v.own); err != nil {
		return nil, err
	}
	if v.base != v.own {
		if err := add("base/", v.base); err != nil {
			return nil, err
		}
	}
	names := v.names()
	c.SetStrings("others", names)
	for i, name := range names {
		if err := add(fmt.Sprintf("others/%d/", i), v.others[name]); err != nil {
			return nil, err
		}
	}
	return c, c.Seal()
}

func readVersion(specs []method.Spec, r io.Reader) (*version, watch, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, watch{}, err
	}
	c, err := safetensors.Read(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, watch{}, err
	}
	if kind, v := c.Meta["gimbal"], c.Meta["version"]; kind != "live" || v != "1" {
		return nil, watch{}, fmt.Errorf("%w: it holds %q of version %q, not a live guard of version 1", method.ErrState, kind, v)
	}
	if err := c.Unseal(); err != nil {
		return nil, watch{}, err
	}
	v := &version{others: map[string]*guard.Guard{}}
	if v.own, err = guard.Load(specs, c.Prefix("own/")); err != nil {
		return nil, watch{}, err
	}
	v.base = v.own
	if _, ok := c.Meta["base/gimbal"]; ok {
		if v.base, err = guard.Load(specs, c.Prefix("base/")); err != nil {
			return nil, watch{}, err
		}
	}
	read := c.Read()
	names := read.Strings("others")
	if err := read.Err(); err != nil {
		return nil, watch{}, err
	}
	for i, name := range names {
		if v.others[name], err = guard.Load(specs, c.Prefix(fmt.Sprintf("others/%d/", i))); err != nil {
			return nil, watch{}, err
		}
	}
	if v, err = v.combined(); err != nil {
		return nil, watch{}, err
	}
	w, err := loadWatch([]byte(c.Meta["watch"]), v.serving)
	v.generation = w.Generation
	return v, w, err
}
