package weights

// Dialect is how mergekit's recipes speak of a method: the name under which they call it, the flags that the name stands for, and
// what their parameters are called here. A configuration that has one has a method Dialects.
type Dialect struct {
	// Name is the recipe's merge_method.
	Name string
	// Flags are set by the name itself.
	Flags map[string]string
	// Base says whether the checkpoint that others were tuned from, base_model, is the input of this name, apart from the others;
	// "" when the method has none.
	Base string
	// Others is the input of the other checkpoints: a list, or a single one.
	Others string
	// Parameters are those that a recipe may give.
	Parameters []Parameter
}

// Parameter is one parameter of a recipe.
type Parameter struct {
	// Name is the recipe's word, Flag ours; an empty Flag says that the parameter is about how mergekit computes and changes no result here.
	Name, Flag string
	// EachModel says that every checkpoint but the base has a value of its own.
	EachModel bool
	// Default stands where a recipe says nothing; empty means that it must say something, or for an empty Flag nothing.
	Default string
	// Words translate the recipe's values; nil leaves numbers as they are.
	Words map[string]string
}

// Dialected is a configuration that mergekit's recipes can name.
type Dialected interface{ Dialects() []Dialect }
