package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/method"
)

type compareOptions struct {
	family  string
	train   []string
	in      []string
	ood     []string
	folder  string
	anomaly string
	split   float64
	seeds   int
	perFile bool
	head    string
	inLabel string
	report  string
	table   tableFlags
}

func newCompareCommand(e *env) *cobra.Command {
	o := &compareOptions{}
	cmd := &cobra.Command{
		Use:   "compare FAMILY",
		Short: "Fit every method of a family and measure them side by side",
		Long: `Compare fits every method of a family with its defaults; those that fit from moments share one pass over the training
rows. Each figure has a 95 % interval. A method that has no result is listed with the reason.

Methods with a score are asked to tell --ood files from --in: AUROC (DeLong), FPR at 95 % with either side as the positive
one, AUPR. Methods that predict classes are measured on --in, which then needs labels: accuracy, macro-F1, negative
log-likelihood, expected calibration error. Methods that take logits or a network's last layer get those of a head fitted on
the same rows, or of the network itself where --head names a file. Seconds to fit leave out the shared pass.
For each --ood file a line says how well a plane tells it from --in that was shown rows of both, by halves: no detector sees
them, so it is no mark to reach, but where it is near 50 a linear head cannot have told either.

With --folder, each file is a task of its own: a column (--anomaly) marks rows as 0 normal or 1 anomaly, a share of the normal
rows (--split) is learned, the rest and the anomalies are told apart; the mean AUROC over files has a bootstrap interval over
files and seeds. A terminal shows percent, a pipe and --json fractions.`,
		Example: e.compareExamples(),
		ValidArgsFunction: func(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
			return matching(e.families(), word)
		},
		Args: exactly("FAMILY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.family = args[0]
			return runCompare(e, cmd, o)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.train, "train", nil, "`FILE` with the rows to learn from; several are read as one")
	f.StringArrayVar(&o.in, "in", nil, "`FILE` with rows to test on, like those learned; several are read as one")
	f.StringVar(&o.inLabel, "in-label", "", "`COLUMN` or file with the classes of --in, where it is not that of --label")
	f.StringArrayVar(&o.ood, "ood", nil, "`FILE` with rows unlike those learned; each is measured by itself")
	f.StringVar(&o.folder, "folder", "", "`DIR` whose files are a task each")
	f.StringVar(&o.anomaly, "anomaly", "y", "`COLUMN` of --folder's files that holds 0 for normal and 1 for anomaly")
	f.Float64Var(&o.split, "split", 0.5, "`SHARE` of --folder's normal rows to learn from")
	f.IntVar(&o.seeds, "seeds", 3, "`COUNT` of random splits of each of --folder's files")
	f.BoolVar(&o.perFile, "per-file", false, "list each of --folder's files instead of the means")
	f.StringVar(&o.head, "head", "", "`METHOD` whose logits and weights feed methods that take those, or FILE with a network's last layer (weight K×D, bias K); the first head that fits from moments by default")
	f.StringVar(&o.report, "report", "", "`FILE` to write as one HTML page with a plot")
	o.table.add(cmd)
	return cmd
}

// compareExamples shows both ways for each kind of family that there is.
func (e *env) compareExamples() string {
	var lines []string
	for _, f := range e.families() {
		verbs := common(e.family(f))
		if slices.Contains(verbs, "score") {
			lines = append(lines, fmt.Sprintf("  gimbal compare %s --train train.csv --in new.csv --ood ood.csv --label y", f),
				fmt.Sprintf("  gimbal compare %s --folder tasks --anomaly y --seeds 2", f))
		}
		if slices.Contains(verbs, "predict") {
			lines = append(lines, fmt.Sprintf("  gimbal compare %s --train train.csv --in new.csv --label y --report heads.html", f))
		}
	}
	return strings.Join(lines, "\n")
}

// common lists the verbs, of those that can be measured, that all learners of a family have.
func common(list []method.Spec) []string {
	var verbs []string
	for _, verb := range []string{"score", "predict"} {
		learners, able := 0, 0
		for _, s := range list {
			if s.Learns() {
				learners++
			}
			if s.Can(verb) {
				able++
			}
		}
		if able > 0 && able == learners {
			verbs = append(verbs, verb)
		}
	}
	return verbs
}

func runCompare(e *env, cmd *cobra.Command, o *compareOptions) error {
	list := e.family(o.family)
	if len(list) == 0 {
		return usage(cmd, "no family is called %q, have %s", o.family, strings.Join(e.families(), ", "))
	}
	verbs := common(list)
	scores, predicts := slices.Contains(verbs, "score"), slices.Contains(verbs, "predict")
	ood := cmd.Flags().Changed("ood")
	switch {
	case len(verbs) == 0:
		return usage(cmd, "the methods of %s have no verb in common to be compared by", o.family)
	case (o.folder != "" || ood) && !scores:
		return usage(cmd, "--ood and --folder are for methods with a score, those of %s predict classes", o.family)
	case o.folder != "":
		for _, name := range []string{"train", "in", "ood", "label"} {
			if cmd.Flags().Changed(name) {
				return usage(cmd, "--folder and --%s exclude each other", name)
			}
		}
		return runCompareFolder(e, cmd, o, list)
	case ood || !predicts:
		if err := needFlags(cmd, "train", "in", "ood"); err != nil {
			return err
		}
		return runCompareScore(e, cmd, o, list)
	}
	if err := needFlags(cmd, "train", "in", "label"); err != nil {
		return err
	}
	return runComparePredict(e, cmd, o, list)
}
