package encode

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/cmplx"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
)

// Sound says how a WAV file becomes what a network reads: a waveform of fixed length, or a table of frames by bands. Channels are
// averaged. What is longer than Samples is cut off at the end, what is shorter gets zeros there.
//
// Frames have a periodic Hann window. With Center, and Log "decibel", numbers are those of librosa (whose limit on the range below
// the maximum, top_db, is not applied: it would make a frame depend on the others); with Scale "htk" and Norm "none" those of
// torchaudio's filters; with Scale "tensorflow", Norm "none", Power 1, Log "offset" and Floor 1e-6 those of TensorFlow's signal package.
type Sound struct {
	Rate         int     `json:"rate"`                   // samples a second; files with another rate are refused
	Samples      int     `json:"samples"`                // length that every sound gets
	Kind         string  `json:"features"`               // one of [SoundKinds]
	Layout       string  `json:"layout,omitempty"`       // of frames: TF (time by bands, the default), FT, 1TF or 1FT
	Window       int     `json:"window,omitempty"`       // samples of a frame
	Hop          int     `json:"hop,omitempty"`          // samples between frames
	FFT          int     `json:"fft,omitempty"`          // length of the transform; the window's by default
	Center       bool    `json:"center,omitempty"`       // frames are centred on their hop, with zeros beyond the ends
	Bands        int     `json:"bands,omitempty"`        // of the mel filter bank
	Low          float64 `json:"low,omitempty"`          // lowest frequency, in hertz
	High         float64 `json:"high,omitempty"`         // highest, half the rate by default
	Scale        string  `json:"scale,omitempty"`        // of mel: slaney (default), htk, or tensorflow: htk, with triangles straight in mel instead of hertz and none at 0 Hz
	Norm         string  `json:"norm,omitempty"`         // of bands: slaney (default, equal area) or none (equal height)
	Power        float64 `json:"power,omitempty"`        // of magnitudes: 2 (default) or 1
	Log          string  `json:"log,omitempty"`          // natural (default): ln(max(v, floor)), decibel: 10·log10(max(v, floor)), or offset: ln(v + floor)
	Floor        float64 `json:"floor,omitempty"`        // 1e-10 by default
	Coefficients int     `json:"coefficients,omitempty"` // of MFCC: the first ones of an orthonormal DCT-II
}

// SoundKinds are what a sound can become: its samples in −1..1, log-mel bands, or mel-frequency cepstral coefficients.
var SoundKinds = []string{"waveform", "logmel", "mfcc"}

// check refuses what cannot be meant. Errors: ErrOption, ErrFormat, ErrShape.
func (s *Sound) check() error {
	if s == nil {
		return fmt.Errorf("%w: an input of kind audio needs \"sound\"", data.ErrFormat)
	}
	for _, c := range []struct {
		what, have string
		want       []string
	}{
		{"features", s.Kind, SoundKinds},
		{"layout", s.Layout, []string{"", "TF", "FT", "1TF", "1FT"}},
		{"scale", s.Scale, []string{"", "slaney", "htk", "tensorflow"}},
		{"norm", s.Norm, []string{"", "slaney", "none"}},
		{"log", s.Log, []string{"", "natural", "decibel", "offset"}},
	} {
		if !slices.Contains(c.want, c.have) {
			return fmt.Errorf("%w: %s %q, want one of %s", ErrOption, c.what, c.have, strings.Join(slices.DeleteFunc(slices.Clone(c.want), func(s string) bool { return s == "" }), ", "))
		}
	}
	const most = 1 << 28
	if s.Rate < 1 || s.Samples < 1 || s.Samples > most {
		return fmt.Errorf("%w: %d samples at %d a second", data.ErrShape, s.Samples, s.Rate)
	}
	if s.Kind == "waveform" {
		return nil
	}
	if s.Window < 1 || s.Hop < 1 || s.Window > s.length() || s.length() > most || !s.Center && s.Samples < s.length() {
		return fmt.Errorf("%w: window %d, hop %d, transform of %d for %d samples", data.ErrShape, s.Window, s.Hop, s.length(), s.Samples)
	}
	if s.Bands < 1 || s.Bands > s.length() || s.Low < 0 || s.high() <= s.Low || s.high() > float64(s.Rate)/2 {
		return fmt.Errorf("%w: %d bands from %v to %v Hz at %d samples a second", data.ErrShape, s.Bands, s.Low, s.high(), s.Rate)
	}
	if s.Power < 0 || s.Floor < 0 || s.Kind == "mfcc" && (s.Coefficients < 1 || s.Coefficients > s.Bands) {
		return fmt.Errorf("%w: power %v, floor %v, %d coefficients of %d bands", data.ErrShape, s.Power, s.Floor, s.Coefficients, s.Bands)
	}
	return nil
}

func (s *Sound) length() int {
	if s.FFT == 0 {
		return s.Window
	}
	return s.FFT
}

func (s *Sound) high() float64 {
	if s.High == 0 {
		return float64(s.Rate) / 2
	}
	return s.High
}

// frames is how many there are of a sound.
func (s *Sound) frames() int {
	if s.Center {
		return 1 + s.Samples/s.Hop
	}
	if s.Scale == "tensorflow" {
		return 1 + (s.Samples-s.Window)/s.Hop
	}
	return 1 + (s.Samples-s.length())/s.Hop
}

// lead is how far into its transform a frame begins: in the middle, or with TensorFlow at the start.
func (s *Sound) lead() int {
	if s.Scale == "tensorflow" {
		return 0
	}
	return (s.length() - s.Window) / 2
}

// width is the number of values of a frame.
func (s *Sound) width() int {
	if s.Kind == "mfcc" {
		return s.Coefficients
	}
	return s.Bands
}

// size is the shape of one prepared sound.
func (s *Sound) size() []int {
	if s.Kind == "waveform" {
		return []int{s.Samples}
	}
	shape := []int{s.frames(), s.width()}
	if strings.HasSuffix(s.Layout, "FT") {
		slices.Reverse(shape)
	}
	if strings.HasPrefix(s.Layout, "1") {
		shape = append([]int{1}, shape...)
	}
	return shape
}

// prepare reads a WAV file and computes its features.
func (s *Sound) prepare(raw []byte, b *bank) ([]float32, error) {
	wave, rate, err := ReadWAV(raw)
	if err != nil {
		return nil, err
	}
	if rate != s.Rate {
		return nil, fmt.Errorf("%w: %d samples a second, want %d; resample it", data.ErrShape, rate, s.Rate)
	}
	fitted := make([]float64, s.Samples)
	copy(fitted, wave)
	if s.Kind == "waveform" {
		out := make([]float32, len(fitted))
		for i, v := range fitted {
			out[i] = float32(v)
		}
		return out, nil
	}
	return s.features(fitted, b), nil
}

// bank is what all frames of a kind of sound share.
type bank struct {
	window  []float64   // Hann
	filters [][]float64 // bands × frequencies
	cosines [][]float64 // coefficients × bands
	fft     *transform
}

func (s *Sound) tables() *bank {
	b := &bank{fft: newTransform(s.length()), filters: s.filters()}
	for i := range s.Window {
		b.window = append(b.window, 0.5-0.5*math.Cos(2*math.Pi*float64(i)/float64(s.Window)))
	}
	for k := range s.Coefficients {
		row := make([]float64, s.Bands)
		for j := range row {
			row[j] = math.Sqrt(2/float64(s.Bands)) * math.Cos(math.Pi*float64(k)*(float64(j)+0.5)/float64(s.Bands))
			if k == 0 {
				row[j] /= math.Sqrt2
			}
		}
		b.cosines = append(b.cosines, row)
	}
	return b
}

// features computes frames × values, in the layout asked for.
func (s *Sound) features(wave []float64, b *bank) []float32 {
	n, width := s.frames(), s.width()
	out := make([]float32, n*width)
	frame, bands, size := make([]complex128, s.length()), make([]float64, s.Bands), make([]float64, s.length()/2+1)
	floor, power := s.Floor, s.Power
	if floor == 0 {
		floor = 1e-10
	}
	if power == 0 {
		power = 2
	}
	for t := range n {
		start := t*s.Hop + s.lead()
		if s.Center {
			start -= s.length() / 2
		}
		clear(frame)
		for i, w := range b.window {
			if at := start + i; at >= 0 && at < len(wave) {
				frame[s.lead()+i] = complex(w*wave[at], 0)
			}
		}
		for k, v := range b.fft.run(frame)[:len(size)] {
			size[k] = math.Pow(cmplx.Abs(v), power)
		}
		for j, filter := range b.filters {
			sum := 0.0
			for k, w := range filter {
				sum += w * size[k]
			}
			switch s.Log {
			case "offset":
				bands[j] = math.Log(sum + floor)
			case "decibel":
				bands[j] = 10 * math.Log10(max(sum, floor))
			default:
				bands[j] = math.Log(max(sum, floor))
			}
		}
		for k := range width {
			v := bands[min(k, s.Bands-1)]
			if s.Kind == "mfcc" {
				v = 0
				for j, c := range b.cosines[k] {
					v += c * bands[j]
				}
			}
			if strings.HasSuffix(s.Layout, "FT") {
				out[k*n+t] = float32(v)
			} else {
				out[t*width+k] = float32(v)
			}
		}
	}
	return out
}

// filters are triangles over the frequencies of a transform, whose corners are even on the mel scale.
func (s *Sound) filters() [][]float64 {
	mel, hertz := slaneyMel, slaneyHertz
	if s.Scale == "htk" || s.Scale == "tensorflow" {
		mel = func(f float64) float64 { return 2595 * math.Log10(1+f/700) }
		hertz = func(m float64) float64 { return 700 * (math.Pow(10, m/2595) - 1) }
	}
	lo, hi := mel(s.Low), mel(s.high())
	corner := func(i int) float64 { return hertz(lo + (hi-lo)*float64(i)/float64(s.Bands+1)) }
	out := make([][]float64, s.Bands)
	for j := range out {
		left, middle, right := corner(j), corner(j+1), corner(j+2)
		out[j] = make([]float64, s.length()/2+1)
		for k := range out[j] {
			f := float64(k) * float64(s.Rate) / float64(s.length())
			out[j][k] = max(0, min((f-left)/(middle-left), (right-f)/(right-middle)))
			if s.Scale == "tensorflow" {
				place := (mel(f) - lo) / (hi - lo) * float64(s.Bands+1)
				out[j][k] = max(0, 1-math.Abs(place-float64(j+1)))
				if k == 0 {
					out[j][k] = 0
				}
			}
			if s.Norm != "none" {
				out[j][k] *= 2 / (right - left)
			}
		}
	}
	return out
}

// The mel scale of Slaney's Auditory Toolbox: linear below 1 kHz, then logarithmic.
const slaneyStep, slaneyKnee = 200.0 / 3, 1000.0

var slaneyLog = math.Log(6.4) / 27

func slaneyMel(f float64) float64 {
	if f < slaneyKnee {
		return f / slaneyStep
	}
	return slaneyKnee/slaneyStep + math.Log(f/slaneyKnee)/slaneyLog
}

func slaneyHertz(m float64) float64 {
	if m < slaneyKnee/slaneyStep {
		return m * slaneyStep
	}
	return slaneyKnee * math.Exp(slaneyLog*(m-slaneyKnee/slaneyStep))
}

// transform is a discrete Fourier transform of any length: Cooley and Tukey's for powers of two, Bluestein's by way of it for others.
type transform struct {
	n, m   int
	chirp  []complex128 // of Bluestein's, nil for powers of two
	filter []complex128 // its transform
}

func newTransform(n int) *transform {
	t := &transform{n: n, m: n}
	if n&(n-1) == 0 {
		return t
	}
	for t.m = 1; t.m < 2*n-1; {
		t.m *= 2
	}
	t.chirp, t.filter = make([]complex128, n), make([]complex128, t.m)
	for i := range n {
		angle := math.Pi * float64(i*i%(2*n)) / float64(n)
		t.chirp[i] = cmplx.Rect(1, -angle)
		t.filter[i] = cmplx.Rect(1, angle)
		t.filter[(t.m-i)%t.m] = t.filter[i]
	}
	radix2(t.filter, -1)
	return t
}

// run returns the transform of x, which it leaves alone.
func (t *transform) run(x []complex128) []complex128 {
	y := make([]complex128, t.m)
	copy(y, x)
	if t.chirp == nil {
		radix2(y, -1)
		return y
	}
	for i, c := range t.chirp {
		y[i] *= c
	}
	radix2(y, -1)
	for i, f := range t.filter {
		y[i] *= f
	}
	radix2(y, 1)
	for i, c := range t.chirp {
		y[i] *= c / complex(float64(t.m), 0)
	}
	return y[:t.n]
}

// radix2 transforms in place, len(x) a power of two; sign −1 forwards, 1 backwards without the division.
func radix2(x []complex128, sign float64) {
	n := len(x)
	for i, j := 1, 0; i < n; i++ {
		bit := n >> 1
		for ; j&bit != 0; bit >>= 1 {
			j ^= bit
		}
		j ^= bit
		if i < j {
			x[i], x[j] = x[j], x[i]
		}
	}
	for size := 2; size <= n; size *= 2 {
		for k := range size / 2 {
			w := cmplx.Rect(1, sign*2*math.Pi*float64(k)/float64(size))
			for i := k; i < n; i += size {
				a, b := x[i], w*x[i+size/2]
				x[i], x[i+size/2] = a+b, a-b
			}
		}
	}
}

// ReadWAV reads a WAV file: PCM of 8, 16, 24 or 32 bits, or floats of 32 or 64. Whole numbers are divided by their largest power of
// two, so that values lie in −1..1; channels are averaged. Errors: ErrFormat, ErrFinite.
func ReadWAV(raw []byte) (wave []float64, rate int, err error) {
	le := binary.LittleEndian
	if len(raw) < 12 || string(raw[:4]) != "RIFF" || string(raw[8:12]) != "WAVE" {
		return nil, 0, fmt.Errorf("begins with % x: no WAV file: %w", raw[:min(12, len(raw))], data.ErrFormat)
	}
	var format, channels, bits int
	for at := 12; at+8 <= len(raw); {
		name, size := string(raw[at:at+4]), int(le.Uint32(raw[at+4:]))
		body := raw[at+8:]
		short := size > len(body)
		if short && name != "data" {
			return nil, 0, fmt.Errorf("ends inside its chunk %q: %w", name, data.ErrFormat)
		}
		switch name {
		case "fmt ":
			if size < 16 {
				return nil, 0, fmt.Errorf("its format has %d bytes, want 16 or more: %w", size, data.ErrFormat)
			}
			format, channels, rate, bits = int(le.Uint16(body)), int(le.Uint16(body[2:])), int(le.Uint32(body[4:])), int(le.Uint16(body[14:]))
			if format == 0xfffe && size >= 26 { // extensible: the true format begins the identifier
				format = int(le.Uint16(body[24:]))
			}
		case "data":
			if short && size != math.MaxUint32 && size != 0x7fffffff { // what streams write that do not know their length
				return nil, 0, fmt.Errorf("ends after %d of %d bytes of sound: %w", len(body), size, data.ErrFormat)
			}
			wave, err = samplesOf(body[:min(size, len(body))], format, channels, bits)
			return wave, rate, err
		}
		at += 8 + size + size%2
	}
	return nil, 0, fmt.Errorf("has no chunk of sound: %w", data.ErrFormat)
}

func samplesOf(body []byte, format, channels, bits int) ([]float64, error) {
	le := binary.LittleEndian
	var one func(b []byte) float64
	switch {
	case format == 1 && bits == 8:
		one = func(b []byte) float64 { return (float64(b[0]) - 128) / 128 }
	case format == 1 && bits == 16:
		one = func(b []byte) float64 { return float64(int16(le.Uint16(b))) / (1 << 15) }
	case format == 1 && bits == 24:
		one = func(b []byte) float64 {
			return float64(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24)) / (1 << 31)
		}
	case format == 1 && bits == 32:
		one = func(b []byte) float64 { return float64(int32(le.Uint32(b))) / (1 << 31) }
	case format == 3 && bits == 32:
		one = func(b []byte) float64 { return float64(math.Float32frombits(le.Uint32(b))) }
	case format == 3 && bits == 64:
		one = func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) }
	default:
		return nil, fmt.Errorf("holds format %d of %d bits; PCM of 8, 16, 24, 32 bits and floats of 32, 64 are read: %w", format, bits, data.ErrFormat)
	}
	if channels < 1 {
		return nil, fmt.Errorf("has %d channels: %w", channels, data.ErrFormat)
	}
	step := bits / 8
	out := make([]float64, len(body)/step/channels)
	for i := range out {
		for c := range channels {
			v := one(body[(i*channels+c)*step:])
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("sample %d is %w", i+1, data.ErrFinite)
			}
			out[i] += v / float64(channels)
		}
	}
	return out, nil
}
