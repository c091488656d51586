// Package gimbal is the map of the house: what stands where, and where to go for what. It holds no code.
//
// # What Gimbal is for
//
// A pre-trained model puts things out: features, logits, weights. Gimbal works on those: it tells which inputs are unfamiliar
// ([github.com/gimbal-ml/gimbal/detect]), whether the data as a whole has changed
// ([github.com/gimbal-ml/gimbal/drift]), puts a head on frozen features ([github.com/gimbal-ml/gimbal/probe]), learns new
// classes without losing the old ones ([github.com/gimbal-ml/gimbal/continual]), does arithmetic on checkpoints
// ([github.com/gimbal-ml/gimbal/weights]), and makes a pre-trained network where there is none
// ([github.com/gimbal-ml/gimbal/pretrain]). These are the families: one package a question, one file a method.
//
//	m, err := detect.Mahalanobis{}.Fit(ctx, train) // a configuration is a value, its zero is the default
//	scores, err := m.Score(rows)                   // what was learned is another type, and never changes
//
// The same method is the command gimbal fit detect/mahalanobis; its ID is its address in the source, in saved files, in
// claims and in the catalog.
//
// # What things are made of
//
// Nouns are what methods read and return: a Table of rows, a Checkpoint of tensors and a few more, checked once at the door
// and trusted inside; package data has them, data/open reads them from files. A method is a learner, which fits nouns and
// gives a model with verbs (Score, Predict, Update, Forget, Test, Watch), or a map from nouns to a noun; package method is that
// contract, and derives flags, JSON, help and file format from the types, so that nothing is declared twice. Under most
// learners lies the moments state: exact integer sums, so that rows can be added, merged from many machines and
// forgotten again, each to the bit; package moments has it.
//
// Who starts from images, sounds or texts instead of features: package encode runs real pre-trained networks, on the user's own
// weights, and gives tables.
//
// Package metric measures, with an interval for every figure. Package catalog lists all methods and the papers behind
// them. Package claims runs each paper's headline again, small, and says whether it holds. Package guard composes the
// main job from all that: a detector, a head, a threshold with a guarantee, updates. Package choose ranks detectors from familiar
// rows alone. Package report draws; package cli is the command line.
//
// # How the house stands
//
// Packages stand on floors and import lower floors only. Families never import each other; what two need goes down.
//
//	8  cmd/gimbal, internal/tools
//	7  cli
//	6  guard, choose, protocol, claims
//	5  catalog, method/methodtest; above them report
//	4  detect, drift, probe, continual, weights, pretrain; encode
//	3  method, data/open
//	2  moments, metric, the codecs under data, internal/world
//	1  data, internal/net, internal/graph, internal/part; above them internal/onnx
//	0  internal/num
//
// The test in house_test.go holds the house to this and to the rest of its building code. Every method answers to one suite of
// laws, package method/methodtest, which is itself tested on saboteurs.
//
// # To add a method
//
// Write family/name.go: the registration, the configuration type with its documentation, Fit or Apply, the model, its verbs, its
// state out and in. Beside it goes name_test.go with an Example and the property that the paper proves, and
// claims/family/name.go with its claim. The paper goes into catalog/papers.json, a new word for a knob into docs/glossary.md.
// No other file changes; go test ./catalog says what is missing.
package gimbal
