package scan

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestNumber(t *testing.T) {
	if v, err := Number([]byte(" 1.5\t")); err != nil || v != 1.5 {
		t.Errorf("%v %v", v, err)
	}
	if v, err := Number([]byte("1e-46")); err != nil || v != 0 {
		t.Errorf("underflow: %v %v", v, err)
	}
	for cell, want := range map[string]string{"": "is empty", " ": "is empty", "abc": `"abc" is no number`, "1e39": "beyond float32", "NaN": "not a finite", "-inf": "not a finite", strings.Repeat("x", 99): "…"} {
		if _, err := Number([]byte(cell)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", cell, err)
		}
	}
}

func TestWindow(t *testing.T) {
	text := strings.Repeat("0123456789", 50)
	w := NewWindow(iotest.OneByteReader(strings.NewReader(text)), 7)
	var got strings.Builder
	for {
		w.Fill()
		b := w.Bytes()
		take := min(len(b), 5)
		got.Write(b[:take])
		w.Skip(take)
		if w.Ended() && len(w.Bytes()) == 0 {
			break
		}
	}
	if got.String() != text || w.Err() != nil {
		t.Errorf("%q %v", got.String(), w.Err())
	}
	broken := NewWindow(iotest.TimeoutReader(iotest.HalfReader(strings.NewReader(text))), 64)
	broken.Fill()
	if !errors.Is(broken.Err(), iotest.ErrTimeout) || broken.Ended() {
		t.Errorf("a failing reader: %v", broken.Err())
	}
	full := NewWindow(strings.NewReader(text), 8)
	for range 4 {
		full.Fill()
	}
	if got := len(full.Bytes()); got != 64 { // 8 → 16 → 32 → 64
		t.Errorf("window of %d bytes", got)
	}
	if io.EOF == full.Err() {
		t.Error("EOF is no error")
	}
}

func TestRangesGivesTheFirstError(t *testing.T) {
	err := Ranges(1000, 10, func(lo, hi int) error {
		for i := lo; i < hi; i++ {
			if i == 300 || i == 900 {
				return fmt.Errorf("at %d", i)
			}
		}
		return nil
	})
	if err == nil || err.Error() != "at 300" {
		t.Errorf("%v", err)
	}
}
