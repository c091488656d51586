package serve

import (
	"net/http"

	"github.com/gimbal-ml/gimbal/serve/oip"
)

// table lists all routes.
var table []route

func init() { // the document's own handler reads the table
	table = []route{
		{method: "GET", path: "/v2/health/live", group: "Open Inference Protocol", summary: "Whether the server is alive", out: live{}, handle: (*Server).getLive},
		{method: "GET", path: "/v2/health/ready", group: "Open Inference Protocol", summary: "Whether the server takes requests", out: ready{}, handle: (*Server).getReady},
		{method: "GET", path: "/v2", role: Read, group: "Open Inference Protocol", summary: "Name, version and extensions of the server", out: oip.ServerMetadata{}, handle: (*Server).getServer},
		{method: "GET", path: "/v2/models/{model}", role: Read, group: "Open Inference Protocol", summary: "Inputs and outputs of a model", out: oip.ModelMetadata{}, handle: (*Server).getModel},
		{method: "GET", path: "/v2/models/{model}/versions/{version}", role: Read, group: "Open Inference Protocol", summary: "Inputs and outputs of a version of a model", out: oip.ModelMetadata{}, handle: (*Server).getModel},
		{method: "GET", path: "/v2/models/{model}/ready", group: "Open Inference Protocol", summary: "Whether a model takes requests", out: modelReady{}, handle: (*Server).getModelReady},
		{method: "GET", path: "/v2/models/{model}/versions/{version}/ready", group: "Open Inference Protocol", summary: "Whether a version of a model takes requests", out: modelReady{}, handle: (*Server).getModelReady},
		{method: "POST", path: "/v2/models/{model}/infer", role: Infer, group: "Open Inference Protocol", summary: "Answers for rows, as JSON or with binary tensors", in: inferRequest{}, out: inferResponse{}, handle: (*Server).postInfer},
		{method: "POST", path: "/v2/models/{model}/versions/{version}/infer", role: Infer, group: "Open Inference Protocol", summary: "Answers of a version of a model for rows", in: inferRequest{}, out: inferResponse{}, handle: (*Server).postInfer},
		{method: "GET", path: "/metrics", role: Read, group: "Operation", summary: "Metrics for Prometheus", media: "text/plain; version=0.0.4; charset=utf-8", handle: (*Server).getMetrics},
		{method: "GET", path: "/openapi.json", role: Read, group: "Operation", summary: "This document", out: map[string]any{}, handle: (*Server).getOpenAPI},
	}
}

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
