package serve

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/guard"
)

// TestTritonClient has Triton's own client for Python ask, over HTTP and gRPC, in all its ways, and holds what it reads to what the guard says
// here. GIMBAL_TRITON names a Python that has it: python -m venv v && v/bin/pip install 'tritonclient[http,grpc]' && GIMBAL_TRITON=v/bin/python.
func TestTritonClient(t *testing.T) {
	python := os.Getenv("GIMBAL_TRITON")
	if python == "" {
		t.Skip("GIMBAL_TRITON names no Python with Triton's client")
	}
	x := start(t, Options{Models: []string{small(t)}})
	values := make([]float32, 9)
	for i := range values {
		values[i] = float32(i%7) / 4
	}
	in, err := data.NewTable(3, 3, values)
	if err != nil {
		t.Fatal(err)
	}
	m, err := x.model("g", "")
	if err != nil {
		t.Fatal(err)
	}
	want, err := m.keeper.Guard().Decide(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "testdata/triton.py", strings.TrimPrefix(x.url, "http://"), x.conn.Target(), "g", "3")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, complaint.Bytes())
	}
	ways := 0
	for line := range bytes.Lines(text) {
		var said struct {
			Way, Datatype string
			Score         []float64 `json:"ood_score"`
			PValue        []float64 `json:"p_value"`
			Accept        []bool    `json:"accept"`
			Label         []string  `json:"label"`
			Probability   []float64 `json:"probability"`
		}
		if err := json.Unmarshal(line, &said); err != nil || len(said.Score) != len(want) {
			t.Fatalf("%v: %s", err, line)
		}
		ways++
		for i, w := range want {
			have := guard.Decision{Label: said.Label[i], Probability: said.Probability[i], Score: said.Score[i], PValue: said.PValue[i], Accept: said.Accept[i]}
			if have != w || math.IsNaN(have.Score) {
				t.Errorf("%s, %s, row %d: %+v, want %+v", said.Way, said.Datatype, i, have, w)
			}
		}
	}
	if ways != 15 {
		t.Errorf("%d ways were tried", ways)
	}
}
