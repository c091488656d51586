package digest_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/gimbal-ml/gimbal/digest"
)

// TestTrendDecays: after a half-life a count is half, two counts add up as they stand then, and a file keeps them.
func TestTrendDecays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trend.json")
	trend, err := digest.OpenTrend(path)
	if err != nil {
		t.Fatal(err)
	}
	start := day("2026-01-01")
	for range 4 {
		trend.Count("old", start)
	}
	later := start.Add(2 * digest.HalfLife)
	for range 2 {
		trend.Count("new", later)
	}
	trend.Count("old", later)
	check := func(trend *digest.Trend) {
		t.Helper()
		top := trend.Top(10, later)
		if len(top) != 2 || top[0].Name != "new" || math.Abs(top[0].Count-2) > 1e-12 || math.Abs(top[1].Count-2) > 1e-12 { // equal: by name
			t.Errorf("top %v", top)
		}
		if top := trend.Top(1, later.Add(digest.HalfLife)); len(top) != 1 || math.Abs(top[0].Count-1) > 1e-12 {
			t.Errorf("after a half-life more %v", top)
		}
	}
	check(trend)
	if err := trend.Save(); err != nil {
		t.Fatal(err)
	}
	again, err := digest.OpenTrend(path)
	if err != nil {
		t.Fatal(err)
	}
	check(again)
	again.Count("new", start) // a clock that went back
	if top := again.Top(1, later); math.Abs(top[0].Count-3) > 1e-12 {
		t.Errorf("counted in the past: %v", top)
	}
	for _, bad := range []string{"nonsense", `{"a":{"value":-1,"at":"2026-01-01T00:00:00Z"}}`} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := digest.OpenTrend(path); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

// TestTrendIsBounded: names that count least make room, many may count at once, and no trend counts nothing.
func TestTrendIsBounded(t *testing.T) {
	trend, err := digest.OpenTrend("")
	if err != nil {
		t.Fatal(err)
	}
	at := day("2026-01-01")
	for range 3 {
		trend.Count("kept", at)
	}
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 1000 {
				trend.Count(fmt.Sprint(worker, "/", i), at)
			}
		})
	}
	all.Wait()
	top := trend.Top(1<<30, at)
	if len(top) != 2000 || top[0].Name != "kept" {
		t.Errorf("%d names, first %v", len(top), top[0])
	}
	if err := trend.Save(); err != nil {
		t.Error(err)
	}
	var none *digest.Trend
	none.Count("x", time.Now())
	if none.Top(3, at) != nil || none.Save() != nil {
		t.Error("no trend counts")
	}
}
