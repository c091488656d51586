package encode

import (
	"encoding/binary"
	"errors"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

// TestTransform compares the fast transforms with the definition.
func TestTransform(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{1, 2, 3, 7, 8, 30, 64, 100, 400, 481} {
		x := make([]complex128, n)
		for i := range x {
			x[i] = complex(r.NormFloat64(), r.NormFloat64())
		}
		have := newTransform(n).run(x)
		for k := range n {
			sum := complex(0, 0)
			for i, v := range x {
				sum += v * cmplx.Rect(1, -2*math.Pi*float64(i*k%n)/float64(n))
			}
			if cmplx.Abs(sum-have[k]) > 1e-10*float64(n) {
				t.Fatalf("length %d, frequency %d: %v, want %v", n, k, have[k], sum)
			}
		}
	}
}

// chirp is the sound of testdata/sounds.py.
func chirp(n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		v := float64(i)
		x[i] = 0.4*math.Sin(2*math.Pi*(0.01*v+0.00004*v*v)) + 0.2*math.Sin(2*math.Pi*0.31*v) + 0.05*math.Cos(0.7*v*v)
	}
	return x
}

// TestSoundGolden compares with librosa (and TensorFlow's formulas in NumPy) in float64; what is stored has six digits.
func TestSoundGolden(t *testing.T) {
	want := map[string][]float64{}
	golden(t, "sounds.json", &want)
	base := Sound{Rate: 16000, Samples: 3000, Window: 400, Hop: 160, FFT: 512, Bands: 20, Low: 20, High: 7600}
	for name, set := range map[string]func(s *Sound){
		"librosa logmel": func(s *Sound) { s.Kind, s.Center, s.Log = "logmel", true, "decibel" },
		"librosa mfcc":   func(s *Sound) { s.Kind, s.Center, s.Log, s.Coefficients = "mfcc", true, "decibel", 13 },
		"librosa htk": func(s *Sound) {
			s.Kind, s.Scale, s.Norm, s.Floor, s.FFT, s.Layout = "logmel", "htk", "none", 1e-6, 400, "FT"
		},
		"tensorflow logmel": func(s *Sound) {
			s.Kind, s.Scale, s.Norm, s.Power, s.Log, s.Floor = "logmel", "tensorflow", "none", 1, "offset", 1e-6
		},
	} {
		s := base
		set(&s)
		if err := s.check(); err != nil {
			t.Fatal(err)
		}
		have := s.features(chirp(s.Samples), s.tables())
		if len(have) != len(want[name]) || len(have) != product(s.size()) {
			t.Errorf("%s: %d values, want %d, size %v", name, len(have), len(want[name]), s.size())
			continue
		}
		for i, v := range want[name] {
			if math.Abs(float64(have[i])-v) > 1e-4*max(1, math.Abs(v)) {
				t.Errorf("%s: value %d is %v, want %v", name, i, have[i], v)
				break
			}
		}
	}
}

// wav writes a file by hand.
func wav(format, channels, rate, bits int, body []byte) []byte {
	le := binary.LittleEndian
	f := le.AppendUint16(nil, uint16(format))
	f = le.AppendUint16(f, uint16(channels))
	f = le.AppendUint32(f, uint32(rate))
	f = le.AppendUint32(f, uint32(rate*channels*bits/8))
	f = le.AppendUint16(f, uint16(channels*bits/8))
	f = le.AppendUint16(f, uint16(bits))
	out := append([]byte("RIFF\x00\x00\x00\x00WAVELIST\x03\x00\x00\x00abc\x00fmt \x10\x00\x00\x00"), f...)
	out = append(out, "data"...)
	out = le.AppendUint32(out, uint32(len(body)))
	return append(out, body...)
}

func TestWAV(t *testing.T) {
	le := binary.LittleEndian
	float := func(v ...float32) (b []byte) {
		for _, x := range v {
			b = le.AppendUint32(b, math.Float32bits(x))
		}
		return b
	}
	for _, c := range []struct {
		what           string
		format, n, bit int
		body           []byte
		want           []float64
	}{
		{"8 bits", 1, 1, 8, []byte{0, 128, 255}, []float64{-1, 0, 127.0 / 128}},
		{"16 bits", 1, 1, 16, []byte{0, 0x80, 0, 0x40, 0xff, 0xff}, []float64{-1, 0.5, -1.0 / 32768}},
		{"16 bits, two channels", 1, 2, 16, []byte{0, 0x80, 0, 0x40, 0, 0x40, 0, 0x20}, []float64{-0.25, 0.375}},
		{"24 bits", 1, 1, 24, []byte{0, 0, 0x80, 1, 0, 0}, []float64{-1, 1.0 / (1 << 23)}},
		{"32 bits", 1, 1, 32, []byte{0, 0, 0, 0xc0}, []float64{-0.5}},
		{"floats", 3, 1, 32, float(0.25, -1.5), []float64{0.25, -1.5}},
	} {
		have, rate, err := ReadWAV(wav(c.format, c.n, 8000, c.bit, c.body))
		if err != nil || rate != 8000 || len(have) != len(c.want) {
			t.Errorf("%s: %v at %d: %v", c.what, have, rate, err)
			continue
		}
		for i, v := range c.want {
			if have[i] != v {
				t.Errorf("%s: sample %d is %v, want %v", c.what, i, have[i], v)
			}
		}
	}
	whole := wav(1, 1, 8000, 16, make([]byte, 100))
	for _, c := range []struct {
		what string
		raw  []byte
		want error
		word string
	}{
		{"no file", []byte("words, words, words"), data.ErrFormat, "no WAV file"},
		{"half a file", whole[:len(whole)-40], data.ErrFormat, "60 of 100"},
		{"no sound", whole[:48], data.ErrFormat, "no chunk of sound"},
		{"mu-law", wav(7, 1, 8000, 8, make([]byte, 9)), data.ErrFormat, "format 7"},
		{"no channel", wav(1, 0, 8000, 8, make([]byte, 9)), data.ErrFormat, "0 channels"},
		{"NaN", wav(3, 1, 8000, 32, float(0, float32(math.NaN()))), data.ErrFinite, "sample 2"},
	} {
		if _, _, err := ReadWAV(c.raw); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	s := Sound{Rate: 16000, Samples: 10, Kind: "waveform"}
	if _, err := s.prepare(whole, nil); !errors.Is(err, data.ErrShape) || !strings.Contains(err.Error(), "8000 samples a second, want 16000") {
		t.Errorf("another rate: %v", err)
	}
}
