package sidecar

import (
	"net/http"
	"time"
)

// impatient writes to a client that must take each piece in time. A whole answer may take longer, such as a stream of events.
type impatient struct {
	http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
}

func newImpatient(w http.ResponseWriter, timeout time.Duration) *impatient {
	c := http.NewResponseController(w)
	_ = c.SetWriteDeadline(time.Time{}) // of the request before on this connection; writers without deadlines are those of tests
	return &impatient{w, c, timeout}
}

// Unwrap is for [http.ResponseController].
func (w *impatient) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *impatient) Write(p []byte) (int, error) {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.timeout))
	return w.ResponseWriter.Write(p)
}

// FlushError is what [http.ResponseController.Flush] calls: the flush writes, too.
func (w *impatient) FlushError() error {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.timeout))
	return w.control.Flush()
}
