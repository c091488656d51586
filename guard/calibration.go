package guard

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/part"
)

// calibration is the multiset of rows kept aside. Whether a row belongs to it depends on the row alone, so that forgetting
// rows leaves what a fit without them would have kept. It is sorted by hash, then content, whatever the order of arrival.
type calibration struct {
	seed uint64
	rate float64
	list []keptRow
}

type keptRow struct {
	hash  uint64
	x     []float32
	class string
}

func newCalibration(seed uint64, rate float64) *calibration {
	return &calibration{seed: seed, rate: rate}
}

func (c *calibration) rows() int { return len(c.list) }

func (c *calibration) clone() *calibration {
	d := *c
	d.list = slices.Clone(c.list)
	return &d
}

func (c *calibration) hash(x []float32, class string) uint64 {
	h := fnv.New64a()
	h.Write(rowBytes(x))
	io.WriteString(h, class)
	return part.Mix(h.Sum64() ^ part.Mix(c.seed))
}

func rowBytes(x []float32) []byte {
	b := make([]byte, 0, 4*len(x))
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v+0)) // +0 makes −0 the same row as 0
	}
	return b
}

func below(hash uint64, rate float64) bool { return float64(hash>>11)/(1<<53) < rate }

// wants reports whether a row is drawn for calibration.
func (c *calibration) wants(x []float32, class string) bool { return below(c.hash(x, class), c.rate) }

func compareKept(a, b keptRow) int {
	switch {
	case a.hash < b.hash:
		return -1
	case a.hash > b.hash:
		return 1
	}
	if r := strings.Compare(a.class, b.class); r != 0 {
		return r
	}
	return bytes.Compare(rowBytes(a.x), rowBytes(b.x))
}

func (c *calibration) add(x []float32, class string) {
	// v + 0 also frees the row from the block it came in.
	own := make([]float32, len(x))
	for i, v := range x {
		own[i] = v + 0
	}
	c.list = append(c.list, keptRow{c.hash(x, class), own, class})
}

// sort brings the rows into canonical order; everything that reads them calls it.
func (c *calibration) sort() { slices.SortFunc(c.list, compareKept) }

// remove takes one copy of a row out and reports whether there was one.
func (c *calibration) remove(x []float32, class string) bool {
	c.sort()
	i, ok := slices.BinarySearchFunc(c.list, keptRow{c.hash(x, class), x, class}, compareKept)
	if ok {
		c.list = slices.Delete(c.list, i, i+1)
	}
	return ok
}

// halve lowers the rate to a half and returns the rows that are no longer drawn, nil when there are none.
func (c *calibration) halve() *data.Table {
	c.sort()
	c.rate /= 2
	cut := slices.IndexFunc(c.list, func(r keptRow) bool { return !below(r.hash, c.rate) })
	if cut < 0 {
		return nil
	}
	moved := calibration{list: c.list[cut:]}
	t := moved.table()
	c.list = slices.Clone(c.list[:cut])
	return t
}

// table returns the rows with their labels.
func (c *calibration) table() *data.Table {
	c.sort()
	d := 0
	if len(c.list) > 0 {
		d = len(c.list[0].x)
	}
	x, names := make([]float32, 0, len(c.list)*d), make([]string, len(c.list))
	for i, r := range c.list {
		x = append(x, r.x...)
		names[i] = r.class
	}
	t, err := data.NewTable(len(c.list), d, x)
	if err == nil && slices.ContainsFunc(names, func(s string) bool { return s != "" }) {
		t, err = t.WithClassNames(names)
	}
	if err != nil {
		panic(err) // rows came out of tables
	}
	return t
}
