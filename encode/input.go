package encode

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
)

// The kinds of samples.
const (
	KindImage  = "image"
	KindAudio  = "audio"
	KindText   = "text"
	KindValues = "values"
)

// Input says how a sample becomes the numbers that a network reads.
//
// An image is decoded, brought to the channels, resized (so that its shorter side is Shorter and then cut to Height×Width around the
// centre, or straight to Height×Width), and each channel becomes (value/Divisor − Mean)/Std.
type Input struct {
	Kind string `json:"kind"`

	Channels string    `json:"channels,omitempty"` // RGB, BGR or gray
	Height   int       `json:"height,omitempty"`
	Width    int       `json:"width,omitempty"`
	Resize   string    `json:"resize,omitempty"`  // one of [Resizes]; pillow-bilinear by default
	Shorter  int       `json:"shorter,omitempty"` // pixels of the shorter side before cutting
	Divisor  float64   `json:"divisor,omitempty"` // 1 by default
	Mean     []float64 `json:"mean,omitempty"`    // a value a channel, 0 by default
	Std      []float64 `json:"std,omitempty"`     // a value a channel, 1 by default
	Layout   string    `json:"layout,omitempty"`  // NCHW by default, or NHWC

	Shape []int `json:"shape,omitempty"` // of one sample of values

	Sound *Sound `json:"sound,omitempty"` // of kind audio

	Tokenizer string `json:"tokenizer,omitempty"` // file of a text's tokenizer, beside the weights; tokenizer.json by default
	Length    int    `json:"length,omitempty"`    // most tokens of a text, the rest is cut off; the tokenizer's own by default
}

// joined returns the input with what is set in other in its place.
func (in Input) joined(other Input) Input {
	text := func(a *string, b string) {
		if b != "" {
			*a = b
		}
	}
	number := func(a *int, b int) {
		if b != 0 {
			*a = b
		}
	}
	text(&in.Kind, other.Kind)
	text(&in.Channels, other.Channels)
	text(&in.Resize, other.Resize)
	text(&in.Layout, other.Layout)
	text(&in.Tokenizer, other.Tokenizer)
	number(&in.Height, other.Height)
	number(&in.Width, other.Width)
	number(&in.Shorter, other.Shorter)
	number(&in.Length, other.Length)
	if other.Divisor != 0 {
		in.Divisor = other.Divisor
	}
	if other.Mean != nil {
		in.Mean = other.Mean
	}
	if other.Std != nil {
		in.Std = other.Std
	}
	if other.Shape != nil {
		in.Shape = other.Shape
	}
	if other.Sound != nil {
		in.Sound = other.Sound
	}
	return in
}

// channels returns how many there are.
func (in *Input) channels() int {
	if in.Channels == "gray" {
		return 1
	}
	return 3
}

// size is the shape of one sample as the network reads it.
func (in *Input) size() []int {
	switch {
	case in.Kind == KindAudio:
		return in.Sound.size()
	case in.Kind != KindImage:
		return in.Shape
	case in.Layout == "NHWC":
		return []int{in.Height, in.Width, in.channels()}
	}
	return []int{in.channels(), in.Height, in.Width}
}

// check refuses what cannot be meant. Errors: ErrOption, ErrFormat, ErrShape.
func (in *Input) check() error {
	one := func(what, have string, want ...string) error {
		if !slices.Contains(want, have) {
			return fmt.Errorf("%w: %s %q, want one of %s", ErrOption, what, have, strings.Join(want, ", "))
		}
		return nil
	}
	if err := one("input kind", in.Kind, KindImage, KindAudio, KindText, KindValues); err != nil {
		return err
	}
	switch in.Kind {
	case KindValues:
		for _, s := range in.Shape {
			if s < 1 {
				return fmt.Errorf("%w: values of shape %v", data.ErrShape, in.Shape)
			}
		}
		return nil
	case KindAudio:
		return in.Sound.check()
	case KindText:
		if in.Length < 0 {
			return fmt.Errorf("%w: %d tokens", data.ErrShape, in.Length)
		}
		return nil
	}
	if err := one("channels", in.Channels, "RGB", "BGR", "gray"); err != nil {
		return err
	}
	if err := one("resize", in.resize(), Resizes...); err != nil {
		return err
	}
	if err := one("layout", in.Layout, "", "NCHW", "NHWC"); err != nil {
		return err
	}
	const most = 1 << 14
	if in.Height < 1 || in.Width < 1 || in.Height > most || in.Width > most || in.Shorter < 0 || in.Shorter > most {
		return fmt.Errorf("%w: images of %d×%d, shorter side %d; want 1 to %d", data.ErrShape, in.Height, in.Width, in.Shorter, most)
	}
	if in.Shorter > 0 && in.Shorter < max(in.Height, in.Width) {
		return fmt.Errorf("%w: %d×%d cannot be cut from images whose shorter side is %d", data.ErrShape, in.Height, in.Width, in.Shorter)
	}
	for what, list := range map[string][]float64{"mean": in.Mean, "std": in.Std} {
		if list != nil && len(list) != in.channels() {
			return fmt.Errorf("%w: %s has %d values for %d channels", data.ErrShape, what, len(list), in.channels())
		}
	}
	if in.Divisor < 0 || slices.Contains(in.Std, 0) {
		return fmt.Errorf("%w: divisor %v and std %v must not be zero", data.ErrFormat, in.Divisor, in.Std)
	}
	return nil
}

func (in *Input) resize() string {
	if in.Resize == "" {
		return "pillow-bilinear"
	}
	return in.Resize
}

// prepare makes numbers of a sample.
func (m *Model) prepare(s *Sample) (p prepared, err error) {
	switch m.Input.Kind {
	case KindImage:
		picture := s.Picture
		if picture == nil {
			raw, err := s.Read()
			if err != nil {
				return p, err
			}
			if picture, err = Decode(raw); err != nil {
				return p, err
			}
		}
		p.values, err = m.Input.image(picture)
	case KindAudio:
		raw, err := s.Read()
		if err != nil {
			return p, err
		}
		p.values, err = m.Input.Sound.prepare(raw, m.sound)
		return p, err
	case KindText:
		p.tokens, err = m.text.Encode(s.Text, m.Input.Length)
		if err == nil && len(p.tokens) == 0 {
			err = fmt.Errorf("%w: the text has no tokens", data.ErrFormat)
		}
	case KindValues:
		want := 1
		for _, n := range m.Input.Shape {
			want *= n
		}
		if len(s.Values) != want {
			return p, fmt.Errorf("%w: %d values, want %d for shape %v", data.ErrShape, len(s.Values), want, m.Input.Shape)
		}
		p.values = s.Values
	}
	return p, err
}

// image prepares a picture: channels × height × width values, or with the channels last.
func (in *Input) image(p *Picture) ([]float32, error) {
	p = p.converted(in.channels())
	h, w := in.Height, in.Width
	if in.Shorter > 0 { // as torchvision: the longer side is rounded down, the cut is centred with halves to even
		if p.W <= p.H {
			h, w = in.Shorter*p.H/p.W, in.Shorter
		} else {
			h, w = in.Shorter, in.Shorter*p.W/p.H
		}
	}
	x, err := p.Resized(h, w, in.resize())
	if err != nil {
		return nil, err
	}
	top, left := centre(h-in.Height), centre(w-in.Width)
	c := in.channels()
	out := make([]float32, c*in.Height*in.Width)
	for ch := range c {
		from := ch
		if in.Channels == "BGR" {
			from = c - 1 - ch
		}
		divisor, mean, std := float32(1), float32(0), float32(1)
		if in.Divisor != 0 {
			divisor = float32(in.Divisor)
		}
		if in.Mean != nil {
			mean = float32(in.Mean[ch])
		}
		if in.Std != nil {
			std = float32(in.Std[ch])
		}
		for y := range in.Height {
			for z := range in.Width {
				v := (x[((top+y)*w+left+z)*c+from]/divisor - mean) / std
				if in.Layout == "NHWC" {
					out[(y*in.Width+z)*c+ch] = v
				} else {
					out[(ch*in.Height+y)*in.Width+z] = v
				}
			}
		}
	}
	return out, nil
}

// centre is half of n, rounded to even as Python's round does.
func centre(n int) int {
	half := n / 2
	if n%2 != 0 && half%2 != 0 {
		half++
	}
	return half
}
