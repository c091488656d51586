package serve

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gimbal-ml/gimbal/serve/oip"
	"github.com/gimbal-ml/gimbal/serve/oip/inference"
)

func packed(pack func(io.Writer) io.WriteCloser, text []byte) []byte {
	var b bytes.Buffer
	w := pack(&b)
	w.Write(text)
	w.Close()
	return b.Bytes()
}

// A body may be compressed, is bounded packed and unpacked, and one that is damaged or packed otherwise is refused.
func TestCompressedBodies(t *testing.T) {
	x := start(t, Options{Models: []string{small(t)}, MaxBody: 1 << 20})
	gz := func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
	z := func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }
	bomb := []byte(strings.Repeat(" ", 50<<20))
	_, _, plain := x.call(t, "POST", "/v2/models/g/infer", "application/json", []byte(oneRow))
	for _, c := range []struct {
		what, encoding string
		body           []byte
		status         int
	}{
		{"plain", "identity", []byte(oneRow), 200},
		{"gzip", "gzip", packed(gz, []byte(oneRow)), 200},
		{"deflate", "deflate", packed(z, []byte(oneRow)), 200},
		{"a bomb", "gzip", packed(gz, bomb), 413},
		{"another bomb", "deflate", packed(z, bomb), 413},
		{"half", "gzip", packed(gz, []byte(oneRow))[:40], 400},
		{"damaged", "gzip", append(packed(gz, []byte(oneRow))[:60], 1, 2, 3, 4, 5, 6, 7, 8), 400},
		{"not gzip", "gzip", []byte(oneRow), 400},
		{"nothing", "deflate", nil, 400},
		{"unknown", "br", []byte(oneRow), 415},
		{"two", "gzip, gzip", packed(gz, packed(gz, []byte(oneRow))), 415},
	} {
		code, _, body := x.call(t, "POST", "/v2/models/g/infer", "application/json", c.body, "Content-Encoding", c.encoding)
		if code != c.status || code == 200 && !bytes.Equal(body, plain) {
			t.Errorf("%s: %d %.200s, want %d", c.what, code, body, c.status)
		}
	}
	if code, _, body := x.call(t, "POST", "/v1/models/g/score?wait=9s", "application/json", packed(gz, []byte(`{"input":{"rows":[[1,2,3]]}}`)), "Content-Encoding", "gzip"); code != 200 && code != 202 {
		t.Errorf("a job: %d %s", code, body)
	}
	few := inference.EncodeRequest(&oip.Request{Model: "g", Inputs: []oip.Tensor{input(rows(1, 2, 3, "cat"))}})
	if _, err := x.rpc.ModelInfer(t.Context(), few, grpc.UseCompressor("gzip")); err != nil {
		t.Errorf("gRPC: %v", err)
	}
	many := inference.EncodeRequest(&oip.Request{Model: "g", Inputs: []oip.Tensor{oip.NewFloat32s("x", make([]float32, 3<<20), 1<<20, 3)}})
	if _, err := x.rpc.ModelInfer(t.Context(), many, grpc.UseCompressor("gzip")); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a bomb by gRPC: %v", err)
	}
}
