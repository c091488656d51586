package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/internal/num"
)

func newVersionCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the versions of the program and what it was built with",
		Example: `  gimbal version`,
		Args:    exactly(),
		RunE:    func(*cobra.Command, []string) error { return e.printObject(versions()) },
	}
}

// versions says which program this is and which kernels it takes on this machine.
func versions() object {
	o := object{{"gimbal", "unknown"}, {"go", runtime.Version()}, {"platform", runtime.GOOS + "/" + runtime.GOARCH}, {"kernels", num.Path()}, {"cores", runtime.GOMAXPROCS(0)}}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return o
	}
	if info.Main.Version != "" {
		o[0].value = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" || s.Key == "vcs.time" {
			o = append(o, field{s.Key[4:], s.Value})
		}
	}
	return o
}
