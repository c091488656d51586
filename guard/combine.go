package guard

import (
	"context"
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// Combine joins what replicas learned and forgot since they were copies of base: the guard that would have had all their changes. The
// sums are exact, so replicas agree to the bit, whatever the order in which they hear of each other. The false-alarm rate is base's.
// A row must be forgotten at one replica only; forgotten at two, it is taken out twice.
// Errors: ErrConfig when the guards were not made alike; ErrShape when the replicas took out more than there was.
func Combine(_ context.Context, base *Guard, replicas ...*Guard) (*Guard, error) {
	u, err := combine(base, replicas)
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	return u, nil
}

func combine(base *Guard, replicas []*Guard) (*Guard, error) {
	rate := base.frame.Rate
	for i, r := range replicas {
		a, b := r.frame, base.frame
		a.Alpha, a.Rate = b.Alpha, b.Rate
		if !a.equal(b) {
			return nil, fmt.Errorf("%w: replica %d was not made like the guard that all began with: methods, seed or levels differ", method.ErrConfig, i+1)
		}
		rate = min(rate, r.frame.Rate)
	}
	from, err := base.lowered(rate)
	if err != nil {
		return nil, err
	}
	u := from.clone()
	for _, r := range replicas { // all additions first: a class may be there by one replica's rows alone
		if r, err = r.lowered(rate); err != nil {
			return nil, err
		}
		if err := u.state.Merge(r.state); err != nil {
			return nil, err
		}
		added, _ := differ(from.kept, r.kept)
		u.kept.list = append(u.kept.list, added...)
	}
	for i, r := range replicas {
		if err := u.state.Subtract(from.state); err != nil {
			return nil, err
		}
		if r, err = r.lowered(rate); err != nil {
			return nil, err
		}
		_, gone := differ(from.kept, r.kept)
		for _, k := range gone {
			if !u.kept.remove(k.x, k.class) {
				return nil, fmt.Errorf("%w: replica %d forgot a row of class %q that another one forgot as well", data.ErrShape, i+1, k.class)
			}
		}
	}
	u.kept.sort()
	return u, u.finish()
}

func (f frame) equal(g frame) bool {
	return f.Alpha == g.Alpha && f.DriftLevel == g.DriftLevel && f.Rate == g.Rate && f.Seed == g.Seed && f.PerClass == g.PerClass && f.Detector == g.Detector &&
		f.Head == g.Head && string(f.DetectorConfig) == string(g.DetectorConfig) && string(f.HeadConfig) == string(g.HeadConfig)
}

// lowered returns g with its calibration share brought down to rate, which is one of its halvings. It is not fitted anew.
func (g *Guard) lowered(rate float64) (*Guard, error) {
	if g.frame.Rate <= rate {
		return g, nil
	}
	u := g.clone()
	for u.frame.Rate > rate {
		if err := u.halve(); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// differ returns what b has that a has not, and the other way round, as multisets.
func differ(a, b *calibration) (added, gone []keptRow) {
	x, y := slices.Clone(a.list), slices.Clone(b.list)
	slices.SortFunc(x, compareKept)
	slices.SortFunc(y, compareKept)
	for len(x) > 0 && len(y) > 0 {
		switch c := compareKept(x[0], y[0]); {
		case c == 0:
			x, y = x[1:], y[1:]
		case c < 0:
			gone, x = append(gone, x[0]), x[1:]
		default:
			added, y = append(added, y[0]), y[1:]
		}
	}
	return append(added, y...), append(gone, x...)
}
