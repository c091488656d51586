package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/encode"
)

type preprocessOptions struct {
	encode encodeOptions
	seed   uint64
	gate   bool
}

func newPreprocessCommand(e *env) *cobra.Command {
	o := &preprocessOptions{}
	cmd := &cobra.Command{
		Use:   "preprocess --model NAME|FILE --in PATH",
		Short: "Measure how an encoder's images should be resized and normalised",
		Long: `Preprocess encodes labelled images at their own size and at the network's, with pixels as they are, in [0, 1], as the network
wants them, by the images' own mean and deviation, and by their 2nd and 98th percentile, and classifies each image by its 5
nearest neighbours among the others, with a 95 % interval. The line that --model's description asks for is marked as own.

Two controls need no network: each channel's mean, deviation, minimum and maximum, and mean responses to random patches of
the images. Where no preparation reaches the better control, the encoder is prepared wrongly, or of no use here;
with --gate that is exit 3.`,
		Example: `  gimbal preprocess --model fractal --in images --labels-from folder
  gimbal preprocess --model net.safetensors --in images --json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return runPreprocess(e, cmd, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.encode.model, "model", "", "`FILE` of a network, or a known network's name")
	f.StringVar(&o.encode.options.Weights, "weights", "", "`FILE` with the weights of a network known by name")
	f.StringArrayVar(&o.encode.inputs, "in", nil, "`PATH` of the images: a folder, an archive or an IDX file; several are read one after the other")
	f.StringVar(&o.encode.labelsFrom, "labels-from", "folder", "folder, for the name of the folder that an image lies in, or a `FILE` with an entry an image")
	f.StringVar(&o.encode.options.Layer, "layer", "", "`NAME` of the layer to measure, features by default")
	f.StringVar(&o.encode.options.Pool, "pool", "", "`HOW` to make a row of a layer with many places: "+joined(encode.Pools)+"; mean by default")
	f.StringVar(&o.encode.options.Input.Resize, "resize", "", "`HOW` images are resized: "+joined(encode.Resizes))
	f.BoolVar(&o.gate, "gate", false, "exit 3 when no preparation reaches the better control")
	f.Uint64Var(&o.seed, "seed", 0, "`NUMBER` that draws the patches of the control")
	return cmd
}

func runPreprocess(e *env, cmd *cobra.Command, o *preprocessOptions) error {
	if err := needFlags(cmd, "model", "in"); err != nil {
		return err
	}
	m, err := encode.Load(o.encode.model, o.encode.options)
	if err != nil {
		return err
	}
	if m.Kind() != encode.KindImage {
		return usage(cmd, "%s reads samples of kind %s, not images", o.encode.model, m.Kind())
	}
	samples, err := o.encode.samples(cmd, m)
	if err != nil {
		return err
	}
	rows, err := encode.Preprocess(cmd.Context(), o.encode.model, o.encode.options, samples, o.seed)
	if err != nil {
		return err
	}
	l := &listing{columns: []column{
		{name: "encoder"}, {name: "size"}, {name: "normalize"}, {name: "own"}, {name: "features"}, {name: "accuracy", title: "ACCURACY %", percent: true}, {name: "note"},
	}}
	best, control := 0.0, 0.0
	for _, r := range rows {
		var accuracy, features, note any
		if r.Err != nil {
			note = r.Err.Error()
		} else {
			accuracy, features = r.Accuracy, r.Features
		}
		l.add(r.Encoder, fmt.Sprintf("%dx%d", r.Height, r.Width), r.Normalize, r.Own, features, accuracy, note)
		if r.Encoder == "features" {
			best = max(best, r.Accuracy.Value)
		} else {
			control = max(control, r.Accuracy.Value)
		}
	}
	if err := e.print(l); err != nil {
		return err
	}
	if own := slices.IndexFunc(rows, func(r encode.Preprocessing) bool { return r.Own && r.Err == nil }); own >= 0 {
		e.say("as the network's description wants it %.1f %%, at best %.1f %%, the better control %.1f %%", 100*rows[own].Accuracy.Value, 100*best, 100*control)
	}
	if best < control {
		const text = "no preparation reaches the controls, which need no network: %s is prepared wrongly, or of no use for these images"
		if o.gate {
			return gate(text, o.encode.model)
		}
		e.say(text, o.encode.model)
	}
	return nil
}
