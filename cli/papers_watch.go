package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// What a feed may take: longer, or more, and it is left for the next look.
const (
	feedTime  = 30 * time.Second
	feedBytes = 16 << 20
)

// paperEnds are the endings of files that a watched folder's papers are in.
var paperEnds = []string{".bib", ".jsonl", ".json", ".xml", ".atom"}

// place is a folder or a feed that papers come from, with what was seen of it.
type place struct {
	name string
	feed *url.URL
	// seen are the folder's files, by size and time of change.
	seen map[string]string
	// tag and changed are what the feed's server said of its last answer.
	tag, changed string
	client       *http.Client
}

func newPlace(name string) (*place, error) {
	p := &place{name: name, seen: map[string]string{}}
	at, err := url.Parse(name)
	if err == nil && (at.Scheme == "http" || at.Scheme == "https") && at.Host != "" {
		p.feed, p.name = at, at.Redacted()
		p.client = &http.Client{Timeout: feedTime, CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if r.URL.Scheme != "http" && r.URL.Scheme != "https" || r.URL.Scheme != "https" && at.Scheme == "https" || len(via) > 5 {
				return fmt.Errorf("it leads to %s", r.URL.Redacted())
			}
			return nil
		}}
		return p, nil
	}
	if strings.Contains(name, "://") {
		return nil, fmt.Errorf("%s: want a folder, or an address that begins with http:// or https://", name)
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is no folder: --add reads files", name)
	}
	return p, nil
}

// look adds what is new at a place. A file or feed that cannot be read is tried again when it has changed, or next time.
func (p *place) look(ctx context.Context, s *shelf) error {
	if p.feed != nil {
		return p.fetch(ctx, s)
	}
	entries, err := os.ReadDir(p.name)
	if err != nil {
		return err
	}
	var failed []error
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || !slices.Contains(paperEnds, strings.ToLower(filepath.Ext(entry.Name()))) {
			continue // it went away, or is none of ours
		}
		state := fmt.Sprint(info.Size(), info.ModTime().UnixNano())
		if p.seen[entry.Name()] == state {
			continue
		}
		path := filepath.Join(p.name, entry.Name())
		f, err := os.Open(path)
		if err == nil {
			p.seen[entry.Name()] = state
			err = s.take(path, f)
			f.Close()
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// fetch asks for a feed, unless its server says that it is what it was.
func (p *place) fetch(ctx context.Context, s *shelf) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.feed.String(), nil)
	if err != nil {
		return err
	}
	if p.tag != "" {
		r.Header.Set("If-None-Match", p.tag)
	}
	if p.changed != "" {
		r.Header.Set("If-Modified-Since", p.changed)
	}
	answer, err := p.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusNotModified:
		return nil
	case http.StatusOK:
	default:
		return fmt.Errorf("%s: the server says %s", p.name, answer.Status)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, feedBytes+1))
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	if len(text) > feedBytes {
		return fmt.Errorf("%s: more than %d MB, which is no feed", p.name, feedBytes>>20)
	}
	if err := s.take(p.name, bytes.NewReader(text)); err != nil {
		return err
	}
	p.tag, p.changed = answer.Header.Get("ETag"), answer.Header.Get("Last-Modified")
	return nil
}

// watch looks at places once, or again and again until it is interrupted. One that fails keeps none of the others from being looked at.
func (s *shelf) watch(ctx context.Context, names []string, every time.Duration) error {
	if every < 0 {
		return fmt.Errorf("--every %v is negative", every)
	}
	var places []*place
	for _, name := range names {
		p, err := newPlace(name)
		if err != nil {
			return err
		}
		places = append(places, p)
	}
	for {
		before := s.added
		var failed []error
		for _, p := range places {
			if err := p.look(ctx, s); ctx.Err() == nil {
				failed = append(failed, err)
			}
		}
		if len(s.gathered) > 0 || every == 0 { // also what came before an interruption
			failed = append(failed, s.save())
		}
		err := errors.Join(failed...)
		if every == 0 {
			return errors.Join(err, s.tell())
		}
		if err != nil {
			s.e.say("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
		}
		if s.added > before {
			s.e.say("%s: %s added, %d in all", s.path, plural(s.added-before, "paper"), s.papers)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}
