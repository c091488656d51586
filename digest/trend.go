package digest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/gimbal-ml/gimbal/data/atomic"
)

// HalfLife is how long it takes until a look, or a run, counts half.
const HalfLife = 7 * 24 * time.Hour

// mostTrends bounds what is remembered: of more, those that count least are dropped.
const mostTrends = 2000

// Trend is what people look at and run: counts that decay. Nothing of who looked is kept. It is safe for concurrent use; a nil one counts nothing.
type Trend struct {
	mutex  sync.Mutex
	path   string // of its file; empty keeps none
	counts map[string]trendCount
	dirty  bool
}

// trendCount is a count as it was at a time.
type trendCount struct {
	Value float64   `json:"value"`
	At    time.Time `json:"at"`
}

func (c trendCount) now(at time.Time) float64 {
	return c.Value * math.Exp2(-float64(max(0, at.Sub(c.At)))/float64(HalfLife))
}

// OpenTrend reads what a file kept; one that is not there yet is empty. Errors: those of reading, and a file that is no counts.
func OpenTrend(path string) (*Trend, error) {
	t := &Trend{path: path, counts: map[string]trendCount{}}
	if path == "" {
		return t, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &t.counts)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for name, c := range t.counts {
		if math.IsNaN(c.Value) || c.Value < 0 || math.IsInf(c.Value, 0) {
			return nil, fmt.Errorf("%s: %q counts %g", path, name, c.Value)
		}
	}
	return t, nil
}

// Count adds a look or a run.
func (t *Trend) Count(name string, at time.Time) {
	if t == nil {
		return
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	c := t.counts[name]
	if at.Before(c.At) { // a clock that jumped back takes nothing away
		at = c.At
	}
	t.counts[name] = trendCount{c.now(at) + 1, at}
	t.dirty = true
	if len(t.counts) > mostTrends {
		least := ""
		for other, c := range t.counts {
			if least == "" || cmp.Or(cmp.Compare(c.now(at), t.counts[least].now(at)), cmp.Compare(other, least)) < 0 {
				least = other
			}
		}
		delete(t.counts, least)
	}
}

// Trending is a name with what it counts.
type Trending struct {
	Name  string
	Count float64
}

// Top lists the names that count most, at most n, the most first.
func (t *Trend) Top(n int, at time.Time) (top []Trending) {
	if t == nil {
		return nil
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for name, c := range t.counts {
		top = append(top, Trending{name, c.now(at)})
	}
	slices.SortFunc(top, func(a, b Trending) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name)) })
	return top[:min(n, len(top))]
}

// Save writes the file where something was counted since the last time.
func (t *Trend) Save() error {
	if t == nil || t.path == "" {
		return nil
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if !t.dirty {
		return nil
	}
	text, err := json.Marshal(t.counts) // in the order of the names
	if err != nil {
		return err
	}
	if err := atomic.Write(t.path, func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
		return err
	}
	t.dirty = false
	return nil
}
