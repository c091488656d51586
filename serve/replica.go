package serve

import (
	"context"
	"time"

	"github.com/gimbal-ml/gimbal/serve/live"
)

// share exchanges what guards were taught with the other replicas, now and again until ctx ends. A database that cannot be reached is tried
// again the next time: nothing is lost, for every replica keeps its own part itself.
func (s *Server) share(ctx context.Context) {
	if s.options.Replica == "" || s.options.History == nil {
		return
	}
	tick := time.NewTicker(s.options.Share)
	defer tick.Stop()
	known := map[*live.Guard]map[string]string{}
	failed := map[string]bool{}
	for {
		for _, m := range s.list() {
			g := durableGuard(m.keeper)
			if g == nil {
				continue
			}
			if known[g] == nil {
				known[g] = map[string]string{}
			}
			err := s.options.History.Exchange(ctx, g, s.specs, m.name, s.options.Replica, known[g])
			switch {
			case ctx.Err() != nil:
				return
			case err != nil && !failed[m.name]:
				s.log.Error("nothing exchanged with other replicas; it is tried again", "model", m.name, "error", err)
			case err == nil && failed[m.name]:
				s.log.Info("exchanged with other replicas again", "model", m.name)
			}
			failed[m.name] = err != nil
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// durableGuard is the guard behind a keeper whose state is in a folder, else nil.
func durableGuard(k keeper) *live.Guard {
	if r, ok := k.(recorder); ok {
		k = r.keeper
	}
	if d, ok := k.(durable); ok {
		return d.liveGuard
	}
	return nil
}
