package claim

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/idx"
	"github.com/gimbal-ml/gimbal/data/npy"
	"github.com/gimbal-ml/gimbal/data/rows"
)

// Images reads one part, train or t10k, of an image set in MNIST's form: N×784 pixels in [0, 1] with classes "0" to "9".
// Errors: ErrMissing; what is wrong with a file, with its path.
func (e Env) Images(set, part string) (*data.Table, error) {
	pixels, err := readImages(e.Path(set, part+"-images-idx3-ubyte.gz"))
	if err != nil {
		return nil, err
	}
	labels, err := readImages(e.Path(set, part+"-labels-idx1-ubyte.gz"))
	if err != nil {
		return nil, err
	}
	for i, v := range pixels.X {
		pixels.X[i] = v / 255
	}
	t, err := data.NewTable(pixels.N, len(pixels.X)/max(pixels.N, 1), pixels.X)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Path(set), err)
	}
	return numbered(t, labels.X)
}

// readImages reads a whole compressed IDX file.
func readImages(path string) (*rows.Block, error) {
	f, err := openData(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	plain, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r, err := idx.NewReader(plain)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := r.Select([]int{0}, nil); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	b := &rows.Block{}
	if err := r.Read(b, r.Rows()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

// Features reads an .npz archive of N×D features X and N whole numbers y, the classes. Errors: as [Env.Images].
func (e Env) Features(elements ...string) (*data.Table, error) {
	path := e.Path(elements...)
	f, err := openData(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	c, err := npy.Tensors(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r := c.Read()
	x := r.Float32s("X", -1, -1)
	y := r.Float32s("y", -1)
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	shape := c.Tensors["X"].Shape
	t, err := data.NewTable(shape[0], shape[1], x)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if t, err = numbered(t, y); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

func openData(path string) (*os.File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no file %s (say with GIMBAL_DATA or --data where it is)", ErrMissing, path)
	}
	return f, err
}

// numbered labels a table's rows by whole numbers from zero.
func numbered(t *data.Table, numbers []float32) (*data.Table, error) {
	labels := make([]int, len(numbers))
	most := 0
	for i, v := range numbers {
		labels[i] = int(v)
		most = max(most, labels[i])
	}
	return t.WithLabels(labels, Numbers(most+1))
}

// Numbers returns the names "0" to k−1.
func Numbers(k int) []string {
	names := make([]string, k)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}

// Random returns the random numbers of a seed. Other streams of the same seed are independent.
func Random(seed, stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }

// Sample returns n rows in random order, without replacement, of those of the given classes, which are numbered from 0 in
// that order; of all classes when none is given, and all rows when n is 0. Errors: ErrShape when there are fewer than n.
func Sample(t *data.Table, r *rand.Rand, n int, classes ...int) (*data.Table, error) {
	labels, err := t.Labels()
	if err != nil {
		return nil, err
	}
	if len(classes) == 0 {
		for c := range t.Classes() {
			classes = append(classes, c)
		}
	}
	var chosen []int
	for i, c := range labels {
		if slices.Contains(classes, c) {
			chosen = append(chosen, i)
		}
	}
	if n == 0 {
		n = len(chosen)
	}
	if n > len(chosen) {
		return nil, fmt.Errorf("sample: %w: %d rows of classes %v, want %d", data.ErrShape, len(chosen), classes, n)
	}
	r.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	chosen = chosen[:n]
	picked := t.Pick(chosen)
	names, renamed := make([]string, len(classes)), make([]int, n)
	for k, c := range classes {
		names[k] = t.Classes()[c]
	}
	for k, i := range chosen {
		renamed[k] = slices.Index(classes, labels[i])
	}
	return picked.WithLabels(renamed, names)
}

// Shots returns the first k rows of every class.
func Shots(t *data.Table, k int) (*data.Table, error) {
	labels, err := t.Labels()
	if err != nil {
		return nil, err
	}
	seen := make([]int, len(t.Classes()))
	var chosen []int
	for i, c := range labels {
		if seen[c] < k {
			chosen = append(chosen, i)
			seen[c]++
		}
	}
	if least := slices.Min(seen); least < k {
		return nil, fmt.Errorf("shots: %w: a class has %d rows, want %d", data.ErrShape, least, k)
	}
	return t.Pick(chosen), nil
}

// Gunzip reads a compressed file. Errors: ErrMissing; what is wrong with the file, with its path.
func Gunzip(path string, read func(io.Reader) error) error {
	f, err := openData(path)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err == nil {
		err = read(z)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
