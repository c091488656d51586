package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/encode"
)

type encodeOptions struct {
	model      string
	options    encode.Options
	size       string
	mean, std  []string
	inputs     []string
	labelsFrom string
	table      open.Options
	describe   string
	output     string
}

func newEncodeCommand(e *env) *cobra.Command {
	o := &encodeOptions{}
	var known strings.Builder
	for _, n := range encode.Networks {
		fmt.Fprintf(&known, "\n  %-16s %s", n.Name, n.Title)
	}
	cmd := &cobra.Command{
		Use:   "encode --model NAME|FILE --in PATH -o FILE",
		Short: "Turn images, sounds or texts into features by a pre-trained network",
		Long: `Encode decodes samples, prepares them as the network's weights want them, runs the network and writes one of its layers,
a row a sample. A row never depends on the samples beside it.

--model is a .safetensors file with a description beside it (NAME.json, or NAME.graph.json of a TensorFlow Lite graph)
or with the tensors of a known network; an .onnx file (operator sets 13 to 21), with NAME.json beside it for what the file
does not say; a tokenizer.json, for the token numbers of texts with -1 behind their ends, as many columns as --length says;
or a known network's name, with --weights for all but fractal, which is in the program. --describe prints a known network's description, to be changed
and laid beside other weights. Nothing is downloaded.

--in is a folder or a zip archive of JPEG, PNG and GIF images, an IDX file, or one image; WAV files likewise, for a
network of sounds; a file with a column of text, for one of texts, whose tokenizer.json lies beside it; a table, a
sample a row, for a network that reads plain values.

Known networks:` + known.String(),
		Example: `  gimbal encode --model net.safetensors --in images --labels-from folder -o features.parquet
  gimbal encode --model net.safetensors --in images/ant/0.png --layer logits
  gimbal encode --model net.safetensors --in images --resize area --json
  gimbal encode --model fractal --in images -o features.parquet
  gimbal encode --model tokenizer.json --in texts.jsonl --length 8 -o words.parquet
  gimbal encode --describe mnist-convnet`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return runEncode(e, cmd, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.model, "model", "", "`FILE` of a network, or a known network's name")
	f.StringVar(&o.options.Weights, "weights", "", "`FILE` with the weights of a network known by name")
	f.StringArrayVar(&o.inputs, "in", nil, "`PATH` of the samples; several are read one after the other")
	f.StringVar(&o.options.Layer, "layer", "", "`NAME` of the layer to write, features by default: features, logits, or a node's")
	f.StringVar(&o.options.Pool, "pool", "", "`HOW` to make a row of a layer with many places: "+joined(encode.Pools)+"; mean by default")
	f.IntVar(&o.options.Batch, "batch", 0, "`SAMPLES` that one run takes; changes speed and memory, never results")
	f.StringVar(&o.labelsFrom, "labels-from", "", "folder, for the name of the folder that a sample lies in, or a `FILE` with an entry a sample")
	f.StringVar(&o.table.Text, "text", "", "`COLUMN` with the text; found by its name by default")
	f.IntVar(&o.options.Input.Length, "length", 0, "`TOKENS` that a text has at most; the rest is cut off")
	f.StringVar(&o.table.Label, "label", "", "`COLUMN` with the class, where samples are rows")
	f.StringVar(&o.table.ID, "id", "", "`COLUMN` with the name, where samples are rows")
	f.StringVar(&o.size, "size", "", "`HEIGHTxWIDTH` that images get, instead of the network's own")
	f.StringVar(&o.options.Input.Resize, "resize", "", "`HOW` images are resized: "+joined(encode.Resizes))
	f.IntVar(&o.options.Input.Shorter, "shorter", 0, "`PIXELS` of the shorter side, before the middle is cut out")
	f.StringVar(&o.options.Input.Channels, "channels", "", "`ORDER` of channels: RGB, BGR or gray")
	f.Float64Var(&o.options.Input.Divisor, "divisor", 0, "`NUMBER` that pixels are divided by first")
	f.StringSliceVar(&o.mean, "mean", nil, "`NUMBERS` that are then subtracted, one a channel, separated by commas")
	f.StringSliceVar(&o.std, "std", nil, "`NUMBERS` that the channels are divided by last")
	f.StringVar(&o.describe, "describe", "", "print the description of the known network `NAME`, and do no more")
	addOutput(cmd, &o.output, "`FILE` to write")
	return cmd
}

// settings reads the flags that are lists.
func (o *encodeOptions) settings(cmd *cobra.Command) error {
	in := &o.options.Input
	if o.size != "" {
		h, w, ok := strings.Cut(o.size, "x")
		var errH, errW error
		in.Height, errH = strconv.Atoi(h)
		in.Width, errW = strconv.Atoi(w)
		if !ok || errH != nil || errW != nil || in.Height < 1 || in.Width < 1 {
			return usage(cmd, "--size %q: want HEIGHTxWIDTH, 224x224", o.size)
		}
	}
	for _, l := range []struct {
		name string
		text []string
		to   *[]float64
	}{{"mean", o.mean, &in.Mean}, {"std", o.std, &in.Std}} {
		for _, s := range l.text {
			v, err := strconv.ParseFloat(s, 64)
			if err != nil || v-v != 0 {
				return usage(cmd, "--%s: %q is no number", l.name, s)
			}
			*l.to = append(*l.to, v)
		}
	}
	if o.options.Batch < 0 || in.Shorter < 0 || in.Divisor < 0 {
		return usage(cmd, "--batch, --shorter and --divisor must not be negative")
	}
	return nil
}

func runEncode(e *env, cmd *cobra.Command, o *encodeOptions) error {
	ctx := cmd.Context()
	if o.describe != "" {
		d, ok := encode.Network(o.describe)
		if !ok {
			return usage(cmd, "--describe %q: known are %s", o.describe, joined(encode.NetworkNames()))
		}
		text, err := json.MarshalIndent(d, "", " ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(e.stdout, "%s\n", text)
		return err
	}
	if err := needFlags(cmd, "model", "in"); err != nil {
		return err
	}
	if err := o.settings(cmd); err != nil {
		return err
	}
	start := time.Now()
	m, err := encode.Load(o.model, o.options)
	if err != nil {
		return err
	}
	asRows := m.Kind() == encode.KindValues || m.Kind() == encode.KindText
	if asRows && o.labelsFrom == "folder" || !asRows && (o.table.Label != "" || o.table.ID != "" || o.table.Text != "") {
		return usage(cmd, "%s reads samples of kind %s: --label, --id and --text are for texts and rows, --labels-from folder is for files", o.model, m.Kind())
	}
	o.table.Stdin = e.stdin
	samples, err := o.samples(cmd, m)
	if err != nil {
		return err
	}
	src := e.watch("encoding "+listed(o.inputs), m.Source(samples, o.labelsFrom != "" || o.table.Label != ""), -1)
	src.paths, src.idName = o.inputs, "id"
	if o.output == "" || o.output == "-" {
		return e.mapRows(ctx, src, o.output, encodedColumns)
	}
	var out data.Source = src
	if strings.HasSuffix(o.output, ".npy") {
		out = withoutIDs{src}
	}
	if err := open.WriteTable(ctx, o.output, out, open.WriteOptions{}); err != nil {
		return err
	}
	if e.json {
		return e.printObject(object{{"model", m.Name}, {"layer", m.Layer}, {"rows", src.rows}, {"features", m.Dim},
			{"seconds", time.Since(start).Seconds()}, {"output", o.output}})
	}
	e.say("%s: %s of %s, layer %s of %s, in %s", o.output, plural(src.rows, "row"), plural(m.Dim, "column"), m.Layer, m.Name, since(start))
	return nil
}

// encodedColumns are what is printed of a block: labels and features.
func encodedColumns(b *data.Table) ([]rows.Values, error) {
	n, d := b.Dims()
	var out []rows.Values
	if b.HasLabels() {
		labels := make([]string, n)
		for i := range n {
			labels[i] = b.ClassName(i)
		}
		out = append(out, rows.Strings("label", labels))
	}
	return append(out, rows.Vectors("x", b.X(), d)), nil
}

// samples lists what is in the inputs, as the model's kind is found there.
func (o *encodeOptions) samples(cmd *cobra.Command, m *encode.Model) (iter.Seq2[encode.Sample, error], error) {
	ctx := cmd.Context()
	all := func(yield func(encode.Sample, error) bool) {
		for _, path := range o.inputs {
			var list iter.Seq2[encode.Sample, error]
			switch m.Kind() {
			case encode.KindImage:
				list = encode.Images(path)
			case encode.KindAudio:
				list = encode.Sounds(path)
			case encode.KindText:
				list = encode.Texts(ctx, path, o.table)
			default:
				list = encode.Values(ctx, path, o.table)
			}
			for s, err := range list {
				if len(o.inputs) > 1 {
					s.ID = path + "/" + s.ID
				}
				if !yield(s, err) || err != nil {
					return
				}
			}
		}
	}
	if o.labelsFrom == "" || o.labelsFrom == "folder" {
		return all, nil
	}
	labels, err := encode.Labels(ctx, o.labelsFrom)
	if err != nil {
		return nil, err
	}
	return encode.Labelled(all, labels, o.labelsFrom), nil
}

// withoutIDs leaves off the names of rows, for a file that holds numbers only.
type withoutIDs struct{ *watched }

// Blocks is that of the source underneath.
func (w withoutIDs) Blocks(ctx context.Context) iter.Seq2[*data.Table, error] {
	return func(yield func(*data.Table, error) bool) {
		for b, err := range w.watched.Blocks(ctx) {
			if err == nil && !b.HasLabels() { // with labels, the format is refused anyway
				n, d := b.Dims()
				b, err = data.NewTable(n, d, b.X())
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}
