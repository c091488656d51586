package weights

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

// Adapters are checkpoints of two low-rank factors for each changed matrix, named as PEFT names them: A [R, in] and B [out, R].
const (
	adapterPrefix = "base_model.model."
	adapterA      = "lora_A.weight"
	adapterB      = "lora_B.weight"
)

// adapterName is the name of a factor of the change to a tensor NAME.weight.
func adapterName(tensor, factor string) string {
	return adapterPrefix + strings.TrimSuffix(tensor, "weight") + factor
}

// factors is a change: B·A, m×n of rank r.
type factors struct {
	a, b    data.Tensor
	m, n, r int
}

// adapted lists the changes of an adapter by the tensors that they belong to, with what the names begin with.
func adapted(c *data.Checkpoint) (map[string]factors, error) {
	if c == nil {
		return nil, fmt.Errorf("%w: no adapter", method.ErrInput)
	}
	list := map[string]factors{}
	for _, name := range c.Names() {
		stem, ok := strings.CutSuffix(name, adapterA)
		if !ok {
			continue
		}
		a, b := c.Tensors[name], c.Tensors[stem+adapterB]
		if len(a.Shape) != 2 || len(b.Shape) != 2 || a.Shape[0] != b.Shape[1] || !a.DType.Float() || !b.DType.Float() {
			return nil, fmt.Errorf("adapter: tensor %q: %w: it is %s %v and %q is %s %v, want R×in and out×R", name, data.ErrShape, a.DType, a.Shape, stem+adapterB, b.DType, b.Shape)
		}
		list[strings.TrimPrefix(stem, adapterPrefix)+"weight"] = factors{a, b, b.Shape[0], a.Shape[1], a.Shape[0]}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("adapter: %w: no tensor is called …%s", method.ErrInput, adapterA)
	}
	return list, nil
}

// values reads both factors.
func (f factors) values(name string) (a, b []float64, err error) {
	if a, _, _, err = matrixOf("the adapter", adapterName(name, adapterA), f.a); err != nil {
		return nil, nil, err
	}
	b, _, _, err = matrixOf("the adapter", adapterName(name, adapterB), f.b)
	return a, b, err
}

// add puts the factors of a change of rank r into a checkpoint. Both come from one computation, made when either is asked for, and kept.
func addFactors(c *data.Checkpoint, tensor string, m, n, r int, compute func() (a, b []float64, err error)) error {
	type pair struct{ a, b data.Tensor }
	made := sync.OnceValues(func() (pair, error) {
		a, b, err := compute()
		if err != nil {
			return pair{}, err
		}
		return pair{data.CastTensor(data.F32, a, r, n), data.CastTensor(data.F32, b, m, r)}, nil
	})
	a, err := data.LazyTensor(data.F32, []int{r, n}, func() ([]byte, error) {
		p, err := made()
		if err != nil {
			return nil, err
		}
		return p.a.Bytes()
	})
	if err != nil {
		return err
	}
	b, err := data.LazyTensor(data.F32, []int{m, r}, func() ([]byte, error) {
		p, err := made()
		if err != nil {
			return nil, err
		}
		return p.b.Bytes()
	})
	c.Tensors[adapterName(tensor, adapterA)], c.Tensors[adapterName(tensor, adapterB)] = a, b
	return err
}

// split makes A and B of the r leading singular triples of a matrix, each with the square root of the singular values, so that
// neither is much larger than the other.
func split(name string, x []float64, m, n, r int) (a, b []float64, err error) {
	u, s, v, ok := num.SVD(x, m, n)
	if !ok {
		return nil, nil, fmt.Errorf("tensor %q: %w: its singular values were not found", name, method.ErrDegenerate)
	}
	k := len(s)
	a, b = make([]float64, r*n), make([]float64, m*r)
	for j := range r {
		root := math.Sqrt(s[j])
		for i := range n {
			a[j*n+i] = root * v[i*k+j]
		}
		for i := range m {
			b[i*r+j] = root * u[i*k+j]
		}
	}
	return a, b, nil
}

// adapterMeta describes an adapter of ours.
func adapterMeta(shared map[string]string, rank int) map[string]string {
	shared["lora.rank"], shared["lora.alpha"] = fmt.Sprint(rank), fmt.Sprint(rank) // PEFT scales by alpha/rank: 1
	return shared
}

// sortedNames are the tensors of a list of changes in order.
func sortedNames(list map[string]factors) []string {
	var names []string
	for name := range list {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
