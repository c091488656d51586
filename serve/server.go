// Package serve answers over the network for saved guards and models: the Open Inference Protocol as JSON, with binary tensors and
// over gRPC, routes of the house for learning, and metrics. It knows no method by name.
package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/serve/alarm"
	"github.com/gimbal-ml/gimbal/serve/history"
)

// Options say what is served and to whom. The zero value serves nothing to anybody on this machine.
type Options struct {
	// Models are the files to serve, each by its path or as NAME=PATH; without a name, the file's own without its ending.
	Models []string
	// Data is the folder that jobs read from and write to; empty: jobs have no files.
	Data string
	// State is the folder in which guards keep what they learn and see, each in a folder of its name; empty: it ends with the process.
	State string
	// Tokens are the clients' tokens; nil lets everybody in.
	Tokens *Tokens
	// TLS is for both protocols; nil serves in the clear.
	TLS *tls.Config
	// Loopback says that the server listens to this machine only.
	Loopback bool
	// MaxBody bounds a request's body in bytes. Default 64 MiB.
	MaxBody int64
	// MaxRequests bounds how many requests are answered at once; further ones are turned away. Default 1024.
	MaxRequests int
	// Rate bounds each client's requests a second; 0 does not.
	Rate float64
	// Timeout bounds how long a client may take to send a request and to take its answer. Default 60 s.
	Timeout time.Duration
	// Grace is how long requests may take to end after the server was told to stop. Default 25 s.
	Grace time.Duration
	// Poll is how often files are looked at for a newer model. Default 2 s.
	Poll time.Duration
	// Version is the program's, for metadata.
	Version string
	// History keeps what guards decided, were told and rang; nil: nothing. The caller closes it after the server.
	History *history.History
	// Alarm is told when a guard's drift alarm rings; nil: nobody. The caller closes it after the server.
	Alarm *alarm.Notifier
	// News are told by e-mail to who asks for them at their page; nil: no such page. The caller tells, and closes it after the server.
	News *alarm.Notifier
	// Replica is this server's name among those that share what their guards are taught, through History; empty: it shares nothing.
	Replica string
	// Share is the time between two exchanges with other replicas. Default 10 s.
	Share time.Duration
	// Ran is told the ID of every method that a job has fitted; nil: nobody is.
	Ran func(method string)
	// Pages answers what no route does, for people; nil: nothing.
	Pages Pages
	// Log takes what happens; nil drops it.
	Log *slog.Logger
}

// Pages are pages of a site that tell nothing of what is served, and so need no token.
type Pages interface {
	http.Handler
	// Serves reports whether a request is for one of them.
	Serves(r *http.Request) bool
}

func (o *Options) fill() {
	if o.MaxBody == 0 {
		o.MaxBody = 64 << 20
	}
	if o.MaxRequests == 0 {
		o.MaxRequests = 1024
	}
	for _, v := range []struct {
		d      *time.Duration
		normal time.Duration
	}{{&o.Timeout, time.Minute}, {&o.Grace, 25 * time.Second}, {&o.Poll, 2 * time.Second}, {&o.Share, 10 * time.Second}} {
		if *v.d == 0 {
			*v.d = v.normal
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Version == "" {
		o.Version = "0"
	}
}

// Server serves models. It is safe for concurrent use.
type Server struct {
	specs    []method.Spec
	options  Options
	log      *slog.Logger
	routes   []route
	handler  http.Handler
	mux      *http.ServeMux // of the routes
	limiter  limiter
	origins  *http.CrossOriginProtection
	metrics  *metrics
	jobs     *jobs
	data     *folder // nil without Options.Data
	stopped  atomic.Bool
	stopping chan struct{} // closed when it is told to stop
	stop     sync.Once
	running  atomic.Int64 // requests now answered

	labelling sync.Mutex // one row at a time is labelled

	writing sync.Mutex // of models; readers take the pointer
	models  atomic.Pointer[map[string]*model]
	files   map[string]fileStamp // by model name
}

// New loads the models. Errors: those of loading; ErrConfig for two models of one name.
func New(specs []method.Spec, o Options) (*Server, error) {
	o.fill()
	s := &Server{specs: specs, options: o, log: o.Log, files: map[string]fileStamp{}, stopping: make(chan struct{}), origins: http.NewCrossOriginProtection()}
	s.limiter = limiter{rate: o.Rate, clients: map[string]*allowance{}}
	s.metrics = newMetrics()
	if o.Data != "" {
		var err error
		if s.data, err = openFolder(o.Data); err != nil {
			return nil, err
		}
	}
	s.jobs = newJobs()
	loaded := map[string]*model{}
	for _, text := range o.Models {
		name, path, ok := strings.Cut(text, "=")
		if !ok {
			name, path = nameOf(text), text
		}
		if !validName(name) {
			return nil, fmt.Errorf("%s: %w: %q cannot be a model's name in a path: say NAME=PATH with letters, digits, dashes, underscores and points", path, method.ErrConfig, name)
		}
		if loaded[name] != nil {
			return nil, fmt.Errorf("%s: %w: %s is called %q, too: say NAME=PATH", path, method.ErrConfig, loaded[name].path, name)
		}
		stamp := stampOf(path)
		m, err := loadModel(specs, name, path, func(g *guard.Guard) (keeper, error) { return s.keep(name, g) })
		if err != nil {
			for _, m := range loaded {
				m.close()
			}
			return nil, err
		}
		loaded[name], s.files[name] = m, stamp
		s.metrics.loaded(m)
	}
	s.models.Store(&loaded)
	s.routes = table
	s.handler = s.newHandler()
	return s, nil
}

// validName reports whether a model's name can stand in a path and in a label.
func validName(name string) bool {
	return name != "" && len(name) <= 100 && name != "." && name != ".." && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
	})
}

// model finds a model by name and, unless it is empty, version. Errors: errNotFound.
func (s *Server) model(name, version string) (*model, error) {
	m := (*s.models.Load())[name]
	switch {
	case m == nil:
		return nil, fmt.Errorf("model %.60q %w", name, errNotFound)
	case version != "" && version != m.version:
		return nil, fmt.Errorf("model %s: version %.60q %w; it has %s", name, version, errNotFound, m.version)
	}
	return m, nil
}

// list returns the models, sorted by name.
func (s *Server) list() (all []*model) {
	now := *s.models.Load()
	for _, name := range slices.Sorted(maps.Keys(now)) {
		all = append(all, now[name])
	}
	return all
}

// put adds a model or replaces the one of its name; requests under way keep theirs.
func (s *Server) put(m *model) {
	s.writing.Lock()
	defer s.writing.Unlock()
	next := maps.Clone(*s.models.Load())
	next[m.name] = m
	s.metrics.loaded(m)
	s.models.Store(&next)
}

// add adds a model whose name must be free. Errors: errConflict.
func (s *Server) add(m *model, stamp fileStamp) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	next := maps.Clone(*s.models.Load())
	if next[m.name] != nil {
		_ = m.close()
		return fmt.Errorf("%w: a model is called %s already", errConflict, m.name)
	}
	next[m.name] = m
	s.metrics.loaded(m)
	s.files[m.name] = stamp
	s.models.Store(&next)
	return nil
}

// remove takes a model out; requests under way still have it.
func (s *Server) remove(name string) (*model, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	next := maps.Clone(*s.models.Load())
	m := next[name]
	if m == nil {
		return nil, fmt.Errorf("model %.60q %w", name, errNotFound)
	}
	delete(next, name)
	delete(s.files, name)
	s.metrics.removed(name)
	s.models.Store(&next)
	return m, nil
}

// fileStamp is what tells one content of a path from another without reading it.
type fileStamp struct {
	info os.FileInfo
}

func stampOf(path string) fileStamp {
	info, err := os.Stat(path)
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{info}
}

func (f fileStamp) same(g fileStamp) bool {
	if f.info == nil || g.info == nil {
		return f.info == g.info
	}
	return os.SameFile(f.info, g.info) && f.info.ModTime().Equal(g.info.ModTime()) && f.info.Size() == g.info.Size()
}

// keep takes a guard into keeping: in a folder of its own under Options.State, or in memory.
func (s *Server) keep(name string, g *guard.Guard) (keeper, error) {
	folder := ""
	if s.options.State != "" {
		folder = filepath.Join(s.options.State, name)
	}
	k, err := keep(name, folder, s.specs, g, s.log)
	if err != nil || s.options.History == nil && s.options.Alarm == nil {
		return k, err
	}
	return recorder{k, name, s.options.History, newBell(name, k.Status(), s.options.History, s.options.Alarm, s.log)}, nil
}

// close gives back what a model holds.
func (m *model) close() error {
	if m.keeper == nil {
		return nil
	}
	return m.keeper.Close()
}

// Reload reads the files of models again: all of them, or those that have changed. A file that cannot be loaded leaves its model
// as it was, and is reported.
func (s *Server) Reload(all bool) error {
	var failed error
	for _, m := range s.list() {
		if _, err := s.reload(m.name, all); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// reload reads one model's file again.
func (s *Server) reload(name string, always bool) (*model, error) {
	m, err := s.model(name, "")
	if err != nil {
		return nil, err
	}
	if m.path == "" {
		return m, nil
	}
	stamp := stampOf(m.path)
	s.writing.Lock()
	same := stamp.same(s.files[name])
	s.writing.Unlock()
	if same && !always {
		return m, nil
	}
	next, err := loadModel(s.specs, name, m.path, func(g *guard.Guard) (keeper, error) {
		if m.keeper == nil {
			return s.keep(name, g)
		}
		if m.keeper.Guard().Hash() == g.Hash() { // what was deployed is what is at work
			return m.keeper, nil
		}
		return m.keeper, m.keeper.Replace(context.Background(), g)
	})
	s.writing.Lock()
	s.files[name] = stamp
	s.writing.Unlock()
	if err != nil {
		s.metrics.reloadFailed(name)
		s.log.Error("model not reloaded, the old one stays", "model", name, "version", m.version, "error", err)
		return nil, err
	}
	if next.version == m.version {
		return m, nil
	}
	s.put(next)
	if m.keeper != nil && next.keeper != m.keeper {
		_ = m.close() // it is no guard any more
	}
	s.log.Info("model reloaded", "model", name, "version", next.version, "before", m.version)
	return next, nil
}

// Handler answers HTTP requests.
func (s *Server) Handler() http.Handler { return s.handler }

// Listeners are where a server is reached; a nil one is left out.
type Listeners struct {
	HTTP, GRPC net.Listener
}

// Run serves until the context ends, then answers what is under way and returns. Errors: of a listener that fails.
func (s *Server) Run(ctx context.Context, l Listeners) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	failed := make(chan error, 2)
	web := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: min(10*time.Second, s.options.Timeout), ReadTimeout: s.options.Timeout, WriteTimeout: 2 * s.options.Timeout, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	if l.HTTP != nil {
		all.Go(func() {
			serve := func() error { return web.Serve(l.HTTP) }
			if s.options.TLS != nil {
				web.TLSConfig = s.options.TLS.Clone()
				serve = func() error { return web.ServeTLS(l.HTTP, "", "") }
			}
			if err := serve(); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	rpc := s.newGRPC()
	if l.GRPC != nil {
		all.Go(func() {
			if err := rpc.Serve(l.GRPC); err != nil {
				failed <- err
			}
		})
	}
	all.Go(func() { s.watch(ctx) })
	all.Go(func() { s.share(ctx) })
	s.log.Info("serving", "http", address(l.HTTP), "grpc", address(l.GRPC), "models", len(s.list()))
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.stop.Do(func() { close(s.stopping) })
	s.stopped.Store(true) // not ready: whoever sends work here is to stop
	s.log.Info("stopping", "requests", s.running.Load())
	cancel()
	grace, end := context.WithTimeout(context.Background(), s.options.Grace)
	defer end()
	s.jobs.stop(grace)
	done := make(chan struct{})
	go func() { rpc.GracefulStop(); close(done) }()
	if web.Shutdown(grace) != nil {
		web.Close()
	}
	select {
	case <-done:
	case <-grace.Done():
		rpc.Stop()
	}
	all.Wait()
	for _, m := range s.list() {
		if e := m.close(); e != nil && err == nil {
			err = e
		}
	}
	s.log.Info("stopped")
	return err
}

func address(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

// watch reloads models whose files change.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(s.options.Poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = s.Reload(false) // logged there
		}
	}
}

// folder is where jobs read and write: nothing outside it can be named.
type folder struct {
	root *os.Root
	path string
}

func openFolder(path string) (*folder, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	full, err := filepath.Abs(path)
	return &folder{root, full}, err
}

// inside returns the path of a file in the folder that exists, for reading. Errors: ErrInput for one outside, links followed.
func (f *folder) inside(name string) (string, error) {
	if f == nil {
		return "", fmt.Errorf("file %.100q: %w: this server has no data folder (--data)", name, method.ErrInput)
	}
	file, err := f.root.Open(filepath.FromSlash(name))
	if err != nil {
		return "", fmt.Errorf("file %.100q: %w: not a file within the data folder", name, method.ErrInput)
	}
	defer closeQuietly(file)
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("file %.100q: %w: not a plain file", name, method.ErrInput)
	}
	return filepath.Join(f.path, filepath.FromSlash(name)), nil
}

// output returns the path of a file to be written in the folder, which must be plain or not there yet.
func (f *folder) output(name string) (string, error) {
	if f == nil {
		return "", fmt.Errorf("file %.100q: %w: this server has no data folder (--data)", name, method.ErrInput)
	}
	local := filepath.FromSlash(name)
	if !filepath.IsLocal(local) {
		return "", fmt.Errorf("file %.100q: %w: not a path within the data folder", name, method.ErrInput)
	}
	if info, err := f.root.Stat(filepath.Dir(local)); err != nil || !info.IsDir() {
		return "", fmt.Errorf("file %.100q: %w: its folder is not within the data folder", name, method.ErrInput)
	}
	if info, err := f.root.Lstat(local); err == nil && !info.Mode().IsRegular() {
		return "", fmt.Errorf("file %.100q: %w: there is something that is no plain file", name, method.ErrInput)
	}
	return filepath.Join(f.path, local), nil
}

// hide takes the folder's own path out of an error: clients know its files by their names within.
func (f *folder) hide(err error) error {
	if err == nil || f == nil || !strings.Contains(err.Error(), f.path) {
		return err
	}
	return &hidden{strings.ReplaceAll(err.Error(), f.path+string(filepath.Separator), ""), err}
}

type hidden struct {
	text string
	err  error
}

func (h *hidden) Error() string { return h.text }
func (h *hidden) Unwrap() error { return h.err }
