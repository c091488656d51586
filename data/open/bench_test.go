package open

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

// BenchmarkSource streams 100 000 × 128 normal numbers from files in the page cache. MB/s are of float32 made, whatever the file's size.
// BENCH_DATA keeps the files, for the same measurement with other programs.
func BenchmarkSource(b *testing.B) {
	const n, d = 100_000, 128
	dir := os.Getenv("BENCH_DATA")
	if dir == "" {
		dir = b.TempDir()
	}
	bare, err := data.NewTable(n, d, sample(b, n, d).X())
	if err != nil {
		b.Fatal(err)
	}
	names := make([]string, d)
	for j := range names {
		names[j] = "c" + string(rune('a'+j/26)) + string(rune('a'+j%26))
	}
	named, err := bare.WithColumns(names)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		file string
		tab  *data.Table
	}{
		{"x.npy", bare}, {"x.npz", bare}, {"x.csv", named}, {"x.csv.gz", named}, {"x.tsv.zst", named}, {"x.jsonl", bare},
		{"list.parquet", bare}, {"columns.parquet", named},
	} {
		path := filepath.Join(dir, c.file)
		if _, err := os.Stat(path); err != nil {
			if err := WriteTable(b.Context(), path, c.tab, WriteOptions{}); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(c.file, func(b *testing.B) {
			b.SetBytes(n * d * 4)
			for range b.N {
				src, err := Source(path, Options{})
				if err != nil {
					b.Fatal(err)
				}
				rows := 0
				for t, err := range src.Blocks(b.Context()) {
					if err != nil {
						b.Fatal(err)
					}
					k, _ := t.Dims()
					rows += k
				}
				if rows != n {
					b.Fatal(rows)
				}
			}
			b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
		b.Run(c.file+"/whole", func(b *testing.B) {
			b.SetBytes(n * d * 4)
			for range b.N {
				if _, err := Table(b.Context(), path, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWriteTable(b *testing.B) {
	const n, d = 20_000, 128
	tab, err := data.NewTable(n, d, sample(b, n, d).X())
	if err != nil {
		b.Fatal(err)
	}
	for _, ext := range WriteFormats {
		b.Run(ext, func(b *testing.B) {
			b.SetBytes(n * d * 4)
			path := filepath.Join(b.TempDir(), "t."+ext)
			for range b.N {
				if err := WriteTable(b.Context(), path, tab, WriteOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
