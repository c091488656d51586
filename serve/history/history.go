// Package history keeps what a live guard decided, what people told it and when its alarms rang, in SQLite in a file or, for servers that
// run several replicas, in PostgreSQL. Scoring never waits for it: what the database cannot take in time is counted and left out.
package history

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	_ "modernc.org/sqlite"             // driver "sqlite"

	"github.com/gimbal-ml/gimbal/data/atomic"
)

// Config says what is kept and for how long. The zero value is a good one.
type Config struct {
	// Keep is how many decisions are kept one by one, the newest ones; histograms count all. Default 100,000.
	Keep int
	// Below is the p-value under which a decision is kept one by one, with its features, for people to look at. Default 0.05; refused rows always are.
	Below float64
	// Age is how long histograms, alarms and feedback are kept, histograms by the minute for two days and by the hour after that. Default 90 days.
	Age time.Duration
	// Queue is how many decisions may wait for the database. Default 10,000.
	Queue int
	// Now is the clock; default time.Now. Only what people see has times, no order depends on them.
	Now func() time.Time
}

// History is an open database. It is safe for concurrent use.
type History struct {
	db       *sql.DB
	postgres bool
	config   Config

	mutex   sync.Mutex
	pending batch
	dropped uint64
	failed  error

	pruned time.Time // the writer's own
	since  int       // decisions written since then

	wake    chan struct{}
	flushes chan chan error
	closing chan struct{}
	stopped chan struct{}
	closed  sync.Once
}

// Open opens a database, a file's name or a postgres:// URL, and makes its tables where they are missing.
func Open(ctx context.Context, dsn string, c Config) (*History, error) {
	if c.Keep <= 0 {
		c.Keep = 100_000
	}
	if c.Below <= 0 {
		c.Below = 0.05
	}
	if c.Age <= 0 {
		c.Age = 90 * 24 * time.Hour
	}
	if c.Queue <= 0 {
		c.Queue = 10_000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	h := &History{
		config: c, postgres: strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://"),
		wake: make(chan struct{}, 1), flushes: make(chan chan error), closing: make(chan struct{}), stopped: make(chan struct{}),
	}
	var err error
	if h.postgres {
		h.db, err = sql.Open("pgx", dsn)
	} else {
		_ = atomic.Private(dsn) // it holds what clients sent; why it cannot be made, SQLite says
		h.db, err = sql.Open("sqlite", "file:"+escape(dsn)+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_txlock=immediate")
	}
	if err != nil {
		return nil, fmt.Errorf("history: %w", plain(err))
	}
	h.db.SetMaxOpenConns(8)
	if err := h.makeTables(ctx); err != nil {
		h.db.Close()
		return nil, fmt.Errorf("history: %s: %w", h.name(dsn), plain(err))
	}
	go h.run()
	return h, nil
}

// escape keeps a file's name from being read as a URL's query.
func escape(path string) string {
	return strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
}

// name says which database without the password that a URL may hold.
func (h *History) name(dsn string) string {
	if h.postgres {
		return "the PostgreSQL database"
	}
	return dsn
}

// plain drops the DSN, which may hold a password, from an error of a driver that could not read it.
func plain(err error) error {
	if strings.Contains(err.Error(), "cannot parse") {
		return fmt.Errorf("the PostgreSQL URL cannot be parsed")
	}
	return err
}

// schema makes the tables; times are milliseconds since 1970.
const schema = `
CREATE TABLE IF NOT EXISTS scores (
	model TEXT NOT NULL, minute BIGINT NOT NULL, kind BIGINT NOT NULL, bin BIGINT NOT NULL, n BIGINT NOT NULL, refused BIGINT NOT NULL,
	PRIMARY KEY (model, minute, kind, bin));
CREATE INDEX IF NOT EXISTS scores_minute ON scores (minute);
CREATE TABLE IF NOT EXISTS decisions (
	id IDENTITY, at BIGINT NOT NULL, model TEXT NOT NULL, request TEXT NOT NULL, line BIGINT NOT NULL, score DOUBLE PRECISION NOT NULL,
	p_value DOUBLE PRECISION NOT NULL, accept BIGINT NOT NULL, label TEXT NOT NULL, probability DOUBLE PRECISION NOT NULL, x BLOB,
	given TEXT NOT NULL DEFAULT '', given_by TEXT NOT NULL DEFAULT '', given_at BIGINT NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS decisions_model ON decisions (model, id);
CREATE TABLE IF NOT EXISTS feedback (
	id IDENTITY, at BIGINT NOT NULL, model TEXT NOT NULL, verb TEXT NOT NULL, class TEXT NOT NULL, n BIGINT NOT NULL, who TEXT NOT NULL, note TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS feedback_model ON feedback (model, id);
CREATE TABLE IF NOT EXISTS alarms (
	id IDENTITY, at BIGINT NOT NULL, model TEXT NOT NULL, stream BIGINT NOT NULL, line BIGINT NOT NULL, evidence DOUBLE PRECISION NOT NULL,
	threshold DOUBLE PRECISION NOT NULL);
CREATE INDEX IF NOT EXISTS alarms_model ON alarms (model, id);
CREATE TABLE IF NOT EXISTS replicas (
	model TEXT NOT NULL, base TEXT NOT NULL, name TEXT NOT NULL, hash TEXT NOT NULL, at BIGINT NOT NULL, state BLOB NOT NULL,
	PRIMARY KEY (model, base, name))`

// advisoryLock is the number under which replicas keep out of each other's way in PostgreSQL.
const advisoryLock = "7246129"

func (h *History) makeTables(ctx context.Context) error {
	identity, blob := "INTEGER PRIMARY KEY AUTOINCREMENT", "BLOB"
	if h.postgres {
		identity, blob = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "BYTEA"
	}
	text := strings.ReplaceAll(strings.ReplaceAll(schema, "IDENTITY", identity), "BLOB", blob)
	tx, err := h.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	if h.postgres {     // replicas start at once, and IF NOT EXISTS alone does not keep them apart
		if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock("+advisoryLock+")"); err != nil {
			return err
		}
	}
	for statement := range strings.SplitSeq(text, ";") {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// sql brings a statement's question marks into the database's form.
func (h *History) sql(text string) string {
	if !h.postgres {
		return text
	}
	var b strings.Builder
	n := 0
	for _, c := range text {
		if c != '?' {
			b.WriteRune(c)
			continue
		}
		n++
		b.WriteString("$" + strconv.Itoa(n))
	}
	return b.String()
}

// Dropped returns how many decisions were left out because the database was too slow or away; their scores are missing from the histograms as
// well only when it stays away for long.
func (h *History) Dropped() uint64 {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return h.dropped
}

// Failed returns why nothing can be written at present, nil when all is well.
func (h *History) Failed() error {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return h.failed
}

// Flush waits until what was recorded before is in the database.
func (h *History) Flush(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case h.flushes <- answer:
	case <-h.stopped:
		return fmt.Errorf("history: closed")
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close writes what is pending and closes the database.
func (h *History) Close() error {
	var err error
	h.closed.Do(func() {
		close(h.closing)
		<-h.stopped
		h.mutex.Lock()
		err = h.failed
		h.mutex.Unlock()
		if e := h.db.Close(); err == nil && e != nil {
			err = fmt.Errorf("history: %w", e)
		}
	})
	return err
}
