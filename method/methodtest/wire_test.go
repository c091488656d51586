package methodtest

import (
	"errors"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// The wire check finds each thing that can get lost on the way, and nothing when nothing is.
func TestWireFindsWhatIsLost(t *testing.T) {
	honest := spec(t, "detect/honest")
	direct := func(s method.Spec, flags map[string]string, in data.Bundle, query *data.Table) (Answer, error) {
		return newT(s).here(flags, in, query)
	}
	flipped := spec(t, "detect/signflipped")
	for what, c := range map[string]struct {
		way  func(s method.Spec, flags map[string]string, in data.Bundle, query *data.Table) (Answer, error)
		want string
	}{
		"nothing": {direct, ""},
		"its parameters": {func(s method.Spec, _ map[string]string, in data.Bundle, query *data.Table) (Answer, error) {
			return direct(s, nil, in, query)
		}, "instead of"},
		"a row of the query": {func(s method.Spec, flags map[string]string, in data.Bundle, query *data.Table) (Answer, error) {
			n, _ := query.Dims()
			return direct(s, flags, in, query.Slice(0, n-1))
		}, "values instead of"},
		"a training row": {func(s method.Spec, flags map[string]string, in data.Bundle, query *data.Table) (Answer, error) {
			x := in["in"].(*data.Table)
			n, _ := x.Dims()
			return direct(s, flags, data.Bundle{"in": x.Slice(1, n)}, query)
		}, "state"},
		"the last bits of a number": {func(s method.Spec, flags map[string]string, in data.Bundle, query *data.Table) (Answer, error) {
			a, err := direct(s, flags, in, query)
			for i, v := range a.Verbs["score"] {
				a.Verbs["score"][i] = float64(float32(v))
			}
			return a, err
		}, "score: value"},
		"the method": {func(_ method.Spec, flags map[string]string, in data.Bundle, query *data.Table) (Answer, error) {
			return direct(flipped, nil, in, query)
		}, "instead of"},
		"all": {func(method.Spec, map[string]string, data.Bundle, *data.Table) (Answer, error) {
			return Answer{}, errors.New("no way")
		}, "no way"},
	} {
		var bad []string
		for _, f := range failures(honest, Wire(Way{what, c.way})) {
			bad = append(bad, f.Check+": "+f.Text)
		}
		switch {
		case c.want == "" && bad != nil:
			t.Errorf("a way that loses %s: %q", what, bad)
		case c.want != "" && (len(bad) != 1 || !strings.HasPrefix(bad[0], "wire: ") || !strings.Contains(bad[0], c.want)):
			t.Errorf("a way that loses %s: %q, want %q", what, bad, c.want)
		}
	}
}
