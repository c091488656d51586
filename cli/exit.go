package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/encode"
	"github.com/gimbal-ml/gimbal/method"
)

// The exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitGate        = 3
	exitInterrupted = 130
	exitTerminated  = 143
)

// usageError is a wrong call: exit 2.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// usage makes the error of a wrong call, with a pointer to the command's help.
func usage(cmd *cobra.Command, format string, a ...any) error {
	return &usageError{fmt.Sprintf(format, a...) + " (see " + cmd.CommandPath() + " --help)"}
}

// gateError says that the command did its work and that what it checks does not hold: exit 3.
type gateError struct{ text string }

func (e *gateError) Error() string { return e.text }

// gate makes the error of a gate that did not hold.
func gate(format string, a ...any) error { return &gateError{fmt.Sprintf(format, a...)} }

// interruption is why the context ended: a signal.
type interruption struct{ signal os.Signal }

func (i interruption) Error() string {
	if i.signal == syscall.SIGTERM {
		return "terminated; unfinished files are left out"
	}
	return "interrupted; unfinished files are left out"
}

func exitCode(err error) int {
	var stop interruption
	var wrong *usageError
	var held *gateError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &stop) && stop.signal == syscall.SIGTERM:
		return exitTerminated
	case errors.As(err, &stop), errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &held), errors.Is(err, method.ErrRefused):
		return exitGate
	case errors.As(err, &wrong), errors.Is(err, method.ErrConfig), errors.Is(err, encode.ErrOption):
		return exitUsage
	}
	return exitFailed
}

// oneLine keeps an error to one line, whatever it wraps.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
