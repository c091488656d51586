package history

import (
	"context"
	"time"
)

// How often old rows are looked for, and how long histograms stay minute by minute.
const (
	pruneEvery = 10 * time.Minute
	fineFor    = 48 * time.Hour
)

// prune removes what is beyond the bounds, now and then: so many decisions were written since it was called last.
func (h *History) prune(ctx context.Context, written int) error {
	now := h.config.Now()
	h.since += written
	if passed := now.Sub(h.pruned); passed >= 0 && passed < pruneEvery && h.since <= h.config.Keep/10 {
		return nil
	}
	h.pruned, h.since = now, 0
	tx, err := h.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	if h.postgres {     // two replicas that fold the same minutes would count them twice
		if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock("+advisoryLock+")"); err != nil {
			return err
		}
	}
	oldest, fine := now.Add(-h.config.Age).UnixMilli(), now.Add(-fineFor).UnixMilli()/60_000
	for _, s := range []struct {
		text   string
		values []any
	}{
		{"DELETE FROM scores WHERE minute < ?", []any{oldest / 60_000}},
		{`INSERT INTO scores (model, minute, kind, bin, n, refused)
			SELECT model, (minute / 60) * 60 AS hour, kind, bin, CAST(SUM(n) AS BIGINT), CAST(SUM(refused) AS BIGINT) FROM scores
			WHERE minute < ? AND minute % 60 <> 0 GROUP BY model, hour, kind, bin
			ON CONFLICT (model, minute, kind, bin) DO UPDATE SET n = scores.n + excluded.n, refused = scores.refused + excluded.refused`, []any{fine}},
		{"DELETE FROM scores WHERE minute < ? AND minute % 60 <> 0", []any{fine}},
		{"DELETE FROM feedback WHERE at < ?", []any{oldest}},
		{"DELETE FROM alarms WHERE at < ?", []any{oldest}},
		// Rows that a person labelled stay until their age is up.
		{"DELETE FROM decisions WHERE id <= (SELECT MAX(id) FROM decisions) - ? AND (given = '' OR at < ?)", []any{h.config.Keep, oldest}},
	} {
		if _, err := tx.ExecContext(ctx, h.sql(s.text), s.values...); err != nil {
			return err
		}
	}
	return tx.Commit()
}
