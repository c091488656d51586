package serve

import (
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/serve/oip"
	"github.com/gimbal-ml/gimbal/serve/oip/inference"
)

// wideModel is a detector on 512 columns and 100 classes, and a row for it.
func wideModel(b *testing.B) (*started, *data.Table) {
	b.Helper()
	var classes []string
	for c := range 100 {
		classes = append(classes, fmt.Sprintf("%c%d", 'a'+c%26, c))
	}
	_, path := fitModel(b, filepath.Join(b.TempDir(), "m.gimbal"), "detect/mahalanobis", rows(1, 2000, 512, classes...), nil)
	return start(b, Options{Models: []string{path}}), rows(2, 1, 512, "a0")
}

func BenchmarkREST(b *testing.B) {
	x, q := wideModel(b)
	body, _, err := (&oip.Request{Inputs: []oip.Tensor{input(q)}, Outputs: []oip.Output{{Name: "ood_score"}}}).Encode(nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			r := httptest.NewRequest("POST", "/v2/models/m/infer", strings.NewReader(string(body)))
			r.Host = "localhost"
			r.Header["Content-Type"] = mediaJSON
			w := httptest.NewRecorder()
			if x.Handler().ServeHTTP(w, r); w.Code != 200 {
				b.Errorf("%d %s", w.Code, w.Body)
			}
		}
	})
}

func BenchmarkGRPC(b *testing.B) {
	x, q := wideModel(b)
	request := inference.EncodeRequest(&oip.Request{Model: "m", Inputs: []oip.Tensor{input(q)}, Outputs: []oip.Output{{Name: "ood_score"}}})
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := x.rpc.ModelInfer(b.Context(), request); err != nil {
				b.Error(err)
			}
		}
	})
}
