package method

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Param is one knob, read from a configuration's field and its tags:
//
//	Ridge float64 `default:"1e-6" range:"(0,1]" unit:"variance"`
//	Strategy string `default:"uniform" enum:"uniform,greedy"`
//
// Fields are float64, int, uint64, bool, string (with enum), []int or []float64 (comma-separated). Zero is honest: a field with a
// default has a range without zero, so that zero can only mean "the default"; a field whose zero is legal has no default.
type Param struct {
	Field, Name, Type, Default, Range, Unit string
	Enum                                    []string
}

func fields(t reflect.Type) iter.Seq[reflect.StructField] {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

// kebab turns a field's name into a flag's: MaxShare → max-share, OOD → ood.
func kebab(name string) string {
	var b strings.Builder
	r := []rune(name)
	for i, c := range r {
		if unicode.IsUpper(c) && i > 0 && (unicode.IsLower(r[i-1]) || i+1 < len(r) && unicode.IsLower(r[i+1])) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

func params(t reflect.Type) (ps []Param) {
	for f := range fields(t) {
		switch f.Type {
		case reflect.TypeFor[float64](), reflect.TypeFor[int](), reflect.TypeFor[uint64](), reflect.TypeFor[bool](), reflect.TypeFor[string](), reflect.TypeFor[[]int](), reflect.TypeFor[[]float64]():
		default:
			panic("method: " + t.String() + "." + f.Name + " has a type that no flag can set")
		}
		p := Param{Field: f.Name, Name: kebab(f.Name), Type: f.Type.String(), Default: f.Tag.Get("default"), Range: f.Tag.Get("range"), Unit: f.Tag.Get("unit")}
		if e := f.Tag.Get("enum"); e != "" {
			p.Enum = strings.Split(e, ",")
		}
		if _, err := p.parseRange(); err != nil {
			panic("method: " + t.String() + "." + f.Name + ": " + err.Error())
		}
		ps = append(ps, p)
	}
	return ps
}

// interval is a range tag: "(0,1]", "[1,)".
type interval struct {
	low, high         float64
	openLow, openHigh bool
}

func (p Param) parseRange() (iv interval, err error) {
	iv = interval{math.Inf(-1), math.Inf(1), true, true}
	if p.Range == "" {
		return iv, nil
	}
	r := p.Range
	low, high, ok := strings.Cut(r[1:len(r)-1], ",")
	if !ok || !strings.ContainsRune("([", rune(r[0])) || !strings.ContainsRune(")]", rune(r[len(r)-1])) {
		return iv, fmt.Errorf("range %q is not an interval", r)
	}
	iv.openLow, iv.openHigh = r[0] == '(', r[len(r)-1] == ')'
	if low != "" {
		if iv.low, err = strconv.ParseFloat(low, 64); err != nil {
			return iv, err
		}
	}
	if high != "" {
		iv.high, err = strconv.ParseFloat(high, 64)
	}
	return iv, err
}

func (iv interval) holds(x float64) bool {
	return (x > iv.low || x == iv.low && !iv.openLow) && (x < iv.high || x == iv.high && !iv.openHigh)
}

// AllowsZero reports whether zero lies in the parameter's range.
func (p Param) AllowsZero() bool {
	iv, _ := p.parseRange()
	return iv.holds(0)
}

func (p Param) set(v reflect.Value, text string) error {
	fail := func(want string) error {
		return fmt.Errorf("%w: --%s %q is not %s", ErrConfig, p.Name, text, want)
	}
	switch v.Kind() {
	case reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return fail("a finite number")
		}
		v.SetFloat(x)
	case reflect.Int:
		x, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fail("a whole number")
		}
		v.SetInt(x)
	case reflect.Uint64:
		x, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return fail("a whole number ≥ 0")
		}
		v.SetUint(x)
	case reflect.Bool:
		x, err := strconv.ParseBool(text)
		if err != nil {
			return fail("true or false")
		}
		v.SetBool(x)
	case reflect.String:
		v.SetString(text)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Float64 {
			var xs []float64
			for _, part := range strings.Split(text, ",") {
				x, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
				if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
					return fail("a list of finite numbers")
				}
				xs = append(xs, x)
			}
			v.Set(reflect.ValueOf(xs))
			break
		}
		var xs []int
		for _, part := range strings.Split(text, ",") {
			x, err := strconv.Atoi(strings.TrimSpace(part))
			if err != nil {
				return fail("a list of whole numbers")
			}
			xs = append(xs, x)
		}
		v.Set(reflect.ValueOf(xs))
	}
	return nil
}

func (p Param) check(v reflect.Value) error {
	iv, _ := p.parseRange()
	outside := func(x float64) error {
		if math.IsNaN(x) || !iv.holds(x) {
			return fmt.Errorf("%w: --%s = %v lies outside %s", ErrConfig, p.Name, x, p.Range)
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Float64:
		if x := v.Float(); math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("%w: --%s = %v is not a finite number", ErrConfig, p.Name, x)
		}
		return outside(v.Float())
	case reflect.Int:
		return outside(float64(v.Int()))
	case reflect.Uint64:
		return outside(float64(v.Uint()))
	case reflect.String:
		if p.Enum != nil && !slices.Contains(p.Enum, v.String()) {
			return fmt.Errorf("%w: --%s = %q, have %s", ErrConfig, p.Name, v.String(), strings.Join(p.Enum, ", "))
		}
	case reflect.Slice:
		for i := range v.Len() {
			var x float64
			if e := v.Index(i); e.CanInt() {
				x = float64(e.Int())
			} else if x = e.Float(); math.IsNaN(x) || math.IsInf(x, 0) {
				return fmt.Errorf("%w: --%s holds %v, which is not a finite number", ErrConfig, p.Name, x)
			}
			if err := outside(x); err != nil {
				return err
			}
		}
	}
	return nil
}

// meant refuses a zero that somebody wrote where zero stands for the default: the default is had by leaving it out.
func (p Param) meant(v reflect.Value) error {
	switch {
	case p.Default == "" || !v.IsZero():
		return nil
	case p.Enum != nil:
		return fmt.Errorf("%w: --%s = \"\", have %s", ErrConfig, p.Name, strings.Join(p.Enum, ", "))
	case p.Range != "":
		return fmt.Errorf("%w: --%s = 0 lies outside %s", ErrConfig, p.Name, p.Range)
	}
	return nil
}

// Ready fills defaults into zero fields and checks ranges. A Fit or Apply calls it first, on its own copy.
func Ready[C any](c *C) error {
	v := reflect.ValueOf(c).Elem()
	for i, p := range params(v.Type()) {
		f := v.Field(i)
		if f.IsZero() && p.Default != "" {
			if err := p.set(f, p.Default); err != nil {
				return err
			}
		}
		if err := p.check(f); err != nil {
			return err
		}
	}
	return nil
}

// Configure makes a configuration from flag values by name; those not named keep their defaults.
// Errors: ErrConfig naming the flag that does not exist, does not parse or lies outside its range.
func (s Spec) Configure(flags map[string]string) (any, error) {
	cfg := s.newConfig()
	v := reflect.ValueOf(cfg).Elem()
	for _, name := range slices.Sorted(maps.Keys(flags)) { // the first wrong one by name is reported, whatever the map's order
		text := flags[name]
		i := slices.IndexFunc(s.Params, func(p Param) bool { return p.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("%s: %w: no parameter is called --%s", s.ID(), ErrConfig, name)
		}
		if err := s.Params[i].set(v.Field(i), text); err != nil {
			return nil, s.Wrap(err)
		}
		if err := s.Params[i].meant(v.Field(i)); err != nil {
			return nil, s.Wrap(err)
		}
	}
	return cfg, s.Wrap(s.ready(cfg))
}

// MarshalConfig writes a configuration as JSON with the flags' names; zero fields, which stand for defaults, are left out.
// Errors: ErrConfig for another method's configuration and for a value outside its range.
func (s Spec) MarshalConfig(cfg any) ([]byte, error) {
	if err := s.ready(cfg); err != nil {
		return nil, s.Wrap(err)
	}
	v := reflect.Indirect(reflect.ValueOf(cfg))
	m := map[string]any{} // encoding/json sorts a map's keys: equal configurations, equal bytes
	for i, p := range s.Params {
		if f := v.Field(i); !f.IsZero() {
			m[p.Name] = f.Interface()
		}
	}
	return json.Marshal(m)
}

// UnmarshalConfig reads what MarshalConfig wrote, or a user's JSON. Errors: ErrConfig for an unknown name, a wrong type or a value outside its range.
func (s Spec) UnmarshalConfig(text []byte) (any, error) {
	m := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("%s: %w: %v", s.ID(), ErrConfig, err)
	}
	cfg := s.newConfig()
	v := reflect.ValueOf(cfg).Elem()
	for _, name := range slices.Sorted(maps.Keys(m)) {
		raw := m[name]
		i := slices.IndexFunc(s.Params, func(p Param) bool { return p.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("%s: %w: no parameter is called %q", s.ID(), ErrConfig, name)
		}
		d := json.NewDecoder(bytes.NewReader(raw))
		if err := d.Decode(v.Field(i).Addr().Interface()); err != nil {
			return nil, fmt.Errorf("%s: %w: %q: %v", s.ID(), ErrConfig, name, err)
		}
		if err := s.Params[i].meant(v.Field(i)); err != nil {
			return nil, s.Wrap(err)
		}
	}
	return cfg, s.Wrap(s.ready(cfg))
}
