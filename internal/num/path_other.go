//go:build !amd64

package num

func vectorPaths() []*path { return nil }
