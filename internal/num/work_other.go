//go:build !linux

package num

// cores does nothing where threads cannot be moved.
type cores struct{}

func (*cores) take() {}

func letOthersRun() {}
