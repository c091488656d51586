package methodtest

import (
	"hash/fnv"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

func canAudit(s method.Spec) bool { return s.Can("audit") && learnsTables(s) }

// findings is what an audit says as an answer. Classes are compared by a number made of their names.
func (t *T) findings(n int, out []method.Finding, err error) answer {
	if err != nil {
		return answer{verb: "audit", err: err}
	}
	if len(out) != n {
		t.Fatalf("audit: %d findings for %d rows", len(out), n)
	}
	a := answer{verb: "audit", rows: n, columns: []string{"score", "suspect", "suggested"}}
	for _, f := range out {
		suspect := 0.0
		if f.Suspect {
			suspect = 1
		}
		h := fnv.New32a()
		h.Write([]byte(f.Suggested))
		a.values = append(a.values, f.Score, suspect, float64(h.Sum32()%1000)/1000)
	}
	return a
}

// checkFindings: planted wrong labels score above right ones; a suspect row has a reason and another class that it may be of, and no
// other row has.
func checkFindings(t *T) {
	slot := t.Spec.Inputs[0].Name
	for _, y := range toys(t.Spec)[:2] {
		in, ok := y.in[slot].(*data.Table)
		if !ok {
			return
		}
		labels := slices.Clone(must(in.Labels()))
		wrong := make([]bool, len(labels))
		for i := range labels {
			if i%9 == 4 {
				labels[i], wrong[i] = (labels[i]+1)%len(in.Classes()), true
			}
		}
		bad := must(in.WithLabels(labels, in.Classes()))
		out, err := t.mustFit(data.Bundle{slot: bad}).(method.Auditor).Audit(bad)
		if err != nil {
			t.Errorf("%s: audit: %v", y.name, err)
			continue
		}
		var right, planted []float64
		for i, f := range out {
			if wrong[i] {
				planted = append(planted, f.Score)
			} else {
				right = append(right, f.Score)
			}
			if f.Suspect != (f.Suggested != "") || f.Suspect != (f.Reason != "") || f.Suspect && (f.Suggested == bad.ClassName(i) || !slices.Contains(bad.Classes(), f.Suggested)) {
				t.Errorf("%s: row %d of class %q: %+v", y.name, i+1, bad.ClassName(i), f)
				return
			}
		}
		if area := auroc(right, planted); area < 0.9 && y.name == "separable" || area < 0.6 {
			t.Errorf("%s: AUROC %.2f of planted wrong labels: higher must mean more likely wrong", y.name, area)
		}
	}
}
