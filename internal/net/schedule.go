package net

import "math"

// Schedule says what share of its rate an optimiser takes at a step. The zero value is a constant 1.
type Schedule struct {
	Cosine bool    // fall to Floor along half a cosine, from the end of Warmup to the last step
	Floor  float64 // share at the end of the cosine
	Warmup int     // steps over which the share rises linearly
	Every  int     // steps after each of which the share is multiplied by Factor; 0: never
	Factor float64
}

// At returns the share at a step, counted from 0, of a run of total steps.
func (s Schedule) At(step, total int) float64 {
	share := 1.0
	if step < s.Warmup {
		return float64(step+1) / float64(s.Warmup)
	}
	if s.Cosine {
		done := float64(step-s.Warmup) / float64(max(total-s.Warmup, 1))
		share = s.Floor + (1-s.Floor)*0.5*(1+math.Cos(math.Pi*math.Min(done, 1)))
	}
	if s.Every > 0 {
		share *= math.Pow(s.Factor, float64((step-s.Warmup)/s.Every))
	}
	return share
}
