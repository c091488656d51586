// Package scan is what the text formats share: reading of cells with numbers, a window over a stream, and parsing of row ranges on
// several cores.
package scan

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/gimbal-ml/gimbal/data"
)

// Number is the slow path: a whole cell, spaces around it allowed.
// Errors: ErrFormat when it is no number, ErrFinite when it is NaN, infinite or beyond float32. They show the cell.
func Number(cell []byte) (float32, error) {
	s := string(trim(cell))
	v, err := strconv.ParseFloat(s, 32)
	switch {
	case s == "":
		return 0, fmt.Errorf("is empty: %w", data.ErrFormat)
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("%s is beyond float32 (largest 3.4e38): %w", Quote(cell), data.ErrFinite)
	case err != nil:
		return 0, fmt.Errorf("%s is no number: %w", Quote(cell), data.ErrFormat)
	case math.IsNaN(v) || math.IsInf(v, 0):
		return 0, fmt.Errorf("%s is %w", Quote(cell), data.ErrFinite)
	}
	return float32(v), nil
}

// IsLowest reports whether a cell reads as minus infinity.
func IsLowest(cell []byte) bool {
	v, err := strconv.ParseFloat(string(trim(cell)), 64)
	return err == nil && math.IsInf(v, -1)
}

// IsNumber reports whether a cell reads as a number, finite or not.
func IsNumber(cell []byte) bool {
	_, err := strconv.ParseFloat(string(trim(cell)), 64)
	return err == nil || errors.Is(err, strconv.ErrRange)
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// Quote shows what a file holds in an error message, shortened.
func Quote(b []byte) string {
	if len(b) > 40 {
		return strconv.Quote(string(b[:36])) + "…"
	}
	return strconv.Quote(string(b))
}
