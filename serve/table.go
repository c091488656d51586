package serve

import (
	"net/http"

	"github.com/gimbal-ml/gimbal/serve/oip"
)

// table lists all routes.
var table []route

func init() { // the document's own handler reads the table
	table = []route{
		{method: "GET", path: "/v2/health/live", group: "Open Inference Protocol", summary: "Whether the server is alive", out: serverLive{}, handle: (*Server).getLive},
		{method: "GET", path: "/v2/health/ready", group: "Open Inference Protocol", summary: "Whether the server takes requests", out: serverReady{}, handle: (*Server).getReady},
		{method: "GET", path: "/v2", role: Read, group: "Open Inference Protocol", summary: "Name, version and extensions of the server", out: oip.ServerMetadata{}, handle: (*Server).getServer},
		{method: "GET", path: "/v2/models/{model}", role: Read, group: "Open Inference Protocol", summary: "Inputs and outputs of a model", out: oip.ModelMetadata{}, handle: (*Server).getModel},
		{method: "GET", path: "/v2/models/{model}/versions/{version}", role: Read, group: "Open Inference Protocol", summary: "Inputs and outputs of a version of a model", out: oip.ModelMetadata{}, handle: (*Server).getModel},
		{method: "GET", path: "/v2/models/{model}/ready", group: "Open Inference Protocol", summary: "Whether a model takes requests", out: modelReady{}, handle: (*Server).getModelReady},
		{method: "GET", path: "/v2/models/{model}/versions/{version}/ready", group: "Open Inference Protocol", summary: "Whether a version of a model takes requests", out: modelReady{}, handle: (*Server).getModelReady},
		{method: "POST", path: "/v2/models/{model}/infer", role: Infer, group: "Open Inference Protocol", summary: "Answers for rows, as JSON or with binary tensors", in: inferRequest{}, out: inferResponse{}, handle: (*Server).postInfer},
		{method: "POST", path: "/v2/models/{model}/versions/{version}/infer", role: Infer, group: "Open Inference Protocol", summary: "Answers of a version of a model for rows", in: inferRequest{}, out: inferResponse{}, handle: (*Server).postInfer},
		{method: "GET", path: "/v1/methods", role: Read, group: "Methods", summary: "All methods", out: methodList{}, handle: (*Server).getMethods},
		{method: "GET", path: "/v1/methods/{family}/{method}", role: Read, group: "Methods", summary: "A method: what it does, its inputs and parameters", out: methodDetail{}, handle: (*Server).getMethod},
		{method: "POST", path: "/v1/methods/{family}/{method}/fit", role: Teach, group: "Methods", summary: "Fit a method: a job that writes a model", query: wait, in: learnJob{}, out: jobStatus{}, status: http.StatusAccepted, handle: (*Server).postFit},
		{method: "POST", path: "/v1/methods/{family}/{method}/apply", role: Teach, group: "Methods", summary: "Apply a method that learns nothing: a job that writes a checkpoint", query: wait, in: learnJob{}, out: jobStatus{}, status: http.StatusAccepted, handle: (*Server).postApply},
		{method: "POST", path: "/v1/moments/merge", role: Teach, group: "Methods", summary: "Add states of moments up: a job that writes their sum", query: wait, in: mergeJob{}, out: jobStatus{}, status: http.StatusAccepted, handle: (*Server).postMerge},
		{method: "GET", path: "/v1/models", role: Read, group: "Models", summary: "The models that are served, and how guards stand", out: modelList{}, handle: (*Server).getModels},
		{method: "POST", path: "/v1/models", role: Admin, group: "Models", summary: "Serve a file of the data folder", in: loadJob{}, out: modelEntry{}, status: http.StatusCreated, handle: (*Server).postModel},
		{method: "GET", path: "/v1/models/{model}", role: Read, group: "Models", summary: "A model that is served", out: modelEntry{}, handle: (*Server).getServed},
		{method: "DELETE", path: "/v1/models/{model}", role: Admin, group: "Models", summary: "Serve a model no more", out: modelEntry{}, handle: (*Server).deleteModel},
		{method: "POST", path: "/v1/models/{model}/reload", role: Admin, group: "Models", summary: "Read a model's file again", out: modelEntry{}, handle: (*Server).postReload},
		{method: "GET", path: "/v1/models/{model}/scores", role: Read, group: "History", summary: "Histograms of a guard's scores over the last hours", query: hours, out: histogramList{}, status: http.StatusOK, handle: (*Server).getScores},
		{method: "GET", path: "/v1/models/{model}/p-values", role: Read, group: "History", summary: "Histograms of a guard's p-values, which are flat while nothing has changed", query: hours, out: histogramList{}, handle: (*Server).getPValues},
		{method: "GET", path: "/v1/models/{model}/decisions", role: Read, group: "History", summary: "Decisions that were kept: refused rows and those below p 0.05", query: decisions, out: decisionList{}, handle: (*Server).getDecisions},
		{method: "GET", path: "/v1/models/{model}/columns", role: Read, group: "History", summary: "The columns that stand out in the rows that were refused last", out: columnList{}, handle: (*Server).getColumns},
		{method: "POST", path: "/v1/models/{model}/decisions/{decision}/label", role: Teach, group: "History", summary: "Label a row that was kept, and teach it to the guard", in: labelBody{}, out: labelAnswer{}, handle: (*Server).postLabel},
		{method: "GET", path: "/v1/models/{model}/alarms", role: Read, group: "History", summary: "A guard's drift alarms, and what it was told", out: alarmList{}, handle: (*Server).getAlarms},
		{method: "POST", path: "/v1/alarms/subscriptions", role: Read, group: "Operation", summary: "Send a link to an e-mail address, by which its owner asks for drift alarms", in: subscriptionBody{}, out: subscriptionAnswer{}, status: http.StatusAccepted, handle: (*Server).postSubscription},
		{method: "GET", path: "/v1/events", role: Read, group: "Operation", summary: "How the models stand, whenever that changes, as server-sent events", media: "text/event-stream", handle: (*Server).getEvents},
		{method: "GET", path: "/v1/jobs", role: Read, group: "Jobs", summary: "All jobs, without their results", out: jobList{}, handle: (*Server).getJobs},
		{method: "GET", path: "/v1/jobs/{job}", role: Infer, group: "Jobs", summary: "A job: state, progress, result", query: wait, out: jobStatus{}, handle: (*Server).getJob},
		{method: "DELETE", path: "/v1/jobs/{job}", role: Teach, group: "Jobs", summary: "Cancel a job", query: wait, out: jobStatus{}, handle: (*Server).deleteJob},
		{method: "GET", path: "/metrics", role: Read, group: "Operation", summary: "Metrics for Prometheus", media: "text/plain; version=0.0.4; charset=utf-8", handle: (*Server).getMetrics},
		{method: "GET", path: "/openapi.json", role: Read, group: "Operation", summary: "This document", out: map[string]any{}, handle: (*Server).getOpenAPI},
	}
	for _, v := range verbs {
		table = append(table, route{method: "POST", path: "/v1/models/{model}/" + v.name, role: v.role, group: "Models", summary: v.summary + ": a job", query: wait,
			in: verbJob{}, out: jobStatus{}, status: http.StatusAccepted, handle: v.post})
	}
}

var (
	hours     = []parameter{{"hours", "how far back, 24 by default; one histogram for each 24th of it"}}
	decisions = []parameter{{"order", "newest (not labelled yet), unfamiliar or labelled"}, {"n", "at most so many, 20 by default"}, {"before", "newest from before the one with this ID"}}
)

var wait = []parameter{{"wait", "how long to hold the answer back until the job has ended, such as 5s"}}

func (s *Server) getMetrics(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	return s.metrics.write(w, s.running.Load(), s.options.Version)
}

// inferRequest and inferResponse say to the document what package oip reads and writes.
type inferRequest struct {
	ID         string         `json:"id,omitempty"`
	Parameters map[string]any `json:"parameters,omitempty"`
	Inputs     []inferTensor  `json:"inputs"`
	Outputs    []inferOutput  `json:"outputs,omitempty"`
}

type inferTensor struct {
	Name       string         `json:"name"`
	Shape      []int64        `json:"shape"`
	Datatype   oip.Datatype   `json:"datatype"`
	Parameters map[string]any `json:"parameters,omitempty"`
	Data       []any          `json:"data,omitempty"`
}

type inferOutput struct {
	Name       string         `json:"name"`
	Parameters map[string]any `json:"parameters,omitempty"`
}

type inferResponse struct {
	ModelName    string         `json:"model_name"`
	ModelVersion string         `json:"model_version,omitempty"`
	ID           string         `json:"id,omitempty"`
	Parameters   map[string]any `json:"parameters,omitempty"`
	Outputs      []inferTensor  `json:"outputs"`
}
