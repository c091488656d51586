package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"

	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/data/parquet"
	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/internal/world"
)

// A year of a product catalogue: every month brings new products from three suppliers, as features of their pictures.
const (
	months, productsAMonth = 12, 4
	picturesToLearn        = 60 // of each product
	picturesToTest         = 25
	catalogueColumns       = 64
)

var suppliers = []string{"nord", "ost", "west"}

// catalogue writes 01.parquet to 12.parquet, and 01-test.parquet to 12-test.parquet, with columns x, label and supplier.
func catalogue(to string) error {
	products := world.Mixture{Seed: 12, Classes: months * productsAMonth, Dim: catalogueColumns, Separation: 4.5, Condition: 30}
	for month := range months {
		for i, part := range []struct {
			name string
			rows int
		}{{"%02d.parquet", picturesToLearn}, {"%02d-test.parquet", picturesToTest}} {
			var t table
			var supplier []string
			r := rand.New(rand.NewPCG(uint64(month), uint64(i)))
			for k := range productsAMonth {
				class := month*productsAMonth + k
				x := products.Class(class, part.rows, uint64(2*class+i))
				for row := range part.rows {
					t.add(x[row*catalogueColumns:(row+1)*catalogueColumns], fmt.Sprintf("product-%02d", class+1))
					supplier = append(supplier, suppliers[r.IntN(len(suppliers))])
				}
			}
			path := filepath.Join(to, fmt.Sprintf(part.name, month+1))
			err := atomic.Write(path, func(w io.Writer) error {
				out := parquet.NewWriter(w)
				if err := out.Write(rows.Vectors("x", t.x, t.d), rows.Strings("label", t.label), rows.Strings("supplier", supplier)); err != nil {
					return err
				}
				return out.Close()
			})
			if err != nil {
				return err
			}
			fmt.Printf("%s: %d rows of %d features\n", path, len(t.label), t.d)
		}
	}
	return nil
}
