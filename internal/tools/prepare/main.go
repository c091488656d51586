// Command prepare cuts public data sets into the files that the guide's commands read:
//
//	go run ./internal/tools/prepare fashion-mnist FOLDER   # guard on 8 classes, 2 held out: train, known, lesson, new
//	go run ./internal/tools/prepare clinc150 FOLDER        # hashed text features: train, known, unknown
//	go run ./internal/tools/prepare catalogue FOLDER       # a year of products that it makes itself: 01 … 12, and test rows of each month
//
// The data sets are looked for where GIMBAL_DATA says, else in ../shared/data.
package main

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/data/idx"
	"github.com/gimbal-ml/gimbal/data/parquet"
	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/internal/part"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "prepare:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("want a data set (fashion-mnist, clinc150 or catalogue) and a folder to write to")
	}
	source := os.Getenv("GIMBAL_DATA")
	if source == "" {
		source = filepath.Join("..", "shared", "data")
	}
	if err := os.MkdirAll(args[1], 0o777); err != nil {
		return err
	}
	switch args[0] {
	case "fashion-mnist":
		return fashion(filepath.Join(source, "fashion_mnist"), args[1])
	case "clinc150":
		return clinc(filepath.Join(source, "clinc150"), args[1])
	}
	if args[0] == "catalogue" {
		return catalogue(args[1])
	}
	return fmt.Errorf("there is no data set %q", args[0])
}

// table is rows with a name each.
type table struct {
	x     []float32
	d     int
	label []string
}

func (t *table) write(path string) error {
	err := atomic.Write(path, func(w io.Writer) error {
		out := parquet.NewWriter(w)
		for i := 0; i < len(t.label); i += data.BlockRows {
			j := min(i+data.BlockRows, len(t.label))
			if err := out.Write(rows.Vectors("x", t.x[i*t.d:j*t.d], t.d), rows.Strings("label", t.label[i:j])); err != nil {
				return err
			}
		}
		return out.Close()
	})
	if err == nil {
		fmt.Printf("%s: %d rows of %d features\n", path, len(t.label), t.d)
	}
	return err
}

func (t *table) add(x []float32, label string) {
	t.x, t.d, t.label = append(t.x, x...), len(x), append(t.label, label)
}

// shuffle mixes rows that come class by class, which a stream's drift alarm would rightly take for drift.
func (t *table) shuffle() {
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(t.label), func(i, j int) {
		t.label[i], t.label[j] = t.label[j], t.label[i]
		for k := range t.d {
			t.x[i*t.d+k], t.x[j*t.d+k] = t.x[j*t.d+k], t.x[i*t.d+k]
		}
	})
}

// held are the classes kept out of training: sneaker and bag, shapes unlike the others.
var held = map[string]bool{"7": true, "8": true}

const lesson = 5 // labelled rows of each held-out class

func fashion(from, to string) error {
	for _, split := range []string{"train", "t10k"} {
		images, d, err := readIDX(filepath.Join(from, split+"-images-idx3-ubyte.gz"))
		if err != nil {
			return err
		}
		labels, _, err := readIDX(filepath.Join(from, split+"-labels-idx1-ubyte.gz"))
		if err != nil {
			return err
		}
		var known, first, novel table
		taught := map[string]int{}
		for i, l := range labels {
			name, x := strconv.Itoa(int(l)), images[i*d:(i+1)*d]
			switch {
			case !held[name]:
				known.add(x, name)
			case split == "train" && taught[name] < lesson:
				taught[name]++
				first.add(x, name)
			case split == "t10k":
				novel.add(x, name)
			}
		}
		name := map[string]string{"train": "train.parquet", "t10k": "known.parquet"}[split]
		if err := known.write(filepath.Join(to, name)); err != nil {
			return err
		}
		for file, t := range map[string]*table{"lesson.parquet": &first, "new.parquet": &novel} {
			if len(t.label) > 0 {
				if err := t.write(filepath.Join(to, file)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func readIDX(path string) (x []float32, d int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", path, err)
	}
	r, err := idx.NewReader(z)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", path, err)
	}
	features := make([]int, len(r.Columns()))
	for j := range features {
		features[j] = j
	}
	if d, err = r.Select(features, nil); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", path, err)
	}
	var b rows.Block
	for err == nil {
		err = r.Read(&b, data.BlockRows)
	}
	if err != io.EOF {
		return nil, 0, fmt.Errorf("%s: %w", path, err)
	}
	return b.X, d, nil
}

const textFeatures = 1024

func clinc(from, to string) error {
	path := filepath.Join(from, "data_full.json.gz")
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	splits := map[string][][2]string{}
	if err := json.NewDecoder(z).Decode(&splits); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	x := make([]float32, textFeatures)
	for file, names := range map[string][]string{"train.parquet": {"train", "val"}, "known.parquet": {"test"}, "unknown.parquet": {"oos_test"}} {
		var t table
		for _, name := range names {
			for _, pair := range splits[name] {
				part.HashText(x, pair[0])
				t.add(x, pair[1])
			}
		}
		t.shuffle()
		if err := t.write(filepath.Join(to, file)); err != nil {
			return err
		}
	}
	return nil
}
