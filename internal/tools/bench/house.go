package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/gimbal-ml/gimbal/catalog"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

const (
	momentRows, momentDim, momentClasses = 200_000, 512, 100
	scoreRows, byClassRows               = 100_000, 20_000
	nearRows, nearQueries, nearDim       = 100_000, 20_000, 256
	nearK                                = 50
	fileRows, fileDim                    = 1_000_000, 128
	startRows, startDim                  = 5_000, 64
)

// houseRows are what users run: fits, scores, files, a program's start. dir is the peers' folder; files go to its out.
func houseRows(dir string) (out []*row) {
	fitted := fmt.Sprintf("%d %d %d", momentRows, momentDim, momentClasses)
	scatter := float64(momentRows) * momentDim * (momentDim + 1)
	for _, p := range []struct {
		label, request string
		goal           float64
		double         bool
	}{
		{"numpy float64: cast, XᵀX, mean, class sums", "moments64", 1.5, true},
		{"numpy float32 XᵀX alone, inexact", "gram32", 0.5, false},
		{"scikit-learn EmpiricalCovariance and class means", "covariance", 2, false},
	} {
		out = append(out, &row{name: "exact moments 200,000×512, 100 classes", threads: []int{1, 2}, peer: "python", label: p.label,
			request: func(int) string { return p.request + " " + fitted }, flops: scatter, double: true, peerDouble: p.double, goal: p.goal, prepare: fitMoments})
	}
	// A triangular whitener takes half the operations of a full one, so that is what either side does at least.
	score := func(n int) float64 { return 2 * float64(n) * momentDim * (momentDim/2 + momentClasses) }
	request := func(work string, n int) func(int) string {
		return func(int) string { return fmt.Sprintf("%s %d %d %d", work, n, momentDim, momentClasses) }
	}
	out = append(out,
		&row{name: "detect/mahalanobis 100,000×512, 100 classes", threads: []int{1, 2}, peer: "python", label: "numpy, whitened product in float32",
			request: request("mahalanobis_white", scoreRows), flops: score(scoreRows), double: true, goal: 1, prepare: func() func() { return mahalanobis(scoreRows) }},
		&row{name: "detect/mahalanobis 20,000×512, 100 classes", threads: []int{2}, peer: "python", label: "numpy, a quadratic form for each class",
			request: request("mahalanobis_class", byClassRows), flops: score(byClassRows), double: true, goal: 50, prepare: func() func() { return mahalanobis(byClassRows) }},
	)
	for _, p := range []struct {
		label, work string
		goal        float64
	}{{"scikit-learn, brute force", "neighbours", 3}, {"faiss, flat index", "neighbours_faiss", 1}} {
		out = append(out, &row{name: "detect/knn 50 of 100,000×256, 20,000 queries", threads: []int{2}, peer: "python", label: p.label,
			request: func(int) string { return fmt.Sprintf("%s %d %d %d %d", p.work, nearRows, nearDim, nearK, nearQueries) },
			flops:   2 * float64(nearRows) * nearQueries * nearDim, goal: p.goal, prepare: nearest})
	}
	for _, f := range []struct {
		name, file, label, request string
		columns                    bool
		goal                       float64
	}{
		{"npy", "rows.npy", "numpy", "read_npy", false, 1},
		{"Parquet list column", "list.parquet", "pyarrow", "read_parquet", false, 1},
		{"Parquet columns", "columns.parquet", "pyarrow", "read_parquet", true, 1},
		{"CSV", "rows.csv", "pandas", "read_csv", true, 2},
	} {
		path := filepath.Join(dir, "out", f.file)
		out = append(out, &row{name: fmt.Sprintf("reading %s 1,000,000×128", f.name), threads: []int{2}, peer: "python", label: f.label, goal: f.goal,
			request: func(int) string { return fmt.Sprintf("%s %d %d 0 %s", f.request, fileRows, fileDim, path) },
			prepare: func() func() { return reading(path, f.columns) }})
	}
	model, one := filepath.Join(dir, "out", "start.safetensors"), filepath.Join(dir, "out", "start.npy")
	return append(out, &row{name: "start to first score, 5,000×64 learned", threads: []int{2}, peer: "python", label: "Python with numpy and scikit-learn", goal: 20,
		request: func(int) string { return fmt.Sprintf("start %d %d 0 %s", startRows, startDim, one) },
		prepare: func() func() { return starting(filepath.Join(dir, "out", "gimbal"), model, one) }})
}

// must stops the measurement of a row whose own work fails.
func must[V any](v V, err error) V {
	if err != nil {
		panic(rowFailed{err})
	}
	return v
}

type rowFailed struct{ error }

func table(n, d, classes int) *data.Table {
	t := must(data.NewTable(n, d, normals[float32](n*d)))
	if classes == 0 {
		return t
	}
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i * 7 % classes)
	}
	return must(t.WithClassNames(names))
}

func fitMoments() func() {
	t := table(momentRows, momentDim, momentClasses)
	return func() { must(moments.FromSource(context.Background(), t, moments.Options{})) }
}

func mahalanobis(n int) func() {
	t := table(scoreRows, momentDim, momentClasses)
	m := must(detect.Mahalanobis{}.Fit(context.Background(), t))
	t = t.Slice(0, n)
	return func() { must(m.Score(t)) }
}

func nearest() func() {
	t := table(nearRows+nearQueries, nearDim, 0)
	m := must(detect.KNN{Neighbors: nearK, NoNormalize: true}.Fit(context.Background(), t.Slice(0, nearRows)))
	t = t.Slice(nearRows, nearRows+nearQueries)
	return func() { must(m.Score(t)) }
}

// reading goes through a file block by block, as a fit does; the file stays for later runs.
func reading(path string, columns bool) func() {
	ctx := context.Background()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t := table(fileRows, fileDim, 0)
		if columns {
			names := make([]string, fileDim)
			for j := range names {
				names[j] = "x" + strconv.Itoa(j)
			}
			t = must(t.WithColumns(names))
		}
		must(0, open.WriteTable(ctx, path, t, open.WriteOptions{}))
	}
	return func() {
		rows := 0
		for t, err := range must(open.Source(path, open.Options{})).Blocks(ctx) {
			n, _ := must(t, err).Dims()
			rows += n
		}
		if rows != fileRows {
			must(0, fmt.Errorf("%s has %d rows, want %d: remove it", path, rows, fileRows))
		}
	}
}

// starting runs the program from its start to one row's score.
func starting(binary, model, one string) func() {
	ctx := context.Background()
	build := exec.Command("go", "build", "-o", binary, "./cmd/gimbal")
	build.Stderr = os.Stderr
	must(0, build.Run())
	t := table(startRows, startDim, 10)
	fitted := must(detect.Mahalanobis{}.Fit(ctx, t))
	for _, s := range catalog.All() {
		if s.ID() == "detect/mahalanobis" {
			must(0, open.WriteCheckpoint(ctx, model, must(method.Save(s, detect.Mahalanobis{}, fitted)), 0))
		}
	}
	must(0, open.WriteTable(ctx, one, must(data.NewTable(1, startDim, t.Row(0))), open.WriteOptions{}))
	return func() {
		out := must(exec.Command(binary, "score", model, "--in", one).Output())
		if !bytes.Contains(out, []byte("ood_score")) {
			must(0, fmt.Errorf("%s score printed %q", binary, out))
		}
	}
}
