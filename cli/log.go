package cli

import (
	"log/slog"

	"github.com/spf13/cobra"
)

// addLog adds the flags of commands that keep a log.
func addLog(cmd *cobra.Command, form, level *string) {
	cmd.Flags().StringVar(form, "log", "text", "`FORM` of the log: text or json")
	cmd.Flags().StringVar(level, "log-level", "info", "`LEVEL` of what is logged: debug, info, warn or error")
}

// newLogger is a log on standard error.
func newLogger(e *env, cmd *cobra.Command, form, level string) (*slog.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, usage(cmd, "--log-level %q: want debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: least}
	switch form {
	case "text":
		return slog.New(slog.NewTextHandler(e.stderr, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(e.stderr, options)), nil
	}
	return nil, usage(cmd, "--log %q: want text or json", form)
}
