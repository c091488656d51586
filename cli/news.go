package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gimbal-ml/gimbal/catalog"
	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/digest"
	"github.com/gimbal-ml/gimbal/serve/alarm"
)

// news sends digests to who asked a server for them: what is new since the day of the last one, which a file keeps.
type news struct {
	to      *alarm.Notifier
	library *catalog.Library
	path    string // of the file with the day
	base    string // of the pages
	every   time.Duration
	log     *slog.Logger
}

// last is the day up to which things were told; from is it where nothing was told yet.
func (n *news) last(from time.Time) (time.Time, error) {
	text, err := os.ReadFile(n.path)
	if errors.Is(err, fs.ErrNotExist) {
		return from, nil
	}
	if err != nil {
		return from, err
	}
	at, err := time.Parse(digest.Day, strings.TrimSpace(string(text)))
	if err != nil {
		return from, fmt.Errorf("%s: no day: %w", n.path, err)
	}
	return at, nil
}

// tell sends what came between the day of the last digest and today, which is told tomorrow. The day is written first: a digest may be lost, but
// none comes twice.
func (n *news) tell(now time.Time) error {
	today := now.UTC().Truncate(24 * time.Hour)
	since, err := n.last(today)
	if err != nil {
		return err
	}
	if _, err := os.Stat(n.path); err == nil && today.Sub(since) < max(n.every.Truncate(24*time.Hour), 24*time.Hour) {
		return nil // not yet, however often the server starts
	}
	if err := atomic.Write(n.path, func(w io.Writer) error { _, err := io.WriteString(w, today.Format(digest.Day)+"\n"); return err }); err != nil {
		return err
	}
	var items []digest.Item
	for _, item := range digest.New(n.library.Papers(), since) {
		if item.When.Before(today) {
			items = append(items, item)
		}
	}
	if len(items) == 0 {
		return nil
	}
	var b strings.Builder
	if err := digest.Write(&b, "text", n.base, items); err != nil {
		return err
	}
	n.to.Tell(fmt.Sprintf("%s, %s", digest.Title, plural(len(items), "new thing")), b.String())
	return nil
}

// run tells now and then until ctx is done.
func (n *news) run(ctx context.Context) {
	for {
		if err := n.tell(time.Now()); err != nil {
			n.log.Error("digest", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(n.every, time.Hour)):
		}
	}
}

// newNews makes what serve needs, nil where --digest-every was not given.
func newNews(o *serveOptions, library *catalog.Library, log *slog.Logger) (*news, error) {
	if o.digest == 0 {
		return nil, nil
	}
	to, err := o.alarms.make(o.state, "readers.json", alarm.Config{Topic: alarm.News})
	if err != nil {
		return nil, err
	}
	return &news{to: to, library: library, path: filepath.Join(o.state, "digest.day"), base: strings.TrimSuffix(o.alarms.link, "/"), every: o.digest, log: log}, nil
}
