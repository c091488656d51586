package open_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// A table of features and labels is read whole; a table of results is written and appears when it is whole.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "flowers.csv")
	if err := os.WriteFile(path, []byte("width,length,kind\n1.5,2,iris\n3,4,rose\n"), 0o600); err != nil {
		panic(err)
	}

	flowers, err := open.Table(context.Background(), path, open.Options{Label: "kind"})
	if err != nil {
		panic(err)
	}
	n, d := flowers.Dims()
	fmt.Println(n, d, flowers.Columns(), flowers.Classes())

	results, err := open.CreateTable(context.Background(), "-", open.WriteOptions{Format: "csv"})
	if err != nil {
		panic(err)
	}
	defer results.Abort()
	if err := results.Write(rows.Ints("row", []int{1, 2}), rows.Floats("ood_score", []float64{0.25, 4})); err != nil {
		panic(err)
	}
	if err := results.Commit(); err != nil {
		panic(err)
	}

	_, err = open.Source(path, open.Options{Label: "species"})
	fmt.Println(err.Error()[len(dir)+1:])
	// Output:
	// 2 2 [width length] [iris rose]
	// row,ood_score
	// 1,0.25
	// 2,4
	// flowers.csv: --label: no column "species", and no file of that name; columns are width, length, kind: labels needed
}
