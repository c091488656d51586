package serve

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/serve/merge"
)

// jobs are long work: they run beside the requests that began them, a few at a time.
type jobs struct {
	mutex   sync.Mutex
	list    []*job // oldest first
	turn    chan struct{}
	all     sync.WaitGroup
	stopped bool
}

const (
	jobsAtOnce  = 2   // that run
	jobsWaiting = 100 // that may wait
	jobsKept    = 500 // that have ended and can still be asked about
)

func newJobs() *jobs { return &jobs{turn: make(chan struct{}, jobsAtOnce)} }

// job is one piece of long work.
type job struct {
	id, verb, subject string
	cancel            context.CancelFunc
	created           time.Time
	done              chan struct{}

	mutex    sync.Mutex
	state    string
	ended    time.Time
	progress progress
	result   any
	err      error
}

// The states of a job.
const (
	jobWaiting   = "waiting"
	jobRunning   = "running"
	jobDone      = "done"
	jobFailed    = "failed"
	jobCancelled = "cancelled"
)

// progress says how many of how many steps are over; a total of 0 is not known yet.
type progress struct {
	Done  int `json:"done"`
	Total int `json:"total"`
}

// jobStatus is what a client sees of a job.
type jobStatus struct {
	ID       string     `json:"id"`
	Verb     string     `json:"verb" doc:"fit, apply, score, predict, logits, sets, audit, test, update, forget or merge"`
	Subject  string     `json:"subject" doc:"the method or the model"`
	State    string     `json:"state" doc:"waiting, running, done, failed or cancelled"`
	Progress progress   `json:"progress"`
	Created  time.Time  `json:"created"`
	Ended    *time.Time `json:"ended,omitempty"`
	Error    string     `json:"error,omitempty"`
	Result   any        `json:"result,omitempty"`
}

func (j *job) status() jobStatus {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	s := jobStatus{ID: j.id, Verb: j.verb, Subject: j.subject, State: j.state, Progress: j.progress, Created: j.created, Result: j.result}
	if !j.ended.IsZero() {
		s.Ended = &j.ended
	}
	if j.err != nil {
		s.Error = messageOf(j.err)
	}
	return s
}

func (j *job) over() bool {
	select {
	case <-j.done:
		return true
	default:
		return false
	}
}

// start begins a job. Errors: errBusy when too many wait.
func (s *Server) start(verb, subject string, work func(ctx context.Context) (any, error)) (*job, error) {
	ctx, cancel := context.WithCancel(context.Background())
	j := &job{id: strings.ToLower(rand.Text()), verb: verb, subject: subject, cancel: cancel, created: time.Now().UTC(), done: make(chan struct{}), state: jobWaiting}
	ctx = method.WithProgress(ctx, func(done, total int) {
		j.mutex.Lock()
		j.progress = progress{done, total}
		j.mutex.Unlock()
	})
	if err := s.jobs.add(j); err != nil {
		cancel()
		return nil, err
	}
	go func() {
		defer s.jobs.all.Done()
		defer close(j.done)
		defer cancel()
		var result any
		var err error
		select {
		case s.jobs.turn <- struct{}{}:
			j.mutex.Lock()
			j.state = jobRunning
			j.mutex.Unlock()
			if err = ctx.Err(); err == nil {
				result, err = carefully(ctx, work)
			}
			<-s.jobs.turn
		case <-ctx.Done():
			err = ctx.Err()
		}
		j.end(result, err)
		st := j.status()
		s.log.Info("job ended", "job", j.id, "verb", verb, "subject", subject, "state", st.State, "seconds", time.Since(j.created).Seconds(), "error", st.Error)
		if err != nil && statusOf(err) == http.StatusInternalServerError {
			s.log.Error("job failed", "job", j.id, "error", err)
		}
	}()
	return j, nil
}

// carefully turns a panic of a method into an error.
func carefully(ctx context.Context, work func(ctx context.Context) (any, error)) (result any, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", merge.ErrInternal, r)
		}
	}()
	return work(ctx)
}

func (j *job) end(result any, err error) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	j.ended = time.Now().UTC()
	switch {
	case err == nil:
		j.state, j.result = jobDone, result
	case errors.Is(err, context.Canceled):
		j.state = jobCancelled
	default:
		j.state, j.err = jobFailed, err
	}
}

func (js *jobs) add(j *job) error {
	js.mutex.Lock()
	defer js.mutex.Unlock()
	if js.stopped {
		return &statusError{http.StatusServiceUnavailable, fmt.Errorf("%w: the server is stopping", errConflict)}
	}
	open, ended := 0, 0
	for _, k := range js.list {
		if k.over() {
			ended++
		} else {
			open++
		}
	}
	if open >= jobsWaiting+jobsAtOnce {
		return fmt.Errorf("%w: %d jobs wait", errBusy, open)
	}
	if ended >= jobsKept {
		oldest := slices.IndexFunc(js.list, (*job).over)
		js.list = slices.Delete(js.list, oldest, oldest+1)
	}
	js.list = append(js.list, j)
	js.all.Add(1)
	return nil
}

func (js *jobs) find(id string) (*job, error) {
	js.mutex.Lock()
	defer js.mutex.Unlock()
	i := slices.IndexFunc(js.list, func(j *job) bool { return j.id == id })
	if i < 0 {
		return nil, fmt.Errorf("job %.60q %w", id, errNotFound)
	}
	return js.list[i], nil
}

func (js *jobs) statuses() []jobStatus {
	js.mutex.Lock()
	list := slices.Clone(js.list)
	js.mutex.Unlock()
	out := []jobStatus{}
	for _, j := range list {
		s := j.status()
		s.Result = nil // in the job's own answer
		out = append(out, s)
	}
	return out
}

// stop cancels all jobs, takes no more, and waits for those that run as long as the context lasts.
func (js *jobs) stop(ctx context.Context) {
	js.mutex.Lock()
	js.stopped = true
	list := slices.Clone(js.list)
	js.mutex.Unlock()
	for _, j := range list {
		j.cancel()
	}
	ended := make(chan struct{})
	go func() { js.all.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// answerJob answers with a job, after as much of the time that ?wait= allows as it needs.
func answerJob(w http.ResponseWriter, r *http.Request, j *job, status int) error {
	if text := r.URL.Query().Get("wait"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 || d > longestWait {
			return fmt.Errorf("wait=%.20q: %w: want a time such as 5s, at most %v", text, method.ErrConfig, longestWait)
		}
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-j.done:
		case <-timer.C:
		case <-r.Context().Done():
		}
	}
	if j.over() {
		status = http.StatusOK
	}
	w.Header().Set("Location", "/v1/jobs/"+j.id)
	writeJSON(w, status, j.status())
	return nil
}

// longestWait is how long an answer may be held back for a job to end.
const longestWait = time.Minute

func (s *Server) getJobs(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, jobList{s.jobs.statuses()})
	return nil
}

type jobList struct {
	Jobs []jobStatus `json:"jobs"`
}

func (s *Server) getJob(w http.ResponseWriter, r *http.Request) error {
	j, err := s.jobs.find(r.PathValue("job"))
	if err != nil {
		return err
	}
	return answerJob(w, r, j, http.StatusOK)
}

// deleteJob cancels a job. It says at once how the job stands; a job that is running ends at its next step.
func (s *Server) deleteJob(w http.ResponseWriter, r *http.Request) error {
	j, err := s.jobs.find(r.PathValue("job"))
	if err != nil {
		return err
	}
	j.cancel()
	return answerJob(w, r, j, http.StatusOK)
}
