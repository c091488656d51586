package serve

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/gimbal-ml/gimbal/catalog"
	"github.com/gimbal-ml/gimbal/serve/history"
)

// A guard that is watched says what it says alone, and with a folder remembers what it saw; its alarm is kept once.
func TestWatch(t *testing.T) {
	g, quiet := fitGuard(t, 0, 3), slog.New(slog.DiscardHandler)
	h, err := history.Open(t.Context(), filepath.Join(t.TempDir(), "h.sqlite"), history.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	known, odd := rows(5, 40, 3, "cat", "dog"), rows(6, 40, 3, "zebu")
	for _, folder := range []string{"", filepath.Join(t.TempDir(), "state")} {
		for again := range 2 {
			w, err := Watch("m", folder, catalog.All(), g, h, nil, quiet)
			if err != nil {
				t.Fatal(err)
			}
			if kept := folder != "" && again == 1; (w.Gauges()[3].Value == 1) != kept {
				t.Errorf("folder %q, start %d: %+v", folder, again, w.Gauges()[3])
			}
			want, err := g.Decide(known)
			if err != nil {
				t.Fatal(err)
			}
			have, err := w.Judge(known)
			if err != nil {
				t.Fatal(err)
			}
			for i := range want {
				if have[i] != want[i] {
					t.Errorf("folder %q, row %d: %+v, want %+v", folder, i, have[i], want[i])
				}
			}
			for range 10 {
				if _, err := w.Judge(odd); err != nil {
					t.Fatal(err)
				}
			}
			if v := w.Gauges()[3]; v.Value != 1 || w.Failed() != nil {
				t.Errorf("folder %q: %+v, %v", folder, v, w.Failed())
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := h.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if alarms, err := h.Alarms(t.Context(), "m", 10); err != nil || len(alarms) != 3 { // twice in memory, once in the folder
		t.Errorf("%d alarms, %v", len(alarms), err)
	}
}
