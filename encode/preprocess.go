package encode

import (
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/metric"
)

// The ways to normalise pixels that [Preprocess] tries.
const (
	NormalizeNone       = "none"       // bytes as they are
	NormalizeUnit       = "unit"       // to [0, 1]
	NormalizeNetwork    = "network"    // as the network's weights want it
	NormalizeTarget     = "target"     // by the images' own mean and deviation, channel by channel
	NormalizePercentile = "percentile" // their 2nd and 98th percentile, channel by channel, to 0 and 1
)

// Normalizations are the ways that are known.
var Normalizations = []string{NormalizeNone, NormalizeUnit, NormalizeNetwork, NormalizeTarget, NormalizePercentile}

// Preprocessing is how well images prepared in one way can be told apart by an encoder's features, or by a control that needs none.
type Preprocessing struct {
	Encoder   string // features, or the control's name
	Height    int    // that images are resized to
	Width     int
	Normalize string
	Features  int
	Accuracy  metric.Estimate // of the nearest neighbours, each image left out in turn
	Own       bool            // what the network's description says
	Err       error           // why there is no accuracy
}

const (
	preprocessNeighbors = 5
	preprocessFilters   = 256
	preprocessPatch     = 5
	preprocessPlaces    = 1024
)

// Preprocess measures how an encoder's images should be resized and normalised: it encodes labelled images at their own size (the
// median of theirs, where they differ) and at the network's, under every one of [Normalizations], and classifies each image by its 5 nearest neighbours among the
// others; of equally frequent classes the one of the nearest counts. Two controls stand beside it: the channels' mean,
// deviation, minimum and maximum, and mean responses to 256 patches drawn from the images. An encoder that does not beat
// them is prepared wrongly, or of no use here.
//
// Errors: ErrLabels when an image has no label; ErrShape with fewer than 6 images; ErrOption for a network that
// reads no images; those of [Load]. A size that the network refuses is told in its row.
//
// Source: Corley et al. (2024), Revisiting pre-trained remote sensing model benchmarks, sections 3 and 4. Differs: each image
// is left out in turn instead of a fixed split; k-nearest neighbours alone, no linear probe.
func Preprocess(ctx context.Context, path string, o Options, samples iter.Seq2[Sample, error], seed uint64) ([]Preprocessing, error) {
	network, err := Load(path, o)
	if err != nil {
		return nil, err
	}
	if network.Kind() != KindImage {
		return nil, fmt.Errorf("%w: %s reads samples of kind %s, not images", ErrOption, path, network.Kind())
	}
	set, err := newPreprocessed(network, samples)
	if err != nil {
		return nil, err
	}
	var out []Preprocessing
	sizes := [][2]int{{network.Input.Height, network.Input.Width}}
	if h, w := set.size(); h != sizes[0][0] || w != sizes[0][1] {
		sizes = append([][2]int{{h, w}}, sizes...)
	}
	for _, size := range sizes {
		for _, way := range Normalizations {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			p := Preprocessing{Encoder: "features", Height: size[0], Width: size[1], Normalize: way, Own: way == NormalizeNetwork && size == sizes[len(sizes)-1]}
			// The network was loaded and the images were decoded: what is wrong now is the size, or numbers that are too large.
			if p.Err = set.encode(path, o, &p); p.Err != nil && p.Own {
				return nil, p.Err
			}
			out = append(out, p)
		}
	}
	for _, control := range []struct {
		name     string
		features func() ([]float32, int)
	}{{"control: statistics of channels", set.statistics}, {"control: random patches", func() ([]float32, int) { return set.patches(seed) }}} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		x, d := control.features()
		p := Preprocessing{Encoder: control.name, Normalize: NormalizeUnit, Features: d}
		p.Height, p.Width = set.size()
		standardize(x, d)
		if p.Accuracy, err = set.nearest(x, d); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// preprocessed are labelled images in the channels of a network.
type preprocessed struct {
	input    Input
	samples  []Sample
	pictures []*Picture
	labels   []int
	classes  int
}

func newPreprocessed(network *Model, samples iter.Seq2[Sample, error]) (*preprocessed, error) {
	s := &preprocessed{input: network.Input}
	place := map[string]int{}
	for sample, err := range samples {
		if err != nil {
			return nil, err
		}
		if sample.Label == "" {
			return nil, fmt.Errorf("%s: %w: the image has none", sample.Name, data.ErrLabels)
		}
		if sample.Picture == nil {
			raw, err := sample.Read()
			if err != nil {
				return nil, err
			}
			if sample.Picture, err = Decode(raw); err != nil {
				return nil, fmt.Errorf("%s: %w", sample.Name, err)
			}
		}
		p := sample.Picture.converted(network.Input.channels())
		if _, known := place[sample.Label]; !known {
			place[sample.Label] = len(place)
		}
		s.samples, s.pictures, s.labels = append(s.samples, sample), append(s.pictures, p), append(s.labels, place[sample.Label])
	}
	if len(s.pictures) <= preprocessNeighbors {
		return nil, fmt.Errorf("%w: %d images, want more than the %d nearest that are looked at", data.ErrShape, len(s.pictures), preprocessNeighbors)
	}
	s.classes = len(place)
	return s, nil
}

// size is the images' own: the median of their heights and that of their widths.
func (s *preprocessed) size() (h, w int) {
	var heights, widths []int
	for _, p := range s.pictures {
		heights, widths = append(heights, p.H), append(widths, p.W)
	}
	slices.Sort(heights)
	slices.Sort(widths)
	return heights[len(heights)/2], widths[len(widths)/2]
}

// channel calls f with every value of a channel, in the order of the network's channels.
func (s *preprocessed) channel(ch int, f func(v byte)) {
	c := s.input.channels()
	if s.input.Channels == "BGR" {
		ch = c - 1 - ch
	}
	for _, p := range s.pictures {
		for i := ch; i < len(p.Pixels); i += c {
			f(p.Pixels[i])
		}
	}
}

// normalized is an input with one of [Normalizations].
func (s *preprocessed) normalized(way string) Input {
	in := Input{Divisor: 1}
	for ch := range s.input.channels() {
		mean, std := 0.0, 1.0
		switch way {
		case NormalizeUnit:
			std = 255
		case NormalizeNetwork:
			return Input{}
		case NormalizeTarget, NormalizePercentile:
			var counts [256]float64
			s.channel(ch, func(v byte) { counts[v]++ })
			mean, std = spreadOf(counts, way == NormalizePercentile)
		}
		in.Mean, in.Std = append(in.Mean, mean), append(in.Std, std)
	}
	return in
}

// spreadOf returns mean and deviation of counted bytes, or their 2nd percentile and its distance to the 98th; one where that is zero.
func spreadOf(counts [256]float64, percentile bool) (mean, std float64) {
	total, squares := 0.0, 0.0
	for v, n := range counts {
		total += n
		mean += n * float64(v)
		squares += n * float64(v) * float64(v)
	}
	mean /= total
	std = math.Sqrt(max(squares/total-mean*mean, 0))
	if percentile {
		at := func(share float64) float64 {
			sum := 0.0
			for v, n := range counts {
				if sum += n; sum >= share*total {
					return float64(v)
				}
			}
			return 255
		}
		mean, std = at(0.02), at(0.98)-at(0.02)
	}
	if std == 0 {
		std = 1
	}
	return mean, std
}

// encode runs the network on all images prepared in one way.
func (s *preprocessed) encode(path string, o Options, p *Preprocessing) error {
	way := s.normalized(p.Normalize)
	o.Input = o.Input.joined(Input{Height: p.Height, Width: p.Width, Divisor: way.Divisor, Mean: way.Mean, Std: way.Std})
	if !p.Own && o.Input.Shorter > 0 {
		o.Input.Shorter = 0
	}
	m, err := Load(path, o)
	if err != nil {
		return err
	}
	x := make([]float32, len(s.samples)*m.Dim)
	if err := m.Encode(x, s.samples); err != nil {
		return err
	}
	p.Features = m.Dim
	p.Accuracy, err = s.nearest(x, m.Dim)
	return err
}

// nearest classifies each row by the others.
func (s *preprocessed) nearest(x []float32, d int) (metric.Estimate, error) {
	n := len(s.labels)
	predicted := make([]int, n)
	num.NearestEach(x, n, x, n, d, preprocessNeighbors+1, func(query int, _ []float64, index []int32) {
		votes := make([]int, s.classes)
		best, seen := -1, 0
		var order []int
		for _, i := range index {
			if int(i) == query || seen == preprocessNeighbors { // of rows that are equal to it the row itself may not be first, or there
				continue
			}
			seen++
			votes[s.labels[i]]++
			order = append(order, s.labels[i])
		}
		for _, l := range order {
			if best < 0 || votes[l] > votes[best] {
				best = l
			}
		}
		predicted[query] = best
	})
	return metric.Accuracy(s.labels, predicted)
}

// statistics are each channel's mean, deviation, minimum and maximum.
func (s *preprocessed) statistics() (x []float32, d int) {
	c := s.input.channels()
	for _, p := range s.pictures {
		for ch := range c {
			sum, squares, low, high := 0.0, 0.0, math.Inf(1), math.Inf(-1)
			for i := ch; i < len(p.Pixels); i += c {
				v := float64(p.Pixels[i]) / 255
				sum, squares, low, high = sum+v, squares+v*v, min(low, v), max(high, v)
			}
			n := float64(p.H * p.W)
			x = append(x, float32(sum/n), float32(math.Sqrt(max(squares/n-sum/n*sum/n, 0))), float32(low), float32(high))
		}
	}
	return x, 4 * c
}

// patches are mean responses, positive and negative parts apart, to patches of the images, centred and of length one, as in
// Rolf et al. (2021).
func (s *preprocessed) patches(seed uint64) (x []float32, d int) {
	c := s.input.channels()
	side := preprocessPatch
	for _, p := range s.pictures {
		side = min(side, p.H, p.W)
	}
	size := side * side * c
	cut := func(dst []float32, p *Picture, top, left int) {
		for y := range side {
			for i, v := range p.Pixels[((top+y)*p.W+left)*c : ((top+y)*p.W+left+side)*c] {
				dst[y*side*c+i] = float32(v) / 255
			}
		}
	}
	r := rand.New(rand.NewPCG(seed, 1))
	filters := make([]float32, preprocessFilters*size)
	for f := range preprocessFilters {
		own := filters[f*size : (f+1)*size]
		p := s.pictures[r.IntN(len(s.pictures))]
		cut(own, p, r.IntN(p.H-side+1), r.IntN(p.W-side+1))
		mean := float32(num.Sum(own) / float64(size))
		for i := range own {
			own[i] -= mean
		}
		if length := math.Sqrt(num.SquaredNorm(own)); length > 0 {
			for i := range own {
				own[i] = float32(float64(own[i]) / length)
			}
		}
	}
	var rows, z []float32
	for _, p := range s.pictures {
		step := 1 // from place to place, so that there are not many more than a thousand
		for (p.H-side+step)/step*((p.W-side+step)/step) > preprocessPlaces {
			step++
		}
		places := (p.H - side + step) / step * ((p.W - side + step) / step)
		rows, z = slices.Grow(rows[:0], places*size)[:places*size], slices.Grow(z[:0], places*preprocessFilters)[:places*preprocessFilters]
		at := 0
		for top := 0; top <= p.H-side; top += step {
			for left := 0; left <= p.W-side; left += step {
				cut(rows[at:at+size], p, top, left)
				at += size
			}
		}
		num.Gemm(false, true, places, preprocessFilters, size, 1, rows, size, filters, size, 0, z, preprocessFilters)
		up, down := make([]float64, preprocessFilters), make([]float64, preprocessFilters)
		for i, v := range z {
			up[i%preprocessFilters] += float64(max(v, 0)) / float64(places)
			down[i%preprocessFilters] += float64(max(-v, 0)) / float64(places)
		}
		for _, v := range slices.Concat(up, down) {
			x = append(x, float32(v))
		}
	}
	return x, 2 * preprocessFilters
}

// standardize brings columns to mean zero and deviation one.
func standardize(x []float32, d int) {
	n := len(x) / d
	for j := range d {
		mean, squares := 0.0, 0.0
		for i := j; i < len(x); i += d {
			mean += float64(x[i]) / float64(n)
		}
		for i := j; i < len(x); i += d {
			squares += (float64(x[i]) - mean) * (float64(x[i]) - mean) / float64(n)
		}
		for i := j; i < len(x); i += d {
			if v := float64(x[i]) - mean; squares > 0 {
				x[i] = float32(v / math.Sqrt(squares))
			} else {
				x[i] = 0
			}
		}
	}
}
