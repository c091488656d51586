package cli

import (
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
)

// taskFiles lists the tables in a folder and those below it, sorted by path. Hidden ones are passed over.
func taskFiles(folder string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(folder, func(path string, f fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", path, plainCause(err))
		case path != folder && strings.HasPrefix(f.Name(), "."):
			if f.IsDir() {
				return fs.SkipDir
			}
		case f.Type().IsRegular() && isTableName(f.Name()):
			files = append(files, path)
		}
		return nil
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s: %w: no tables in it", folder, data.ErrFormat)
	}
	return files, err
}

// task is a file's rows, told apart by its anomaly column.
type task struct {
	table           *data.Table // without labels: a detector must not see them
	normal, anomaly []int       // row numbers
}

// newTask reads the anomaly column, which open took for labels.
func newTask(t *data.Table, column string) (*task, error) {
	labels, err := t.Labels()
	if err != nil {
		return nil, err
	}
	k := &task{table: stripped(t)}
	for i := range labels {
		switch name := t.ClassName(i); name {
		case "0", "false", "normal":
			k.normal = append(k.normal, i)
		case "1", "true", "anomaly":
			k.anomaly = append(k.anomaly, i)
		default:
			return nil, fmt.Errorf("row %d, column %q: %q is neither 0 (normal) nor 1 (anomaly): %w", i+1, column, name, data.ErrFormat)
		}
	}
	if len(k.normal) < 2 || len(k.anomaly) < 1 {
		return nil, fmt.Errorf("%w: %s and %s, want at least 2 and 1", data.ErrShape, plural(len(k.normal), "normal row"), plural(len(k.anomaly), "anomaly row"))
	}
	return k, nil
}

// stripped is a table's features alone.
func stripped(t *data.Table) *data.Table {
	n, d := t.Dims()
	u, err := data.NewTable(n, d, t.X())
	if err == nil && t.Columns() != nil {
		u, err = u.WithColumns(t.Columns())
	}
	if err != nil {
		panic(err) // it was a table before
	}
	return u
}

// cut splits the task: a share of the normal rows to learn, the others and the anomalies to tell apart.
func (k *task) cut(share float64, seed int) (train, in, ood *data.Table) {
	n := len(k.normal)
	learn := min(max(int(math.Round(share*float64(n))), 1), n-1)
	order := rand.New(rand.NewPCG(uint64(seed), 0x9e3779b97f4a7c15)).Perm(n)
	rows := make([]int, n)
	for i, j := range order {
		rows[i] = k.normal[j]
	}
	return k.table.Pick(rows[:learn]), k.table.Pick(rows[learn:]), k.table.Pick(k.anomaly)
}
