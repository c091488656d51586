package metric

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Estimate is a measured value and the interval [Low, High] around it, made so that it holds the true value with probability Level.
// A side about which the data say nothing is infinite: one seed has no spread.
type Estimate struct {
	Value, Low, High float64
	// Level is the nominal coverage, 0.95 unless another was asked for.
	Level float64
}

// HasInterval reports whether at least one side of the interval is finite.
func (e Estimate) HasInterval() bool { return !math.IsInf(e.Low, 0) || !math.IsInf(e.High, 0) }

// Contains reports whether x lies in the interval, ends included. A difference whose interval does not contain 0 is significant at 1 − Level.
func (e Estimate) Contains(x float64) bool { return e.Low <= x && x <= e.High }

// Percent prints the estimate times 100: "93.41 [92.80, 94.02]" for 2 decimals, "93.41 (no interval)" where there is none.
func (e Estimate) Percent(decimals int) string { return e.text(100, decimals) }

// Plain prints the estimate as it is: "0.9341 [0.9280, 0.9402]" for 4 decimals.
func (e Estimate) Plain(decimals int) string { return e.text(1, decimals) }

// String is Plain(4).
func (e Estimate) String() string { return e.Plain(4) }

func (e Estimate) text(scale float64, decimals int) string {
	value := fixed(e.Value*scale, decimals)
	if !e.HasInterval() {
		return value + " (no interval)"
	}
	return fmt.Sprintf("%s [%s, %s]", value, fixed(e.Low*scale, decimals), fixed(e.High*scale, decimals))
}

// fixed prints x with the given number of decimals; what rounds to zero has no sign.
func fixed(x float64, decimals int) string {
	switch {
	case math.IsInf(x, 1):
		return "inf"
	case math.IsInf(x, -1):
		return "-inf"
	}
	s := strconv.FormatFloat(x, 'f', max(decimals, 0), 64)
	if strings.Trim(s, "-0.") == "" {
		return strings.TrimPrefix(s, "-")
	}
	return s
}

// estimateJSON is the wire form: an infinite side is null, for JSON has no infinity.
type estimateJSON struct {
	Value float64  `json:"value"`
	Low   *float64 `json:"low"`
	High  *float64 `json:"high"`
	Level float64  `json:"level"`
}

// MarshalJSON writes {"value":…,"low":…,"high":…,"level":…}; an infinite side is null.
func (e Estimate) MarshalJSON() ([]byte, error) {
	wire := estimateJSON{Value: e.Value, Level: e.Level}
	if !math.IsInf(e.Low, 0) {
		wire.Low = &e.Low
	}
	if !math.IsInf(e.High, 0) {
		wire.High = &e.High
	}
	return json.Marshal(wire)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (e *Estimate) UnmarshalJSON(b []byte) error {
	var wire estimateJSON
	if err := json.Unmarshal(b, &wire); err != nil {
		return err
	}
	*e = Estimate{Value: wire.Value, Low: math.Inf(-1), High: math.Inf(1), Level: wire.Level}
	if wire.Low != nil {
		e.Low = *wire.Low
	}
	if wire.High != nil {
		e.High = *wire.High
	}
	return nil
}
