package audit_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/audit"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// peerRows are 300 rows of probabilities of four classes that a peer program can make as well, every 11th mislabelled:
//
//	i=np.arange(300)[:,None]; c=np.arange(4)[None]; w=(1+(i*7919+c*104729)%97).astype(float)
//	true=np.arange(300)%4; given=np.where(np.arange(300)%11==3,(true+1)%4,true)
//	w[np.arange(300),true]+=40+np.arange(300)*31%60; p=(w/w.sum(1,keepdims=True)).astype(np.float32)
func peerRows(t testing.TB) *data.Table {
	t.Helper()
	x, labels := make([]float32, 0, 1200), make([]int, 300)
	for i := range labels {
		w, sum := [4]float64{}, 0.0
		for c := range w {
			w[c] = float64(1 + (i*7919+c*104729)%97)
		}
		labels[i] = i % 4
		w[i%4] += float64(40 + i*31%60)
		if i%11 == 3 {
			labels[i] = (i + 1) % 4
		}
		for _, v := range w {
			sum += v
		}
		for _, v := range w {
			x = append(x, float32(v/sum))
		}
	}
	return table(t, []string{"a", "b", "c", "d"}, x, labels)
}

func table(t testing.TB, classes []string, x []float32, labels []int) *data.Table {
	t.Helper()
	in, err := data.NewNamed(len(labels), classes, x)
	if err == nil {
		in, err = in.WithLabels(labels, classes)
	}
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func findings(t testing.TB, m method.Auditor, in *data.Table) []method.Finding {
	t.Helper()
	f, err := m.Audit(in)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// blocks hands a table out in blocks of a few rows.
type blocks struct {
	*data.Table
	rows int
}

func (b blocks) Blocks(context.Context) iter.Seq2[*data.Table, error] {
	return func(yield func(*data.Table, error) bool) {
		n, _ := b.Dims()
		for i := 0; i < n; i += b.rows {
			if !yield(b.Slice(i, min(i+b.rows, n)), nil) {
				return
			}
		}
	}
}

// TestBadRows: what is wrong is told with its row, counted through the whole file.
func TestBadRows(t *testing.T) {
	names := []string{"a", "b", "c"}
	good := table(t, names, []float32{0.5, 0.3, 0.2, 0.2, 0.7, 0.1, 0.1, 0.1, 0.8, 0.9, 0.3, 0.1}, []int{0, 1, 2, 0})
	unlabelled := table(t, names, []float32{0.5, 0.3, 0.2, 0.2, 0.7, 0.1, 0.1, 0.1, 0.8}, []int{0, 1, data.Unknown})
	for _, s := range audit.Methods() {
		if s.Inputs[0].Name != "logits" {
			continue
		}
		cfg, err := s.Configure(map[string]string{"probabilities": "true"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.FitSource(context.Background(), cfg, blocks{good, 2}); !errors.Is(err, method.ErrInput) || !strings.Contains(err.Error(), "row 4") {
			t.Errorf("%s: probabilities that add up to 1.3: %v", s.ID(), err)
		}
		if _, err := s.FitSource(context.Background(), cfg, blocks{unlabelled, 2}); !errors.Is(err, data.ErrLabels) || !strings.Contains(err.Error(), "row 3 has no class") {
			t.Errorf("%s: a row without a label: %v", s.ID(), err)
		}
	}
}

// TestUnnamedColumns: without names the classes, in their order, are the columns; words and numbers alike.
func TestUnnamedColumns(t *testing.T) {
	bare, err := data.NewTable(4, 2, []float32{3, 0, 0, 3, 0, 3, 3, 0})
	if err == nil {
		bare, err = bare.WithClassNames([]string{"2", "10", "10", "10"})
	}
	if err != nil {
		t.Fatal(err)
	}
	three, err := bare.WithClassNames([]string{"2", "10", "10", "11"})
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range []int{1, 2, 4} {
		if _, err := (audit.Margin{}).FitSource(context.Background(), blocks{three, rows}); !errors.Is(err, data.ErrLabels) {
			t.Errorf("three classes for two columns, in blocks of %d: %v", rows, err)
		}
	}
	m, err := audit.Margin{}.FitSource(context.Background(), blocks{bare, 1})
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range findings(t, m, bare) {
		if f.Suspect != (i == 3) {
			t.Errorf("row %d: %+v", i+1, f)
		}
	}
}
