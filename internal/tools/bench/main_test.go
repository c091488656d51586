package main

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestRequestsNameTheRowsSizes: a request is made when the row is measured; it must still name the row's own work.
func TestRequestsNameTheRowsSizes(t *testing.T) {
	for _, r := range slices.Concat(rows(), houseRows("bench"), engineRows()) {
		name := strings.NewReplacer(",", "", "×", " ").Replace(r.name)
		for _, size := range strings.Fields(r.request(1))[1:4] {
			found := false
			for _, word := range strings.Fields(name) {
				found = found || word == size
			}
			if n, err := strconv.Atoi(size); err != nil || !found && n > 1 {
				t.Errorf("%s: the request %q names %s, the row does not", r.name, r.request(1), size)
			}
		}
	}
}

func TestCeilingRefusesTheImpossible(t *testing.T) {
	c := ceiling{single: 200, double: 100}
	if err := c.check("peer", 300e9, 1e9, 1, false); err == nil {
		t.Error("300 GFLOP/s on one thread of 200 passed")
	}
	if err := c.check("peer", 300e9, 1e9, 2, false); err != nil {
		t.Errorf("300 GFLOP/s on two threads of 200: %v", err)
	}
	if err := c.check("peer", 150e9, 1e9, 1, true); err == nil {
		t.Error("150 GFLOP/s in float64 on one thread of 100 passed")
	}
}
