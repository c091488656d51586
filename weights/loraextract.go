package weights

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "an adapter of low rank that turns a base into a tuned checkpoint, nearly",
	Paper: "hu2022lora",
}, LoRAExtract.Apply))

// LoRAExtract finds the adapter that comes nearest to what tuning changed: for every matrix the best change of a given rank.
//
// A tuned checkpoint as large as its base shrinks to a few per cent, and can be served beside others on one base. How much is lost
// is what the change's singular values beyond Rank weigh; gimbal weights diff shows their effective number.
//
// Takes:   from, the base; to, the tuned checkpoint with the same tensors.
// Apply:   an adapter in PEFT's names, base_model.model.LAYER.lora_A.weight [R, in] and …lora_B.weight [out, R], F32, for every tensor LAYER.weight of two dimensions, with R the smaller of Rank and its sides; B·A is the change's truncated singular value decomposition. Metadata: lora.rank, lora.alpha (equal: nothing is scaled), lora.left, how many other tensors changed and are not in the adapter. A matrix is in memory as a whole, in float64.
// Errors:  ErrShape listing how the checkpoints differ; ErrInput when they have no matrices; ErrFinite naming tensor and element, when that tensor is asked for.
// Differs: PEFT also has factors for embeddings and convolutions; here these are left out, and counted.
// Source:  hu2022lora, section 4.1, for the form.
// Claim:   none: it is the Eckart–Young theorem, which its tests hold it to.
type LoRAExtract struct {
	// Rank is how many singular values of a change are kept.
	Rank int `default:"16" range:"[1,1e5]"`
}

// LoRAExtractInput are a base and what it was tuned to.
type LoRAExtractInput struct {
	// From is the base.
	From *data.Checkpoint
	// To is the tuned checkpoint.
	To *data.Checkpoint
}

// Apply finds the adapter.
func (c LoRAExtract) Apply(ctx context.Context, in LoRAExtractInput) (*data.Checkpoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	s, err := sources{data.Checkpoints{in.From, in.To}, []string{"the base", "the tuned checkpoint"}}.align()
	if err != nil {
		return nil, err
	}
	out := &data.Checkpoint{Meta: adapterMeta(s.meta(), c.Rank), Tensors: map[string]data.Tensor{}}
	left := 0
	for _, name := range s.list[0].Names() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		t := s.list[0].Tensors[name]
		if !t.DType.Float() {
			continue
		}
		if len(t.Shape) != 2 || !strings.HasSuffix(name, ".weight") || t.Len() == 0 {
			same, err := equalTensors(t, s.list[1].Tensors[name])
			if err != nil {
				return nil, fmt.Errorf("tensor %q: %w", name, err)
			}
			if !same {
				left++
			}
			continue
		}
		m, n := t.Shape[0], t.Shape[1]
		rank := min(c.Rank, m, n)
		err := addFactors(out, name, m, n, rank, func() (a, b []float64, err error) {
			base, _, _, err := matrixOf(s.who[0], name, s.list[0].Tensors[name])
			if err != nil {
				return nil, nil, err
			}
			change, _, _, err := matrixOf(s.who[1], name, s.list[1].Tensors[name])
			if err != nil {
				return nil, nil, err
			}
			for i, v := range base {
				change[i] -= v
			}
			return split(name, change, m, n, rank)
		})
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
	}
	if len(out.Tensors) == 0 {
		return nil, fmt.Errorf("%w: no tensor NAME.weight has two dimensions", method.ErrInput)
	}
	out.Meta["lora.left"] = strconv.Itoa(left)
	return out, nil
}
