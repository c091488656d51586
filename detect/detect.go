// Package detect answers: how unfamiliar is this input, and by how much? Scores grow with unfamiliarity.
//
//	which one?                       takes                  learns in        when
//	[Mahalanobis]                    features, labels       one pass         classes are roughly Gaussian; the default
//	[RMDS]                           features, labels       one pass         the unfamiliar is close to what is known
//	[GaussianAD]                     features               one pass         one class of normal rows, no labels
//	[Residual]                       features               one pass         the unfamiliar uses other combinations of features
//	[KNN]                            features               keeps the rows   no shape can be assumed
//	[LOF]                            features               keeps the rows   clusters differ in density
//	[MemoryBank]                     features               keeps a share    as KNN, when rows are many, come in parts or must be forgotten
//	[PCA]                            features               one pass         columns are many and correlated
//	[OneClassSVM]                    features               keeps a border   a smooth border around clouds of any shape is wanted
//	[IsolationForest]                features               keeps trees      columns of a table in units of their own, nothing known
//	[ECOD], [COPOD]                  features               keeps columns    outliers are extreme in single columns; nothing to tune
//	[HBOS]                           features               keeps counts     the same, fastest
//	[ViM]                            features, head         two passes       both features and the network's last layer are at hand
//	[NNGuide], [Relation]            features, head         keeps the rows   as for KNN, and the last layer is at hand
//	[FDBD], [SHE], [DICE], [ReAct]   features, head         one pass         rows are too many to keep, and to be fitted
//	[Scale], [ASH]                   features, head         no pass          features come out of a ReLU
//	[Energy], [MaxLogit], [ODIN]     logits                 no pass          only a classifier's outputs are at hand, and their size means something
//	[GEN], [MaxSoftmax]              logits                 no pass          only outputs are at hand, or only probabilities; the second is the baseline
//	[TesterLearner]                  features, labels       half of the rows  two classes, a plane between them, and its error must be vouched for or refused
//	[KLMatching]                     logits                 one pass         some classes are easily mistaken for each other
//	[MLKD]                           token numbers          trains networks  texts without classes, and no sentence encoder is at hand
//	[AdvEncoder]                     images, encoder        trains a network  how easily is the encoder itself fooled? an audit of it, no score of rows
//
// With the network that features or logits come from, given as a checkpoint when a fitted model is refined, [Mahalanobis] and
// [ODIN] move inputs by its gradients before they score ([NewNetwork] says which networks are read).
//
// Features of several layers of one network may stand side by side in a row: [Mahalanobis] and [GaussianAD] take the layers'
// widths. [AdvEncoder] does not score rows; it audits the encoder that they come from.
//
// A head is a network's last layer, given as a checkpoint when a detector is fitted and kept in its model: scoring takes the
// features alone.
package detect

import (
	"embed"

	"github.com/gimbal-ml/gimbal/method"
)

//go:embed *.go
var source embed.FS

var methods = method.Set{Family: "detect", Source: &source}

// Methods returns the family's methods, sorted by name.
func Methods() []method.Spec { return methods.All() }
