package cli

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestBadTables feeds every command that reads tables what is wrong with them: each gets one line with file, place and reason,
// exit 1, and leaves no file.
func TestBadTables(t *testing.T) {
	fixture(t)
	must(t, "fit", "detect/mahalanobis", "--train", "train.csv", "--label", "y", "-o", "m.gimbal")
	files := map[string]struct {
		text  string
		words []string
	}{
		"ragged.csv":     {"a,b,c,d,y\n1,2,3,4,ant\n1,2,3,ant\n", []string{"line 3"}},
		"long.csv":       {"a,b,c,d,y\n1,2,3,4,ant\n1,2,3,4,5,ant\n", []string{"line 3"}},
		"nan.csv":        {"a,b,c,d,y\n1,2,3,4,ant\n1,NaN,3,4,bee\n", []string{"line 3", `"b"`, "not a finite number"}},
		"inf.csv":        {"a,b,c,d,y\n1,2,3,-inf,ant\n", []string{"line 2", `"d"`, "not a finite number"}},
		"huge.csv":       {"a,b,c,d,y\n1,2,1e39,4,ant\n", []string{"line 2", `"c"`, "not a finite number"}},
		"word.csv":       {"a,b,c,d,y\n1,2,three,4,ant\n", []string{"line 2", `"c"`, "three", "--ignore"}},
		"unlabelled.csv": {"a,b,c,d\n1,2,3,4\n", []string{`"y"`}},
		"empty.csv":      {"", nil},
		"headonly.csv":   {"a,b,c,d,y\n", []string{"no rows"}},
	}
	for name, f := range files {
		write(t, name, f.text)
	}
	for name, f := range files {
		words := append([]string{name}, f.words...)
		for _, args := range [][]string{
			{"moments", name, "--label", "y", "-o", "x.moments"},
			{"moments", "train.csv", name, "--label", "y", "-o", "x.moments"},
			{"moments", "forget", "train.moments", "--rows", name, "--label", "y", "-o", "x.moments"},
			{"fit", "detect/mahalanobis", "--train", name, "--label", "y", "-o", "x.gimbal"},
			{"fit", "detect/knn", "--train", name, "--label", "y", "-o", "x.gimbal"},
			{"score", "m.gimbal", "--in", name, "--label", "y", "-o", "x.csv"},
			{"predict", "m.gimbal", "--in", name, "--label", "y", "-o", "x.csv"},
			{"compare", "detect", "--train", name, "--in", "new.csv", "--ood", "ood.csv", "--label", "y"},
			{"compare", "probe", "--train", "train.csv", "--in", name, "--label", "y"},
		} {
			if args[0] == "moments" && args[1] == "train.csv" && name == "headonly.csv" {
				continue // a shard without rows adds nothing
			}
			refused(t, 1, words, args...)
		}
	}
}

func TestWrongWidth(t *testing.T) {
	fixture(t)
	must(t, "fit", "detect/mahalanobis", "--train", "train.csv", "--label", "y", "-o", "m.gimbal")
	write(t, "narrow.csv", "a,b,c,y\n1,2,3,ant\n")
	write(t, "noheader.csv", "1,2,3\n4,5,6\n")
	refused(t, 1, []string{"narrow.csv", "wrong shape", "3", "4"}, "score", "m.gimbal", "--in", "narrow.csv", "--label", "y")
	refused(t, 1, []string{"noheader.csv", "wrong shape", "3", "4"}, "predict", "m.gimbal", "--in", "noheader.csv")
	refused(t, 1, []string{"narrow.csv", "wrong shape", "3", "4"}, "moments", "train.csv", "narrow.csv", "--label", "y", "-o", "x")
	refused(t, 1, []string{"narrow.csv", "wrong shape", "3", "4"}, "moments", "narrow.csv", "--label", "y", "--like", "train.moments", "-o", "x")
	refused(t, 1, []string{"narrow.csv", "wrong shape", "3", "4"}, "moments", "forget", "train.moments", "--rows", "narrow.csv", "--label", "y", "-o", "x")
	// Other names are no features of the model.
	write(t, "renamed.csv", "a,b,c,e,y\n1,2,3,4,ant\n")
	refused(t, 1, []string{"renamed.csv", `"d"`}, "score", "m.gimbal", "--in", "renamed.csv", "--label", "y")
}

// TestTruncated cuts files of every format that the program itself writes.
func TestTruncated(t *testing.T) {
	fixture(t)
	must(t, "fit", "detect/mahalanobis", "--train", "train.csv", "--label", "y", "-o", "m.gimbal")
	for _, end := range []string{"parquet", "npy", "npz", "jsonl", "csv.gz"} {
		name := "scores." + end
		must(t, "score", "m.gimbal", "--in", "train.csv", "--label", "y", "-o", name)
		must(t, "moments", name, "-o", "whole.moments") // what was written can be read
		whole := read(t, name)
		for _, share := range []float64{0.3, 0.7, 0.98} {
			cutFile := fmt.Sprintf("cut%v.%s", share, end)
			text := whole[:int(share*float64(len(whole)))]
			if end == "jsonl" { // cut inside a row, else it is a shorter file
				text = strings.TrimRight(text, "}\n0123456789")
			}
			write(t, cutFile, text)
			refused(t, 1, []string{cutFile}, "moments", cutFile, "-o", "x.moments")
			refused(t, 1, []string{cutFile}, "fit", "detect/knn", "--train", cutFile, "-o", "x.gimbal")
		}
	}
}

func TestTruncatedCheckpoint(t *testing.T) {
	fixture(t)
	whole := read(t, "a.safetensors")
	for n := range len(whole) {
		write(t, "cut.safetensors", whole[:n])
		if r := gimbal("apply", "weights/soup", "--in", "b.safetensors", "--in", "cut.safetensors", "-o", "x.safetensors"); r.code != 1 {
			t.Fatalf("%d bytes: exit %d: %s", n, r.code, r.errOut)
		}
	}
	refused(t, 1, []string{"cut.safetensors"}, "apply", "weights/soup", "--in", "b.safetensors", "--in", "cut.safetensors", "-o", "x.safetensors")
	refused(t, 1, []string{"cut.safetensors"}, "moments", "cut.safetensors", "--features", "head.weight", "-o", "x.moments")
	must(t, "moments", "a.safetensors", "--features", "head.weight", "-o", "w.moments")
}

func TestCutGzip(t *testing.T) {
	fixture(t)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(read(t, "train.csv"))); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, "train.csv.gz", b.String())
	must(t, "moments", "train.csv.gz", "--label", "y", "-o", "z.moments")
	sameFile(t, "z.moments", "train.moments")
	write(t, "cut.csv.gz", b.String()[:b.Len()/2])
	refused(t, 1, []string{"cut.csv.gz"}, "moments", "cut.csv.gz", "--label", "y", "-o", "x.moments")
}

func TestBadStates(t *testing.T) {
	fixture(t)
	whole := read(t, "train.moments")
	broken := []byte(whole)
	broken[len(broken)-1] ^= 1
	for name, f := range map[string]struct {
		text  string
		words []string
	}{
		"half.moments":   {whole[:len(whole)/2], nil},
		"empty.moments":  {"", nil},
		"broken.moments": {string(broken), []string{"damaged"}},
		"future.moments": {strings.Replace(whole, `"version":"1"`, `"version":"7"`, 1), nil},
	} {
		write(t, name, f.text)
		for _, args := range [][]string{
			{"moments", "show", name},
			{"moments", "merge", "a.moments", name, "-o", "x"},
			{"moments", "train.csv", "--label", "y", "--like", name, "-o", "x"},
			{"fit", "detect/mahalanobis", "--moments", name, "-o", "x"},
		} {
			refused(t, 1, append([]string{name}, f.words...), args...)
		}
	}
}

func TestUnreadable(t *testing.T) {
	fixture(t)
	refused(t, 1, []string{"nosuch.csv", "no such file"}, "moments", "nosuch.csv", "-o", "x")
	refused(t, 1, []string{"tasks", "folder"}, "moments", "tasks", "-o", "x")
	if os.Getuid() != 0 {
		write(t, "secret.csv", "a\n1\n")
		if err := os.Chmod("secret.csv", 0); err != nil {
			t.Fatal(err)
		}
		refused(t, 1, []string{"secret.csv", "permission denied"}, "moments", "secret.csv", "-o", "x")
	}
}
