package history

import (
	"bytes"
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/data/safetensors"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/serve/live"
)

// Exchange shares what replicas of one live guard learned, through the database: it leaves what g learned under its name, where that has changed,
// and takes in what others left since. Replicas that have exchanged everything have equal guards, to the bit. Known holds what was
// seen before; give the same map each time. A replica is known by its name as long as the database lives: one that never comes back stays part of the whole.
func (h *History) Exchange(ctx context.Context, g *live.Guard, specs []method.Spec, model, name string, known map[string]string) error {
	base := g.Base().Hash()
	own := g.Own()
	if hash := own.Hash(); known[name] != hash {
		if err := h.leave(ctx, own, model, base, name, hash); err != nil {
			return err
		}
		known[name] = hash
	}
	rows, err := h.db.QueryContext(ctx, h.sql("SELECT name, hash FROM replicas WHERE model = ? AND base = ? AND name <> ? ORDER BY name"), model, base, name)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	var changed []string
	if err := each(rows, func(scan func(...any) error) error {
		var other, hash string
		if err := scan(&other, &hash); err != nil {
			return err
		}
		if known[other] != hash {
			changed = append(changed, other)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, other := range changed {
		var hash string
		var state []byte
		if err := h.db.QueryRowContext(ctx, h.sql("SELECT hash, state FROM replicas WHERE model = ? AND base = ? AND name = ?"), model, base, other).Scan(&hash, &state); err != nil {
			return fmt.Errorf("history: %w", err)
		}
		c, err := safetensors.Read(bytes.NewReader(state), int64(len(state)))
		if err != nil {
			return fmt.Errorf("history: replica %q: %w", other, err)
		}
		learned, err := guard.Load(specs, c)
		if err != nil {
			return fmt.Errorf("history: replica %q: %w", other, err)
		}
		if err := g.Join(ctx, other, learned); err != nil {
			return fmt.Errorf("history: replica %q: %w", other, err)
		}
		known[other] = hash
	}
	return nil
}

func (h *History) leave(ctx context.Context, own *guard.Guard, model, base, name, hash string) error {
	c, err := own.Checkpoint()
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	var b bytes.Buffer
	if err := safetensors.Write(&b, c); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if _, err := h.db.ExecContext(ctx, h.sql(`INSERT INTO replicas (model, base, name, hash, at, state) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (model, base, name) DO UPDATE SET hash = excluded.hash, at = excluded.at, state = excluded.state`),
		model, base, name, hash, h.config.Now().UnixMilli(), b.Bytes()); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}
