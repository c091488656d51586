// Package weights answers: what can be made of trained checkpoints by arithmetic on their weights alone?
// Checkpoints larger than memory pass through: results are computed a stretch of a tensor at a time, when somebody asks for it.
//
//	which one?                               takes                              when
//	[Soup]                                   checkpoints of one architecture    fine-tuned from one start; wanted is one model as good as their ensemble
//	[Linear]                                 the same, with weights             you know how much each should count
//	[Slerp], [Karcher]                       two, or several                    a mean on the sphere, which keeps norms
//	[ModelStock]                             a base and two or more copies      copies of one recipe; wanted is their centre, without held-out rows
//	[TaskArithmetic]                         a base and tuned ones              tasks are to be added up, or taken away
//	[TIES], [DARE], [DELLA], [Breadcrumbs]   the same                           tasks that get into each other's way
//	[BANG]                                   a pre-trained one and tuned ones   the data shifts: blend both, see where the blend is right and both are wrong
//	[EssSparsity]                            a checkpoint and its score         how much of it can go today, without retraining?
//	[CNNFilterDB]                            checkpoints of any architectures   are their 3×3 filters sound, and how alike?
//	[SparseLaw]                              a table of finished runs           plan a run: which size to start from, how sparse to end
//	[KIND]                                   a network and labelled rows        a denoiser in a shared part and add-ons for classes
//	[D2NWG]                                  labelled rows                      heads for thousands of small tasks, drawn instead of trained
//	[Mixup]                                  a network and labelled rows        tune it without making it too sure, so that it averages well
//	[OwLore]                                 a network and labelled rows        tune it with little memory, a few layers at a time
//	[Fisher]                                 checkpoints and their information  you know how sure each is of every weight
//	[RegMean]                                checkpoints and moments states     you know what each one's layers read
//	[Rebasin]                                two networks                       trained from different starts, to be averaged
//	[Wanda], [SVDLLM]                        a checkpoint and a moments state   half of the weights should go, or low rank do, without training
//	[LoRAExtract], [LoRAMerge], [LoRAResize] adapters, or what they came from   changes are kept apart, at low rank
//	[Quantize], [Dequantize]                 a checkpoint                       a quarter of the size
//
// What a strategy must score or differentiate comes in as an evaluator: a [Holdout] of rows for multilayer perceptrons,
// anything else that implements [data.Evaluator] for other networks.
package weights

import (
	"embed"

	"github.com/gimbal-ml/gimbal/method"
)

//go:embed *.go
var source embed.FS

var methods = method.Set{Family: "weights", Source: &source}

// Methods returns the family's methods, sorted by name.
func Methods() []method.Spec { return methods.All() }
